"""The judgement at the end of a run: are the samples as good as held-out real pictures, and are they new?

Every number stands beside the value that real training pictures get against the same held-out pictures.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum import streams
from zerosum.data.pictures import Part, Pictures
from zerosum.data.source import Bytes
from zerosum.metrics.classifier import Classifier, Judgement
from zerosum.metrics.detectors.own import MOST_TRAIN, own_classifier, resized_by, shrunk, small, view_size
from zerosum.metrics.neighbours import Coverage, k_nearest, neighbour_measures

K = 5
CONFIDENT = 0.9
NEAR_COPY = 0.5  # nearer to a training picture than this share of the held-out pictures' median distance
_MOST = 500
_MOST_CLASSIFIED = 10_000
_BLOCK = 10_000  # training pictures that are floats at the same time
_SEED = 20140610
DIGITS = 12  # of a hash that are shown


class Figure(NamedTuple):
    """One number of the judgement: ``value`` for the samples, ``real`` for real training pictures in their place.

    Attributes:
        features: "classifier" or "pixels".
        detector: name and first digits of the hash of the classifier, or "pixels".
        resizer: how the pictures were brought to the size at which they were looked at.
        data, identity: name and content of the real pictures.
        accuracy: of the classifier, on held-out pictures.
        seconds: for all figures that were measured together.
    """

    metric: str
    value: float
    real: float
    features: str
    protocol: str
    real_count: int
    fake_count: int
    draws: int
    detector: str
    resizer: str
    data: str
    identity: str
    accuracy: float | None = None
    seconds: float = 0.0

    def record(self, weights: str = "ema") -> dict[str, object]:
        """A line of metrics.jsonl, with the fields of those that ``zerosum evaluate`` appends."""
        line: dict[str, object] = {
            "metric": self.metric,
            "value": round(self.value, 6),
            "baseline": round(self.real, 6),
            "beside": "real training pictures",
            "protocol": self.protocol,
            "detector": self.detector,
            "resizer": self.resizer,
            "accuracy": self.accuracy,
            "data": self.data,
            "identity": self.identity,
            "real": self.real_count,
            "fake": self.fake_count,
            "draws": self.draws,
            "weights": weights,
            "seconds": self.seconds,
        }
        return {key: value for key, value in line.items() if value is not None}


@dataclass(frozen=True)
class Judge:
    """Knows the real pictures; ``measure`` compares samples with them.

    The pictures are looked at in the ``view``: brought back to the source's own size (at most 32 pixels a side, by
    Pillow's box filter). ``train`` and ``held_out`` are uint8; measured are floats in [0, 1].
    """

    name: str
    identity: str
    train: Tensor
    held_out: Tensor
    size: int
    draws: int
    resizer: str
    classifier: Classifier | None
    accuracy: float | None
    view: Callable[[Bytes], Tensor]  # uint8 (N, C, H, W) -> uint8 at the view's size
    stand_in: bool = False  # the training pictures stand in for held-out ones

    @property
    def samples(self) -> int:
        """How many samples ``measure`` wants."""
        return self.size * self.draws

    def measure(self, samples: Bytes) -> list[Figure]:
        """Judge generated pictures: uint8 (``self.samples``, C, H, W) at the training size."""
        fake = floats(self.view(samples))
        looks: list[Callable[[], list[Figure]]] = []
        if self.classifier is not None:
            looks.append(lambda: self._neighbours("classifier", fake, lambda x: self._classify(x).features))
            looks.append(lambda: self._naming(fake))
        looks.append(lambda: self._neighbours("pixels", fake, lambda x: x.flatten(1)))
        looks.append(lambda: self._copies(fake))
        figures: list[Figure] = []
        for look in looks:
            began = time.monotonic()
            found = look()
            seconds = round(time.monotonic() - began, 3)
            figures += [figure._replace(seconds=seconds) for figure in found]
        return figures

    def _nearest(self, train: Tensor, points: Tensor) -> Tensor:
        """Distance from each point to the nearest training picture; the pictures become floats a block at a time."""
        found = [k_nearest(to=floats(block), points=points).distance[:, 0] for block in train.split(_BLOCK)]
        return torch.stack(found).min(dim=0).values

    def _figure(
        self, metric: str, value: float, real: float, features: str, counts: tuple[int, int], draws: int = 1
    ) -> Figure:
        judged = features == "classifier" and self.classifier is not None
        return Figure(
            metric,
            value,
            real,
            features,
            f"{self.name}-{features}-k{K}-{self.size}x{self.draws}",
            *counts,
            draws,
            self.detector if judged else features,
            self.resizer,
            self.name,
            self.identity,
            self.accuracy if judged else None,
        )

    @functools.cached_property
    def detector(self) -> str:
        """The classifier as ``zerosum evaluate`` calls it."""
        return f"classifier-{self.name}@{self.classifier.sha256()[:DIGITS]}" if self.classifier else "pixels"

    def _classify(self, x: Tensor) -> Judgement:
        assert self.classifier is not None
        return self.classifier.judge(x)

    def _neighbours(self, name: str, fake: Tensor, features: Callable[[Tensor], Tensor]) -> list[Figure]:
        """Mean over the draws of precision, recall, density and coverage against the held-out pictures."""
        if self.size <= K:
            return []
        real = features(floats(self.held_out[: self.size]))
        fakes = features(fake).split(self.size)
        trains = (features(floats(self.train[chosen])) for chosen in self._train_draws())
        value = _mean([neighbour_measures(real=real, fake=part, k=K) for part in fakes])
        baseline = _mean([neighbour_measures(real=real, fake=part, k=K) for part in trains])
        counts = (self.size, self.size)
        return [
            self._figure(metric, own, base, name, counts, self.draws)
            for metric, own, base in zip(Coverage._fields, value, baseline, strict=True)
        ]

    def _train_draws(self) -> Iterator[Tensor]:
        for draw in range(self.draws):
            yield torch.from_numpy(streams.permutation(_SEED, "judge train", draw, len(self.train))[: self.size].copy())

    def _naming(self, fake: Tensor) -> list[Figure]:
        """The share that is named with confidence, and each class's share among the names."""
        real = floats(self.train[:_MOST_CLASSIFIED])
        counts = (len(real), len(fake))
        sides = [self._classify(x).probabilities for x in (fake, real)]
        own, base = (_share(side.max(dim=1).values > CONFIDENT) for side in sides)
        figures = [self._figure("confident", own, base, "classifier", counts)]
        shares = [side.argmax(1).bincount(minlength=side.shape[1]) / len(side) for side in sides]
        for index, (value, baseline) in enumerate(zip(*shares, strict=True)):
            figures.append(self._figure(f"share.{index}", value.item(), baseline.item(), "classifier", counts))
        return figures

    def _copies(self, fake: Tensor) -> list[Figure]:
        """Distance to the nearest training picture, in units of the held-out pictures' median, and near-copies."""
        train = self.train.flatten(1)
        held_out = floats(self.held_out).flatten(1)
        # with nothing held out each training picture is compared with the others
        unit = _nearest_other(floats(train)) if self.stand_in else self._nearest(train, held_out)
        own = self._nearest(train, fake.flatten(1))
        scale = unit.median()
        counts = (len(train), len(fake))
        copies, baseline = (_share(distances < NEAR_COPY * scale) for distances in (own, unit))
        return [
            self._figure("nearest", (own.median() / scale.clamp_min(1e-12)).item(), 1.0, "pixels", counts),
            self._figure("near_copies", copies, baseline, "pixels", counts),
        ]


