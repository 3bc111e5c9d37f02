"""The theory of Goodfellow et al. 2014 on distributions small enough to check, and the Dirac-GAN."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from zerosum.game import losses
from zerosum.game.critic import TorchNoise
from zerosum.game.game import Game
from zerosum.game.penalties import R1
from zerosum.game.player import Player
from zerosum.game.rounds import Batch, Draw, Move, alternating, play, simultaneous

# --- Proposition 1 and Theorem 1, on a few points ---


def negative_value(scores: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """-V(D) = E over x ~ p and y ~ q of the critic's loss, D = sigmoid(score) at each point."""
    real, fake = torch.meshgrid(scores, scores, indexing="ij")
    each = losses.non_saturating.critic(real=real.flatten(), fake=fake.flatten()).view_as(real)
    return p @ each @ q


def best_critic(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """(D*, V(D*)): a free score at each point, trained."""
    scores = torch.zeros_like(p, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=2000, tolerance_grad=1e-11, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = negative_value(scores, p, q)
        loss.backward()
        return loss

    optimizer.step(closure)
    return torch.sigmoid(scores.detach()), -negative_value(scores.detach(), p, q)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    middle = (p + q) / 2
    return 0.5 * (p * (p / middle).log()).sum() + 0.5 * (q * (q / middle).log()).sum()


weights = st.lists(st.floats(0.05, 1), min_size=10, max_size=10).map(lambda w: torch.tensor(w, dtype=torch.float64))


@settings(max_examples=10, deadline=None)
@given(weights, weights)
def test_best_critic_and_its_value(p: Tensor, q: Tensor) -> None:
    p, q = p / p.sum(), q / q.sum()
    best, value = best_critic(p, q)
    torch.testing.assert_close(best, p / (p + q), rtol=0, atol=1e-6)
    assert value.item() == pytest.approx((-math.log(4) + 2 * jensen_shannon(p, q)).item(), abs=1e-10)
    assert value.item() >= -math.log(4) - 1e-12


def test_best_critic_when_the_generator_has_won() -> None:
    p = torch.arange(1, 11, dtype=torch.float64) / 55
    best, value = best_critic(p, p)
    torch.testing.assert_close(best, torch.full_like(p, 0.5), rtol=0, atol=1e-9)
    assert value.item() == pytest.approx(-math.log(4), abs=1e-12)


def test_best_critic_of_nearly_disjoint_distributions_wins_the_whole_game() -> None:
    p = torch.tensor([0.5, 0.5, 1e-9, 1e-9], dtype=torch.float64)
    q = p.flip(0)
    scores = (p / q).log()
    assert -negative_value(scores, p / p.sum(), q / q.sum()).item() == pytest.approx(0, abs=1e-6)


def test_playing_the_minimax_game_brings_the_distribution_to_the_data() -> None:
    """Proposition 2: the critic optimal at every step, the generator a free distribution that descends V."""
    p = torch.arange(1, 11, dtype=torch.float64) / 55
    logits = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=20.0)
    for _ in range(300):
        q = logits.softmax(dim=0)
        scores = (p / q.detach()).log()
        loss = q @ losses.saturating.generator(real=None, fake=scores)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(logits.detach().softmax(dim=0), p, rtol=0, atol=1e-6)


# --- Dirac-GAN (Mescheder et al. 2018): the data are the point 0, the generator makes theta, the critic is psi x ---


class Point(nn.Module):
    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([theta], dtype=torch.float64))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.theta.expand(len(latents), 1)


class Slope(nn.Module):
    def __init__(self, psi: float) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi, dtype=torch.float64))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.psi * x[:, 0]


def dirac(moves: tuple[Move, ...], rounds: int, rate: float, theta: float = 1.0, psi: float = 0.5) -> Tensor:
    """(theta, psi) before each round and after the last, (rounds + 1, 2)."""
    nets = {"generator": Point(theta), "critic": Slope(psi)}
    players = {name: Player(net, torch.optim.SGD(net.parameters(), lr=0.0), rate) for name, net in nets.items()}
    real = torch.zeros(3, 1, dtype=torch.float64)
    latents = torch.zeros(3, 1, dtype=torch.float64)
    path = [(theta, psi)]
    for _ in range(rounds):
        draws = {number: Draw(Batch(real), latents, TorchNoise(real), {}) for number in (0, 1)}
        play(moves, players, draws, {})
        path.append((nets["generator"].theta.item(), nets["critic"].psi.item()))
    return torch.tensor(path, dtype=torch.float64)


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_simultaneous_wasserstein_play_spirals_outwards(rate: float) -> None:
    path = dirac(simultaneous(Game(losses.wasserstein)), 100, rate)
    norms = path.norm(dim=1)
    growth = norms[1:] / norms[:-1]
    torch.testing.assert_close(growth, torch.full_like(growth, math.sqrt(1 + rate**2)), rtol=1e-12, atol=0)
    # and it turns: theta' = theta + h psi, psi' = psi - h theta
    assert path[1].tolist() == pytest.approx([1 + 0.5 * rate, 0.5 - rate], rel=1e-12)


def test_alternating_wasserstein_play_goes_round_in_circles() -> None:
    rate = 0.1
    path = dirac(alternating(Game(losses.wasserstein)), 2000, rate)
    # the critic answers first: psi' = psi - h theta, theta' = theta + h psi', which keeps this quadratic form
    theta, psi = path.unbind(dim=1)
    kept = theta.square() + psi.square() - rate * theta * psi
    torch.testing.assert_close(kept, kept[:1].expand(2001), rtol=1e-9, atol=0)
    norms = path.norm(dim=1)
    assert norms.max() < 1.2 * norms[0]
    assert norms[-100:].max() == pytest.approx(norms[:100].max().item(), rel=0.01)
    assert norms.min() > 0.8 * norms[0]


@pytest.mark.parametrize("name", ["wasserstein", "non_saturating", "saturating", "rpgan"])
@pytest.mark.parametrize("order", [alternating, simultaneous])
def test_r1_makes_it_converge(name: str, order) -> None:
    game = Game(losses.CATALOGUE[name], (R1(1.0),))
    path = dirac(order(game), 400, 0.2)
    assert path[-1].abs().max() < 1e-5
    assert path[0].norm() > 1


def test_simultaneous_minimax_play_spirals_outwards_too() -> None:
    rate = 0.2
    path = dirac(simultaneous(Game(losses.saturating)), 400, rate)
    # both derivatives are sigmoid(theta psi) times the other player's parameter
    pull = torch.sigmoid(path[:-1].prod(dim=1))
    growth = path[1:].norm(dim=1) / path[:-1].norm(dim=1)
    torch.testing.assert_close(growth, (1 + (rate * pull).square()).sqrt(), rtol=1e-12, atol=0)


def test_r1_of_the_linear_critic_is_the_squared_slope() -> None:
    critic = Slope(-1.7)
    real, fake = torch.zeros(3, 1, dtype=torch.float64), torch.full((3, 1), 2.0, dtype=torch.float64)
    loss, _, _ = Game(losses.wasserstein, (R1(0.6),)).critic_loss(critic, real=real, fake=fake)
    assert loss.item() == pytest.approx(-1.7 * 2.0 + 0.3 * 1.7**2, rel=1e-12)
