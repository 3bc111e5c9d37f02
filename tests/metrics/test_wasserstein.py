"""The sliced Wasserstein distance of patches: its pyramid, its patches, its distance, and the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from zerosum.metrics import wasserstein
from zerosum.metrics.wasserstein import laplacian_pyramid, sliced_wasserstein

BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def pictures(count, channels=3, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, channels, side, side), generator=generator, dtype=torch.uint8)


def smooth(count, seed=0, side=32):
    """Blurred noise: pictures with structure at more than one scale."""
    noise = np.random.default_rng(seed).normal(size=(count, 3, side, side))
    blurred = ndimage.gaussian_filter(noise, (0, 0, 2, 2))
    return torch.from_numpy((128 + 200 * blurred).clip(0, 255).astype(np.uint8))


# ---- the pyramid ----


@pytest.mark.parametrize("shape", [(16, 16), (32, 20), (13, 22), (7, 9)])
def test_one_step_is_scipys(shape):
    x = np.random.default_rng(0).normal(size=(2, 3, *shape))
    fine, small = laplacian_pyramid(torch.from_numpy(x), 2)
    wanted = ndimage.convolve(x, BINOMIAL[None, None], mode="mirror")[:, :, ::2, ::2]
    np.testing.assert_allclose(small, wanted, atol=1e-12)
    large = np.zeros_like(x)
    large[:, :, ::2, ::2] = wanted
    np.testing.assert_allclose(fine, x - ndimage.convolve(large, 4 * BINOMIAL[None, None], mode="mirror"), atol=1e-12)


def test_the_levels_are_a_step_of_a_step():
    x = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    one, two, three = laplacian_pyramid(x, 3)
    again = laplacian_pyramid(laplacian_pyramid(x, 2)[1], 2)
    assert torch.equal(one, laplacian_pyramid(x, 2)[0])
    assert torch.equal(two, again[0])
    assert torch.equal(three, again[1])
    assert torch.equal(laplacian_pyramid(x, 1)[0], x)


def test_a_flat_picture_has_nothing_but_its_last_level():
    *fine, last = laplacian_pyramid(torch.full((1, 1, 64, 64), 7.0), 3)
    assert max(level.abs().max() for level in fine) < 1e-5
    torch.testing.assert_close(last, torch.full((1, 1, 16, 16), 7.0))


# ---- patches ----


def test_patches_are_pieces_of_the_picture():
    x = torch.arange(2 * 3 * 9 * 12).float().view(2, 3, 9, 12)
    corners = torch.tensor([[[0, 0], [2, 5]], [[1, 3], [2, 0]]])
    found = wasserstein._cut(x, corners)
    assert found.shape == (2, 2, 3, 49)
    for picture in range(2):
        for patch in range(2):
            row, column = corners[picture, patch].tolist()
            wanted = x[picture, :, row : row + 7, column : column + 7].reshape(3, 49)
            assert torch.equal(found[picture, patch], wanted)


def test_patches_reach_every_corner_and_are_normalised():
    x = pictures(40, side=9)
    found = wasserstein._descriptors(x, 0, 1, 64, 0)
    assert found.shape == (40 * 64, 147)
    channels = found.view(-1, 3, 49).double()
    torch.testing.assert_close(channels.mean(dim=(0, 2)), torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(channels.square().mean(dim=(0, 2)).sqrt(), torch.ones(3, dtype=torch.float64))
    places = torch.zeros(1, 1, 9, 9)
    for corner in range(9):
        places[0, 0].flatten()[(corner // 3) * 9 + corner % 3] = corner + 1
    upper_left = wasserstein._descriptors((places * 20).byte(), 0, 1, 400, 0).view(400, 3, 49)[:, 0, 0]
    assert len(upper_left.unique()) == 9  # all 3 x 3 places are drawn


def test_blocks_change_nothing(monkeypatch):
    real, fake = smooth(20), pictures(20)
    whole = sliced_wasserstein(real=real, fake=fake, patches=16)
    monkeypatch.setattr(wasserstein, "_BLOCK", 3)
    monkeypatch.setattr(wasserstein, "_TOGETHER", 128)
    assert sliced_wasserstein(real=real, fake=fake, patches=16).levels == pytest.approx(whole.levels, rel=1e-5)


# ---- the distance ----


@settings(deadline=None, max_examples=15)
@given(count=st.integers(1, 40), width=st.integers(1, 9), seed=st.integers(0, 1000))
def test_the_distance_is_scipys_along_every_direction(count, width, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(count, width, generator=generator), 2 * torch.randn(count, width, generator=generator) + 1
    directions = torch.cat(list(wasserstein._directions(width, 0)))
    assert directions.shape == (512, width)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(512))
    each = [stats.wasserstein_distance((a @ d).numpy(), (b @ d).numpy()) for d in directions]
    assert wasserstein._distance(a, b, 0) == pytest.approx(np.mean(each), rel=1e-4)
    assert wasserstein._distance(b, a, 0) == pytest.approx(np.mean(each), rel=1e-4)
    assert wasserstein._distance(a, a.flip(0), 0) == pytest.approx(0, abs=1e-6)


def test_a_shift_in_one_dimension():
    a = torch.randn(50, 1, generator=torch.Generator().manual_seed(0))
    assert wasserstein._distance(a, a + 3, 0) == pytest.approx(3, rel=1e-5)


def test_directions_point_everywhere():
    directions = torch.cat(list(wasserstein._directions(147, 0)))
    assert directions.mean(dim=0).abs().max() < 0.02
    assert len(directions.unique(dim=0)) == 512


# ---- the whole ----


@pytest.mark.parametrize(
    ("side", "sizes"),
    [(7, (7,)), (16, (16,)), (28, (28,)), (31, (31, 16)), (32, (32, 16)), (64, (64, 32, 16)), (100, (100, 50, 25))],
)
def test_levels_down_to_sixteen(side, sizes):
    found = sliced_wasserstein(real=pictures(3, side=side), fake=pictures(3, side=side, seed=1), patches=4)
    assert found.sizes == sizes
    assert len(found.levels) == len(sizes)
    assert found.mean == pytest.approx(sum(found.levels) / len(sizes))


def test_equal_sets_have_the_distance_zero_and_others_do_not():
    x = smooth(60)
    assert sliced_wasserstein(real=x, fake=x.clone(), patches=32).levels == (0, 0)
    near = sliced_wasserstein(real=x, fake=smooth(60, seed=1), patches=32)
    far = sliced_wasserstein(real=x, fake=pictures(60), patches=32)
    assert 2 * near.levels[0] < far.levels[0]
    assert near.levels[1] < far.levels[1]
    back = sliced_wasserstein(real=pictures(60), fake=x, patches=32)
    assert back.levels == pytest.approx(far.levels, rel=1e-5)


def test_the_level_that_is_wrong_shows_it():
    """Fakes with another fine structure, the coarse one unchanged."""
    x = smooth(60, side=64)
    noisy = (x.float() + 20 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255).byte()
    found = sliced_wasserstein(real=x, fake=noisy, patches=32)
    assert found.levels[0] > 5 * found.levels[2]


def test_it_is_a_thousand_times_the_distance():
    """The paper's numbers for good generators are of the order of 10, for noise of hundreds."""
    found = sliced_wasserstein(real=smooth(40), fake=pictures(40), patches=32)
    assert 50 < found.levels[0] < 1000