def floats(pixels: Tensor) -> Tensor:
    """uint8 -> float in [0, 1]."""
    return pixels.float() / 255


def make_judge(pictures: Pictures, cache: Path, deadline: float | None = None) -> Judge:
    """Build the judge of a data set; trains the data's own classifier if there are labels (a few seconds).

    With under 100 pictures nothing is held out, and the training pictures stand in (the run says so). A classifier
    that is not ready by ``deadline`` (of ``time.monotonic``) is left out.
    """
    size = view_size(pictures)
    stand_in = len(pictures.held_out) == 0
    which: Part = "train" if stand_in else "held-out"
    chosen = streams.permutation(_SEED, "judge held-out", 0, len(pictures.rows(which)))
    train, held_out = small(pictures, "train", pictures.some(MOST_TRAIN), size), small(pictures, which, chosen, size)
    count = min(len(held_out), len(train), _MOST)
    labelled = pictures.labels is not None and len(pictures.classes) > 1
    own = own_classifier(pictures, cache, deadline) if labelled else None
    return Judge(
        name=pictures.name,
        identity=pictures.identity,
        train=train,
        held_out=held_out,
        size=count,
        draws=20 if count <= 200 else 5,
        resizer=resized_by(size),
        classifier=None if own is None else own.net,
        accuracy=None if own is None else own.accuracy,
        view=lambda pixels: shrunk(torch.from_numpy(pixels), size),
        stand_in=stand_in,
    )


def _mean(measures: list[Coverage]) -> Coverage:
    return Coverage(*(float(np.mean(column)) for column in zip(*measures, strict=True)))


def _nearest_other(points: Tensor) -> Tensor:
    """Distance from each point to the nearest of the others; (N,)."""
    if len(points) < 2:
        return torch.ones(1, dtype=torch.float64)
    return k_nearest(to=points, points=points, own=torch.arange(len(points))).distance[:, 0]


def _share(mask: Tensor) -> float:
    return mask.double().mean().item()
