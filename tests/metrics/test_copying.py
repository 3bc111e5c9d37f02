"""Whether fakes are copies: C_T and authenticity."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.cluster import KMeans

from zerosum import streams
from zerosum.metrics.copying import authenticity, data_copying, rank_score


def normal(count, width, seed):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clusters(count, seed, width=4):
    """Three round clusters far apart, the first with half of the points."""
    centres = 20 * torch.eye(3, width, dtype=torch.float64)
    return normal(count, width, seed) + centres[torch.tensor([0, 0, 1, 2])[torch.arange(count) % 4]]


# ---- the z-score ----


def test_a_literal_score():
    """3 and 4 against 1, 2 and 3: five pairs larger, one equal; U = 5.5, its mean 3 less a half, variance 2*3*6/12."""
    found = rank_score(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0, 3.0]))
    assert found == pytest.approx((5.5 - 2.5) / math.sqrt(3))


values = st.lists(st.integers(0, 9), min_size=1, max_size=30)


@settings(deadline=None, max_examples=60)
@given(values, values)
def test_the_score_is_scipys_u(a, b):
    found = rank_score(torch.tensor(a).double(), torch.tensor(b).double())
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    assert u == stats.mannwhitneyu(a, b, alternative="less").statistic
    n, m = len(a), len(b)
    deviation = math.sqrt(n * m * (n + m + 1) / 12)
    assert found == pytest.approx((u - n * m / 2 + 0.5) / deviation)
    back = rank_score(torch.tensor(b).double(), torch.tensor(a).double())
    assert found + back == pytest.approx(1 / deviation)  # the half count on either side


def test_the_score_of_one_distribution_is_standard_normal():
    found = np.array([rank_score(normal(40, 1, 2 * s)[:, 0], normal(60, 1, 2 * s + 1)[:, 0]) for s in range(600)])
    assert abs(found.mean()) < 0.15
    assert found.std() == pytest.approx(1, abs=0.1)


# ---- C_T ----


def by_hand(train, held_out, fake, cells, seed=0):
    """The definition with scikit-learn's cells and whole matrices of distances."""
    state = streams.seed_of(seed, "data copying") % 2**32
    means = KMeans(cells, n_init=10, random_state=state).fit(train.numpy())
    labels = [means.predict(side.numpy()) for side in (train, held_out, fake)]
    total = weight = 0
    for cell in range(cells):
        t, p, q = (side[torch.from_numpy(label == cell)] for side, label in
                   zip((train, held_out, fake), labels, strict=True))  # fmt: skip
        if len(q) <= 20:
            continue
        to_train = [torch.cdist(side, t).min(dim=1).values.numpy() for side in (q, p)]
        u = stats.mannwhitneyu(*to_train, alternative="less").statistic
        n, m = len(q), len(p)
        total += m * (u - n * m / 2 + 0.5) / math.sqrt(n * m * (n + m + 1) / 12)
        weight += m
    return total / weight, weight / len(held_out)


@pytest.mark.parametrize("cells", [1, 3])
@pytest.mark.parametrize("spread", [0.2, 1.0, 2.0])
def test_equal_to_the_definition(cells, spread):
    train, held_out, fake = clusters(200, 0), clusters(120, 1), clusters(160, 2)
    fake = fake + (spread - 1) * (fake - fake.round(decimals=-1))
    found = data_copying(train=train, held_out=held_out, fake=fake, cells=cells)
    assert found == pytest.approx(by_hand(train, held_out, fake, cells), rel=1e-9)


def test_only_training_points_of_the_same_cell_are_near():
    """One round cloud is cut through its middle: there the nearest training point is often in another cell."""
    train, held_out, fake = normal(80, 2, 0), normal(200, 2, 1), 0.5 * normal(200, 2, 2)
    found = data_copying(train=train, held_out=held_out, fake=fake)
    assert found == pytest.approx(by_hand(train, held_out, fake, 3), rel=1e-9)


def test_copies_new_pictures_and_strangers():
    train, held_out = clusters(400, 0), clusters(300, 1)
    copies = train[torch.arange(300)] + 0.01 * normal(300, 4, 3)
    assert data_copying(train=train, held_out=held_out, fake=copies).score < -8
    assert abs(data_copying(train=train, held_out=held_out, fake=clusters(300, 5)).score) < 3
    strange = clusters(300, 6) + 3 * normal(300, 4, 7)
    assert data_copying(train=train, held_out=held_out, fake=strange).score > 8
    assert data_copying(train=train, held_out=held_out, fake=copies).used == 1


def test_its_weakness():
    """Half copies and half strangers look new: the reason why the docstring says so."""
    train, held_out = clusters(400, 0), clusters(300, 1)
    half = torch.cat([train[:150], clusters(150, 6) + 5 * normal(150, 4, 7)])
    assert abs(data_copying(train=train, held_out=held_out, fake=half).score) < 3
    assert data_copying(train=train, held_out=held_out, fake=train[:150]).score < -8


def test_cells_with_few_fakes_are_left_out_and_said_so():
    train, held_out = clusters(400, 0), clusters(200, 1)
    first = torch.arange(400) % 4 < 2
    only = train[first][:100]
    found = data_copying(train=train, held_out=held_out, fake=only)
    assert found.used == 0.5
    assert found.score < -8
    few = torch.cat([only, train[~first][:20]])  # ten in each of the others
    assert data_copying(train=train, held_out=held_out, fake=few).used == 0.5


