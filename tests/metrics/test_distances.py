"""Precision, recall, density and coverage."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.metrics.neighbours import k_nearest, neighbour_measures


def gaussian(count, width, seed):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(real, fake, k):
    """The definitions as loops over lists of numbers."""
    real, fake = real.tolist(), fake.tolist()

    def radii(points):
        found = []
        for index, point in enumerate(points):
            others = sorted(math.dist(point, other) for place, other in enumerate(points) if place != index)
            found.append(others[k - 1])
        return found

    real_radii, fake_radii = radii(real), radii(fake)
    precise = recalled = dense = covered = 0
    for point in fake:
        precise += any(math.dist(point, x) <= radius for x, radius in zip(real, real_radii, strict=True))
        dense += sum(math.dist(point, x) < radius for x, radius in zip(real, real_radii, strict=True))
    for point, radius in zip(real, real_radii, strict=True):
        recalled += any(math.dist(point, y) <= own for y, own in zip(fake, fake_radii, strict=True))
        covered += any(math.dist(point, y) < radius for y in fake)
    return precise / len(fake), recalled / len(real), dense / (k * len(fake)), covered / len(real)


@settings(deadline=None, max_examples=60)
@given(
    real=st.integers(7, 45),
    fake=st.integers(7, 45),
    width=st.integers(1, 9),
    k=st.integers(1, 6),
    seed=st.integers(0, 2**30),
    shift=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
)
def test_equal_to_loops(real, fake, width, k, seed, shift):
    a, b = gaussian(real, width, seed), gaussian(fake, width, seed + 1) * 0.8 + shift
    assert neighbour_measures(real=a, fake=b, k=k) == pytest.approx(by_hand(a, b, k), abs=1e-12)


@pytest.mark.parametrize("count", [12, 40])
def test_equal_to_loops_with_copies_and_twins(count):
    a = gaussian(count, 5, 0).round(decimals=0)  # many twins, exact distances
    b = torch.cat([a[: count // 2], gaussian(count // 2, 5, 1).round(decimals=0)])
    for k in (1, 3, 5):
        assert neighbour_measures(real=a, fake=b, k=k) == pytest.approx(by_hand(a, b, k), abs=1e-12)
        assert neighbour_measures(real=a, fake=a, k=k) == pytest.approx(by_hand(a, a, k), abs=1e-12)


def test_float32_features_are_measured_in_double_precision():
    a, b = gaussian(40, 6, 0).float() + 1000, gaussian(40, 6, 1).float() + 1000
    assert neighbour_measures(real=a, fake=b) == pytest.approx(by_hand(a.double(), b.double(), 5), abs=1e-12)


@pytest.mark.parametrize("k", [3, 5])
def test_one_distribution(k):
    found = [
        neighbour_measures(real=gaussian(2000, 3, 2 * n), fake=gaussian(2000, 3, 2 * n + 1), k=k) for n in range(3)
    ]
    mean = [sum(column) / len(found) for column in zip(*found, strict=True)]
    precision, recall, density, coverage = mean
    assert coverage == pytest.approx(1 - 2**-k, abs=0.01)
    assert precision > 0.93
    assert recall > 0.93
    assert density == pytest.approx(1, abs=0.05)


def test_collapsed_fakes():
    real = gaussian(500, 4, 0)
    fake = 0.01 * gaussian(500, 4, 1)
    found = neighbour_measures(real=real, fake=fake)
    assert found.precision > 0.99
    assert found.recall < 0.01
    assert found.coverage < 0.15
    assert found.density > 1


def test_far_fakes():
    assert neighbour_measures(real=gaussian(50, 4, 0), fake=gaussian(50, 4, 1) + 100) == (0, 0, 0, 0)


def test_fakes_spread_too_wide():
    found = neighbour_measures(real=0.05 * gaussian(300, 4, 0), fake=3 * gaussian(300, 4, 1))
    assert found.precision < 0.05
    assert found.recall > 0.9
    assert found.density < 0.05


def test_half_of_the_modes():
    real = torch.cat([gaussian(200, 2, 0), gaussian(200, 2, 1) + 50])
    found = neighbour_measures(real=real, fake=gaussian(400, 2, 2))
    assert found.precision > 0.9
    assert 0.4 < found.recall <= 0.5
    assert 0.4 < found.coverage <= 0.5


def test_swapped_arguments_swap_precision_and_recall():
    a, b = gaussian(60, 4, 0), 0.6 * gaussian(50, 4, 1)
    there, back = neighbour_measures(real=a, fake=b), neighbour_measures(real=b, fake=a)
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert there.precision > there.recall + 0.1
    with pytest.raises(TypeError):
        neighbour_measures(a, b)


def test_on_the_edge_of_a_ball():
    """A fake exactly as far as the neighbour is inside for precision and recall, outside for density and coverage."""
    real = torch.tensor([[0.0], [2.0], [100.0]], dtype=torch.float64)  # k=1: radii 2, 2, 98
    fake = torch.tensor([[-2.0], [-4.0], [-1000.0]], dtype=torch.float64)  # radii 2, 2, 996
    found = neighbour_measures(real=real, fake=fake, k=1)
    assert found.precision == pytest.approx(1 / 3)  # only -2, from 0
    assert found.recall == pytest.approx(1 / 3)  # 0, from -2; -1000 reaches to -4
    assert found.density == 0
    assert found.coverage == 0


def test_the_kth_neighbour_is_not_oneself():
    real = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)
    inside = torch.tensor([[0.9], [50.0], [60.0], [70.0]], dtype=torch.float64)
    # radii for k=1: 1, 1, 2, 4; the fake 0.9 is nearer than that to 0, 1 and (2.1 > 2) not to 3
    assert neighbour_measures(real=real, fake=inside, k=1).density == pytest.approx(2 / 4)
    # for k=2: 3, 2, 3, 6; now also to 3, and (6.1 > 6) not to 7
    assert neighbour_measures(real=real, fake=inside, k=2).density == pytest.approx(3 / 8)


@pytest.mark.parametrize(
    ("real", "fake"), [((5, 2), (50, 2)), ((50, 2), (5, 2)), ((50, 2), (50, 3)), ((0, 2), (50, 2))]
)
def test_what_cannot_be_measured(real, fake):
    with pytest.raises(ValueError, match="more than k=5"):
        neighbour_measures(real=torch.rand(real), fake=torch.rand(fake))


def test_six_points_are_enough_for_five_neighbours():
    a = gaussian(6, 2, 0)
    assert neighbour_measures(real=a, fake=a).precision == 1


def test_the_features_stay_as_they_are():
    a, b = gaussian(30, 4, 0), gaussian(30, 4, 1)
    copies = a.clone(), b.clone()
    neighbour_measures(real=a, fake=b)
    k_nearest(to=a, points=b)
    assert torch.equal(a, copies[0])
    assert torch.equal(b, copies[1])
