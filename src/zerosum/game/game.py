"""The game: two players, one value; who moves when, and on what.

A round is a tuple of moves. A move is a tuple of turns that are played simultaneously: all losses at the same
parameters, then all step. The article's DCGAN is two moves on one draw; Algorithm 1 with k is k critic turns on k
draws and one generator turn. ``play`` is the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from zerosum.game.augment import DiffAugment, augment
from zerosum.game.critic import Critic, Noise, TorchNoise, output_of, slopes_of
from zerosum.game.losses import Loss
from zerosum.game.penalties import FiniteDifference, GradientPenalty, Penalty
from zerosum.game.schedules import START, Clock, Schedule, value

Stats = dict[str, Tensor]
Memory = dict[str, Tensor]


class Batch(NamedTuple):
    """``x``: pictures (N, C, H, W) in [-1, 1], or points (N, d); ``labels`` (N,) int64 or None."""

    x: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Game:
    """A loss and the penalties on the critic, as two functions of a critic and two batches."""

    loss: Loss
    penalties: tuple[Penalty, ...] = ()

    def critic_loss(
        self, critic: Critic, *, real: Tensor, fake: Tensor, noise: Noise | None = None, clock: Clock = START
    ) -> tuple[Tensor, Stats]:
        """What the critic minimises, and what it is made of (all 0-D tensors on the device).

        ``real`` and ``fake`` have one shape; no gradient reaches the generator. Penalties at the two batches share the
        forward pass with the loss.
        """
        if real.shape != fake.shape:
            raise ValueError(f"real {tuple(real.shape)} and fake {tuple(fake.shape)} must have one shape")
        noise = noise or TorchNoise(real)
        batches = {"real": real.detach(), "fake": fake.detach()}
        active = [penalty for penalty in self.penalties if clock.round % penalty.every == 0]
        exact = {penalty.at for penalty in active if isinstance(penalty, GradientPenalty)}
        scores: dict[str, Tensor] = {}
        slopes = {}
        for name, x in batches.items():
            if name in exact:
                slopes[name] = slopes_of(critic, x)
                scores[name] = slopes[name].scores
            else:
                scores[name] = output_of(critic, x).scores
        loss = self.loss.critic(real=scores["real"], fake=scores["fake"]).mean()
        stats = {
            "real_score": scores["real"].mean(),
            "fake_score": scores["fake"].mean(),
            "real_sign": scores["real"].sign().mean(),
            "fake_sign": scores["fake"].sign().mean(),
            "game": loss,
        }
        for penalty in active:
            if isinstance(penalty, FiniteDifference):
                each = penalty.of(critic, batches[penalty.at], scores[penalty.at], noise)
            elif penalty.at in slopes:
                each = penalty.of(slopes[penalty.at])
            else:
                point = penalty.point(real=batches["real"], fake=batches["fake"], noise=noise)
                each = penalty.of(slopes_of(critic, point))
            stats[f"penalty_{penalty.at}"] = each.mean()
            loss = loss + value(penalty.weight, clock) * penalty.every * each.mean()
        return loss, {key: tensor.detach() for key, tensor in (stats | {"loss": loss}).items()}

    def generator_loss(self, critic: Critic, *, real: Tensor | None, fake: Tensor) -> tuple[Tensor, Stats]:
        """What the generator minimises. ``real`` may be None where the loss does not use it, and is not scored then."""
        real_scores = None
        if self.loss.uses_real and real is not None:
            with torch.no_grad():
                real_scores = output_of(critic, real).scores
        scores = output_of(critic, fake).scores
        loss = self.loss.generator(real=real_scores, fake=scores).mean()
        return loss, {"loss": loss.detach(), "fake_score": scores.detach().mean()}


class Draw(NamedTuple):
    """What was drawn together, for the turns that share it.

    The generated pictures carry the real batch's labels. ``kept`` holds the generator's pass until the generator
    moves; ``shared`` says that a generator's turn is played on this draw, so that the pass needs its graph.
    """

    real: Batch
    latents: Tensor
    noise: Noise
    kept: dict[str, Tensor]
    clock: Clock = START
    shared: bool = True


@dataclass
class Player:
    """A network, the optimizer that moves it, and its learning rate. Weights that are frozen now stay frozen."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    rate: Schedule

    def __post_init__(self) -> None:
        self._movable = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        self.still = False

    def hold(self, still: bool) -> None:
        """Let no gradient reach the weights (``still``), or let it again."""
        self.still = still
        for parameter in self._movable:
            parameter.requires_grad_(not still)


Players = Mapping[str, Player]


class TurnLoss(Protocol):
    """(players, draw, memory) -> (loss, stats, memory)."""

    def __call__(self, players: Players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]: ...


class Turn(NamedTuple):
    """One player's turn. Turns with one ``draw`` number share one draw; ``batch`` None is the recipe's batch."""

    player: str
    loss: TurnLoss
    draw: int = 0
    batch: int | None = None
    every: int = 1


Move = tuple[Turn, ...]


