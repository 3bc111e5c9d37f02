"""Scores from what a classifier says, and from points whose modes are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum.metrics.checks import check_features
from zerosum.metrics.classifier import train_classifier

_SUM = 1e-3  # by how much a row of probabilities may miss 1


class InceptionScore(NamedTuple):
    """Mean and standard deviation over the splits."""

    value: float
    deviation: float


class Modes(NamedTuple):
    """How many modes have at least one sample, and the divergence of their shares from the wanted ones, in nats."""

    covered: int
    divergence: float


class Mixture(NamedTuple):
    """Share of high-quality points, modes with at least one, and the divergence of the modes' shares from uniform."""

    high_quality: float
    covered: int
    divergence: float


class Labelled(NamedTuple):
    """Pictures (N, C, H, W), float in [0, 1], and their labels (N,) int64."""

    pictures: Tensor
    labels: Tensor


class Accuracy(NamedTuple):
    """Share of the test pictures that are named right, and that share in the worst class."""

    value: float
    worst: float


def inception_score(probabilities: Tensor, splits: int = 10) -> InceptionScore:
    """exp of the mean KL(p(y|x) || p(y)) (Salimans et al. 2016, section 4), over consecutive parts of equal size.

    ``probabilities`` (N, classes) in any order that is not sorted by class; the published protocol has 50,000 rows and
    10 splits of TensorFlow's Inception without the last layer's bias. 1 for a constant, ``classes`` at most.

    Raises:
        ValueError: fewer rows than splits, negative entries, rows that do not sum to 1, or numbers that are not finite.
    """
    check_features(probabilities, "class probability", 1)
    _check_splits(len(probabilities), splits)
    low = probabilities.min().item()
    off = max((part.double().sum(dim=1) - 1).abs().max().item() for part in probabilities.split(4096))
    if low < 0 or off > _SUM:
        raise ValueError(
            f"rows of probabilities sum to 1 and are not negative: the least is {low}, a sum is off by {off}"
        )
    return _splits(probabilities[part].double() for part in _parts(len(probabilities), splits))


def inception_score_of_logits(logits: Tensor, splits: int = 10) -> InceptionScore:
    """The same from scores before the softmax, (N, classes).

    Raises:
        ValueError: fewer rows than splits, or numbers that are not finite.
    """
    check_features(logits, "logit", 1)
    _check_splits(len(logits), splits)
    return _splits(logits[part].double().softmax(dim=1) for part in _parts(len(logits), splits))


