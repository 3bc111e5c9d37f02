"""Nearest neighbours in tiles of single precision: the answers of exact arithmetic, whatever the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from zerosum.metrics import neighbours
from zerosum.metrics.neighbours import k_nearest, neighbour_measures


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(neighbours, "_ROWS", 13)
    monkeypatch.setattr(neighbours, "_COLUMNS", 9)
    monkeypatch.setattr(neighbours, "_AT_ONCE", 50)


def normal(count, width, seed):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squares(a, b):
    """Squared distances by differences, in float64."""
    a, b = a.double().numpy(), b.double().numpy()
    return ((a[:, None] - b[None]) ** 2).sum(-1)


def by_numpy(real, fake, k):
    """The definitions on whole matrices of exact differences."""
    across = squares(real, fake)
    real_radius = np.sort(squares(real, real) + np.diag([np.inf] * len(real)), axis=1)[:, k - 1]
    fake_radius = np.sort(squares(fake, fake) + np.diag([np.inf] * len(fake)), axis=1)[:, k - 1]
    precision = (across <= real_radius[:, None]).any(0).mean()
    recall = (across <= fake_radius[None]).any(1).mean()
    density = (across < real_radius[:, None]).sum() / (k * len(fake))
    coverage = (across < real_radius[:, None]).any(1).mean()
    return precision, recall, density, coverage


@settings(deadline=None, max_examples=60)
@given(
    real=st.integers(7, 45),
    fake=st.integers(7, 45),
    width=st.integers(1, 9),
    k=st.integers(1, 6),
    seed=st.integers(0, 2**30),
    offset=st.sampled_from([0.0, 1e3, 1e6]),
    scale=st.sampled_from([1.0, 2.0**-60, 2.0**60]),
    rounded=st.booleans(),
)
def test_equal_to_exact_arithmetic(real, fake, width, k, seed, offset, scale, rounded):
    a, b = normal(real, width, seed), normal(fake, width, seed + 1) * 0.8 + 0.3
    b[: fake // 4] = a[torch.arange(fake // 4) % real]  # copies
    if rounded:
        a, b = a.round(), b.round()  # ties
    a, b = (a + offset) * scale, (b + offset) * scale
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_ROWS", 13)
        patch.setattr(neighbours, "_COLUMNS", 9)
        tiles = neighbour_measures(real=a, fake=b, k=k)
    assert tiles == pytest.approx(by_numpy(a, b, k), abs=1e-12)
    assert neighbour_measures(real=a, fake=b, k=k) == tiles


CASES = {
    "two far clusters": lambda a: a * 1e-4 + 1e4 * (torch.arange(len(a)) % 2)[:, None],
    "one far point": lambda a: torch.cat([a[:-1], a[-1:] + 1e7]),
    "one very far point": lambda a: torch.cat([a[:-1], a[-1:] + 1e15 * torch.eye(a.shape[1])[:1]]),
    "nearly one point": lambda a: 1 + a * 1e-9,
    "on a line": lambda a: a[:, :1].expand(-1, a.shape[1]),
    "wildly scaled": lambda a: a * 10.0 ** torch.linspace(-6, 6, a.shape[1]),
    "few different ones": lambda a: a[torch.arange(len(a)) % 7],
    "all the same": lambda a: a[:1].expand(len(a), -1),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_awkward_sets(name, dtype, small_tiles):
    make = CASES[name]
    a, b = make(normal(60, 6, 0)).to(dtype), make(normal(50, 6, 1)).to(dtype)
    plain = normal(40, 6, 2).to(dtype)
    for real, fake in ((a, b), (b, a), (a, a), (a, plain), (plain, a)):
        assert neighbour_measures(real=real, fake=fake, k=3) == pytest.approx(by_numpy(real, fake, 3), abs=1e-12)


@pytest.mark.parametrize("offset", [0.1, 1e5 + 0.1])
def test_sides_of_different_precision(offset, small_tiles):
    a, b = normal(60, 6, 0) + offset, (normal(50, 6, 1) + offset).float()
    for real, fake in ((a, b), (b, a), (b[:, :3].float(), a[:, :3]), (a - offset, (b.double() - offset).half())):
        assert neighbour_measures(real=real, fake=fake, k=3) == pytest.approx(by_numpy(real, fake, 3), abs=1e-12)


def test_single_precision_alone_would_be_wrong(small_tiles):
    """That the careful part is needed: without it, the same sets give other answers."""
    a, b = CASES["nearly one point"](normal(60, 6, 0)) + 1, CASES["nearly one point"](normal(50, 6, 1)) + 1
    careful = neighbour_measures(real=a, fake=b, k=3)
    assert careful == pytest.approx(by_numpy(a, b, 3), abs=1e-12)
    product = a.float() @ b.float().T
    careless = (a.float() ** 2).sum(1)[:, None] + (b.float() ** 2).sum(1) - 2 * product
    assert np.abs(careless.double().numpy() - squares(a, b)).max() > 0.5 * squares(a, b).max()


def test_equal_sets_have_their_closed_form():
    """Every ball holds its own point and k - 1 neighbours strictly, the k-th on its edge: density is 1, not more."""
    x = normal(80, 5, 0)
    for k in (1, 3, 5):
        assert neighbour_measures(real=x, fake=x, k=k) == (1, 1, 1, 1)


@pytest.mark.parametrize("k", [3, 5])
def test_one_distribution(k):
    found = [neighbour_measures(real=normal(1500, 4, 2 * n), fake=normal(1500, 4, 2 * n + 1), k=k) for n in range(3)]
    precision, recall, density, coverage = (sum(column) / 3 for column in zip(*found, strict=True))
    assert coverage == pytest.approx(1 - 2**-k, abs=0.01)
    assert density == pytest.approx(1, abs=0.05)
    assert min(precision, recall) > 0.93


def test_a_collapsed_generator_has_precision_and_no_recall(small_tiles):
    found = neighbour_measures(real=normal(300, 4, 0), fake=0.01 * normal(200, 4, 1), k=5)
    assert found.precision == 1
    assert found.recall == 0
    assert found.coverage < 0.2
    wide = neighbour_measures(real=0.01 * normal(300, 4, 0), fake=normal(200, 4, 1), k=5)
    assert wide.precision < 0.1
    assert wide.recall > 0.9


def test_equal_to_prdc():
    prdc = pytest.importorskip("prdc", reason="the reference implementation of density and coverage")
    for k in (3, 5):
        a, b = normal(300, 16, 0), 0.9 * normal(250, 16, 1) + 0.1
        wanted = prdc.compute_prdc(a.numpy(), b.numpy(), nearest_k=k)
        found = neighbour_measures(real=a, fake=b, k=k)
        assert found._asdict() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("width", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 2, 8])
def test_neighbours_are_scikit_learns(k, width, small_tiles):
    to, points = normal(70, width, 0), normal(30, width, 1)
    distance, index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(to.numpy()).kneighbors(points.numpy())
    found = k_nearest(to=to, points=points, k=k)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found.index, index)
    distance, index = NearestNeighbors(n_neighbors=k).fit(to.numpy()).kneighbors()  # without themselves
    own = k_nearest(to=to, points=to, k=k, own=torch.arange(70))
    np.testing.assert_allclose(own.distance, distance, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(own.index, index)


def test_only_the_named_place_is_left_out():
    to = torch.tensor([[0.0], [1.0], [0.0], [5.0]])
    found = k_nearest(to=to, points=to[[0, 1]], own=torch.tensor([0, 3]))
    assert found.distance.tolist() == [[0.0], [0.0]]  # a twin is not oneself; and 1 was not left out
    assert found.index.tolist() == [[2], [1]]
    assert found.distance.dtype == torch.float64


def test_distances_are_exact_in_single_precision():
    to = torch.rand(500, 784, generator=torch.Generator().manual_seed(0))
    found = k_nearest(to=to, points=to[100:150], k=2)
    assert found.distance[:, 0].tolist() == [0.0] * 50
    assert found.index[:, 0].tolist() == list(range(100, 150))
    wanted = np.sqrt(np.sort(squares(to[100:150], to), axis=1)[:, 1])
    np.testing.assert_allclose(found.distance[:, 1], wanted, rtol=1e-14)


def test_no_points_have_no_neighbours():
    found = k_nearest(to=normal(5, 3, 0), points=normal(0, 3, 0), k=2)
    assert found.distance.shape == found.index.shape == (0, 2)


def test_what_cannot_be_measured():
    x = normal(10, 3, 0)
    with pytest.raises(ValueError, match="2 points; at least 3"):
        k_nearest(to=x[:2], points=x, k=3)
    with pytest.raises(ValueError, match="3 points; at least 4"):
        k_nearest(to=x[:3], points=x[:3], k=3, own=torch.arange(3))
    with pytest.raises(ValueError, match=r"width 3 .* width 4"):
        k_nearest(to=normal(10, 4, 0), points=x)
    bad = x.clone()
    bad[6, 0] = math.nan
    with pytest.raises(ValueError, match="1 of the 10 real points are not finite; the first is point 6"):
        neighbour_measures(real=bad, fake=x)
    with pytest.raises(ValueError, match="k=0"):
        neighbour_measures(real=x, fake=x, k=0)
    with pytest.raises(ValueError, match="shape"):
        neighbour_measures(real=x[:, 0], fake=x[:, 0])
