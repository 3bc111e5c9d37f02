"""Perceptual path length: its arithmetic, and the ways through the latent space."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.metrics.paths import path_length, path_length_of, sphere, straight


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squared(a, b):
    return (a - b).flatten(1).square().sum(dim=1)


def as_pictures(latents):
    """A linear generator: the latent itself as a picture of 2 by d/2."""
    return latents.view(len(latents), 1, 2, -1)


def test_a_linear_generator_has_the_squared_length_of_its_paths():
    starts, ends = normal(40, 6), normal(40, 6, seed=1)
    found = path_length(pictures=as_pictures, distance=squared, starts=starts, ends=ends, discard=0, block=7)
    assert found == pytest.approx((ends - starts).square().sum(dim=1).mean().item(), rel=1e-6)
    rougher = path_length(
        pictures=lambda z: 3 * as_pictures(z), distance=squared, starts=starts, ends=ends, discard=0, epsilon=0.01
    )
    assert rougher == pytest.approx(9 * found, rel=1e-6)


def test_the_first_picture_is_at_the_start():
    seen = []

    def pictures(latents):
        seen.append(latents.clone())
        return as_pictures(latents)

    starts, ends = normal(5, 4), normal(5, 4, seed=1)
    path_length(pictures=pictures, distance=squared, starts=starts, ends=ends)
    assert torch.equal(seen[0], starts)
    torch.testing.assert_close(seen[1], starts + 1e-4 * (ends - starts))


def test_a_constant_generator_has_no_length():
    def flat(latents):
        return torch.zeros(len(latents), 1, 4, 4)

    assert path_length(pictures=flat, distance=squared, starts=normal(9, 4), ends=normal(9, 4, seed=1)) == 0


def test_large_pictures_are_compared_small():
    sizes = []

    def distance(a, b):
        sizes.append(tuple(a.shape[2:]))
        return squared(a, b)

    for side, wanted in ((255, 255), (256, 256), (511, 511), (512, 256), (1024, 256)):

        def pictures(latents, side=side):
            return latents[:, :1, None, None].expand(-1, 3, side, side)

        path_length(pictures=pictures, distance=distance, starts=normal(1, 2), ends=normal(1, 2, seed=1))
        assert sizes[-1] == (wanted, wanted)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=230), st.sampled_from([0.0, 0.01, 0.05, 0.25]))
def test_what_is_left_out_is_numpys(values, discard):
    scaled = np.array(values) / 0.01**2
    low = np.percentile(scaled, 100 * discard, method="lower")
    high = np.percentile(scaled, 100 - 100 * discard, method="higher")
    wanted = scaled[(scaled >= low) & (scaled <= high)].mean()
    given = torch.tensor(values, dtype=torch.float64)
    assert path_length_of(given, 0.01, discard) == pytest.approx(wanted, rel=1e-5)
    assert path_length_of(given.flip(0), 0.01, discard) == pytest.approx(wanted, rel=1e-5)


def test_a_literal_length():
    """Of 0 to 200 the 1st percentile is 2, the 99th 198; both stay in."""
    distances = torch.arange(201.0)
    distances[200] = 1e9
    assert path_length_of(distances, 1.0) == pytest.approx(100)
    assert path_length_of(distances, 0.1) == pytest.approx(1e4)
    assert path_length_of(distances, 1.0, discard=0) > 1e6


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 9), st.floats(0, 1), st.integers(0, 2**30))
def test_the_great_circle(width, t, seed):
    a, b = normal(4, width, seed=seed), 2 * normal(4, width, seed=seed + 1)
    found = sphere(a, b, t)
    lengths = a.norm(dim=1) * (1 - t) + b.norm(dim=1) * t
    torch.testing.assert_close(found.norm(dim=1), lengths)
    whole = torch.acos(torch.cosine_similarity(a, b).clamp(-1, 1))
    torch.testing.assert_close(torch.acos(torch.cosine_similarity(a, found).clamp(-1, 1)), t * whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.acos(torch.cosine_similarity(found, b).clamp(-1, 1)), (1 - t) * whole,
                               atol=1e-6, rtol=0)  # fmt: skip


def test_ends_of_the_ways():
    a, b = normal(6, 5), normal(6, 5, seed=1)
    for way in (straight, sphere):
        torch.testing.assert_close(way(a, b, 0.0), a)
        torch.testing.assert_close(way(a, b, 1.0), b)
        torch.testing.assert_close(way(a, a, 0.3), a)
    right = sphere(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5)
    torch.testing.assert_close(right, torch.full((1, 2), math.sqrt(0.5)))
    assert right.dtype == torch.float32


def test_small_steps_survive_single_precision():
    a, b = normal(50, 64).float(), normal(50, 64, seed=1).float()
    step = (sphere(a, b, 1e-4) - a).norm(dim=1)
    exact = (sphere(a.double(), b.double(), 1e-4) - a.double()).norm(dim=1)
    torch.testing.assert_close(step.double(), exact, rtol=2e-3, atol=0)


def test_what_cannot_be_measured():
    z = normal(5, 4)

    def length(**changes):
        given = {"pictures": as_pictures, "distance": squared, "starts": z, "ends": normal(5, 4, seed=1)}
        return path_length(**{**given, **changes})

    for changes, text in (
        ({"ends": z[:4]}, "5 starts and 4 ends"),
        ({"ends": normal(5, 3)}, "same width"),
        ({"epsilon": 0}, "epsilon=0"),
        ({"discard": 0.5}, r"discard=0.5"),
        ({"pictures": lambda latents: as_pictures(latents).byte()}, "float pictures, not torch.uint8"),
        ({"distance": lambda a, b: squared(a, b).sum()}, "has the shape"),
        ({"distance": lambda a, b: squared(a, b) * math.nan}, "5 of the 5 path points are not finite"),
        ({"starts": z[:0], "ends": z[:0]}, "0 points"),
    ):
        with pytest.raises(ValueError, match=text):
            length(**changes)
    with pytest.raises(ValueError, match="at least 1"):
        path_length_of(torch.zeros(0))
