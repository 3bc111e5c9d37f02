"""Who moves when, and on what.

A round is a tuple of moves. A move is a tuple of turns that are played simultaneously: all losses at the same
parameters, then all step. The article's DCGAN is two moves on one draw; Algorithm 1 with k is k critic turns on k
draws and one generator turn. ``play`` is the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from zerosum.game.critic import Critic, Noise, full
from zerosum.game.game import Game, Stats
from zerosum.game.penalties import FiniteDifference
from zerosum.game.player import Players, held, only_moves
from zerosum.game.schedules import START, Clock
from zerosum.game.sight import PLAIN, Sight, packed, see
from zerosum.game.terms import Memory


class Batch(NamedTuple):
    """``x``: pictures (N, C, H, W) in [-1, 1], or points (N, d); ``labels`` (N,) int64 or None."""

    x: Tensor
    labels: Tensor | None = None


class Draw(NamedTuple):
    """What was drawn together, for the turns that share it.

    The generated pictures carry the real batch's labels. ``kept`` holds the generator's pass until the generator
    moves; ``shared`` says that a generator's turn is played on this draw, so that the pass needs its graph. ``rest``
    are further parts of a draw that is too large for one pass: gradients and stats are means over the parts.
    """

    real: Batch
    latents: Tensor
    noise: Noise
    kept: dict[str, Tensor]
    clock: Clock = START
    shared: bool = True
    rest: tuple[Draw, ...] = ()


class TurnLoss(Protocol):
    """(players, draw, memory) -> (loss, stats, memory)."""

    def __call__(self, players: Players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]: ...


class Turn(NamedTuple):
    """One player's turn. Turns with one ``draw`` number share one draw; ``batch`` None is the recipe's batch.

    It is played in the first ``early`` rounds, and in each round whose index is a multiple of ``every``.
    """

    player: str
    loss: TurnLoss
    draw: int = 0
    batch: int | None = None
    every: int = 1
    early: int = 0

    def is_played(self, index: int) -> bool:
        """Whether it is played in the round of this index."""
        return index < self.early or index % self.every == 0

    def played_before(self, index: int) -> int:
        """In how many rounds it is played before that of this index."""
        first = min(index, self.early)
        return first + -(-index // self.every) - -(-first // self.every)


Move = tuple[Turn, ...]


@dataclass(frozen=True)
class CriticTurn:
    """The critic scores real pictures and generated ones that are held still."""

    game: Game
    sight: Sight = PLAIN

    def __post_init__(self) -> None:
        if not self.sight.plain and any(isinstance(penalty, FiniteDifference) for penalty in self.game.penalties):
            raise ValueError(
                "a finite difference compares the critic at two points, but augmentation and instance noise change "
                "each of them in another way: use R1 and R2, or neither"
            )

    def __call__(self, players: Players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]:
        return self.game.critic_loss(
            critic_on(players, draw, self.sight),
            real=packed(draw.real.x, self.sight.pack),
            fake=packed(generated(players, draw).detach(), self.sight.pack),
            labels=draw.real.labels,
            nearby=nearby(players, draw, self.sight.pack),
            noise=draw.noise,
            clock=draw.clock,
            memory=memory,
        )


@dataclass(frozen=True)
class GeneratorTurn:
    """The generator moves against a critic that is held still."""

    game: Game
    sight: Sight = PLAIN

    def __call__(self, players: Players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]:
        return self.game.generator_loss(
            critic_on(players, draw, self.sight),
            real=packed(draw.real.x, self.sight.pack),
            fake=packed(generated(players, draw, graph=True), self.sight.pack),
            labels=draw.real.labels,
            nearby=nearby(players, draw, self.sight.pack),
            noise=draw.noise,
            clock=draw.clock,
            memory=memory,
        )


def generated(players: Players, draw: Draw, *, graph: bool = False) -> Tensor:
    """The generator's pictures for a draw: computed once, kept until the generator moves.

    Where no turn of the generator was expected they have no graph, and are computed again for one that needs it.
    """
    kept = draw.kept.get("generator")
    if kept is None or (graph and not kept.requires_grad):
        player, graph = players["generator"], graph or draw.shared
        with torch.set_grad_enabled(graph), held(player, still=not graph):
            draw.kept["generator"] = full(player.play(draw.latents, draw.real.labels, draw.noise))
    return draw.kept["generator"]


def nearby(players: Players, draw: Draw, pack: int) -> Callable[[float], Tensor]:
    """The generator's pictures, packed, as a function of how far the draw's latents are moved."""

    def pictures(sigma: float) -> Tensor:
        moved = draw.latents + sigma * draw.noise.normal(*draw.latents.shape)
        return packed(full(players["generator"].play(moved, draw.real.labels, draw.noise)), pack)

    return pictures


def critic_on(players: Players, draw: Draw, sight: Sight) -> Critic:
    """The critic as a function of packed pictures alone: the draw's labels bound, ``sight`` in front."""
    return lambda x: players["critic"].play(see(sight, x, draw.noise, draw.clock), draw.real.labels, draw.noise)


