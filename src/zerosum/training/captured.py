"""The engine ``graph``: a whole round as one CUDA graph for each pattern of turns.

What a round reads lies in tensors that stay where they are: pictures, latents, random numbers (asked for in the order
in which they were asked the first time), ramps, memory. A pattern is first played as ever and watched, then once with
those tensors, then captured; from then on it is copied into and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zerosum.game.game import Stats
from zerosum.game.player import Players
from zerosum.game.rounds import Batch, Draw, Move, Turn, play
from zerosum.game.schedules import Clock, Ramp
from zerosum.game.terms import Memory
from zerosum.training.fixed import Answers, Question, Recorder, answer, numbers, pattern

BeforeSteps = Callable[[Sequence[Turn], Stats], Stats]


@dataclass
class Part:
    """The tensors of one part of a draw."""

    x: Tensor
    labels: Tensor | None
    latents: Tensor
    answers: list[Tensor]
    questions: list[Question]

    def fill(self, draw: Draw) -> None:
        """Copy in what was drawn."""
        self.x.copy_(draw.real.x)
        self.latents.copy_(draw.latents)
        if self.labels is not None and draw.real.labels is not None:
            self.labels.copy_(draw.real.labels)
        for tensor, question in zip(self.answers, self.questions, strict=True):
            tensor.copy_(answer(draw.noise, question))

    def draw(self, like: Draw, clock: Clock) -> Draw:
        """These tensors as a draw."""
        return Draw(Batch(self.x, self.labels), self.latents, Answers(self.answers), {}, clock, like.shared)


@dataclass
class Round:
    """A round of one pattern: its tensors, and the graph once it is captured."""

    parts: dict[int, list[Part]]
    now: dict[Ramp, Tensor]
    graph: torch.cuda.CUDAGraph | None = None
    stats: Stats = field(default_factory=dict)


@dataclass
class Captured:
    """Plays rounds as ``rounds.play`` does.

    Attributes:
        schedules: of the recipe, that are no constants.
        captures: whether a graph is made; else each round is played from the same tensors, as a rehearsal.
    """

    schedules: tuple[Ramp, ...]
    captures: bool = True
    watched: dict[object, dict[int, list[list[Question]]]] = field(default_factory=dict)
    rounds: dict[object, Round] = field(default_factory=dict)
    memory: dict[str, Tensor] = field(default_factory=dict)

    def __call__(
        self,
        moves: Sequence[Move],
        players: Players,
        draws: Mapping[int, Draw],
        memory: Memory,
        before_steps: BeforeSteps,
    ) -> tuple[Stats, Memory]:
        clock = next(iter(draws.values())).clock
        key = (pattern(moves, clock.round), tuple(sorted(memory)), clock.budget is None)
        if key not in self.watched:
            return self._watch(key, moves, players, draws, memory, before_steps)
        if memory is not self.memory:  # of a state that was read, or of a round that was watched
            self.memory = {name: tensor.clone() for name, tensor in memory.items()}
            self.rounds.clear()  # which knew the old one
        if key not in self.rounds:
            self.rounds[key] = self._round(self.watched[key], draws)
            return self._play(self.rounds[key], moves, players, draws, before_steps), self.memory
        own = self.rounds[key]
        if self.captures and own.graph is None:
            self._fill(own, draws)
            own.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(own.graph):
                own.stats = self._step(own, moves, players, draws, before_steps)
        if own.graph is None:
            return self._play(own, moves, players, draws, before_steps), self.memory
        self._fill(own, draws)
        own.graph.replay()
        return own.stats, self.memory

    def _watch(
        self,
        key: object,
        moves: Sequence[Move],
        players: Players,
        draws: Mapping[int, Draw],
        memory: Memory,
        before_steps: BeforeSteps,
    ) -> tuple[Stats, Memory]:
        """Play as ever, and remember what is asked for."""
        recorders: dict[int, list[Recorder]] = {}
        recorded = {}
        for number, draw in draws.items():
            first, *rest = (part._replace(noise=Recorder(part.noise)) for part in (draw, *draw.rest))
            recorded[number] = first._replace(rest=tuple(rest))
            recorders[number] = [part.noise for part in (first, *rest) if isinstance(part.noise, Recorder)]
        said = play(moves, players, recorded, memory, before_steps=before_steps)
        self.watched[key] = {number: [one.questions for one in own] for number, own in recorders.items()}
        return said

    def _round(self, questions: Mapping[int, list[list[Question]]], draws: Mapping[int, Draw]) -> Round:
        parts: dict[int, list[Part]] = {}
        for number, draw in draws.items():
            for part, asked in zip((draw, *draw.rest), questions[number], strict=True):
                labels = None if part.real.labels is None else part.real.labels.clone()
                answers = [torch.empty(question.shape, device=part.latents.device) for question in asked]
                own = Part(part.real.x.clone(), labels, part.latents.clone(), answers, asked)
                parts.setdefault(number, []).append(own)
        device = next(iter(draws.values())).latents.device
        return Round(parts, {schedule: torch.zeros((), device=device) for schedule in self.schedules})

    def _fill(self, own: Round, draws: Mapping[int, Draw]) -> None:
        clock = next(iter(draws.values())).clock
        for tensor, number in zip(own.now.values(), numbers(own.now, clock), strict=True):
            tensor.fill_(number)
        for index, draw in draws.items():
            for part, drawn in zip(own.parts[index], (draw, *draw.rest), strict=True):
                part.fill(drawn)

    def _step(
        self,
        own: Round,
        moves: Sequence[Move],
        players: Players,
        draws: Mapping[int, Draw],
        before_steps: BeforeSteps,
    ) -> Stats:
        fixed = {}
        for number, draw in draws.items():
            clock = draw.clock._replace(now=own.now)
            first, *rest = (part.draw(draw, clock) for part in own.parts[number])
            fixed[number] = first._replace(rest=tuple(rest))
        stats, after = play(moves, players, fixed, self.memory, before_steps=before_steps)
        for name, tensor in after.items():
            if name in self.memory:
                self.memory[name].copy_(tensor)
        return stats

    def _play(
        self,
        own: Round,
        moves: Sequence[Move],
        players: Players,
        draws: Mapping[int, Draw],
        before_steps: BeforeSteps,
    ) -> Stats:
        self._fill(own, draws)
        return self._step(own, moves, players, draws, before_steps)
