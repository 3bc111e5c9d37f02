"""A round whose code does not change: whatever differs from one round to the next comes in as a tensor.

Ramps become numbers on the device (``Clock.now``), random numbers are answered from a list, a ``pattern`` says which
turns and penalties are played. Engines that compile or capture a round stand on these three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from zerosum.game.critic import Noise
from zerosum.game.rounds import CriticTurn, GeneratorTurn, Move, Turn
from zerosum.game.schedules import Clock, Ramp, value
from zerosum.recipe import Recipe, parts


class Question(NamedTuple):
    """What was asked of a ``Noise``."""

    kind: str
    shape: tuple[int, ...]


class Recorder:
    """Passes questions on and remembers them."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        self.questions: list[Question] = []

    def uniform(self, *shape: int) -> Tensor:
        return self._asked(Question("uniform", shape))

    def normal(self, *shape: int) -> Tensor:
        return self._asked(Question("normal", shape))

    def _asked(self, question: Question) -> Tensor:
        self.questions.append(question)
        return answer(self.noise, question)


class Answers:
    """Gives what is listed, in its order."""

    def __init__(self, listed: Sequence[Tensor]) -> None:
        self.listed, self.given = listed, 0

    def uniform(self, *shape: int) -> Tensor:
        return self._next()

    def normal(self, *shape: int) -> Tensor:
        return self._next()

    def _next(self) -> Tensor:
        self.given += 1
        return self.listed[self.given - 1]


def answer(noise: Noise, question: Question) -> Tensor:
    """Ask."""
    return noise.uniform(*question.shape) if question.kind == "uniform" else noise.normal(*question.shape)


def ramps(recipe: Recipe) -> tuple[Ramp, ...]:
    """Every schedule of a recipe that is no constant, each once."""
    return tuple(dict.fromkeys(_ramps(recipe)))


def numbers(schedules: Iterable[Ramp], clock: Clock) -> list[float]:
    """What they are at this moment."""
    return [float(value(schedule, clock)) for schedule in schedules]


def pattern(moves: Sequence[Move], index: int) -> tuple[Any, ...]:
    """What is played in the round of this index."""
    return tuple(turn.is_played(index) and inner(turn, index) for move in moves for turn in move)


def inner(turn: Turn, index: int) -> tuple[bool, ...]:
    """What of a turn is played in the round of this index."""
    loss = turn.loss
    return loss.game.pattern(index) if isinstance(loss, CriticTurn | GeneratorTurn) else ()


def is_known(recipe: Recipe) -> bool:
    """Whether all turns are of this project: what one's own do with the clock cannot be seen."""
    return all(isinstance(turn.loss, CriticTurn | GeneratorTurn) for move in recipe.moves for turn in move)


def _ramps(found: Any) -> Iterable[Ramp]:
    if isinstance(found, Ramp):
        yield found
    else:
        for part in parts(found).values():
            yield from _ramps(part)
