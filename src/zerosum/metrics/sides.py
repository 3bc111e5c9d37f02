"""What the protocols compute from what was seen of either side, and what they put beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum import streams
from zerosum.data.pixels import to_float
from zerosum.metrics.copying import authenticity, data_copying
from zerosum.metrics.diversity import PairDistance, class_diversity, lpips_diversity, ms_ssim_diversity
from zerosum.metrics.frechet import class_frechet_distance, frechet_between
from zerosum.metrics.kernels import kernel_distance, maximum_mean_discrepancy
from zerosum.metrics.looking import Looked
from zerosum.metrics.neighbours import neighbour_measures
from zerosum.metrics.paths import EPSILON, path_length_of
from zerosum.metrics.samples import SEED
from zerosum.metrics.scores import Labelled, classification_accuracy_score, inception_score_of_logits, modes
from zerosum.metrics.wasserstein import sliced_wasserstein

PAIRS = 1000


class Sides(NamedTuple):
    """What a protocol compares.

    Attributes:
        other: of the part of the real pictures that ``real`` is not, where it is wanted.
        classes: of the real pictures.
        shares: of the classes among the training pictures, (classes,), where there are labels.
        distance: of pictures in [-1, 1], where the protocol looks at pairs.
    """

    real: Looked
    fake: Looked
    other: Looked | None = None
    classes: int = 0
    shares: Tensor | None = None
    distance: PairDistance | None = None


Values = dict[str, float]
Compute = Callable[[Sides], Values]


def frechet(sides: Sides) -> Values:
    return {"frechet": frechet_between(sides.real.gaussian(), sides.fake.gaussian())}


def spatial(sides: Sides) -> Values:
    return {"frechet": frechet_between(sides.real.gaussian("spatial"), sides.fake.gaussian("spatial"))}


def kernel(sides: Sides) -> Values:
    return {"kernel": kernel_distance(real=sides.real.features(), fake=sides.fake.features()).value}


def cmmd(sides: Sides) -> Values:
    return {"mmd": maximum_mean_discrepancy(real=sides.real.features(), fake=sides.fake.features())}


def inception_score(sides: Sides) -> Values:
    return {"inception_score": inception_score_of_logits(_mixed(sides.fake.logits())).value}


def precision(sides: Sides) -> Values:
    found = neighbour_measures(real=sides.real.features(), fake=sides.fake.features(), k=3)
    return {"precision": found.precision, "recall": found.recall}


def coverage(sides: Sides) -> Values:
    found = neighbour_measures(real=sides.real.features(), fake=sides.fake.features(), k=5)
    return {"density": found.density, "coverage": found.coverage}


def four(sides: Sides) -> Values:
    return neighbour_measures(real=sides.real.features(), fake=sides.fake.features(), k=5)._asdict()


def wasserstein(sides: Sides) -> Values:
    return {"sliced_wasserstein": sliced_wasserstein(real=sides.real.pixels(), fake=sides.fake.pixels()).mean}


def copying(sides: Sides) -> Values:
    assert sides.other is not None
    train, held_out, fake = sides.real.features(), sides.other.features(), sides.fake.features()
    return {
        "copying": data_copying(train=train, held_out=held_out, fake=fake).score,
        "authenticity": authenticity(train=train, fake=fake),
    }


def class_frechet(sides: Sides) -> Values:
    found = class_frechet_distance(
        real=sides.real.features(),
        fake=sides.fake.features(),
        real_labels=sides.real.labels(),
        fake_labels=sides.fake.labels(),
    )
    return {"class_frechet": found.value}


def stacked_modes(sides: Sides) -> Values:
    found = modes(sides.fake.names(), sides.fake.classes)
    return {"modes": float(found.covered), "mode_divergence": found.divergence}


def classes_hit(sides: Sides) -> Values:
    found = modes(sides.fake.names(), sides.fake.classes, sides.shares)
    return {"modes": float(found.covered), "mode_divergence": found.divergence}


def perfect_modes(sides: Sides) -> Values:
    """All modes, and the divergence that so many samples of the right distribution get on average."""
    count = sides.fake.classes
    return {"modes": float(count), "mode_divergence": (count - 1) / (2 * sides.fake.count)}


def similarity(sides: Sides) -> Values:
    return {"ms_ssim": ms_ssim_diversity(sides.fake.pixels(), pairs=PAIRS)}


def real_similarity(sides: Sides) -> Values:
    return {"ms_ssim": ms_ssim_diversity(sides.real.pixels(), pairs=PAIRS)}


def perceptual(sides: Sides) -> Values:
    return {"lpips": lpips_diversity(sides.fake.pixels(), _of_pixels(sides), pairs=PAIRS)}


def real_perceptual(sides: Sides) -> Values:
    return {"lpips": lpips_diversity(sides.real.pixels(), _of_pixels(sides), pairs=PAIRS)}


def class_perceptual(sides: Sides) -> Values:
    return {"class_lpips": _within_classes(sides.fake, sides)}


def real_class_perceptual(sides: Sides) -> Values:
    return {"class_lpips": _within_classes(sides.real, sides)}


def path_length(sides: Sides) -> Values:
    return {"path_length": path_length_of(sides.fake.distances(), EPSILON)}


def accuracy(sides: Sides) -> Values:
    return _accuracy(sides.fake, sides)


def real_accuracy(sides: Sides) -> Values:
    assert sides.other is not None
    return _accuracy(sides.other, sides)


def _accuracy(train: Looked, sides: Sides) -> Values:
    """Of a classifier that saw ``train`` alone, on the real pictures."""
    found = classification_accuracy_score(
        train_on=Labelled(train.views(), train.labels()),
        test_on=Labelled(sides.real.views(), sides.real.labels()),
        classes=sides.classes,
    )
    return {"accuracy": found.value, "worst_accuracy": found.worst}


def _within_classes(looked: Looked, sides: Sides) -> float:
    return class_diversity(looked.pixels(), looked.labels(), _of_pixels(sides), pairs=PAIRS)


def _of_pixels(sides: Sides) -> PairDistance:
    distance = sides.distance
    assert distance is not None
    return lambda a, b: distance(to_float(a), to_float(b))


def _mixed(rows: Tensor) -> Tensor:
    """Rows in an order that is not that of the pictures, which may be sorted by class."""
    return rows[torch.from_numpy(streams.permutation(SEED, "rows", 0, len(rows)).copy())]


def shares_of(labels: Tensor, classes: int) -> Tensor:
    """The share of each class, (classes,) float64."""
    return labels.bincount(minlength=classes).double() / len(labels)
