"""Eight Gaussians on a ring: the game with R1 and R2 finds every one of them, in seconds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from zerosum.game import losses
from zerosum.game.critic import TorchNoise
from zerosum.game.game import Game
from zerosum.game.penalties import R1, R2
from zerosum.game.player import Player
from zerosum.game.rounds import Batch, Draw, alternating, play
from zerosum.game.schedules import Clock, cosine

MODES, STD = 8, 0.05
LATENT, WIDTH = 2, 64
ROUNDS, BATCH, RATE = 1200, 128, 5e-3


class Perceptron(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for features in (inputs, WIDTH, WIDTH):
            layers += [nn.Linear(features, WIDTH), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(WIDTH, outputs))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = super().forward(x)
        return x.squeeze(1) if x.shape[1] == 1 else x


def centres() -> Tensor:
    angles = torch.arange(MODES) * (2 * math.pi / MODES)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def points(count: int, generator: torch.Generator) -> Tensor:
    modes = torch.randint(MODES, (count,), generator=generator)
    return centres()[modes] + STD * torch.randn(count, 2, generator=generator)


def shares(samples: Tensor) -> Tensor:
    """The share of all samples that lies within three deviations of each mode."""
    return (torch.cdist(samples, centres()) < 3 * STD).float().mean(dim=0)


def train(seed: int) -> Tensor:
    """Samples of the trained generator."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    nets = {"generator": Perceptron(LATENT, 2), "critic": Perceptron(2, 1)}
    rate = cosine(RATE, RATE / 10)
    players = {
        name: Player(net, torch.optim.Adam(net.parameters(), betas=(0.0, 0.99)), rate) for name, net in nets.items()
    }
    moves = alternating(Game(losses.rpgan, (R1(0.1), R2(0.1))), one_draw=True)
    for number in range(ROUNDS):
        real = points(BATCH, generator)
        latents = torch.randn(BATCH, LATENT, generator=generator)
        clock = Clock(number * BATCH, number, ROUNDS * BATCH)
        play(moves, players, {0: Draw(Batch(real), latents, TorchNoise(real), {}, clock)}, {})
    with torch.no_grad():
        return nets["generator"](torch.randn(4000, LATENT, generator=generator))


def test_the_measure_knows_a_mixture_from_a_ring() -> None:
    generator = torch.Generator().manual_seed(0)
    assert shares(points(20_000, generator)).sum().item() == pytest.approx(0.9889, abs=0.005)  # 1 - exp(-9 / 2)
    angles = torch.rand(20_000, generator=generator) * 2 * math.pi
    assert shares(torch.stack([angles.cos(), angles.sin()], dim=1)).sum().item() < 0.4


@pytest.mark.parametrize("seed", [0, 1])
def test_all_modes_are_found(seed: int) -> None:
    found = shares(train(seed))
    assert found.min() >= 0.05  # of 1/8; points spread evenly over the ring would have .048 at each mode
    assert found.sum() >= 0.6  # and .38 in all
