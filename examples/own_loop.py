"""A loop of your own around zerosum's game: 8 Gaussians on a ring, found by two small networks in seconds.

    python examples/own_loop.py

Nothing of zerosum's trainer is used: the networks, the optimizers and the loop are yours; the game gives the losses.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zerosum import Game, losses, penalties

MODES, BATCH, STEPS = 8, 256, 1500


class Critic(nn.Module):
    """Points (N, 2) to scores (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1))

    def forward(self, points: Tensor) -> Tensor:
        return self.layers(points).squeeze(1)


def real_points(count: int) -> Tensor:
    """Points around 8 places on the unit circle."""
    angle = torch.randint(MODES, (count,)) * (2 * math.pi / MODES)
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(count, 2)


def main() -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))
    critic = Critic()
    game = Game(losses.rpgan, penalties=(penalties.R1(0.1), penalties.R2(0.1)))
    generator_adam = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.0, 0.99))
    critic_adam = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.99))

    for step in range(STEPS):
        real, fake = real_points(BATCH), generator(torch.randn(BATCH, 8))
        loss, stats, _ = game.critic_loss(critic, real=real, fake=fake)
        critic_adam.zero_grad()
        loss.backward()
        critic_adam.step()

        critic.requires_grad_(False)  # the critic is held still in the generator's turn
        loss, _, _ = game.generator_loss(critic, real=real, fake=fake)
        generator_adam.zero_grad()
        loss.backward()
        generator_adam.step()
        critic.requires_grad_(True)
        if step % 300 == 0:
            print(f"step {step:5}  critic's loss {stats['loss']:.3f} (log 2 = {math.log(2):.3f} at equilibrium)")

    with torch.no_grad():
        points = generator(torch.randn(4000, 8))
    nearest = torch.atan2(points[:, 1], points[:, 0]).mul(MODES / (2 * math.pi)).round().long() % MODES
    centre = nearest * (2 * math.pi / MODES)
    close = (points - torch.stack([centre.cos(), centre.sin()], dim=1)).norm(dim=1) < 0.15
    shares = torch.bincount(nearest[close], minlength=MODES) / len(points)
    print("share of samples at each of the 8 places:", " ".join(f"{share:.1%}" for share in shares.tolist()))
    print(f"{int((shares > 0.01).sum())} of {MODES} places found")


if __name__ == "__main__":
    main()
