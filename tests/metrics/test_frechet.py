"""The Fréchet distance: closed forms, scipy, and what must not change it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from zerosum.metrics import frechet
from zerosum.metrics.frechet import (
    Gaussian,
    frechet_between,
    frechet_distance,
    gaussian_of,
    moments_of,
)


def normal(count, width, seed):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(width, seed):
    return torch.linalg.qr(normal(width, width, seed)).Q


def decaying(count, width, power, seed):
    """Points whose covariance has the spectrum i^-power in a random basis."""
    scale = torch.arange(1, width + 1, dtype=torch.float64) ** (-power / 2)
    return normal(count, width, seed) * scale @ rotation(width, 99)


def by_scipy(a, b):
    """The formula as it stands, from numpy's statistics and scipy's matrix root."""
    a, b = a.double().numpy(), b.double().numpy()
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(linalg.sqrtm(one @ two))
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one) + np.trace(two) - 2 * np.trace(root)


def by_svd(a, b):
    """The same by the singular values of the product of the centred points."""
    a, b = a.double().numpy(), b.double().numpy()
    shift = ((a.mean(0) - b.mean(0)) ** 2).sum()
    a, b = (a - a.mean(0)) / math.sqrt(len(a) - 1), (b - b.mean(0)) / math.sqrt(len(b) - 1)
    return shift + (a**2).sum() + (b**2).sum() - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum()


def trace(features):
    return gaussian_of(features).covariance.trace().item()


# ---- closed forms ----


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 2, *[st.floats(0, 9)] * 2), min_size=1, max_size=6))
def test_axis_parallel_gaussians(dimensions):
    """Squares of the differences of the means and of the deviations."""
    m, n, s, t = (torch.tensor(column, dtype=torch.float64) for column in zip(*dimensions, strict=True))
    wanted = ((m - n) ** 2 + (s - t) ** 2).sum().item()
    a, b = Gaussian(m, torch.diag(s**2), 1000), Gaussian(n, torch.diag(t**2), 1000)
    assert frechet_between(a, b) == pytest.approx(wanted, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**30))
def test_any_gaussians_of_two_dimensions(seed):
    """The trace of the root of a 2x2 matrix is (tr + 2 det^(1/2))^(1/2)."""
    x, y, means = normal(2, 2, seed), normal(2, 2, seed + 1), normal(2, 2, seed + 2)
    one, two = x @ x.T, y @ y.T
    product = one @ two
    root = math.sqrt(product.trace() + 2 * math.sqrt(one.det() * two.det()))
    wanted = ((means[0] - means[1]) ** 2).sum() + one.trace() + two.trace() - 2 * root
    found = frechet_between(Gaussian(means[0], one, 10), Gaussian(means[1], two, 10))
    assert found == pytest.approx(wanted.item(), rel=1e-6, abs=1e-7)


def test_a_literal_value():
    """Variances over N - 1 are 2 and 8: (sqrt 2 - sqrt 8)^2 = 2; over N it would be 1."""
    real, fake = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-2.0], [2.0]])
    assert frechet_distance(real=real, fake=fake) == pytest.approx(2, rel=1e-12)
    assert frechet_distance(real=real, fake=fake + 3) == pytest.approx(11, rel=1e-12)


def test_the_gaussian_is_numpys():
    x = normal(40, 7, 0) * 3 + 5
    found = gaussian_of(x)
    np.testing.assert_allclose(found.mean, x.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(x.numpy(), rowvar=False), rtol=1e-11, atol=1e-12)
    assert found.count == 40
    assert found.covariance.dtype == torch.float64


# ---- equal sets ----

SETS = {
    "full rank": normal(300, 24, 0),
    "off centre": normal(300, 24, 0) + 1000,
    "fewer points than dimensions": normal(20, 64, 1),
    "as many points as dimensions": normal(64, 64, 1),
    "one more point": normal(65, 64, 1),
    "two points": normal(2, 5, 2),
    "ill-conditioned": decaying(500, 64, 6, 3),
    "in a plane": normal(500, 2, 4) @ normal(2, 32, 5),
    "dead dimensions": normal(300, 24, 6) * (torch.arange(24) % 2),
    "one point many times": torch.ones(40, 8, dtype=torch.float64),
    "single precision": normal(300, 24, 7).float(),
}


@pytest.mark.parametrize("name", SETS)
def test_equal_sets_have_the_distance_zero(name):
    x = SETS[name]
    assert 0 <= frechet_distance(real=x, fake=x.clone()) <= 1e-9 * trace(x)
    g = gaussian_of(x)
    assert 0 <= frechet_between(g, g) <= 1e-7 * trace(x)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    assert frechet_distance(real=x, fake=x[order]) == pytest.approx(0, abs=1e-9 * trace(x) + 1e-12 * x.norm().item())


# ---- against other formulations ----


@pytest.mark.parametrize(("n", "m", "width"), [(200, 300, 12), (400, 150, 40), (41, 60, 40), (500, 500, 2)])
def test_equal_to_scipy(n, m, width):
    a, b = normal(n, width, 0), 1.3 * normal(m, width, 1) @ rotation(width, 2) + 0.1
    assert frechet_distance(real=a, fake=b) == pytest.approx(by_scipy(a, b), rel=1e-6)
    assert frechet_between(gaussian_of(a), gaussian_of(b)) == pytest.approx(by_scipy(a, b), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "width"), [(20, 30, 64), (20, 300, 64), (300, 20, 64), (64, 64, 64), (2, 3, 9)])
def test_fewer_points_than_dimensions(n, m, width):
    a, b = normal(n, width, 0), 1.3 * normal(m, width, 1) + 0.1
    wanted = by_svd(a, b)
    assert frechet_distance(real=a, fake=b) == pytest.approx(wanted, rel=1e-11)
    assert frechet_between(gaussian_of(a), gaussian_of(b)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("power", [1, 2, 4, 8])
def test_ill_conditioned_covariances(power):
    a, b = decaying(400, 80, power, 0), decaying(300, 80, power, 1) * 1.1
    wanted = by_svd(a, b)
    assert frechet_distance(real=a, fake=b) == pytest.approx(wanted, rel=1e-8)
    assert frechet_between(gaussian_of(a), gaussian_of(b)) == pytest.approx(wanted, rel=1e-5)


def test_the_quick_way_steps_back_where_it_would_lose_digits():
    steep, flat = gaussian_of(decaying(400, 80, 8, 0)), gaussian_of(normal(400, 80, 0))
    assert frechet._root_by_cholesky(flat, flat) == pytest.approx(flat.covariance.trace().item(), rel=1e-10)
    assert frechet._root_by_cholesky(steep, steep) is None
    few = gaussian_of(normal(80, 80, 0))
    assert frechet._root_by_cholesky(few, flat) is None
    assert frechet._root_by_cholesky(flat, few) is None


def test_the_order_of_the_dimensions_costs_no_digits(monkeypatch):
    """Even where the bound would refuse: smallest variances first would lose six digits more."""
    monkeypatch.setattr(frechet, "_SETTLED", math.inf)
    rising = torch.arange(64, 0, -1, dtype=torch.float64) ** -2
    a, b = normal(300, 64, 0) * rising, normal(300, 64, 1) * rising
    assert frechet_distance(real=a, fake=b) == pytest.approx(by_svd(a, b), abs=1e-13 * trace(a))


def test_dead_dimensions_do_not_send_it_the_long_way():
    a, b = normal(300, 20, 0), normal(300, 20, 1) * 1.2
    a[:, 3], b[:, 7] = 0.5, 0
    assert frechet._root_by_cholesky(gaussian_of(a), gaussian_of(b)) is not None
    assert frechet_distance(real=a, fake=b) == pytest.approx(by_svd(a, b), rel=1e-10)


# ---- properties ----


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 60), m=st.integers(2, 60), width=st.integers(1, 20), seed=st.integers(0, 2**30))
def test_symmetry_order_rotation_shift_and_scale(n, m, width, seed):
    a, b = normal(n, width, seed), 0.7 * normal(m, width, seed + 1)
    found = frechet_distance(real=a, fake=b)
    close = {"rel": 1e-8, "abs": 1e-8}
    assert found == pytest.approx(by_svd(a, b), **close)
    assert frechet_distance(real=b, fake=a) == pytest.approx(found, **close)
    assert frechet_distance(real=a.flip(0), fake=b.roll(1, 0)) == pytest.approx(found, **close)
    turn = rotation(width, seed)
    assert frechet_distance(real=a @ turn + 5, fake=b @ turn + 5) == pytest.approx(found, **close)
    assert frechet_distance(real=3 * a, fake=3 * b) == pytest.approx(9 * found, **close)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 80), st.floats(-50, 50))
def test_a_shift_alone_adds_its_square(count, shift):
    a = normal(count, 6, 0)
    assert frechet_distance(real=a, fake=a + shift) == pytest.approx(6 * shift**2, rel=1e-9, abs=1e-9)


def test_more_points_bring_it_down():
    """The bias of finite samples: about c (1/N + 1/M)."""
    distances = [
        sum(frechet_distance(real=normal(count, 16, seed), fake=normal(count, 16, seed + 50)) for seed in range(8))
        for count in (200, 800, 3200)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] / distances[1] == pytest.approx(4, rel=0.15)
    assert distances[1] / distances[2] == pytest.approx(4, rel=0.15)


def test_a_negative_value_beyond_rounding_is_not_hidden():
    a = Gaussian(torch.zeros(2), torch.eye(2), 10)
    assert frechet._assemble(a, a, 2.0 + 1e-9) == 0
    assert frechet._assemble(a, a, 2.1) == pytest.approx(-0.2)


# ---- what cannot be measured ----


def test_what_cannot_be_measured():
    x = normal(10, 3, 0)
    with pytest.raises(ValueError, match=r"real \(10, 3\) and fake \(10, 4\)"):
        frechet_distance(real=x, fake=normal(10, 4, 0))
    with pytest.raises(ValueError, match="fake has 1 points; at least 2"):
        frechet_distance(real=x, fake=x[:1])
    with pytest.raises(ValueError, match=r"not torch\.int64"):
        frechet_distance(real=x.long(), fake=x)
    with pytest.raises(ValueError, match="shape"):
        frechet_distance(real=x[0], fake=x[0])
    with pytest.raises(ValueError, match="width 3 and 4"):
        moments_of(x).add(normal(10, 4, 0))
    with pytest.raises(ValueError, match="at least 2 points, not 1"):
        gaussian_of(x[:1])
    with pytest.raises(ValueError, match="at least 1"):
        moments_of(x[:0])
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        frechet_between(gaussian_of(x), gaussian_of(normal(10, 4, 0)))
    with pytest.raises(ValueError, match="not finite"):
        frechet_between(Gaussian(x[0] * torch.nan, torch.eye(3), 9), gaussian_of(x))
    with pytest.raises(TypeError):
        frechet_distance(x, x)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_features_that_are_not_finite_are_counted(bad):
    x = normal(10, 3, 0)
    x[4, 1] = x[4, 2] = x[7, 0] = bad
    with pytest.raises(ValueError, match="2 of the 10 fake points are not finite; the first is point 4"):
        frechet_distance(real=normal(10, 3, 1), fake=x)
