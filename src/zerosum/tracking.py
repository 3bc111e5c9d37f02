"""The tracking metric: at every tenth of the budget, for averaged and raw weights, cheap enough to be always on.

An unbiased kernel distance needs few samples and a fixed random network needs no weights and no labels, so the same
number is there for every data set. It ranks snapshots of one run; it is no number to publish.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zerosum import files
from zerosum.data.pictures import Pictures
from zerosum.generate import load
from zerosum.metrics.detectors.detector import Detector, random_features
from zerosum.metrics.kernels import full_kernel_distance
from zerosum.run import TRACKED, Run
from zerosum.training.trainer import Moment

SAMPLES, REAL = 400, 2_000
SHARE = 0.1  # of the budget between two measurements
LEAST = 5_000  # images; a shorter run ends before there is anything to track


@dataclass
class Tracker:
    """A watcher of the trainer: measures the snapshot that is written at every tenth of the budget."""

    run: Run
    pictures: Pictures
    device: str
    detector: Detector = field(default_factory=random_features)
    real: Tensor | None = None

    def __call__(self, moment: Moment) -> None:
        """Measure if a tenth of the budget has just been crossed; the lines go to metrics.jsonl."""
        step = moment.budget * SHARE
        crossed = int(moment.images / step) > int(moment.since / step)
        path = self.run.snapshot_file(moment.images)
        if not LEAST <= moment.budget < 2**60 or not crossed or not path.is_file():
            return
        if self.real is None:
            self.real = self.detector.features(self.pictures.take("train", self.pictures.some(REAL))[0])
        weights: tuple[Literal["ema", "raw"], ...] = ("ema", "raw")
        for which in weights:
            began = time.monotonic()
            generator = load(path, weights=which, device=self.device)
            pixels = np.concatenate(list(generator.pixels(range(SAMPLES))))
            value = full_kernel_distance(real=self.real, fake=self.detector.features(torch.from_numpy(pixels)))
            line = {
                "images": moment.images,
                "metric": "kernel",
                "value": round(value, 8),
                "protocol": TRACKED,
                "detector": f"{self.detector.name}@{self.detector.sha256[:12]}",
                "real": len(self.real),
                "fake": SAMPLES,
                "weights": which,
                "seconds": round(time.monotonic() - began, 3),
            }
            files.append_line(self.run.metrics, line)
