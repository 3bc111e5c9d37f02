"""The conformance checks catch what they are there for: a stranger's recipe that breaks one rule fails in words."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zerosum import conformance
from zerosum.conformance import NotConforming
from zerosum.errors import UserError
from zerosum.game import losses
from zerosum.game.critic import Noise, TorchNoise
from zerosum.game.game import Game
from zerosum.game.rounds import CriticTurn, GeneratorTurn, Turn
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes import compose

BASE = compose((8, 8), 1, width=2, latent_size=4, batch=8, images=800, norm="batch", loss="hinge")
ADAM = Adam(1e-2)


class Critic(nn.Module):
    """A conforming one; the others break one rule each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.last(self.hidden(x.flatten(1))).squeeze(1)

    def hidden(self, x: Tensor) -> Tensor:
        return torch.relu(self.first(x))


class Unused(Critic):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(3, 3)


class IdleMatrix(Critic):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Parameter(torch.ones(1, 8))

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) + 0 * self.other


class IdleVector(Critic):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Parameter(torch.ones(8))

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) + 0 * self.other


class CutGraph(Critic):
    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x).detach()


class ReadsANumber(Critic):
    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) if x.mean().item() < 1e9 else x[:, :8]


class LeavesTorch(Critic):
    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) + 0 * float(x.detach().numpy().mean())


class TorchsRandomness(Critic):
    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x + 0.1 * torch.randn_like(x))


class PythonsRandomness(Critic):
    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) * (1 + 0.1 * random.random())


class HiddenCounter(Critic):
    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def hidden(self, x: Tensor) -> Tensor:
        self.passes += 1
        return super().hidden(x) * (1 + 0.1 * (self.passes % 7))


class BufferThatIsNotSaved(Critic):
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()), persistent=False)

    def hidden(self, x: Tensor) -> Tensor:
        hidden = super().hidden(x)
        self.mean.copy_(0.9 * self.mean + 0.1 * hidden.detach().mean())
        return hidden - self.mean


class ScoresInAColumn(Critic):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(x)[:, None]


class BufferOf16Bits(Critic):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones((), dtype=torch.bfloat16))


class OverflowsIn16Bits(Critic):
    def hidden(self, x: Tensor) -> Tensor:
        hidden = super().hidden(x)
        return hidden if hidden.dtype == torch.float32 else hidden / 0


class Generator(nn.Module):
    """A conforming one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 64)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.tanh(self.layer(latents)).view(-1, 1, 8, 8)


class Noisy(Critic):
    def __init__(self) -> None:
        super().__init__()
        self.noise: Noise = TorchNoise(torch.zeros(()))

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x + 0.1 * self.noise.normal(*x.shape))


class Loud(Generator):
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(latents + 9) * 1.5


class Mixing(Generator):
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(latents - latents.mean(dim=0))


class Wide(Generator):
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(latents).view(-1, 1, 4, 16)


@dataclasses.dataclass(frozen=True)
class Own:
    """A stranger's network."""

    kind: Callable[[], nn.Module]

    def build(self) -> nn.Module:
        return self.kind()


def with_net(kind: Callable[[], nn.Module]) -> Recipe:
    role = "critic" if isinstance(kind, type) and issubclass(kind, Critic) else "generator"
    return dataclasses.replace(BASE, players={**BASE.players, role: PlayerSpec(Own(kind), ADAM)})


def with_turn(loss: Any) -> Recipe:
    """The critic's turn is a stranger's."""
    game = Game(losses.hinge)
    moves = ((Turn("critic", loss),), (Turn("generator", GeneratorTurn(game), 1),))
    return dataclasses.replace(with_net(Critic), moves=moves)


def moves_the_other_player(players, draw, memory):
    with torch.no_grad():
        for parameter in players["generator"].net.parameters():
            parameter.mul_(0.999)
    return CriticTurn(Game(losses.hinge))(players, draw, memory)


def moves_nobody(players, draw, memory):
    loss, stats, memory = CriticTurn(Game(losses.hinge))(players, draw, memory)
    return 0 * loss, stats, memory


def teaches_a_part(players, draw, memory):
    loss = players["critic"].net.hidden(draw.real.x.flatten(1)).mean()
    return loss, {"loss": loss.detach()}, memory


def moves_by_hand(players, draw, memory):
    with torch.no_grad():
        players["critic"].net.first.weight.mul_(0.999)
    return CriticTurn(Game(losses.hinge))(players, draw, memory)


class Counting:
    """A turn that remembers outside the memory."""

    def __init__(self) -> None:
        self.rounds = 0

    def __call__(self, players, draw, memory):
        self.rounds += 1
        loss, stats, memory = CriticTurn(Game(losses.hinge))(players, draw, memory)
        return loss * (1 + 0.01 * self.rounds), stats, memory


