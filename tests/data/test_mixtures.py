"""The toy densities: what is drawn is what the density says, wherever in the sequence it is drawn."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats
import torch

from zerosum.data.mixtures import GRID, RING, SWISS_ROLL, Gaussians, SwissRoll
from zerosum.metrics import mixture_quality

DENSITIES = {"ring": RING, "grid": GRID, "swiss roll": SWISS_ROLL}
SAMPLES = 2_500  # of the published protocol
HIGH_QUALITY = 1 - math.exp(-9 / 2)  # of a round Gaussian in the plane lies within three deviations

every_density = pytest.mark.parametrize("name", list(DENSITIES))
every_mixture = pytest.mark.parametrize("mixture", [RING, GRID], ids=["ring", "grid"])


def test_the_modes_are_the_published_ones() -> None:
    assert RING.modes.shape == (8, 2)
    torch.testing.assert_close(RING.modes.norm(dim=1), torch.ones(8, dtype=torch.float64))
    neighbours = (RING.modes - RING.modes.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(neighbours, torch.full_like(neighbours, 2 * math.sin(math.pi / 8)))
    assert RING.deviation**2 == pytest.approx(1e-4)
    assert sorted(map(tuple, GRID.modes.tolist())) == [(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)]
    assert GRID.deviation == 0.05


@every_density
def test_points_depend_on_seed_stream_and_position_alone(name: str) -> None:
    density = DENSITIES[name]
    whole = density.sample(3, "real", 0, 100)
    assert whole.shape == (100, 2)
    assert whole.dtype == torch.float32
    assert torch.equal(torch.cat([density.sample(3, "real", 0, 37), density.sample(3, "real", 37, 63)]), whole)
    for other in (density.sample(4, "real", 0, 100), density.sample(3, "fake", 0, 100)):
        assert not (other == whole).all(dim=1).any()


@every_mixture
def test_a_perfect_generator_is_measured_as_one(mixture: Gaussians) -> None:
    count, modes = 100_000, len(mixture.centres)
    found = mixture_quality(mixture.sample(0, "x", 0, count), mixture.modes, mixture.deviation)
    error = math.sqrt(HIGH_QUALITY * (1 - HIGH_QUALITY) / count)
    assert found.high_quality == pytest.approx(HIGH_QUALITY, abs=4 * error)
    assert found.covered == modes


@every_mixture
def test_the_histogram_of_a_perfect_generator_has_its_floor(mixture: Gaussians) -> None:
    """2 N KL is chi-squared with M - 1 degrees of freedom, so its mean over 60 draws is known to some percent."""
    draws, freedom = 60, len(mixture.centres) - 1
    found = [
        mixture_quality(mixture.sample(1, "x", draw * SAMPLES, SAMPLES), mixture.modes, mixture.deviation).divergence
        for draw in range(draws)
    ]
    assert 2 * SAMPLES * np.mean(found) == pytest.approx(freedom, abs=4 * math.sqrt(2 * freedom / draws))


@every_mixture
def test_offsets_are_round_gaussians_and_do_not_depend_on_the_mode(mixture: Gaussians) -> None:
    points = mixture.sample(2, "x", 0, 20_000).double()
    mode = torch.cdist(points, mixture.modes).argmin(dim=1)
    offsets = ((points - mixture.modes[mode]) / mixture.deviation).numpy()
    for axis in (0, 1):
        assert scipy.stats.kstest(offsets[:, axis], "norm").pvalue > 1e-3
        for power in (1, 2):
            assert abs(np.corrcoef(offsets[:, axis] ** power, mode)[0, 1]) < 4 / math.sqrt(20_000)
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 4 / math.sqrt(20_000)


@every_mixture
def test_density_of_a_mixture(mixture: Gaussians) -> None:
    peak = -math.log(len(mixture.centres) * 2 * math.pi * mixture.deviation**2)
    torch.testing.assert_close(mixture.log_density(mixture.modes), torch.full((len(mixture.modes),), peak).double())
    generator = np.random.default_rng(0)
    points = mixture.modes[:5].numpy() + mixture.deviation * generator.normal(size=(5, 2))
    each = [scipy.stats.multivariate_normal(c, mixture.deviation**2).pdf(points) for c in mixture.centres]
    torch.testing.assert_close(mixture.log_density(torch.tensor(points)), torch.tensor(np.log(np.mean(each, axis=0))))


@every_density
def test_density_is_that_of_the_samples(name: str) -> None:
    """The share of samples in each cell of a lattice is the integral of the density over it."""
    density = DENSITIES[name]
    points = density.sample(5, "x", 0, 50_000)
    side, fine = 0.5, 40 if name == "swiss roll" else 100
    low = points.min(dim=0).values.double() - 0.1
    high = low + side * ((points.max(dim=0).values - low) / side).ceil()
    cells = ((points - low) / side).long()
    # the cell with the most samples, cut into fine squares
    places, counts = cells.unique(dim=0, return_counts=True)
    corner = low + side * places[counts.argmax()]
    middles = (torch.arange(fine, dtype=torch.float64) + 0.5) * side / fine
    lattice = torch.cartesian_prod(corner[0] + middles, corner[1] + middles)
    share = density.log_density(lattice).exp().mean().item() * side**2
    assert bool((points <= high).all())
    assert counts.max().item() / len(points) == pytest.approx(share, abs=4 * math.sqrt(share / len(points)) + 2e-3)


@every_density
def test_no_other_noise_makes_the_samples_likelier(name: str) -> None:
    density = DENSITIES[name]
    points = density.sample(8, "x", 0, 5_000)
    field = "noise" if name == "swiss roll" else "deviation"
    likelihoods = [
        dataclasses.replace(density, **{field: getattr(density, field) * factor}).log_density(points).mean()
        for factor in (0.9, 1.0, 1.1)
    ]
    assert likelihoods[1] > max(likelihoods[0], likelihoods[2])


def test_density_of_the_roll_is_the_mixture_it_is() -> None:
    points = SWISS_ROLL.sample(6, "x", 0, 200).double()
    t = 1.5 * np.pi * (1 + 2 * (np.arange(20_000) + 0.5) / 20_000)
    centres = torch.tensor(np.stack([t * np.cos(t), t * np.sin(t)], axis=1) / 7.5)
    dense = Gaussians(tuple((x, y) for x, y in centres.tolist()), 0.25 / 7.5).log_density(points)
    torch.testing.assert_close(SWISS_ROLL.log_density(points), dense, rtol=0, atol=1e-4)


def test_noise_of_the_roll_does_not_depend_on_the_place() -> None:
    still, noisy = (SwissRoll(noise, 1.0).sample(9, "x", 0, 20_000).double().numpy() for noise in (1e-9, 1.0))
    noise, place = noisy - still, np.linalg.norm(still, axis=1)
    assert scipy.stats.kstest(place, scipy.stats.uniform(1.5 * np.pi, 3 * np.pi).cdf).pvalue > 1e-3
    for axis in (0, 1):
        assert scipy.stats.kstest(noise[:, axis], "norm").pvalue > 1e-3
        for power in (1, 2):
            assert abs(np.corrcoef(noise[:, axis] ** power, place)[0, 1]) < 4 / math.sqrt(20_000)


def test_the_roll_is_the_one_of_scikit_learn() -> None:
    from sklearn.datasets import make_swiss_roll

    theirs = make_swiss_roll(4_000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    ours = SWISS_ROLL.sample(7, "x", 0, 4_000).numpy()
    for axis in (0, 1):
        assert scipy.stats.ks_2samp(ours[:, axis], theirs[:, axis]).pvalue > 1e-3
    radii = [np.linalg.norm(points, axis=1) for points in (ours, theirs)]
    assert scipy.stats.ks_2samp(*radii).pvalue > 1e-3


@every_density
def test_density_far_away_is_finite_and_points_back(name: str) -> None:
    far = torch.tensor([[30.0, 40.0]], dtype=torch.float64, requires_grad=True)
    value = DENSITIES[name].log_density(far)
    (slope,) = torch.autograd.grad(value.sum(), far)
    assert value.isfinite().all()
    assert (slope < 0).all()


def test_what_is_no_density() -> None:
    with pytest.raises(ValueError, match="deviation > 0"):
        Gaussians(((0.0, 0.0),), 0.0)
    with pytest.raises(ValueError, match="needs centres"):
        Gaussians((), 1.0)
    with pytest.raises(ValueError, match="noise > 0"):
        SwissRoll(noise=0.0)
    with pytest.raises(ValueError, match=r"shape \(N, 2\)"):
        RING.log_density(torch.zeros(3, 3))