# (turn, players, a part of its draw, memory, share) -> (stats, memory): adds the share of the loss's gradients to those
# at the weights of the turn's player.
Compute = Callable[[Turn, Players, Draw, Memory, float], tuple[Stats, Memory]]


def differentiate(turn: Turn, players: Players, draw: Draw, memory: Memory, share: float) -> tuple[Stats, Memory]:
    """``Compute`` by autograd."""
    loss, stats, memory = turn.loss(players, draw, memory)
    (loss * share).backward()
    return stats, memory


def gradients(
    turn: Turn, players: Players, draw: Draw, memory: Memory, compute: Compute = differentiate
) -> tuple[Stats, Memory]:
    """Leave the gradients of a turn's loss at its player's weights. Of a draw in parts, the means over the parts."""
    players[turn.player].optimizer.zero_grad(set_to_none=True)
    parts = (draw, *draw.rest)
    said: list[Stats] = []
    after: list[Memory] = []
    for part in parts:
        stats, remembered = compute(turn, players, part, memory, 1 / len(parts))
        if draw.rest:  # its pass is computed again where it is needed again: parts are there to save memory
            part.kept.clear()
        said.append(stats)
        after.append(remembered)
    return _mean(said), _mean(after)


def _mean(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    first, *rest = parts
    return {key: sum((part[key] for part in rest), tensor) / len(parts) for key, tensor in first.items()}


def play(
    moves: Sequence[Move],
    players: Players,
    draws: Mapping[int, Draw],
    memory: Memory,
    *,
    before_steps: Callable[[Sequence[Turn], Stats], Stats] = lambda turns, stats: {},
    compute: Compute = differentiate,
) -> tuple[Stats, Memory]:
    """Play one round and return its stats (``player.name``, the mean over a player's turns) and the memory.

    ``before_steps`` is given each move's turns and stats after the gradients and before the optimizers step (to average
    gradients over processes, to check them), and returns stats of its own. ``compute`` may be an
    engine's own.
    """
    noted: dict[str, list[Tensor]] = {}
    for move in moves:
        turns = [turn for turn in move if turn.draw in draws and turn.is_played(draws[turn.draw].clock.round)]
        stats: Stats = {}
        for turn in turns:
            with only_moves(players, turn.player):
                own, memory = gradients(turn, players, draws[turn.draw], memory, compute)
            stats |= {f"{turn.player}.{key}": tensor for key, tensor in own.items()}
        for key, tensor in (stats | before_steps(turns, stats)).items():
            noted.setdefault(key, []).append(tensor)
        for turn in turns:
            players[turn.player].step(draws[turn.draw].clock)
        for turn in turns:
            for draw in draws.values():
                for part in (draw, *draw.rest):
                    part.kept.pop(turn.player, None)
    return {key: sum(tensors[1:], tensors[0]) / len(tensors) for key, tensors in noted.items()}, memory


def alternating(
    game: Game,
    *,
    critic_turns: int = 1,
    generator_turns: int = 1,
    one_draw: bool = False,
    generator_batch: int | None = None,
    sight: Sight = PLAIN,
) -> tuple[Move, ...]:
    """Algorithm 1 of Goodfellow et al. 2014: k critic turns on k draws, then the generator on a draw of its own.

    With ``one_draw`` the generator answers on the last critic turn's draw, as DCGAN's code does.

    Raises:
        ValueError: fewer than one turn of either.
    """
    for name, count in (("critic_turns", critic_turns), ("generator_turns", generator_turns)):
        if count < 1:
            raise ValueError(f"{name} is at least 1, not {count}")
    critic = CriticTurn(game, sight)
    generator = GeneratorTurn(game, sight)
    moves: list[Move] = [(Turn("critic", critic, draw=index),) for index in range(critic_turns)]
    for index in range(generator_turns):
        draw = critic_turns - 1 if one_draw else critic_turns + index
        moves.append((Turn("generator", generator, draw, generator_batch),))
    return tuple(moves)


def simultaneous(game: Game, *, sight: Sight = PLAIN) -> tuple[Move, ...]:
    """Both players move at once, on one draw."""
    return ((Turn("critic", CriticTurn(game, sight)), Turn("generator", GeneratorTurn(game, sight))),)


Order = Literal["alternating", "simultaneous"]


def in_order(
    order: Order,
    game: Game,
    *,
    critic_turns: int = 1,
    generator_turns: int = 1,
    one_draw: bool = False,
    sight: Sight = PLAIN,
) -> tuple[Move, ...]:
    """``alternating`` or ``simultaneous``, by name.

    Raises:
        ValueError: dials of the one with the other.
    """
    if order == "alternating":
        return alternating(
            game, critic_turns=critic_turns, generator_turns=generator_turns, one_draw=one_draw, sight=sight
        )
    if (critic_turns, generator_turns, one_draw) != (1, 1, False):
        raise ValueError(
            "players that move at once have one turn each, on one draw: critic_turns, generator_turns and one_draw "
            "belong to play=alternating"
        )
    return simultaneous(game, sight=sight)
