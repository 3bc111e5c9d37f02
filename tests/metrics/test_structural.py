"""Structural similarity, and the mean over random pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.metrics.diversity import class_diversity, lpips_diversity, ms_ssim_diversity, random_pairs
from zerosum.metrics.structural import WEIGHTS, ms_ssim, scales, ssim


def pictures(count, channels=3, side=32, seed=0, dtype=torch.float64):
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def noisy(x, amount, seed=5):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    return (x + amount * noise).clamp(0, 1)


def by_loops(x, y):
    """Single-scale similarity and its contrast part of two grey pictures, window by window."""
    offset = np.arange(11) - 5
    window = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    similar, contrasts = [], []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            a, b = (side[row : row + 11, column : column + 11] for side in (x, y))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            variance_a, variance_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            covariance = (window * (a - mean_a) * (b - mean_b)).sum()
            contrasts.append((2 * covariance + 0.03**2) / (variance_a + variance_b + 0.03**2))
            luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
            similar.append(luminance * contrasts[-1])
    return np.mean(similar), np.mean(contrasts)


# ---- one scale ----


@pytest.mark.parametrize("shape", [(11, 11), (12, 15)])
def test_equal_to_loops(shape):
    x = torch.rand(2, 2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = noisy(x, 0.2)
    wanted = [np.mean([by_loops(a.numpy(), b.numpy())[0] for a, b in zip(p, q, strict=True)])
              for p, q in zip(x, y, strict=True)]  # fmt: skip
    np.testing.assert_allclose(ssim(x, y), wanted, rtol=1e-9)


@pytest.mark.parametrize("side", [11, 32, 45])
@pytest.mark.parametrize("amount", [0.0, 0.05, 0.5])
def test_equal_to_scikit_image(side, amount):
    metrics = pytest.importorskip("skimage.metrics", reason="the reference implementation of SSIM")
    x = pictures(2, side=side)
    y = noisy(x, amount)
    wanted = [
        metrics.structural_similarity(a.numpy(), b.numpy(), channel_axis=0, data_range=1.0, gaussian_weights=True,
                                      sigma=1.5, use_sample_covariance=False)
        for a, b in zip(x, y, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ssim(x, y), wanted, rtol=1e-9)
    np.testing.assert_allclose(ssim(x.float(), y.float()), wanted, atol=1e-5)


def test_bytes_are_floats_times_255():
    x, y = (pictures(3) * 255).byte(), (pictures(3, seed=1) * 255).byte()
    torch.testing.assert_close(ssim(x, y), ssim(x.float() / 255, y.float() / 255))
    torch.testing.assert_close(ms_ssim(x, y), ms_ssim(x.float() / 255, y.float() / 255))


def test_flat_pictures_have_a_closed_form():
    """Only the luminance is left: (2ab + c) / (a^2 + b^2 + c), with the other parts 1."""
    a, b = torch.full((1, 1, 40, 40), 0.2), torch.full((1, 1, 40, 40), 0.8)
    wanted = (2 * 0.16 + 1e-4) / (0.04 + 0.64 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(wanted, rel=1e-5)
    assert ms_ssim(a, b).item() == pytest.approx(wanted ** (WEIGHTS[1] / (WEIGHTS[0] + WEIGHTS[1])), rel=1e-5)


# ---- several scales ----


def test_how_many_scales():
    assert [scales(side) for side in (11, 20, 21, 28, 32, 40, 41, 64, 80, 81, 160, 161, 1024)] == [
        1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5,
    ]  # fmt: skip
    assert sum(WEIGHTS) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("side", [11, 22, 24, 25])
def test_the_scales_are_put_together_as_written(side):
    x = pictures(1, channels=1, side=side)
    y = noisy(x, 0.3)
    if side < 21:
        wanted = by_loops(x[0, 0].numpy(), y[0, 0].numpy())[0]
    else:
        edge = [(0, 0), (0, 0), (0, side % 2), (0, side % 2)]
        half = [np.pad(z.numpy(), edge, mode="edge")[0, 0] for z in (x, y)]
        half = [(z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in half]
        first, last = WEIGHTS[0] / (WEIGHTS[0] + WEIGHTS[1]), WEIGHTS[1] / (WEIGHTS[0] + WEIGHTS[1])
        wanted = by_loops(x[0, 0].numpy(), y[0, 0].numpy())[1] ** first * by_loops(*half)[0] ** last
    assert ms_ssim(x, y).item() == pytest.approx(wanted, rel=1e-9)


def test_equal_to_pytorch_msssim():
    reference = pytest.importorskip("pytorch_msssim", reason="another implementation of MS-SSIM")
    x = pictures(2, side=176)
    for amount in (0.02, 0.2):
        y = noisy(x, amount)
        wanted = reference.ms_ssim(x, y, data_range=1.0, size_average=False)
        torch.testing.assert_close(ms_ssim(x, y), wanted, rtol=1e-4, atol=0)  # their weights add up to 1.0001


@settings(deadline=None, max_examples=20)
@given(side=st.integers(11, 48), channels=st.sampled_from([1, 3, 4]), seed=st.integers(0, 1000))
def test_symmetric_at_most_one_and_one_for_equals(side, channels, seed):
    x, y = pictures(2, channels, side, seed), pictures(2, channels, side, seed + 1)
    for similarity in (ssim, ms_ssim):
        found = similarity(x, y)
        assert found.shape == (2,)
        torch.testing.assert_close(similarity(y, x), found)
        torch.testing.assert_close(similarity(x, x), torch.ones(2, dtype=torch.float64))
        assert (found < 0.9).all()
        if side % 4 == 0:  # no odd edge at any scale
            torch.testing.assert_close(similarity(x.flip(3), y.flip(3)), found)


def test_more_noise_is_less_similar():
    x = pictures(4, side=64)
    found = [ms_ssim(x, noisy(x, amount)).mean().item() for amount in (0.0, 0.05, 0.2, 0.8)]
    assert found == sorted(found, reverse=True)


def test_a_negative_picture_counts_as_zero():
    x = pictures(1, side=64)
    assert ms_ssim(x, 1 - x).item() == 0
    assert ssim(x, 1 - x).item() < 0


def test_bright_flat_pictures_in_single_precision():
    x = 0.99 + 0.001 * pictures(2, side=40)
    y = 0.99 + 0.001 * pictures(2, side=40, seed=1)
    torch.testing.assert_close(ssim(x.float(), y.float()).double(), ssim(x, y), rtol=1e-4, atol=0)


def test_pictures_that_cannot_be_compared():
    x = pictures(2)
    for a, b, text in (
        (x, x[:1], r"\(2, 3, 32, 32\) .* \(1, 3, 32, 32\)"),
        (x[:, :, :10], x[:, :, :10], "at least 11 pixels"),
        (x[0], x[0], "N, C, H, W"),
        (x, x.float(), "of one type"),
        (2 * x, x, r"\[0, 1\]"),
        (x, x * math.nan, r"\[0, 1\]"),
        (x.long(), x.long(), "torch.int64"),
    ):
        for similarity in (ssim, ms_ssim):
            with pytest.raises(ValueError, match=text):
                similarity(a, b)


# ---- pairs ----


@pytest.mark.parametrize("count", [2, 3, 7])
def test_pairs_are_of_two_and_all_are_drawn(count):
    found = random_pairs(count, 20_000, 0)
    assert found.shape == (20_000, 2)
    assert (found[:, 0] != found[:, 1]).all()
    assert found.min() == 0
    assert found.max() == count - 1
    _, counts = found.unique(dim=0, return_counts=True)
    assert len(counts) == count * (count - 1)
    torch.testing.assert_close(counts / 20_000, torch.full((len(counts),), 1 / len(counts)), rtol=0.15, atol=0)
    assert torch.equal(random_pairs(count, 50, 0), found[:50])
    assert not torch.equal(random_pairs(count, 50, 1), found[:50])


def test_the_mean_over_the_pairs():
    x = pictures(6)
    pairs = random_pairs(6, 25, 3)
    wanted = np.mean([ms_ssim(x[[i]], x[[j]]).item() for i, j in pairs.tolist()])
    for block in (1, 7, 100):
        assert ms_ssim_diversity(x, pairs=25, seed=3, block=block) == pytest.approx(wanted)

    def distance(a, b):
        return (a - b).abs().mean(dim=(1, 2, 3))

    wanted = np.mean([(x[i] - x[j]).abs().mean().item() for i, j in pairs.tolist()])
    for block in (1, 7, 100):
        assert lpips_diversity(x, distance, pairs=25, seed=3, block=block) == pytest.approx(wanted)


def test_collapse_is_seen():
    one = pictures(1).expand(5, -1, -1, -1)
    assert ms_ssim_diversity(one) == pytest.approx(1)
    assert ms_ssim_diversity(pictures(5)) < 0.5
    assert lpips_diversity(one, lambda a, b: (a - b).abs().sum(dim=(1, 2, 3))) == 0


def test_pairs_that_cannot_be_measured():
    x = pictures(3)
    for function in (lambda y, n: ms_ssim_diversity(y, n), lambda y, n: lpips_diversity(y, ssim, n)):
        with pytest.raises(ValueError, match="10 pairs of 1 pictures"):
            function(x[:1], 10)
        with pytest.raises(ValueError, match="0 pairs of 3 pictures"):
            function(x, 0)
    for wrong in (lambda a, b: (a - b).sum(), lambda a, b: ssim(a, b) * math.nan):
        with pytest.raises(ValueError, match="finite numbers"):
            lpips_diversity(x, wrong, 5)


def test_diversity_within_classes():
    """Classes 100 apart, two points in each: their distances are 3, 5 and 7."""

    def apart(a, b):
        return (a - b).abs().amax(dim=(1, 2, 3))

    labels = torch.tensor([0, 1, 0, 1, 2, 2])
    x = torch.tensor([0.0, 100, 3, 105, 200, 207])[:, None, None, None]
    assert class_diversity(x, labels, apart, pairs=90) == pytest.approx((3 + 5 + 7) / 3)
    assert class_diversity(x, labels, apart, pairs=1) == pytest.approx(5)
    assert lpips_diversity(x, apart, pairs=300) > 50
    collapsed = torch.tensor([0.0, 100, 0, 100, 200, 200])[:, None, None, None]
    assert class_diversity(collapsed, labels, apart) == 0
    order = torch.tensor([3, 2, 5, 0, 1, 4])
    assert class_diversity(x[order], labels[order], apart) == class_diversity(x, labels, apart)
    seen = []
    class_diversity(x, labels, lambda a, b: seen.append(len(a)) or apart(a, b), pairs=300, block=1000)
    assert seen == [100, 100, 100]


def test_diversity_within_classes_that_have_none():
    x = torch.zeros(4, 1, 2, 2)
    distance = lambda a, b: torch.zeros(len(a))  # noqa: E731
    with pytest.raises(ValueError, match="there is one alone of class 7 among the 4"):
        class_diversity(x, torch.tensor([0, 0, 0, 7]), distance)
    with pytest.raises(ValueError, match="of class 0, 1, 2 and 1 more among the 4"):
        class_diversity(x, torch.arange(4), distance)
    for wrong in (torch.zeros(3, dtype=torch.int64), torch.zeros(4)):
        with pytest.raises(ValueError, match="labels must be 4 integers"):
            class_diversity(x, wrong, distance)
