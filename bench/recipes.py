"""What a round of each recipe costs against its counted operations: achieved rate as a share of the attained peak.

    python bench/recipes.py                     every recipe at its published width (minutes)
    python bench/recipes.py --width 32          narrower
    python bench/recipes.py --recipes wgan sngan --rounds 5

The peak is that of a large float32 matrix product in the same process, anew beside each recipe. Operations are counted
over one round (``training.cost``); everything else a round does costs time and counts nothing, so the share says how
much of it there is, and beside what is under half of the peak stands why. Prints, asserts nothing.
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

from zerosum.allocator import tune_allocator
from zerosum.conformance import noise
from zerosum.recipe import Recipe
from zerosum.recipes import CATALOGUE
from zerosum.run import Run
from zerosum.training.cost import LATER, Cost, cost
from zerosum.training.trainer import Budget, Choices, Trainer

FORMS: dict[str, dict[str, Any]] = {
    "goodfellow2014": {"resolution": (28, 28), "channels": 1},
    "goodfellow2014, convolutional": {"resolution": (32, 32), "channels": 3, "form": "convolutional"},
    "dcgan": {"resolution": (64, 64)},
    "lsgan": {"resolution": (112, 112)},
    "wgan": {"resolution": (64, 64)},
    "wgan_gp": {"resolution": (32, 32)},
    "wgan_gp, dcgan": {"resolution": (32, 32), "form": "dcgan"},
    "wgan_gp, 64": {"resolution": (64, 64)},
    "dragan": {"resolution": (64, 64)},
    "sngan": {"resolution": (32, 32)},
    "sngan, 48": {"resolution": (48, 48)},
    "sngan, 64": {"resolution": (64, 64)},
    "sndcgan": {"resolution": (32, 32)},
    "relativistic": {"resolution": (32, 32)},
    "fgan": {"resolution": (64, 64)},
    "pacgan": {"resolution": (28, 28)},
    "modern": {"resolution": (32, 32)},
    "modern, 28x28": {"resolution": (28, 28), "channels": 1},
}
# why a recipe attains less than half of the peak
REASONS: dict[str, str] = {
    "goodfellow2014": "products of 100 rows take 40 % of it; a third passes between operations",
    "goodfellow2014, convolutional": "convolutions and products take half; maxout, pooling, dropout, copies the rest",
    "lsgan": "batch norm on maps of up to 112x112 takes 40 %, bound by memory; convolutions 40 %",
    "wgan_gp, dcgan": "convolutions take 85 %, slopes of slopes of 5x5 kernels among them",
    "pacgan": "convolutions take 65 %; of two layers a network one has six or three channels at its end",
    "modern, 28x28": "convolutions of 32 channels take 68 %, copies between layouts 10 %",
}


def peak() -> float:
    """Floating-point operations per second of a 2048 x 2048 product, the best of twenty."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(times)


def measure(recipe: Recipe, rounds: int) -> tuple[Cost, float]:
    """What a round costs, and its median seconds."""
    with tempfile.TemporaryDirectory() as folder:
        one = Trainer(recipe, noise(recipe, 256), Run(Path(folder)), 0, Choices(threads=torch.get_num_threads()))
        one.rounds = LATER
        one.play_round(Budget(recipe.images))
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            one.play_round(Budget(recipe.images))
            times.append(time.perf_counter() - began)
        return cost(recipe, noise(recipe, 8)), statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="*", default=list(FORMS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int)
    given = parser.parse_args()
    tune_allocator()
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    print(f"{date}, torch {torch.__version__}, {torch.get_num_threads()} threads, batch sizes as published\n")
    print("| recipe | GFLOP a round | seconds | images/s | GFLOP/s | of the peak | |\n|---|---|---|---|---|---|---|")
    for name in given.recipes:
        width: dict[str, int] = {} if given.width is None else {"width": given.width}
        recipe = CATALOGUE[name.split(",")[0]](**FORMS[name], **width)
        best = peak()  # anew beside each: the machine's speed changes
        (operations, images), seconds = measure(recipe, given.rounds)
        rate = operations / seconds
        print(
            f"| {name} | {operations / 1e9:,.1f} | {seconds:.3f} | {images / seconds:,.0f} | {rate / 1e9:,.0f} | "
            f"{rate / best:.0%} | {REASONS.get(name, '') if rate < best / 2 else ''} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
