"""``zerosum doctor``: what this machine is, what it attains, how quick each recipe will be, and what would help."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from zerosum import __version__
from zerosum.advice import devices
from zerosum.conformance import noise
from zerosum.errors import UserError
from zerosum.machine import processor
from zerosum.networks.precision import factors
from zerosum.plan import machine as choose
from zerosum.recipe import Precision, Recipe
from zerosum.recipes import CATALOGUE
from zerosum.run import Run
from zerosum.settings import parse
from zerosum.training.cost import Cost, cost
from zerosum.training.trainer import Budget, Choices, Trainer

SIDE = 2048  # of the matrices
SECONDS = 0.5  # for each peak
MEASURED = 2.0  # seconds: recipes whose rounds are longer are not played but reckoned
USUAL = 0.5  # share of the peak that is reckoned with where nothing was measured
WORTH, SLOW = 1.5, 0.6  # a gain that is worth a sentence; a product so much slower than a convolution is


class Peaks(NamedTuple):
    """Operations per second that were attained."""

    product: float
    product16: float
    convolution: float
    convolution16: float


class Speed(NamedTuple):
    """Real pictures per second of a recipe; ``reckoned`` from its operations where no round was played."""

    recipe: str
    operations: float
    images: float
    images16: float
    reckoned: bool


def examine(resolution: str, device: str, names: Sequence[str] | None = None) -> Iterator[str]:
    """Everything, a line as soon as it is known.

    Args:
        resolution: ``64`` or ``WIDTHxHEIGHT``.
        device: "auto", or one of torch's.
        names: of recipes; all without them.

    Raises:
        UserError: no such device, or no recipe can do this size.
    """
    size = parse(resolution, tuple[int, int], "resolution")
    device = choose(device, []).device
    yield from machine(device)
    yield ""
    found = peaks(device)
    yield f"attained    {found.product / 1e9:,.0f} GFLOP/s in products, {found.product16 / 1e9:,.0f} in 16 bits"
    yield f"            {found.convolution / 1e9:,.0f} in convolutions, {found.convolution16 / 1e9:,.0f} in 16 bits"
    yield ""
    yield f"{'recipe':16}{'GFLOP/image':>12}{'images/s':>10}{'in 16 bits':>12}  ({resolution}, as published)"
    shares: list[tuple[float, float]] = []
    for name in names or CATALOGUE:
        try:
            recipe = CATALOGUE[name](resolution=size)
        except UserError:
            continue
        one = speed(name, recipe, device, found, shares)
        about = "~" if one.reckoned else ""
        numbers = f"{about + format(one.images, ',.0f'):>10}{about + format(one.images16, ',.0f'):>12}"
        yield f"{name:16}{one.operations / 1e9:12,.2f}{numbers}"
    if not shares:
        raise UserError(f"No recipe can make pictures of {resolution}: give another --resolution.")
    yield "~ reckoned from its operations, and the share of the peak that others attain"
    yield ""
    yield from advice(device, found)


def machine(device: str) -> Iterator[str]:
    """Versions and devices, a line each."""
    python = platform.python_version()
    yield f"zerosum     {__version__}, torch {torch.__version__}, numpy {np.__version__}, Python {python}"
    yield f"system      {platform.system()} {platform.release()}, {processor()}, {os.cpu_count()} processors"
    there = [name for name, found in devices().items() if found]
    yield f"devices     {', '.join(there)}; training would use {device}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            yield f"cuda:{index}      {about.name}, {about.total_memory / 2**30:.0f} GiB"


def peaks(device: str) -> Peaks:
    """The best of some repetitions of a large product and of a 3x3 convolution, in 32 and in 16 bits."""
    a, b = (torch.randn(SIDE, SIDE, device=device) for _ in range(2))
    x = torch.randn(32, 256, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, device=device).contiguous(memory_format=torch.channels_last)
    rates = []
    for first, second, count, run in (
        (a, b, 2 * SIDE**3, torch.mm),
        (x, weight, 2 * 32**3 * 9 * 256**2, _convolution),
    ):
        for kind in (torch.float32, torch.bfloat16):
            with factors(torch.device(device)):
                rates.append(_rate(run, first.to(kind), second.to(kind), count))
    return Peaks(rates[0], rates[1], rates[2], rates[3])


def speed(name: str, recipe: Recipe, device: str, found: Peaks, shares: list[tuple[float, float]]) -> Speed:
    """How quick a recipe is; played where a round is short, and its shares of the peaks noted in ``shares``."""
    counted = cost(recipe, noise(recipe, 8))
    each = counted.operations / counted.images
    reckoned = counted.operations / (USUAL * found.convolution) > MEASURED
    if reckoned:
        usual, usual16 = (statistics.median(column) for column in zip(*(shares or [(USUAL, USUAL)]), strict=True))
        shares.append((usual, usual16))
        return Speed(name, each, usual * found.convolution / each, usual16 * found.convolution16 / each, True)
    images, images16 = (_images(recipe, precision, device, counted) for precision in ("fp32", "bf16"))
    shares.append((images * each / found.convolution, images16 * each / found.convolution16))
    return Speed(name, each, images, images16, False)


def advice(device: str, found: Peaks) -> Iterator[str]:
    """What would make this machine faster, as far as it can be seen."""
    faster = found.convolution16 / found.convolution
    if faster > WORTH:
        yield f"--set precision=bf16: networks compute in 16 bits, here up to {faster:.1f} times as fast."
    if device == "cpu" and torch.get_num_threads() < (os.cpu_count() or 1):
        yield f"Only {torch.get_num_threads()} of {os.cpu_count()} processors are used: OMP_NUM_THREADS limits them."
    if device == "cpu" and found.product < SLOW * found.convolution:
        yield "Products in 32 bits are slow beside convolutions here, so recipes of linear layers are too."
    if device == "cpu":
        yield "On a CPU keep pictures small (--resolution) and networks narrow (--set width=...)."
    if device == "cpu" and sys.platform != "linux":
        yield "The allocator is tuned on Linux with glibc alone, where batches of large pictures gain a fifth."


def _rate(
    run: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], a: torch.Tensor, b: torch.Tensor, count: int
) -> float:
    best, began = float("inf"), time.perf_counter()
    run(a, b)
    while time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        run(a, b)
        _wait(a.device)
        best = min(best, time.perf_counter() - start)
    return count / best if best < float("inf") else count / (time.perf_counter() - began)


def _images(recipe: Recipe, precision: Precision, device: str, counted: Cost) -> float:
    layout = "contiguous" if device == "mps" else "channels_last"
    choices = Choices(device=device, memory_format=layout, threads=torch.get_num_threads())
    with tempfile.TemporaryDirectory() as folder:
        one = Trainer(replace(recipe, precision=precision), noise(recipe, 256), Run(Path(folder)), 0, choices)
        one.rounds = 501  # in which no critic has a long turn
        one.play_round(Budget(recipe.images))
        times = []
        for _ in range(2):
            _wait(one.device)
            start = time.perf_counter()
            one.play_round(Budget(recipe.images))
            _wait(one.device)
            times.append(time.perf_counter() - start)
    return counted.images / min(times)


def _convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, weight, padding=1)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()
