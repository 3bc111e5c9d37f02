"""The engine ``compile``: each turn's loss and gradients as one compiled function, penalties' slopes inside.

torch.compile knows no second derivative through what it has compiled; so the first one is taken inside, where its
tracer records ``autograd.grad`` as it records everything else. The generator's pass on a draw is shared by turns and
stays outside: a turn is given its pictures, and returns the gradient with respect to them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zerosum.game.game import Stats
from zerosum.game.player import Players
from zerosum.game.rounds import Batch, CriticTurn, Draw, GeneratorTurn, Turn, differentiate, generated
from zerosum.game.schedules import Clock, Ramp
from zerosum.game.terms import LatentConsistency, Memory
from zerosum.training.fixed import Answers, Question, Recorder, answer, inner, numbers

Function = Callable[..., Any]
LIMIT = 64  # functions of one run; torch counts all that come from one place in the code


@dataclass
class Compiled:
    """A ``Compute`` that compiles; the first time that something is played it is played as ever, and watched.

    Attributes:
        schedules: of the recipe, that are no constants.
        backend: of torch.compile.
    """

    schedules: tuple[Ramp, ...]
    backend: str = "inductor"
    questions: dict[object, list[Question]] = field(default_factory=dict)
    functions: dict[object, Function] = field(default_factory=dict)

    def __call__(self, turn: Turn, players: Players, draw: Draw, memory: Memory, share: float) -> tuple[Stats, Memory]:
        if _asks_generator(turn):  # whose batch norm may not change while its pass on the draw waits for a gradient
            return differentiate(turn, players, draw, memory, share)
        generates = turn.player == "generator"
        fake = generated(players, draw, graph=generates)
        key = (turn.player, id(turn.loss), inner(turn, draw.clock.round), tuple(sorted(memory)))
        if key not in self.questions:
            recorder = Recorder(draw.noise)
            said = differentiate(turn, players, draw._replace(noise=recorder), memory, share)
            self.questions[key] = recorder.questions
            return said
        if key not in self.functions:
            self.functions[key] = self._function(turn, players, draw.clock.round)
        answers = [answer(draw.noise, question) for question in self.questions[key]]
        now = torch.tensor(numbers(self.schedules, draw.clock), device=fake.device).unbind()
        leaf = fake.detach().requires_grad_(generates)
        with traced_slopes():
            slopes, stats, memory = self.functions[key](
                draw.real.x, draw.real.labels, draw.latents, leaf, answers, now, dict(memory), share
            )
        movable = [parameter for parameter in players[turn.player].net.parameters() if parameter.requires_grad]
        if generates:
            outer, *slopes = slopes
            fake.backward(outer)
        for parameter, slope in zip(movable, slopes, strict=True):
            if slope is not None:
                if parameter.grad is None:  # in the weight's own layout: fused optimizers ignore strides
                    parameter.grad = torch.zeros_like(parameter)
                parameter.grad += slope
        return stats, memory

    def _function(self, turn: Turn, players: Players, index: int) -> Function:
        movable = [parameter for parameter in players[turn.player].net.parameters() if parameter.requires_grad]
        generates = turn.player == "generator"

        def loss_and_slopes(
            x: Tensor,
            labels: Tensor | None,
            latents: Tensor,
            fake: Tensor,
            answers: Sequence[Tensor],
            now: Sequence[Tensor],
            memory: Memory,
            share: float,
        ) -> tuple[Sequence[Tensor | None], Stats, Memory]:
            at = dict(zip(self.schedules, now, strict=True))
            draw = Draw(
                Batch(x, labels), latents, Answers(answers), {"generator": fake}, Clock(round=index, now=at), generates
            )
            loss, stats, memory = turn.loss(players, draw, memory)
            moved = [fake, *movable] if generates else movable
            return torch.autograd.grad(loss * share, moved, allow_unused=True), stats, memory

        return torch.compile(loss_and_slopes, backend=self.backend, fullgraph=True, dynamic=False)


def _asks_generator(turn: Turn) -> bool:
    """Whether a turn asks the generator for more than the draw's pictures."""
    loss = turn.loss
    if not isinstance(loss, CriticTurn | GeneratorTurn):
        return True  # nothing is known of it
    return any(isinstance(term, LatentConsistency) for term in loss.game.terms)


@contextlib.contextmanager
def traced_slopes() -> Iterator[None]:
    """Let the tracer record ``autograd.grad``.

    Raises:
        RuntimeError: this torch cannot.
    """
    config: Any = torch._dynamo.config
    if not hasattr(config, "trace_autograd_ops"):
        raise RuntimeError(f"torch {torch.__version__} cannot record slopes in what it compiles")
    with config.patch(trace_autograd_ops=True, recompile_limit=LIMIT):
        yield
