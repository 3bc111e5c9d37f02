"""The tracking metric: at tenths of the budget, for averaged and raw weights, cheap enough to be always on.

An unbiased kernel distance needs few samples and a fixed random network needs no weights and no labels, so the same
number is there for every data set. It ranks snapshots of one run; it is no number to publish. It may take 3 % of the
time: where all ten measurements would take more there are fewer, at even distances and the last at the end. So when it
is measured depends on the machine's speed; what is measured does not, and the training knows nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum import __version__
from zerosum.data.pictures import Pictures
from zerosum.generate import Generator, load
from zerosum.metrics.detectors.detector import Detector, random_features
from zerosum.metrics.kernels import full_kernel_distance
from zerosum.metrics.value import Value, named
from zerosum.run import TRACKED, Run
from zerosum.training.trainer import Moment

SAMPLES, REAL = 400, 2_000
TENTHS = 10  # of the budget: then there are snapshots
LEAST = 5_000  # images; a shorter run ends before there is anything to track
MOST = 0.03  # of the time
TRIED, TRIES = 32, 3  # pictures from which the first estimate of the cost is made, and how often


class Cost(NamedTuple):
    """Seconds of looking at the real pictures, once, and of each measurement of both sets of weights."""

    once: float
    each: float


@dataclass
class Tracker:
    """A watcher of the trainer: measures snapshots that are written at tenths of the budget.

    Attributes:
        real: features of real pictures.
        cost: estimated from a few samples, then that of the newest measurement.
        unlisted: seconds that no line of metrics.jsonl has.
    """

    run: Run
    pictures: Pictures
    device: str
    detector: Detector = field(default_factory=random_features)
    real: Tensor | None = None
    cost: Cost | None = None
    unlisted: float = 0.0

    def __call__(self, moment: Moment) -> None:
        """Measure if a tenth of the budget has just been crossed and it is cheap enough; into metrics.jsonl."""
        tenth = int(TENTHS * moment.images / moment.budget)
        path = self.run.snapshot_file(moment.images)
        crossed = tenth > int(TENTHS * moment.since / moment.budget)
        if not LEAST <= moment.budget < 2**60 or not crossed or not path.is_file():
            return
        passed = moment.stats["seconds"]
        if self.cost is None or (self.real is None and self.unlisted < MOST * passed / 10):
            self.cost = self._estimate(path)  # again while it is cheap: another program may have slowed the last one
        spent = self.unlisted + sum(float(str(line.get("seconds", 0))) for line in self.run.tracked())
        once = self.cost.once if self.real is None else 0.0
        if affordable(tenth, spent + once, self.cost, passed, passed * moment.budget / moment.images):
            self.run.add_metrics(value.record() for value in self._measure(moment.images, path))

    def _measure(self, images: int, path: Path) -> list[Value]:
        start = began = time.monotonic()
        if self.real is None:
            self.real = self.detector.features(self.pictures.take("train", self.pictures.some(REAL))[0])
            start = time.monotonic()
        weights: tuple[Literal["ema", "raw"], ...] = ("ema", "raw")
        values: list[Value] = []
        for which in weights:
            value = full_kernel_distance(real=self.real, fake=self._features(path, which))
            now = time.monotonic()
            own = Value(
                metric="kernel",
                value=round(value, 8),
                protocol=TRACKED,
                detector=named(self.detector.name, self.detector.sha256),
                resizer=self.detector.resizer,
                real=len(self.real),
                fake=SAMPLES,
                weights=which,
                seconds=round(now - began, 3),
                sha256=self.detector.sha256,
                data=self.pictures.name,
                identity=self.pictures.identity,
                part="train",
                images=images,
                zerosum=__version__,
            )
            values.append(own)
            began = now
        self.cost = Cost(0.0, began - start)
        return values

    def _features(self, path: Path, which: Literal["ema", "raw"]) -> Tensor:
        generator = load(path, weights=which, device=self.device)
        return self._look(generator, range(SAMPLES))

    def _look(self, generator: Generator, seeds: Sequence[int]) -> Tensor:
        return self.detector.features(torch.from_numpy(np.concatenate(list(generator.pixels(seeds)))))

    def _estimate(self, path: Path) -> Cost:
        """What the first measurement will take, from a few samples."""
        began = time.monotonic()
        generator = load(path, weights="raw", device=self.device)
        loaded = time.monotonic() - began
        some = torch.from_numpy(self.pictures.take("train", self.pictures.some(TRIED))[0])
        each = min(_seconds(lambda: self._look(generator, range(TRIED))) for _ in range(TRIES)) / TRIED
        real = min(_seconds(lambda: self.detector.features(some)) for _ in range(TRIES)) / len(some)
        self.unlisted += time.monotonic() - began
        return Cost(REAL * real, 2 * (loaded + SAMPLES * each))


def _seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def affordable(tenth: int, spent: float, cost: Cost, passed: float, whole: float) -> bool:
    """Whether to measure at a tenth of the budget, so that all measurements take at most 3 % of the time.

    Args:
        spent: seconds of measurements so far, and of what must be done before this one.
        cost: of a measurement.
        passed: seconds of training so far, of ``whole`` that are expected.
    """
    if spent + cost.each > MOST * passed:
        return False
    wanted = min(TENTHS, int((MOST * whole - cost.once) / max(cost.each, 1e-9)))
    return wanted > 0 and (TENTHS - tenth) % -(-TENTHS // wanted) == 0
