"""What a round of each recipe costs against its counted operations: achieved rate as a share of the attained peak.

    python bench/recipes.py                     every recipe at its published width (minutes)
    python bench/recipes.py --width 32          narrower
    python bench/recipes.py --recipes wgan sngan --rounds 5

The peak is that of a large float32 matrix product in the same process. Operations are counted by torch's own formulas
over one round (convolutions and matrix products, forward and backward); everything else a round does costs time and
counts nothing, so the share says how much of it there is. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from zerosum.allocator import tune_allocator
from zerosum.conformance import noise
from zerosum.recipe import Recipe
from zerosum.recipes import CATALOGUE
from zerosum.run import Run
from zerosum.training.trainer import Budget, Choices, Trainer

FORMS: dict[str, dict[str, Any]] = {
    "goodfellow2014": {"resolution": (28, 28), "channels": 1},
    "goodfellow2014, convolutional": {"resolution": (32, 32), "channels": 3, "form": "convolutional"},
    "dcgan": {"resolution": (64, 64)},
    "lsgan": {"resolution": (56, 56)},
    "wgan": {"resolution": (64, 64)},
    "wgan_gp": {"resolution": (32, 32)},
    "wgan_gp, dcgan": {"resolution": (32, 32), "form": "dcgan"},
    "wgan_gp, 64": {"resolution": (64, 64)},
    "dragan": {"resolution": (64, 64)},
    "sngan": {"resolution": (32, 32)},
    "sndcgan": {"resolution": (32, 32)},
    "relativistic": {"resolution": (32, 32)},
    "fgan": {"resolution": (64, 64)},
    "pacgan": {"resolution": (28, 28)},
    "modern": {"resolution": (32, 32)},
    "modern, 28x28": {"resolution": (28, 28), "channels": 1},
}
LATER = 501  # a round in which the critic has no long turn


def peak() -> float:
    """Floating-point operations per second of a 2048 x 2048 product, the best of twenty."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(times)


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


def measure(recipe: Recipe, rounds: int) -> tuple[float, float, int]:
    """Operations of a round, its median seconds, and the real pictures that it shows."""
    with tempfile.TemporaryDirectory() as folder:
        one = Trainer(recipe, noise(recipe, 256), Run(Path(folder)), 0, Choices(threads=torch.get_num_threads()))
        one.rounds = LATER
        one.play_round(Budget(recipe.images))
        with Counter() as counter:
            one.play_round(Budget(recipe.images))
        times = []
        before = one.images
        for _ in range(rounds):
            began = time.perf_counter()
            one.play_round(Budget(recipe.images))
            times.append(time.perf_counter() - began)
        return counter.total, statistics.median(times), (one.images - before) // rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="*", default=list(FORMS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int)
    given = parser.parse_args()
    tune_allocator()
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    print(f"{date}, torch {torch.__version__}, {torch.get_num_threads()} threads, batch sizes as published\n")
    print("| recipe | GFLOP a round | seconds | images/s | GFLOP/s | of the peak |\n|---|---|---|---|---|---|")
    for name in given.recipes:
        width: dict[str, int] = {} if given.width is None else {"width": given.width}
        recipe = CATALOGUE[name.split(",")[0]](**FORMS[name], **width)
        best = peak()  # anew beside each: the machine's speed changes
        operations, seconds, images = measure(recipe, given.rounds)
        rate = operations / seconds
        print(
            f"| {name} | {operations / 1e9:,.1f} | {seconds:.3f} | {images / seconds:,.0f} | {rate / 1e9:,.0f} | "
            f"{rate / best:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