def test_blind_to_a_scale_of_the_channel():
    dark = smooth(30) // 2 * 2
    found = sliced_wasserstein(real=dark, fake=dark // 2, patches=16)
    assert max(found.levels) < 0.1


def test_grey_pictures_are_colour_pictures_with_equal_channels():
    real, fake = smooth(20)[:, :1], pictures(20, channels=1)
    grey = sliced_wasserstein(real=real, fake=fake, patches=16)
    colour = sliced_wasserstein(real=real.expand(-1, 3, -1, -1), fake=fake.expand(-1, 3, -1, -1), patches=16)
    assert grey.levels == pytest.approx(colour.levels, rel=1e-6)
    assert sliced_wasserstein(real=real, fake=fake.expand(-1, 3, -1, -1), patches=16).levels == grey.levels


def test_black_pictures_are_no_reason_to_stop():
    black = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    assert sliced_wasserstein(real=black, fake=black, patches=4).mean == 0
    assert 0 < sliced_wasserstein(real=black, fake=pictures(4, side=16), patches=4).mean < 1e4


def test_the_first_pictures_are_taken():
    real, fake = smooth(20), pictures(30)
    found = sliced_wasserstein(real=real, fake=fake, pictures=10, patches=8)
    assert found == sliced_wasserstein(real=real[:10], fake=fake[:10], patches=8)
    assert found != sliced_wasserstein(real=real[:10], fake=fake[:10], patches=8, seed=1)


def test_what_cannot_be_measured():
    x = pictures(4)
    for changes, text in (
        ({"fake": x[:3]}, "4 real and 3 fake"),
        ({"pictures": 5}, "pictures=5"),
        ({"pictures": 0}, "pictures=0"),
        ({"patches": 0}, "patches=0"),
        ({"fake": x.float()}, "fake must be uint8"),
        ({"real": pictures(4, channels=4)}, "real must be uint8"),
        ({"real": pictures(4, side=6)}, r"at least 7x7 pixels, not torch.uint8 \(4, 3, 6, 6\)"),
        ({"real": x[0]}, "real must be"),
        ({"real": pictures(4, side=16)}, r"\(16, 16\) and \(32, 32\)"),
        ({"real": x[:0], "fake": x[:0]}, "pictures=0"),
    ):
        with pytest.raises(ValueError, match=text):
            sliced_wasserstein(**{"real": x, "fake": x, **changes})
    with pytest.raises(TypeError):
        sliced_wasserstein(x, x)