CAUGHT = {
    "moves another": (with_turn(moves_the_other_player), conformance.moves_who_moves, "critic, generator did"),
    "moves nobody": (with_turn(moves_nobody), conformance.moves_who_moves, "nobody did"),
    "unused": (with_net(Unused), conformance.reaches_every_weight, r"critic.other.bias, critic.other.weight$"),
    "an idle matrix": (with_net(IdleMatrix), conformance.reaches_every_weight, "critic.other$"),
    "an idle vector": (with_net(IdleVector), conformance.reaches_every_weight, "critic.other$"),
    "taught nothing": (
        with_turn(moves_nobody),
        conformance.reaches_every_weight,
        r"reaches critic.first.weight, critic.last.weight$",
    ),
    "taught in part": (
        with_turn(teaches_a_part),
        conformance.reaches_every_weight,
        r"reaches critic.last.bias, critic.last.weight$",
    ),
    "a cut graph": (with_net(CutGraph), conformance.moves_who_moves, "RuntimeError: .*does not require grad"),
    "reads a number": (with_net(ReadsANumber), conformance.waits_for_nothing, "reads a number from the device"),
    "leaves torch": (with_net(LeavesTorch), conformance.waits_for_nothing, "without memory .*numpy"),
    "torch's randomness": (with_net(TorchsRandomness), conformance.repeats, "two runs of one seed differ in"),
    "Python's randomness": (with_net(PythonsRandomness), conformance.repeats, "two runs of one seed differ in"),
    "a turn that counts": (with_turn(Counting()), conformance.repeats, "two runs of one seed differ in"),
    "a hidden counter": (with_net(HiddenCounter), conformance.goes_on, "a resumed run differs in"),
    "not saved": (with_net(BufferThatIsNotSaved), conformance.goes_on, "a resumed run differs in"),
    "moves on": (with_turn(moves_by_hand), conformance.stops_in_time, "critic.first.weight moved though"),
    "16 bits": (with_net(BufferOf16Bits), conformance.computes_in_16_bits, "critic.net.scale is torch.bfloat16"),
    "too large": (with_net(OverflowsIn16Bits), conformance.computes_in_16_bits, "is not finite"),
    "a counter that counts again": (with_net(HiddenCounter), conformance.computes_again, "is not the same in"),
    "loud": (with_net(Loud), conformance.samples, r"not in \[-1, 1\]"),
    "mixing": (with_net(Mixing), conformance.samples, "depends on what is generated with it"),
    "scores in a column": (with_net(ScoresInAColumn), conformance.moves_who_moves, r"shape \(N,\), not \(8, 1\)"),
    "parts that do not go together": (dataclasses.replace(BASE, accumulate=3), conformance.check, "ValueError: .*of 8"),
}


@pytest.mark.parametrize("name", CAUGHT)
def test_what_breaks_a_rule_is_caught_in_words(name):
    recipe, check, words = CAUGHT[name]
    with pytest.raises(NotConforming, match=words):
        check(recipe)


def test_what_breaks_none_is_not():
    conformance.check(with_net(Critic))
    conformance.check(with_net(Generator))
    conformance.check(with_net(Noisy))  # it cannot be computed again, and need not be
    for seen in (IdleVector, HiddenCounter):  # the whole of the checks finds it too
        with pytest.raises(NotConforming):
            conformance.check(with_net(seen))


def test_a_bias_that_the_game_ignores_is_no_idle_one():
    """The last bias of a paired critic has a gradient of exactly zero."""
    paired = dataclasses.replace(with_net(Critic), moves=compose((8, 8), 1, loss="rpgan").moves)
    conformance.reaches_every_weight(paired)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda resolution, channels: with_net(Wide), r"shape \(8, 1, 4, 16\) at 8x8"),
        (lambda resolution, channels: with_net(ScoresInAColumn), r"fails with ValueError: .*\(8, 1\)"),
        (lambda resolution, channels: 1 // 0, "at 8x8 fails with ZeroDivisionError"),
    ],
)
def test_networks_that_do_not_fit_together(make, words):
    with pytest.raises(NotConforming, match=words):
        conformance.builds(make, [(8, 8)])


def test_sizes_that_are_refused_are_left_out():
    def squares(resolution, channels):
        if resolution[0] != resolution[1]:
            raise UserError("squares alone")
        return compose(resolution, channels, width=2, latent_size=4, batch=8)

    assert conformance.builds(squares, [(8, 8), (16, 8)]) == [(8, 8)]
