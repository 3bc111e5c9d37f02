"""Resizers: the legacy one from its definition, Pillow's as Pillow does it, colours, and traps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zerosum.metrics.resize import colour, legacy_bilinear, pillow_bytes, pillow_floats

FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def some(count=2, channels=3, height=7, width=5, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    return torch.from_numpy(values)


def legacy_by_definition(plane, height, width):
    """TensorFlow 1, align_corners=False: target pixel i looks at source position i * source / target, in float32."""
    high, wide = np.float32(plane.shape[0]) / np.float32(height), np.float32(plane.shape[1]) / np.float32(width)
    plane = plane.astype(np.float64)
    found = np.empty((height, width))
    for row in range(height):
        y = float(np.float32(row) * high)
        top, bottom = math.floor(y), min(math.floor(y) + 1, plane.shape[0] - 1)
        for column in range(width):
            x = float(np.float32(column) * wide)
            left, right = math.floor(x), min(math.floor(x) + 1, plane.shape[1] - 1)
            upper = plane[top, left] + (plane[top, right] - plane[top, left]) * (x - left)
            lower = plane[bottom, left] + (plane[bottom, right] - plane[bottom, left]) * (x - left)
            found[row, column] = upper + (lower - upper) * (y - top)
    return found


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_legacy_is_its_definition(height, width, target, seed):
    x = some(1, 1, height, width, seed)
    found = legacy_bilinear(x, target)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[0, 0], legacy_by_definition(x[0, 0].numpy(), *target), atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 48), (299, 299), (400, 330), (28, 28), (1, 1)])
def test_legacy_to_the_size_of_inception(height, width):
    x = some(1, 1, height, width)
    found = legacy_bilinear(x, (299, 299))
    np.testing.assert_allclose(found[0, 0], legacy_by_definition(x[0, 0].numpy(), 299, 299), atol=1e-4)


def test_legacy_has_no_half_pixel_and_no_antialiasing():
    ramp = torch.arange(0, 8, dtype=torch.uint8).reshape(1, 1, 1, 8) * 10
    up = legacy_bilinear(ramp, (1, 16))[0, 0, 0]
    assert up[0] == 0  # half-pixel centres would also give 0 here ...
    assert up[1] == 5  # ... but 2.5 here
    assert up[15] == 70  # the last stays the last, it is not passed
    stripes = torch.tensor([0, 255] * 8, dtype=torch.uint8).reshape(1, 1, 1, 16)
    assert (legacy_bilinear(stripes, (1, 8)) == 0).all()  # an antialiased filter would give grey
    corners = legacy_bilinear(torch.tensor([0, 100], dtype=torch.uint8).reshape(1, 1, 1, 2), (1, 4))
    assert corners.flatten().tolist() == [0, 50, 100, 100]  # align_corners would give 0, 33, 67, 100


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("size", [(3, 4), (11, 9), (7, 5)])
def test_bytes_are_pillows(kind, size):
    x = some()
    found = pillow_bytes(x, size, kind)
    assert found.dtype == torch.uint8
    for picture, resized in zip(x, found, strict=True):
        whole = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize(size[::-1], FILTERS[kind])
        np.testing.assert_array_equal(resized.permute(1, 2, 0), np.asarray(whole))


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("size", [(3, 4), (11, 9), (7, 5)])
def test_floats_are_the_bytes_before_rounding(kind, size):
    x = some()
    found = pillow_floats(x, size, kind)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 255
    plane = Image.fromarray(x[1, 2].numpy().astype(np.float32)).resize(size[::-1], FILTERS[kind])
    np.testing.assert_array_equal(found[1, 2], np.asarray(plane).clip(0, 255))
    if kind in ("box", "bilinear"):  # with bytes Pillow also rounds after the first axis
        assert (found - pillow_bytes(x, size, kind).float()).abs().max() <= 1.5
    if size != (7, 5) and kind != "box":
        assert (found != found.round()).any()


def test_overshoot_is_cut():
    edge = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    edge[..., 4:] = 255
    found = pillow_floats(edge, (16, 16), "bicubic")
    assert (found.min(), found.max()) == (0, 255)


def test_antialiasing_averages():
    stripes = torch.tensor([0, 255] * 16, dtype=torch.uint8).expand(1, 1, 32, 32)
    for kind in FILTERS:
        assert (pillow_floats(stripes, (4, 4), kind)[..., 1:-1] - 127.5).abs().max() < 8


def test_results_do_not_share_memory_with_numbers_that_change():
    x = some()
    for result in (pillow_bytes(x, (4, 4), "box"), pillow_floats(x, (7, 5), "box"), legacy_bilinear(x, (7, 5))):
        result.fill_(1)
    assert torch.equal(x, some())


def test_colours():
    grey = some(channels=1)
    assert all(torch.equal(colour(grey)[:, channel : channel + 1], grey) for channel in range(3))
    assert torch.equal(colour(some()), some())
    clear = some(channels=4)
    clear[0, 3], clear[1, 3] = 0, 255
    assert (colour(clear)[0] == 255).all()
    assert torch.equal(colour(clear)[1], clear[1, :3])
    half = torch.tensor([0, 100, 200, 51], dtype=torch.uint8).reshape(1, 4, 1, 1)
    assert colour(half).flatten().tolist() == [204, 224, 244]  # a fifth of the colour, four fifths white
