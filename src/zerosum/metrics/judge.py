"""The judgement at the end of a run: are the samples as good as held-out real pictures, and are they new?

Every number stands beside the value that real training pictures get against the same held-out pictures. Its counts
follow from the data, and so its protocol names them: ``judgement-<features>-k<k>-<size>x<draws>``.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zerosum import __version__, streams
from zerosum.data.pictures import Part, Pictures
from zerosum.data.telling import Progress, Say, silent
from zerosum.errors import UserError
from zerosum.metrics.classifier import Judgement
from zerosum.metrics.detectors.own import MOST_TRAIN, Own, own_classifier, resized_by, small, view_size
from zerosum.metrics.fitness import check_sizes
from zerosum.metrics.looking import Looked, look_at
from zerosum.metrics.neighbours import Coverage, k_nearest, neighbour_measures
from zerosum.metrics.reals import in_short
from zerosum.metrics.resize import Size
from zerosum.metrics.samples import Samples
from zerosum.metrics.value import Value, named

NAME = "judgement"
ABOUT = "what every training ends with: four k-NN measures, confidence, shares of the classes, copies"
K = 5
CONFIDENT = 0.9
NEAR_COPY = 0.5  # nearer to a training picture than this share of the held-out pictures' median distance
_MOST = 500
_MOST_CLASSIFIED = 10_000
_BLOCK = 10_000  # training pictures that are floats at the same time
_SEED = 20140610


@dataclass(frozen=True)
class Judge:
    """Knows the real pictures; ``measure`` compares samples with them.

    With under 100 pictures nothing is held out, and the training pictures stand in (the run says so).

    Attributes:
        cache: folder of the data's own classifier, which is trained where there are labels (a few seconds).
        deadline: of ``time.monotonic``: a classifier that is not ready by then is left out.
    """

    pictures: Pictures
    cache: Path
    deadline: float | None = None
    say: Say = silent

    @property
    def part(self) -> Part:
        """Which pictures samples are compared with."""
        return "held-out" if len(self.pictures.held_out) else "train"

    @property
    def size(self) -> int:
        """How many samples are compared with as many real pictures in one draw."""
        return min(len(self.pictures.rows(self.part)), len(self.pictures.train), _MOST)

    @property
    def draws(self) -> int:
        return 20 if self.size <= 200 else 5

    @property
    def samples(self) -> int:
        """How many samples are looked at."""
        return self.size * self.draws

    @property
    def view(self) -> Size:
        """(height, width) at which all is looked at: the source's own size, at most 32 pixels a side."""
        return view_size(self.pictures)

    @functools.cached_property
    def own(self) -> Own | None:
        """The data's own classifier; None without labels of several classes, or without the time to train it."""
        labelled = self.pictures.labels is not None and len(self.pictures.classes) > 1
        return own_classifier(self.pictures, self.cache, self.deadline, say=self.say) if labelled else None

    @functools.cached_property
    def train(self) -> Tensor:
        """Training pictures, uint8 (N, C, *view)."""
        return small(self.pictures, "train", self.pictures.some(MOST_TRAIN), self.view)

    @functools.cached_property
    def held_out(self) -> Tensor:
        """Those of ``part`` in random order, uint8 (N, C, *view)."""
        chosen = streams.permutation(_SEED, "judge held-out", 0, len(self.pictures.rows(self.part)))
        return small(self.pictures, self.part, chosen, self.view)

    def check(self, samples: Samples) -> None:
        """Refuse pictures that are too few, or of another size than the real ones.

        Raises:
            UserError: it says what to do.
        """
        samples.need(self.samples, NAME)
        check_sizes(samples, self.pictures, NAME)

    def measure(self, samples: Samples, progress: Progress = silent) -> Iterator[Value]:
        """Judge the first ``self.samples`` pictures.

        Raises:
            UserError: too many of them cannot be read.
        """
        began = time.monotonic()
        blocks = samples.blocks(0, self.samples)
        looked = Looked(frozenset({"views"}), size=self.view)
        look_at(blocks, None, looked, lambda done: progress(done, self.samples))
        if looked.count < self.samples:
            raise UserError(
                f"{NAME} needs {self.samples:,} pictures, and of those of {samples.name} too many cannot be read: "
                f"{looked.count:,} are left; give more."
            )
        fake = looked.views()
        looking = time.monotonic() - began
        looks: list[Callable[[], list[Value]]] = []
        if self.own is not None:
            judge, classified = self.own.net.judge, self._about(samples, self.own)
            looks.append(lambda: self._neighbours(classified, fake, lambda x: judge(x).features))
            looks.append(lambda: self._naming(classified, fake, judge))
        pixels = self._about(samples, None)
        looks.append(lambda: self._neighbours(pixels, fake, lambda x: x.flatten(1)))
        looks.append(lambda: self._copies(pixels, fake))
        for look in looks:
            began = time.monotonic()
            found = look()
            seconds = round(looking + time.monotonic() - began, 3)
            yield from (value._replace(seconds=seconds) for value in found)

    def _about(self, samples: Samples, own: Own | None) -> Value:
        """Everything about a value in the features of a classifier, or in pixels, but the value."""
        sha256 = "" if own is None else own.net.sha256()
        channels, height, width = self.pictures.pixels.shape[1:]
        return Value(
            metric="",
            value=0.0,
            protocol=f"{NAME}-{'pixels' if own is None else 'classifier'}-k{K}-{self.size}x{self.draws}",
            detector="pixels" if own is None else named(f"classifier-{self.pictures.name}", sha256),
            resizer=resized_by(self.view),
            beside="real training pictures",
            accuracy=None if own is None else own.accuracy,
            weights=samples.weights or "",
            sha256=sha256,
            data=self.pictures.name,
            identity=self.pictures.identity,
            part="train",
            size=in_short((channels, height, width)),
            samples=samples.name,
            samples_size=in_short(samples.size),
            zerosum=__version__,
        )

    def _neighbours(self, about: Value, fake: Tensor, features: Callable[[Tensor], Tensor]) -> list[Value]:
        """Mean over the draws of precision, recall, density and coverage against the held-out pictures."""
        if self.size <= K:
            return []
        real = features(floats(self.held_out[: self.size]))
        fakes = features(fake).split(self.size)
        trains = (features(floats(self.train[chosen])) for chosen in self._train_draws())
        own = [neighbour_measures(real=real, fake=part, k=K) for part in fakes]
        beside = [neighbour_measures(real=real, fake=part, k=K) for part in trains]
        about = about._replace(part=self.part, real=self.size, fake=self.size)
        return [
            about.over(draws)._replace(metric=metric, baseline=float(np.mean(others)))
            for metric, draws, others in zip(
                Coverage._fields, zip(*own, strict=True), zip(*beside, strict=True), strict=True
            )
        ]

    def _naming(self, about: Value, fake: Tensor, judge: Callable[[Tensor], Judgement]) -> list[Value]:
        """The share that is named with confidence, and each class's share among the names."""
        real = judge(floats(self.train[:_MOST_CLASSIFIED])).probabilities
        draws = judge(fake).probabilities.split(self.size)
        about = about._replace(real=len(real), fake=self.size)
        sure = [_share(part.max(dim=1).values > CONFIDENT) for part in draws]
        base = _share(real.max(dim=1).values > CONFIDENT)
        found = [about.over(sure)._replace(metric="confident", baseline=base)]
        shares = [_class_shares(part) for part in draws]
        for index, (values, base) in enumerate(zip(zip(*shares, strict=True), _class_shares(real), strict=True)):
            found.append(about.over(values)._replace(metric=f"share.{index}", baseline=base))
        return found

    def _train_draws(self) -> Iterator[Tensor]:
        for draw in range(self.draws):
            yield torch.from_numpy(streams.permutation(_SEED, "judge train", draw, len(self.train))[: self.size].copy())

    def _copies(self, about: Value, fake: Tensor) -> list[Value]:
        """Distance to the nearest training picture, in units of the held-out pictures' median, and near-copies."""
        train = self.train.flatten(1)
        held_out = floats(self.held_out).flatten(1)
        # with nothing held out each training picture is compared with the others
        unit = _nearest_other(floats(train)) if self.part == "train" else _nearest(train, held_out)
        own = _nearest(train, fake.flatten(1))
        scale = unit.median()
        beside = about.beside if self.part == "train" else "held-out pictures"
        about = about._replace(real=len(train), fake=self.size, beside=beside)
        draws = own.split(self.size)
        copies = [_share(part < NEAR_COPY * scale) for part in draws]
        distances = [(part.median() / scale.clamp_min(1e-12)).item() for part in draws]
        return [
            about.over(distances)._replace(metric="nearest", baseline=1.0),
            about.over(copies)._replace(metric="near_copies", baseline=_share(unit < NEAR_COPY * scale)),
        ]


def floats(pixels: Tensor) -> Tensor:
    """uint8 -> float in [0, 1]."""
    return pixels.float() / 255


def _class_shares(probabilities: Tensor) -> list[float]:
    """Each class's share of the names, from probabilities (N, classes)."""
    return (probabilities.argmax(1).bincount(minlength=probabilities.shape[1]) / len(probabilities)).tolist()


def _nearest(train: Tensor, points: Tensor) -> Tensor:
    """Distance from each point to the nearest training picture; the pictures become floats a block at a time."""
    found = [k_nearest(to=floats(block), points=points).distance[:, 0] for block in train.split(_BLOCK)]
    return torch.stack(found).min(dim=0).values


def _nearest_other(points: Tensor) -> Tensor:
    """Distance from each point to the nearest of the others; (N,)."""
    if len(points) < 2:
        return torch.ones(1, dtype=torch.float64)
    return k_nearest(to=points, points=points, own=torch.arange(len(points))).distance[:, 0]


def _share(mask: Tensor) -> float:
    return mask.double().mean().item()
