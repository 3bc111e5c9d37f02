"""Who plays a round: ``eager`` as it is written, ``compile`` through torch.compile, ``graph`` as a CUDA graph.

All play the same round with the same random numbers. Which is quickest is a matter of the machine, so it is measured
at a run's first start, written to the run, and played again when it goes on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from zerosum.game.game import Stats
from zerosum.game.player import Players
from zerosum.game.rounds import Compute, Draw, Move, Turn, play
from zerosum.game.schedules import Ramp
from zerosum.game.terms import Memory
from zerosum.networks import CATALOGUE
from zerosum.recipe import SGD, Recipe
from zerosum.training.captured import Captured
from zerosum.training.compiled import Compiled
from zerosum.training.fixed import is_known, ramps

Name = Literal["eager", "compile", "graph"]
Asked = Literal["auto", "eager", "compile", "graph"]
BeforeSteps = Callable[[Sequence[Turn], Stats], Stats]
Engine = Callable[[Sequence[Move], Players, Mapping[int, Draw], Memory, BeforeSteps], tuple[Stats, Memory]]


def engine(name: Name, recipe: Recipe) -> Engine:
    """The engine of this name, for rounds of this recipe."""
    if name == "compile":
        return functools.partial(by, Compiled(ramps(recipe)))
    return Captured(ramps(recipe)) if name == "graph" else eager


def eager(
    moves: Sequence[Move], players: Players, draws: Mapping[int, Draw], memory: Memory, before_steps: BeforeSteps
) -> tuple[Stats, Memory]:
    """``rounds.play``."""
    return play(moves, players, draws, memory, before_steps=before_steps)


def refusal(name: Name, recipe: Recipe, device: str) -> str | None:
    """Why an engine cannot play a recipe, in words; None where it can be tried."""
    if name == "graph" and not device.startswith("cuda"):
        return f"a CUDA graph needs an NVIDIA GPU, and this run is on {device}"
    if name != "eager" and not is_known(recipe):
        return "a turn of one's own may do anything with the clock"
    if name == "compile" and recipe.checkpoint:
        return "torch's compiler does not follow what is computed again in a backward pass (checkpoint=true)"
    foreign = any(type(spec.net) not in CATALOGUE.values() for spec in recipe.players.values())
    if name == "graph" and recipe.checkpoint and foreign:
        return "a network of one's own is computed again as a whole, for which torch asks where its random numbers are"
    moving = [spec.optimizer.momentum for spec in recipe.players.values() if isinstance(spec.optimizer, SGD)]
    if name == "graph" and any(isinstance(momentum, Ramp) for momentum in moving):
        return "its momentum changes, which torch's optimizer takes as a constant"
    return None


def by(
    compute: Compute,
    moves: Sequence[Move],
    players: Players,
    draws: Mapping[int, Draw],
    memory: Memory,
    before_steps: BeforeSteps,
) -> tuple[Stats, Memory]:
    """``rounds.play`` with another way to a turn's gradients."""
    return play(moves, players, draws, memory, before_steps=before_steps, compute=compute)