def modes(labels: Tensor, count: int, shares: Tensor | None = None) -> Modes:
    """Modes hit and KL(samples || uniform) of labels (N,) in [0, ``count``), as for Stacked MNIST (Lin et al. 2018).

    With ``shares`` (count,), which sum to 1, the divergence is from them. A perfect sampler does not reach 0: with N
    samples it gets about (count - 1) / (2 N), .0192 for the usual 26,000 of 1,000 modes.

    Raises:
        ValueError: no labels, not integers, or outside [0, count); shares that are none, or samples of a mode whose
            share is 0.
    """
    if labels.ndim != 1 or len(labels) == 0 or labels.is_floating_point():
        raise ValueError(f"labels must be integers of shape (samples,), not {tuple(labels.shape)} {labels.dtype}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= count:
        raise ValueError(f"labels of {count} modes lie in 0 to {count - 1}, not {low} to {high}")
    counts = labels.long().bincount(minlength=count)
    own = counts.double() / len(labels)
    wanted = torch.full_like(own, 1 / count) if shares is None else shares.double()
    if wanted.shape != (count,) or not (wanted >= 0).all() or abs(wanted.sum().item() - 1) > _SUM:
        raise ValueError(f"the shares of {count} modes must be as many numbers that sum to 1, not {shares}")
    hit = counts > 0
    if (wanted[hit] == 0).any():
        raise ValueError(f"there are samples of mode {int((hit & (wanted == 0)).int().argmax())}, whose share is 0")
    divergence = torch.xlogy(own[hit], own[hit] / wanted[hit]).sum().item()
    return Modes(int((counts > 0).sum()), max(divergence, 0.0))


def mixture_quality(points: Tensor, centres: Tensor, deviation: float) -> Mixture:
    """Quality and coverage of points (N, d) of a mixture of round Gaussians (Srivastava et al. 2017; Lin et al. 2018).

    A point is of high quality within 3 ``deviation`` of its nearest centre of (modes, d); a mode is covered if a
    high-quality point is nearest to it. The divergence counts all points at their nearest centres. A perfect 2-D
    mixture has .9889 of high quality, not 1: more says that the modes shrank.

    Raises:
        ValueError: no points, no centres, different widths, ``deviation`` <= 0, or numbers that are not finite.
    """
    check_features(points, "the", 1)
    check_features(centres, "the centres'", 1)
    if points.shape[1] != centres.shape[1] or deviation <= 0:
        raise ValueError(
            f"points {tuple(points.shape)} and centres {tuple(centres.shape)} must have the same width, "
            f"and deviation={deviation} must be above 0"
        )
    distances, places = zip(*(_nearest_centre(part, centres) for part in points.split(4096)), strict=True)
    distance, mode = torch.cat(distances), torch.cat(places)
    good = distance <= 3 * deviation
    covered = len(mode[good].unique())
    return Mixture(good.double().mean().item(), covered, modes(mode, len(centres)).divergence)


def classification_accuracy_score(*, train_on: Labelled, test_on: Labelled, classes: int) -> Accuracy:
    """How well a classifier that saw only ``train_on`` (generated) names ``test_on`` (real, held out).

    After Ravuri and Vinyals 2019, with this package's small classifier (``zerosum.metrics.classifier``, at most 1,000
    steps) and not their ResNet-50: compare only with values of the same classifier, the one for real ``train_on`` first
    of all. Deterministic.

    Raises:
        ValueError: no pictures, other shapes, pictures that are not floats in [0, 1], or labels outside [0, classes).
    """
    for name, (pictures, labels) in (("train_on", train_on), ("test_on", test_on)):
        if pictures.ndim != 4 or len(pictures) == 0 or labels.shape != pictures.shape[:1]:
            raise ValueError(
                f"{name} must be pictures (N, C, H, W) with labels (N,), not {tuple(pictures.shape)} and "
                f"{tuple(labels.shape)}"
            )
        if not pictures.is_floating_point() or not 0 <= pictures.min() <= pictures.max() <= 1:
            given = f"{pictures.dtype} from {pictures.min()} to {pictures.max()}"
            raise ValueError(f"the pictures of {name} must be floats in [0, 1], not {given}")
        if labels.is_floating_point() or labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"{name} has labels {labels.min()} to {labels.max()}; they must be 0 to {classes - 1}")
    if train_on.pictures.shape[1:] != test_on.pictures.shape[1:]:
        shapes = f"{tuple(train_on.pictures.shape[1:])} and {tuple(test_on.pictures.shape[1:])}"
        raise ValueError(f"train_on and test_on must have pictures of one shape, not {shapes}")
    classifier = train_classifier(train_on.pictures, train_on.labels.long(), classes)
    assert classifier is not None, "without a deadline there is always a classifier"
    right = classifier.judge(test_on.pictures).probabilities.argmax(dim=1) == test_on.labels
    per_class = [right[test_on.labels == c].double().mean().item() for c in test_on.labels.unique().tolist()]
    return Accuracy(right.double().mean().item(), min(per_class))


def _nearest_centre(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) and place (N,); differences, no products, so that 3 deviations are 3 deviations."""
    distances = torch.cdist(points.double(), centres.double(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.min(dim=1)
    return nearest.values, nearest.indices


def _check_splits(count: int, splits: int) -> None:
    if splits < 1 or count < splits:
        raise ValueError(f"{count} rows cannot be cut into {splits} splits")


def _parts(count: int, splits: int) -> list[slice]:
    """``splits`` consecutive parts; where they are not equal they differ by one."""
    edges = [part * count // splits for part in range(splits + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


def _splits(parts: Iterable[Tensor]) -> InceptionScore:
    values = torch.tensor([_score(part) for part in parts], dtype=torch.float64)
    return InceptionScore(values.mean().item(), values.std(correction=0).item())


def _score(p: Tensor) -> float:
    """exp of the mean over rows of sum p log(p / mean p)."""
    mean = p.mean(dim=0)
    return math.exp((torch.xlogy(p, p).sum() / len(p) - torch.xlogy(mean, mean).sum()).item())
