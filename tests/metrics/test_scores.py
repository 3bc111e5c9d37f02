"""Scores from a classifier's words and from known modes: closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from zerosum.metrics.scores import (
    Labelled,
    classification_accuracy_score,
    inception_score,
    inception_score_of_logits,
    mixture_quality,
    modes,
)


def rows(count, classes, seed, sharpness=3.0):
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(count, classes, generator=generator, dtype=torch.float64)).softmax(dim=1)


# ---- Inception score ----


@pytest.mark.parametrize("classes", [2, 10, 1008])
def test_certain_and_balanced_gives_the_number_of_classes(classes):
    p = torch.eye(classes).repeat(10, 1)
    assert inception_score(p) == pytest.approx((classes, 0), rel=1e-9, abs=1e-9)
    assert inception_score_of_logits(1e4 * p) == pytest.approx((classes, 0), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("row", [[0.25] * 4, [1.0, 0, 0, 0], [0.7, 0.1, 0.1, 0.1]])
def test_the_same_word_for_everything_gives_one(row):
    p = torch.tensor([row], dtype=torch.float64).expand(50, -1)
    assert inception_score(p) == pytest.approx((1, 0), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(count=st.integers(4, 60), classes=st.integers(1, 7), splits=st.integers(1, 4), seed=st.integers(0, 2**30))
def test_equal_to_loops(count, classes, splits, seed):
    p = rows(count, classes, seed)
    values = []
    for part in range(splits):
        chosen = p[part * count // splits : (part + 1) * count // splits].numpy()
        values.append(math.exp(np.mean([stats.entropy(row, chosen.mean(0)) for row in chosen])))
    found = inception_score(p, splits)
    assert found == pytest.approx((np.mean(values), np.std(values)), rel=1e-9, abs=1e-9)
    assert 1 - 1e-9 <= found.value <= classes + 1e-9
    assert inception_score_of_logits(p.log() + 7, splits) == pytest.approx(found, rel=1e-9, abs=1e-9)
    whole = inception_score(p, 1)
    assert inception_score(p.flip(0), 1) == pytest.approx(whole, rel=1e-9)
    assert whole.deviation == 0


def test_splits_are_consecutive():
    p = torch.cat([torch.eye(2).repeat(5, 1), torch.tensor([[1.0, 0.0]]).repeat(10, 1)])
    assert inception_score(p, 2) == pytest.approx((1.5, 0.5))
    assert inception_score(p, 1).value < 2


def test_probabilities_that_are_none():
    p = rows(10, 3, 0)
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(2 * p)
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(torch.tensor([[1.5, -0.5]] * 10))
    with pytest.raises(ValueError, match="3 rows cannot be cut into 10 splits"):
        inception_score(p[:3])
    with pytest.raises(ValueError, match="3 rows cannot be cut into 0 splits"):
        inception_score_of_logits(p[:3], 0)
    for function in (inception_score, inception_score_of_logits):
        with pytest.raises(ValueError, match="not finite"):
            function(p * torch.nan)


# ---- modes ----


def test_literal_modes():
    found = modes(torch.tensor([0, 0, 2, 2]), 4)
    assert found == pytest.approx((2, math.log(2)))
    assert modes(torch.arange(1000), 1000) == (1000, 0)
    assert modes(torch.full((9,), 3), 1000) == pytest.approx((1, math.log(1000)))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(10, 14))
def test_the_divergence_is_scipys(labels, count):
    shares = np.bincount(labels, minlength=count) / len(labels)
    wanted = len(set(labels)), stats.entropy(shares, np.full(count, 1 / count))
    assert modes(torch.tensor(labels), count) == pytest.approx(wanted, abs=1e-12)
    assert modes(torch.tensor(sorted(labels)), count) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("draws", "floor"), [(26_000, 0.0192), (25_600, 0.0195)])
def test_the_floor_of_a_perfect_sampler(draws, floor):
    """(count - 1) / (2 N) nats for 1,000 modes; and none is missing."""
    generator = torch.Generator().manual_seed(0)
    found = [modes(torch.randint(1000, (draws,), generator=generator), 1000) for _ in range(40)]
    assert {each.covered for each in found} == {1000}
    mean = sum(each.divergence for each in found) / 40
    assert mean == pytest.approx(999 / (2 * draws), rel=0.04)
    assert mean == pytest.approx(floor, rel=0.04)


def test_shares_that_are_not_uniform():
    """KL(samples || shares): 0 where they are the data's own, minus the log of its share where one is hit alone."""
    shares = torch.tensor([0.5, 0.25, 0.25, 0.0])
    assert modes(torch.tensor([0, 0, 1, 2]), 4, shares) == pytest.approx((3, 0), abs=1e-12)
    assert modes(torch.tensor([1, 1, 1]), 4, shares) == pytest.approx((1, math.log(4)))
    own = [0.25, 0.5, 0.25]
    found = modes(torch.tensor([0, 1, 1, 2]), 4, shares)
    assert found.divergence == pytest.approx(stats.entropy(own, [0.5, 0.25, 0.25]))
    assert modes(torch.tensor([0, 1]), 2, torch.tensor([0.5, 0.5])) == modes(torch.tensor([0, 1]), 2)
    with pytest.raises(ValueError, match="samples of mode 3, whose share is 0"):
        modes(torch.tensor([0, 3]), 4, shares)
    for wrong in (shares[:3], shares * 2, torch.tensor([1.5, -0.5, 0.0, 0.0]), shares * torch.nan):
        with pytest.raises(ValueError, match="as many numbers that sum to 1"):
            modes(torch.tensor([0]), 4, wrong)


