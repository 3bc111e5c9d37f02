"""What a round costs: its floating-point operations, counted without computing anything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from zerosum.data.pictures import Pictures
from zerosum.recipe import Recipe
from zerosum.run import Run
from zerosum.training.trainer import Budget, Choices, Trainer

LATER = 501  # a round in which no critic has a long turn


class Cost(NamedTuple):
    """Operations of a round (two for each multiplication with an addition), and the real pictures that it shows."""

    operations: float
    images: int


class Counter(TorchDispatchMode):
    """Counts as torch's FlopCounterMode does, whose module hooks do not survive ``autograd.grad``."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def cost(recipe: Recipe, pictures: Pictures) -> Cost:
    """Of a later round: convolutions and matrix products, forward and backward, of every turn.

    What a recipe with ``checkpoint`` computes again is counted too. ``pictures`` are any of the recipe's size.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeTensorMode(),
        mock.patch("torch.nn.init.trunc_normal_"),  # reads numbers, which there are none of
    ):
        one = Trainer(recipe, pictures, Run(Path(folder)), 0, Choices())
        one.rounds = LATER
        with Counter() as counter:
            one.play_round(Budget(recipe.images))
        return Cost(counter.total, one.images)
