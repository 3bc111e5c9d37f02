"""Which engine a run is played with: tried on a copy of the run that is thrown away, before the run begins."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.recipe import Recipe
from zerosum.run import Run
from zerosum.training.engine import Asked, Name, refusal
from zerosum.training.trainer import Budget, Choices, Trainer

WARM_UP, TIMED = 3, 20  # rounds: watched, played once from fixed tensors, captured; and what is timed
WORTH = 1.05  # another engine than eager is worth its memory if it is so many times as quick


def choose(asked: Asked, recipe: Recipe, pictures: Pictures, choices: Choices, say: Callable[[str], object]) -> Choices:
    """The choices with an engine that works here; ``auto`` takes the quickest. What was chosen is said, and why."""
    if asked == "auto":
        return _quickest(recipe, pictures, choices, say)
    tried = replace(choices, engine=asked)
    if asked == "eager" or _seconds(recipe, pictures, tried, 0, say) is not None:
        return tried
    return replace(choices, engine="eager")


def _quickest(recipe: Recipe, pictures: Pictures, choices: Choices, say: Callable[[str], object]) -> Choices:
    if not choices.device.startswith("cuda"):
        return replace(choices, engine="eager")  # on a CPU compiling takes half a minute and gains nothing
    names: tuple[Name, ...] = ("eager", "graph")
    able = [name for name in names if refusal(name, recipe, choices.device) is None]
    found = {name: _seconds(recipe, pictures, replace(choices, engine=name), TIMED, say) for name in able}
    times = {name: seconds for name, seconds in found.items() if seconds is not None}
    best: Name = "eager"
    if "eager" in times and times["eager"] > WORTH * times.get("graph", math.inf):
        best = "graph"
    measured = ", ".join(f"{name} {1000 * seconds / TIMED:.1f} ms a round" for name, seconds in times.items())
    say(f"engine      {best}  (measured: {measured})")
    return replace(choices, engine=best)


def _seconds(
    recipe: Recipe, pictures: Pictures, choices: Choices, rounds: int, say: Callable[[str], object]
) -> float | None:
    """What ``rounds`` take; None, and said why, where the engine does not work."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            one = Trainer(recipe, pictures, Run(Path(folder)), 0, choices)
            for _ in range(WARM_UP):
                one.play_round(Budget(recipe.images))
            _wait(choices.device)
            began = time.perf_counter()
            for _ in range(rounds):
                one.play_round(Budget(recipe.images))
            _wait(choices.device)
            return time.perf_counter() - began
    except UserError:
        raise
    except Exception as error:  # whatever a compiler or a driver may throw
        why = str(error).strip().splitlines()[0:1] or [type(error).__name__]
        say(f"The engine {choices.engine} does not work here ({why[0][:200]}): going on without it.")
        return None


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