@pytest.mark.parametrize("more", [20, 21])
def test_more_than_twenty_fakes_are_enough(more):
    train, held_out = clusters(400, 0), clusters(200, 1)
    place = torch.arange(400) % 4
    fake = torch.cat([train[place < 2][:100], train[place == 2][:more]])
    assert data_copying(train=train, held_out=held_out, fake=fake).used == (0.75 if more > 20 else 0.5)


def test_wide_features_are_projected_on_the_axes_of_the_training_set():
    """Noise in the directions of least variance must not count; the principal ones are kept."""
    turn = torch.linalg.qr(normal(30, 30, 9)).Q
    scale = torch.tensor([5.0] * 4 + [0.01] * 26, dtype=torch.float64)
    train, held_out, fake = ((normal(count, 30, seed) * scale) @ turn + 3 for count, seed in
                             ((200, 0), (150, 1), (150, 2)))  # fmt: skip
    fake[:, :] = train[:150] + (0.5 * normal(150, 30, 4) * (scale < 1)) @ turn
    near = data_copying(train=train, held_out=held_out, fake=fake, cells=2, components=4)
    far = data_copying(train=train, held_out=held_out, fake=fake, cells=2)
    assert near.score < -8
    assert far.score > near.score + 5


def test_the_order_of_the_points_does_not_matter():
    train, held_out, fake = clusters(200, 0), clusters(120, 1), clusters(160, 2)
    found = data_copying(train=train, held_out=held_out, fake=fake)
    again = data_copying(train=train, held_out=held_out.flip(0), fake=fake.roll(7, 0))
    assert again == pytest.approx(found)
    single = data_copying(train=train.float(), held_out=held_out.float(), fake=fake.float())
    assert single.score == pytest.approx(found.score, abs=0.01)


def test_what_cannot_be_judged():
    train, held_out, fake = clusters(200, 0), clusters(120, 1), clusters(160, 2)
    given = {"train": train, "held_out": held_out, "fake": fake}
    for changes, text in (
        ({"fake": fake[:9]}, "none of the 3 cells has more than 20 of the 9 fakes"),
        ({"held_out": held_out[torch.arange(120) % 4 < 2]}, "and 0 held-out points: take fewer cells"),
        ({"held_out": normal(10, 5, 0)}, r"held_out \(10, 5\)"),
        ({"train": train[:2]}, "train has 2 points; at least 3"),
        ({"cells": 0}, "cells=0"),
        ({"components": 0}, "components=0"),
        ({"fake": fake * math.nan}, "160 of the 160 fake points"),
    ):
        with pytest.raises(ValueError, match=text):
            data_copying(**{**given, **changes})


# ---- authenticity ----


def authenticity_by_loops(train, fake):
    train, fake = train.tolist(), fake.tolist()
    authentic = 0
    for g in fake:
        nearest = min(range(len(train)), key=lambda i: math.dist(g, train[i]))
        others = [math.dist(train[nearest], other) for i, other in enumerate(train) if i != nearest]
        authentic += math.dist(g, train[nearest]) > min(others)
    return authentic / len(fake)


def test_a_literal_share():
    """The nearest of 0.9 is 0, whose nearest other is 1 away; that of 8.5 is 10, seven away from 3."""
    train = torch.tensor([[0.0], [-1.0], [3.0], [10.0]])
    assert authenticity(train=train, fake=torch.tensor([[0.9]])) == 0
    assert authenticity(train=train, fake=torch.tensor([[1.2]])) == 1
    assert authenticity(train=train, fake=torch.tensor([[1.0]])) == 0  # as far is not farther
    assert authenticity(train=train, fake=torch.tensor([[0.9], [1.2], [8.5], [99.0]])) == 0.5


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(2, 30), m=st.integers(1, 30), width=st.integers(1, 5), seed=st.integers(0, 2**30), twins=st.booleans()
)
def test_authenticity_by_loops(n, m, width, seed, twins):
    train, fake = normal(n, width, seed), 1.2 * normal(m, width, seed + 1)
    fake[: m // 3] = train[torch.arange(m // 3) % n]
    if twins:
        train = train[torch.arange(n) % (n - n // 2)]
    assert authenticity(train=train, fake=fake) == pytest.approx(authenticity_by_loops(train, fake))
    assert authenticity(train=train.flip(0), fake=fake.flip(0)) == pytest.approx(authenticity_by_loops(train, fake))


def test_copies_are_not_authentic_and_strangers_are():
    train = normal(200, 6, 0)
    assert authenticity(train=train, fake=train) == 0
    assert authenticity(train=train, fake=train[:50] + 1e-3 * normal(50, 6, 1)) == 0
    assert authenticity(train=train, fake=100 * normal(50, 6, 1)) == 1
    assert 0.4 < authenticity(train=train, fake=normal(200, 6, 2)) < 0.95


def test_what_cannot_be_authentic():
    x = normal(10, 3, 0)
    with pytest.raises(ValueError, match="train has 1 points; at least 2"):
        authenticity(train=x[:1], fake=x)
    with pytest.raises(ValueError, match="fake has 0 points"):
        authenticity(train=x, fake=x[:0])
    with pytest.raises(ValueError, match=r"train \(10, 3\) and fake \(10, 4\)"):
        authenticity(train=x, fake=normal(10, 4, 0))
    with pytest.raises(TypeError):
        authenticity(x, x)