def test_labels_that_are_none():
    with pytest.raises(ValueError, match=r"lie in 0 to 9, not 3 to 10"):
        modes(torch.tensor([3, 10]), 10)
    with pytest.raises(ValueError, match=r"not -1 to 3"):
        modes(torch.tensor([3, -1]), 10)
    with pytest.raises(ValueError, match="must be integers"):
        modes(torch.tensor([]), 10)
    with pytest.raises(ValueError, match="must be integers"):
        modes(torch.tensor([1.0]), 10)
    with pytest.raises(ValueError, match="must be integers"):
        modes(torch.tensor([[1]]), 10)


# ---- mixtures ----


def grid():
    return torch.tensor(list(itertools.product((-4.0, -2.0, 0.0, 2.0, 4.0), repeat=2)))


def test_a_perfect_mixture_of_25():
    """1 - exp(-9/2) of a round Gaussian in the plane lies within 3 deviations; the divergence has its floor 24 / 2N."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(25, (100_000,), generator=generator)
    points = grid()[chosen] + 0.05 * torch.randn(100_000, 2, generator=generator)
    found = mixture_quality(points, grid(), 0.05)
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.001)
    assert found.high_quality == pytest.approx(0.9889, abs=0.001)
    assert found.covered == 25
    assert found.divergence == pytest.approx(24 / 200_000, rel=0.8)


def test_a_literal_mixture():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], dtype=torch.float64)
    # on the edge, just outside, in the middle, and nearest to the second without being good
    points = torch.tensor([[0.0, 1.5], [0.0, -1.5001], [0.0, 0.0], [7.0, 0.0]], dtype=torch.float64)
    found = mixture_quality(points, centres, 0.5)
    assert found.high_quality == 0.5
    assert found.covered == 1
    assert found.divergence == pytest.approx(0.75 * math.log(2.25) + 0.25 * math.log(0.75))


def test_shrunken_modes_are_not_worse_and_lost_ones_are_seen():
    found = mixture_quality(grid()[:7].repeat(10, 1), grid(), 0.05)
    assert found == pytest.approx((1, 7, math.log(25 / 7)))


def test_mixtures_that_cannot_be_measured():
    with pytest.raises(ValueError, match="same width"):
        mixture_quality(torch.rand(5, 3), grid(), 0.05)
    with pytest.raises(ValueError, match="deviation=0"):
        mixture_quality(torch.rand(5, 2), grid(), 0)
    with pytest.raises(ValueError, match="0 points"):
        mixture_quality(torch.rand(0, 2), grid(), 1)
    with pytest.raises(ValueError, match="2 of the 2"):
        mixture_quality(torch.full((2, 2), torch.inf), grid(), 1)


# ---- classification accuracy ----


def bars(count, seed, size=10):
    """Pictures of two classes: a horizontal or a vertical bar, in noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 1, size, size, generator=generator) * 0.5
    labels = torch.arange(count) % 2
    places = torch.randint(1, size - 1, (count,), generator=generator)
    for index, (label, place) in enumerate(zip(labels.tolist(), places.tolist(), strict=True)):
        x[index, :, place if label else slice(None), slice(None) if label else place] = 0.9
    return Labelled(x, labels)


def test_good_pictures_teach_and_wrong_labels_mislead():
    train, test = bars(128, 0), bars(100, 1)
    good = classification_accuracy_score(train_on=train, test_on=test, classes=2)
    assert good.value > 0.95
    assert 0.9 < good.worst <= good.value
    swapped = Labelled(train.pictures, 1 - train.labels)
    bad = classification_accuracy_score(train_on=swapped, test_on=test, classes=2)
    assert bad.value == pytest.approx(1 - good.value, abs=0.05)


def test_a_class_that_is_never_made_is_never_named():
    """Tested on the real pictures: were it tested on the generated ones, all would be right."""
    train, test = bars(128, 0), bars(90, 1)
    only = Labelled(train.pictures[train.labels == 0], train.labels[train.labels == 0])
    assert classification_accuracy_score(train_on=only, test_on=test, classes=2) == (0.5, 0)
    assert classification_accuracy_score(train_on=train, test_on=only, classes=2).worst > 0.95


def test_pictures_that_cannot_be_classified():
    good = bars(10, 0)
    for wrong, text in (
        (Labelled(good.pictures[:0], good.labels[:0]), "must be pictures"),
        (Labelled(good.pictures, good.labels[:9]), "must be pictures"),
        (Labelled(good.pictures[0], good.labels), "must be pictures"),
        (Labelled(255 * good.pictures, good.labels), r"\[0, 1\]"),
        (Labelled(good.pictures.byte(), good.labels), "torch.uint8"),
        (Labelled(good.pictures * torch.nan, good.labels), "nan"),
        (Labelled(good.pictures, good.labels + 1), "labels 1 to 2; they must be 0 to 1"),
    ):
        with pytest.raises(ValueError, match=text):
            classification_accuracy_score(train_on=wrong, test_on=good, classes=2)
        with pytest.raises(ValueError, match=text):
            classification_accuracy_score(train_on=good, test_on=wrong, classes=2)
    with pytest.raises(ValueError, match=r"one shape, not \(1, 10, 10\) and \(1, 12, 12\)"):
        classification_accuracy_score(train_on=good, test_on=bars(4, 0, 12), classes=2)