@dataclass(frozen=True)
class CriticTurn:
    """The critic scores real pictures and generated ones that are held still."""

    game: Game
    augment: DiffAugment | None = None

    def __post_init__(self) -> None:
        if self.augment and any(isinstance(penalty, FiniteDifference) for penalty in self.game.penalties):
            raise ValueError(
                "a finite difference compares the critic at two points, but augmentation changes each of them in "
                "another way: use R1 and R2, or no augmentation"
            )

    def __call__(self, players: Players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]:
        fake = generated(players, draw).detach()
        critic = critic_on(players, draw, self.augment)
        loss, stats = self.game.critic_loss(critic, real=draw.real.x, fake=fake, noise=draw.noise, clock=draw.clock)
        return loss, stats, memory


@dataclass(frozen=True)
class GeneratorTurn:
    """The generator moves against a critic that is held still."""

    game: Game
    augment: DiffAugment | None = None

    def __call__(self, players: Players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]:
        critic = critic_on(players, draw, self.augment)
        loss, stats = self.game.generator_loss(critic, real=draw.real.x, fake=generated(players, draw))
        return loss, stats, memory


def generated(players: Players, draw: Draw) -> Tensor:
    """The generator's pictures for a draw: computed once, kept until the generator moves."""
    if "generator" not in draw.kept:
        player = players["generator"]
        with torch.set_grad_enabled(draw.shared), held(player, still=not draw.shared):
            draw.kept["generator"] = player.net(draw.latents, draw.real.labels)
    return draw.kept["generator"]


def critic_on(players: Players, draw: Draw, spec: DiffAugment | None) -> Critic:
    """The critic as a function of pictures alone: the draw's labels bound, augmentation in front."""
    net = players["critic"].net
    if spec is None:
        return lambda x: net(x, draw.real.labels)
    strength = value(spec.strength, draw.clock)
    return lambda x: net(augment(spec, x, strength, draw.noise), draw.real.labels)


def play(
    moves: Sequence[Move],
    players: Players,
    draws: Mapping[int, Draw],
    memory: Memory,
    *,
    before_steps: Callable[[Sequence[Turn], Stats], Stats] = lambda turns, stats: {},
) -> tuple[Stats, Memory]:
    """Play one round and return its stats (``player.name``, the mean over a player's turns) and the memory.

    ``before_steps`` is given each move's turns and stats after the gradients and before the optimizers step (to average
    gradients over processes, to check them), and returns stats of its own.
    """
    noted: dict[str, list[Tensor]] = {}
    for move in moves:
        turns = [turn for turn in move if turn.draw in draws and draws[turn.draw].clock.round % turn.every == 0]
        stats: Stats = {}
        for turn in turns:
            player = players[turn.player]
            with only_moves(players, turn.player):
                loss, own, memory = turn.loss(players, draws[turn.draw], memory)
                player.optimizer.zero_grad(set_to_none=True)
                loss.backward()
            stats |= {f"{turn.player}.{key}": tensor for key, tensor in own.items()}
        for key, tensor in (stats | before_steps(turns, stats)).items():
            noted.setdefault(key, []).append(tensor)
        for turn in turns:
            player = players[turn.player]
            for group in player.optimizer.param_groups:
                group["lr"] = value(player.rate, draws[turn.draw].clock)
            player.optimizer.step()
        for turn in turns:
            for draw in draws.values():
                draw.kept.pop(turn.player, None)
    return {key: sum(tensors[1:], tensors[0]) / len(tensors) for key, tensors in noted.items()}, memory


@contextmanager
def held(player: Player, *, still: bool) -> Iterator[None]:
    """Hold a player still, or let it move, for a while."""
    before = player.still
    player.hold(still)
    try:
        yield
    finally:
        player.hold(before)


@contextmanager
def only_moves(players: Players, name: str) -> Iterator[None]:
    """Hold every other player still: its weights take no gradient, and none is computed."""
    for other, player in players.items():
        player.hold(other != name)
    try:
        yield
    finally:
        for player in players.values():
            player.hold(False)


def alternating(
    game: Game,
    *,
    critic_turns: int = 1,
    generator_turns: int = 1,
    one_draw: bool = False,
    augment: DiffAugment | None = None,
) -> tuple[Move, ...]:
    """Algorithm 1 of Goodfellow et al. 2014: k critic turns on k draws, then the generator on a draw of its own.

    With ``one_draw`` the generator answers on the last critic turn's draw, as DCGAN's code does.
    """
    critic = CriticTurn(game, augment)
    moves: list[Move] = [(Turn("critic", critic, draw=index),) for index in range(critic_turns)]
    for index in range(generator_turns):
        draw = critic_turns - 1 if one_draw else critic_turns + index
        moves.append((Turn("generator", GeneratorTurn(game, augment), draw=draw),))
    return tuple(moves)


def simultaneous(game: Game, *, augment: DiffAugment | None = None) -> tuple[Move, ...]:
    """Both players move at once, on one draw."""
    return ((Turn("critic", CriticTurn(game, augment)), Turn("generator", GeneratorTurn(game, augment))),)
