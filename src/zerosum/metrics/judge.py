"""The judgement at the end of a run: are the samples as good as held-out real pictures, and are they new?

Every number stands beside the value that real training pictures get against the same held-out pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zerosum import streams
from zerosum.data.prepare import Pictures
from zerosum.data.source import Bytes
from zerosum.metrics.classifier import Classifier, train_classifier
from zerosum.metrics.distances import Coverage, nearest, neighbour_measures

K = 5
CONFIDENT = 0.9
NEAR_COPY = 0.5  # nearer to a training picture than this share of the held-out pictures' median distance
_LARGEST_VIEW = 32
_MOST = 1000
_MOST_CLASSIFIED = 10_000
_SEED = 20140610


class Figure(NamedTuple):
    """One number of the judgement: ``value`` for the samples, ``real`` for real training pictures in their place."""

    metric: str
    value: float
    real: float | None
    protocol: str


@dataclass(frozen=True)
class Judge:
    """Knows the real pictures; ``measure`` compares samples with them.

    The pictures are looked at in the ``view``: brought back to the source's own size (at most 32 pixels a side, by
    Pillow's box filter), as floats in [0, 1].
    """

    name: str
    train: Tensor
    held_out: Tensor
    size: int
    draws: int
    classifier: Classifier | None
    accuracy: float | None
    view: Callable[[Bytes], Tensor]

    @property
    def samples(self) -> int:
        """How many samples ``measure`` wants."""
        return self.size * self.draws

    def measure(self, samples: Bytes) -> list[Figure]:
        """Judge generated pictures: uint8 (``self.samples``, C, H, W) at the training size."""
        fake = self.view(samples)
        protocol = f"{self.name}-{self.size}x{self.draws}"
        figures = []
        if self.classifier is not None:
            figures += self._neighbours(f"{protocol}-classifier", fake, lambda x: self._classify(x)[0])
            probabilities, real = self._classify(fake)[1], self._classify(self.train[:_MOST_CLASSIFIED])[1]
            figures.append(
                Figure("confident", _confident(probabilities), _confident(real), f"{protocol}-classifier-p{CONFIDENT}")
            )
            shares, real_shares = (p.argmax(1).bincount(minlength=p.shape[1]) / len(p) for p in (probabilities, real))
            figures += [
                Figure(f"share.{index}", share.item(), real_share.item(), f"{protocol}-classifier")
                for index, (share, real_share) in enumerate(zip(shares, real_shares, strict=True))
            ]
        figures += self._neighbours(f"{protocol}-pixels", fake, lambda x: x.flatten(1))
        return figures + self._copies(f"{protocol}-pixels", fake)

    def _classify(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert self.classifier is not None
        return self.classifier.judge(x)

    def _neighbours(self, protocol: str, fake: Tensor, features: Callable[[Tensor], Tensor]) -> list[Figure]:
        """Mean over the draws of precision, recall, density and coverage against the held-out pictures."""
        real = features(self.held_out[: self.size])
        fakes = features(fake).split(self.size)
        trains = (features(self.train[chosen]) for chosen in self._train_draws())
        value = _mean([neighbour_measures(real=real, fake=part, k=K) for part in fakes])
        baseline = _mean([neighbour_measures(real=real, fake=part, k=K) for part in trains])
        return [
            Figure(name, a, b, f"{protocol}-k{K}") for name, a, b in zip(Coverage._fields, value, baseline, strict=True)
        ]

    def _train_draws(self) -> Iterator[Tensor]:
        for draw in range(self.draws):
            yield torch.from_numpy(streams.permutation(_SEED, "judge train", draw, len(self.train))[: self.size].copy())

    def _copies(self, protocol: str, fake: Tensor) -> list[Figure]:
        """Distance to the nearest training picture, in units of the held-out pictures' median, and near-copies."""
        train = self.train.flatten(1)
        unit = nearest(to=train, points=self.held_out.flatten(1))
        own = nearest(to=train, points=fake.flatten(1))
        scale = unit.median()
        return [
            Figure("nearest", (own.median() / scale).item(), 1.0, protocol),
            Figure("near_copies", _share(own < NEAR_COPY * scale), _share(unit < NEAR_COPY * scale), protocol),
        ]


def make_judge(pictures: Pictures, check: Callable[[], None] = lambda: None) -> Judge:
    """Build the judge of a data set; trains the classifier if there are labels (a few seconds).

    With under 100 pictures nothing is held out, and the training pictures stand in (the run says so). ``check`` is
    called often and may raise to stop.
    """
    width, height = pictures.source_size
    scale = min(1.0, _LARGEST_VIEW / max(width, height))
    target = (max(1, round(width * scale)), max(1, round(height * scale)))

    def view(pixels: Bytes) -> Tensor:
        small = np.stack([_resized(picture, target) for picture in pixels])
        return torch.from_numpy(small).float() / 255

    train_pixels, train_labels = pictures.part("train")
    held_pixels, held_labels = pictures.part("held-out")
    if len(held_pixels) == 0:
        held_pixels, held_labels = train_pixels, train_labels
    chosen = streams.permutation(_SEED, "judge held-out", 0, len(held_pixels))
    train, held_out = view(train_pixels), view(held_pixels[chosen])
    size = min(len(held_out), len(train), _MOST)
    classifier, accuracy = None, None
    if train_labels is not None and held_labels is not None and len(pictures.classes) > 1:
        classifier = train_classifier(train, torch.from_numpy(train_labels), len(pictures.classes), check)
        named = classifier.judge(held_out).probabilities.argmax(1)
        accuracy = _share(named == torch.from_numpy(held_labels[chosen]))
    draws = 20 if size <= 200 else 5
    return Judge(pictures.name, train, held_out, size, draws, classifier, accuracy, view)


def _resized(picture: Bytes, size: tuple[int, int]) -> Bytes:
    """(C, H, W) uint8 -> (C, h, w) uint8 by Pillow's box filter, channel by channel."""
    if picture.shape[1:] == (size[1], size[0]):
        return picture
    return np.stack([np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX)) for plane in picture])


def _mean(measures: list[Coverage]) -> Coverage:
    return Coverage(*(float(np.mean(column)) for column in zip(*measures, strict=True)))


def _confident(probabilities: Tensor) -> float:
    return _share(probabilities.max(dim=1).values > CONFIDENT)


def _share(mask: Tensor) -> float:
    return mask.double().mean().item()
