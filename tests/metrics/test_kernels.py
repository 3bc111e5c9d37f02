"""The kernel distances: double loops, literal values, and their statistics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.metrics import kernels
from zerosum.metrics.kernels import full_kernel_distance, kernel_distance, maximum_mean_discrepancy


def normal(count, width, seed):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loops(real, fake):
    """Unbiased squared MMD with (x.y/d + 1)^3 over lists of numbers."""
    width = len(real[0])

    def k(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / width + 1) ** 3

    n, m = len(real), len(fake)
    rr = sum(k(real[i], real[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    ff = sum(k(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    rf = sum(k(x, y) for x in real for y in fake) / (n * m)
    return rr + ff - 2 * rf


def cmmd_by_loops(real, fake, sigma, scale):
    """Biased squared MMD with the Gaussian kernel over lists of numbers."""

    def k(x, y):
        return math.exp(-(math.dist(x, y) ** 2) / (2 * sigma**2))

    def mean(a, b):
        return sum(k(x, y) for x in a for y in b) / (len(a) * len(b))

    return scale * (mean(real, real) + mean(fake, fake) - 2 * mean(real, fake))


def unit(points):
    return points / points.norm(dim=1, keepdim=True)


# ---- KID ----


def test_a_literal_value():
    """Reals 0 and 1, fakes 2 and 3: k(0, 1) = 1, k(2, 3) = 7^3, and across 1, 1, 3^3, 4^3."""
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    wanted = 1 + 343 - 2 * (1 + 1 + 27 + 64) / 4
    assert full_kernel_distance(real=real, fake=fake) == pytest.approx(wanted)
    found = kernel_distance(real=real, fake=fake, subsets=3)
    assert found.value == pytest.approx(wanted)
    assert found.error == 0


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 20), m=st.integers(2, 20), width=st.integers(1, 9), seed=st.integers(0, 2**30))
def test_equal_to_loops(n, m, width, seed):
    real, fake = normal(n, width, seed), 1.4 * normal(m, width, seed + 1) + 0.2
    wanted = by_loops(real.tolist(), fake.tolist())
    close = {"rel": 1e-10, "abs": 1e-10}
    assert full_kernel_distance(real=real, fake=fake) == pytest.approx(wanted, **close)
    assert full_kernel_distance(real=fake, fake=real) == pytest.approx(wanted, **close)
    assert full_kernel_distance(real=real.flip(0), fake=fake.roll(3, 0)) == pytest.approx(wanted, **close)
    single = full_kernel_distance(real=real.float(), fake=fake.float())
    assert single == pytest.approx(wanted, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_blocks_change_nothing(block, monkeypatch):
    real, fake = normal(23, 4, 0), normal(17, 4, 1)
    wanted = full_kernel_distance(real=real, fake=fake), maximum_mean_discrepancy(real=real, fake=fake)
    monkeypatch.setattr(kernels, "_BLOCK", block)
    assert full_kernel_distance(real=real, fake=fake) == pytest.approx(wanted[0], rel=1e-12)
    assert maximum_mean_discrepancy(real=real, fake=fake) == pytest.approx(wanted[1], rel=1e-9)


def test_a_subset_of_everything_is_everything():
    """Drawn without replacement, whatever the order."""
    real, fake = normal(30, 5, 0), normal(30, 5, 1)
    found = kernel_distance(real=real, fake=fake, subsets=5)
    assert found.value == pytest.approx(by_loops(real.tolist(), fake.tolist()), rel=1e-10)
    assert found.error == pytest.approx(0, abs=1e-12)


def test_subsets_have_as_many_points_as_the_smaller_side():
    real, fake = normal(40, 3, 0), normal(8, 3, 1)
    values = torch.tensor([kernel_distance(real=real, fake=fake, subsets=1, seed=seed).value for seed in range(400)])
    error = values.std().item() / 20
    assert values.mean().item() == pytest.approx(full_kernel_distance(real=real, fake=fake), abs=4 * error)
    assert error < 0.3


def test_the_error_is_the_deviation_of_the_subsets():
    real, fake = normal(60, 3, 0), normal(60, 3, 1)
    found = kernel_distance(real=real, fake=fake, subsets=2, subset_size=20)
    first = kernel_distance(real=real, fake=fake, subsets=1, subset_size=20).value
    second = 2 * found.value - first  # the first subset of both is the same
    assert found.error == pytest.approx(abs(first - second) / 2)
    assert found.error > 0
    assert kernel_distance(real=real, fake=fake, subsets=1, subset_size=20).error == 0


def test_draws_are_repeatable_and_depend_on_the_seed():
    real, fake = normal(60, 3, 0), normal(60, 3, 1)
    one = kernel_distance(real=real, fake=fake, subsets=4, subset_size=10)
    assert kernel_distance(real=real, fake=fake, subsets=4, subset_size=10) == one
    assert kernel_distance(real=real, fake=fake, subsets=4, subset_size=10, seed=1) != one


def test_one_distribution_gives_zero_on_average():
    """Unbiased: the mean over independent sets is within four standard errors of 0, and some values are below 0."""
    values = torch.tensor([full_kernel_distance(real=normal(40, 6, 2 * s), fake=normal(40, 6, 2 * s + 1))
                           for s in range(300)])  # fmt: skip
    assert values.mean().abs() < 4 * values.std() / 300**0.5
    assert (values < 0).any()
    biased = values + 2 * ((1 + 1) ** 3 - 1) / 40  # what k(x, x) would have added
    assert biased.mean() > 20 * values.std() / 300**0.5


def test_real_and_fake_subsets_are_drawn_apart():
    """Equal sets: were their subsets equal too, the values would be about -0.4."""
    x = normal(200, 4, 0)
    assert abs(kernel_distance(real=x, fake=x, subsets=20, subset_size=50).value) < 0.2


# ---- CMMD ----


def test_cmmd_literal_value():
    """Unit vectors at right angles: the squared distance is 2."""
    real, fake = torch.eye(2, dtype=torch.float64).split(1)
    wanted = 1000 * (2 - 2 * math.exp(-2 / 200))
    assert maximum_mean_discrepancy(real=real, fake=fake) == pytest.approx(wanted, rel=1e-12)
    assert maximum_mean_discrepancy(real=5 * real, fake=fake) == pytest.approx(wanted, rel=1e-12)
    assert maximum_mean_discrepancy(real=real, fake=fake, sigma=1, scale=1) == pytest.approx(2 - 2 / math.e)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 15), m=st.integers(1, 15), width=st.integers(1, 9), seed=st.integers(0, 2**30))
def test_cmmd_equal_to_loops(n, m, width, seed):
    real, fake = normal(n, width, seed), 1.4 * normal(m, width, seed + 1) + 0.2
    wanted = cmmd_by_loops(real.tolist(), fake.tolist(), 2.0, 10.0)
    close = {"rel": 1e-9, "abs": 1e-9}
    assert maximum_mean_discrepancy(real=real, fake=fake, sigma=2, scale=10, unit=False) == pytest.approx(
        wanted, **close
    )
    wanted = cmmd_by_loops(unit(real).tolist(), unit(fake).tolist(), 10.0, 1000.0)
    assert maximum_mean_discrepancy(real=real, fake=fake) == pytest.approx(wanted, abs=1e-8)
    assert maximum_mean_discrepancy(real=fake, fake=real) == pytest.approx(wanted, abs=1e-8)
    assert maximum_mean_discrepancy(real=real.float(), fake=fake.float()) == pytest.approx(wanted, abs=1e-4)


def test_cmmd_of_equal_sets_is_zero_and_of_others_above():
    x = normal(50, 8, 0)
    assert maximum_mean_discrepancy(real=x, fake=x.flip(0)) == pytest.approx(0, abs=1e-10)
    assert maximum_mean_discrepancy(real=x.float(), fake=x.float()) == pytest.approx(0, abs=1e-4)
    assert maximum_mean_discrepancy(real=x, fake=normal(50, 8, 1)) > 0.01  # biased: a point with itself counts


# ---- what cannot be measured ----


@pytest.mark.parametrize("distance", [kernel_distance, full_kernel_distance, maximum_mean_discrepancy])
def test_what_cannot_be_measured(distance):
    x = normal(10, 3, 0)
    with pytest.raises(ValueError, match=r"real \(10, 3\) and fake \(10, 4\)"):
        distance(real=x, fake=normal(10, 4, 0))
    with pytest.raises(ValueError, match="fake has 0 points"):
        distance(real=x, fake=x[:0])
    bad = x.clone()
    bad[2, 2] = math.inf
    with pytest.raises(ValueError, match="1 of the 10 real points are not finite; the first is point 2"):
        distance(real=bad, fake=x)
    with pytest.raises(TypeError):
        distance(x, x)


def test_bad_settings():
    x = normal(10, 3, 0)
    for wrong in ({"subsets": 0}, {"subset_size": 1}):
        with pytest.raises(ValueError, match="subset"):
            kernel_distance(real=x, fake=x, **wrong)
    with pytest.raises(ValueError, match="at least 2"):
        kernel_distance(real=x, fake=x[:1])
    with pytest.raises(ValueError, match="sigma=0"):
        maximum_mean_discrepancy(real=x, fake=x, sigma=0)
    with pytest.raises(ValueError, match="1 of the 10 fake points have no length"):
        maximum_mean_discrepancy(real=x, fake=x * (torch.arange(10) != 4)[:, None])
