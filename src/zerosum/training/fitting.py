"""What fits into memory: in how many parts a batch can be played, found by playing a round of each."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from zerosum.data.pictures import Pictures
from zerosum.recipe import Recipe
from zerosum.run import Run
from zerosum.training.trainer import Budget, Choices, Trainer

ROUNDS = 2  # the first allocates what optimizers keep, the second is as large as all that follow


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not get memory, on a GPU or from the system."""
    known = "not enough memory", "can't allocate memory", "out of memory"
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in known)
    )


def parts_that_fit(recipe: Recipe, pictures: Pictures, choices: Choices) -> int | None:
    """The least number of equal parts whose rounds fit into memory; None where single pictures do not.

    The recipe's own parts are the first that are tried. Nothing is kept of what is played.
    """
    batches = {turn.batch or recipe.batch for move in recipe.moves for turn in move}
    least = min(batches)
    for parts in range(recipe.accumulate, least + 1):
        candidate = replace(recipe, accumulate=parts)
        try:
            candidate.check()
        except ValueError:
            continue  # batches, packs and groups that cannot be cut so
        if _plays(candidate, pictures, choices):
            return parts
    return None


def advice(recipe: Recipe, pictures: Pictures, choices: Choices) -> str:
    """What to do about memory that was not enough, in a sentence."""
    parts = parts_that_fit(recipe, pictures, choices)
    where = f"The memory of {choices.device} is not enough for a batch of {recipe.batch} in {recipe.accumulate} parts"
    if parts is None or parts == recipe.accumulate:
        return f"{where}; smaller parts do not fit either: {less(recipe)}."
    return (
        f"{where}; batch {recipe.batch // parts} x {parts} fits: --set accumulate={parts}, or --batch auto. "
        "What was saved stands."
    )


def less(recipe: Recipe) -> str:
    """What to do where not even the smallest part fits."""
    again = "" if recipe.checkpoint else ", or --set checkpoint=true"
    return f"take a smaller width or resolution{again}"


def _plays(recipe: Recipe, pictures: Pictures, choices: Choices) -> bool:
    try:
        with tempfile.TemporaryDirectory() as folder:
            one = Trainer(recipe, pictures, Run(Path(folder)), 0, replace(choices, engine="eager"))
            for _ in range(ROUNDS):
                one.play_round(Budget(recipe.images))
            return bool(one.healthy.item() >= 0)  # waits for the device
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    finally:
        if choices.device.startswith("cuda"):
            torch.cuda.empty_cache()
    return False
