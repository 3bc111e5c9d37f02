"""Bytes and floats, and grids to look at."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.data.pixels import READABLE, grid, to_bytes, to_float, to_image


def test_round_trip_of_every_value():
    values = torch.arange(256, dtype=torch.uint8)
    there = to_float(values)
    assert there.dtype == torch.float32
    assert there[0] == -1
    assert there[255] == 1
    assert (there.diff() > 0).all()
    np.testing.assert_array_equal(to_bytes(there), values.numpy())
    np.testing.assert_array_equal(values.numpy(), np.arange(256))  # the input stays as it is


def test_the_formula():
    """NVIDIA's: clamp(127.5 x + 128, 0, 255), then cut off; every published FID of StyleGAN is of these bytes."""
    x = torch.tensor([-9.0, -1.1, -1.0, -0.999, -0.5, -0.0, 0.0, 0.5, 0.99, 1.0, 1.1, 9.0, 1 / 255 - 1])
    np.testing.assert_array_equal(to_bytes(x), [0, 0, 0, 0, 64, 128, 128, 191, 254, 255, 255, 255, 1])
    x = torch.rand(10_000, generator=torch.Generator().manual_seed(0)) * 2.2 - 1.1
    np.testing.assert_array_equal(to_bytes(x), np.clip(x.numpy() * np.float32(127.5) + 128, 0, 255).astype(np.uint8))


def test_every_byte_has_an_equal_part_of_the_range():
    x = torch.linspace(-1, 1, 256 * 500)
    counts = np.bincount(to_bytes(x), minlength=256)
    assert abs(counts[1:-1] - 256 * 500 / 255).max() <= 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    np.testing.assert_array_equal(to_bytes(torch.tensor([-1, 0, 1], dtype=dtype)), [0, 128, 255])


def test_networks_outputs_are_taken_as_they_come():
    x = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    found = to_bytes(x)
    assert found.dtype == np.uint8
    assert found.shape == (2, 3, 4, 5)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, to_bytes(x.detach().contiguous()))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 20), (48, 48), (64, 50), (47, 100)])
def test_a_grid(channels, height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (7, channels, height, width), dtype=np.uint8)
    with Image.open(io.BytesIO(grid(pixels, 3))) as image:
        assert image.format == "PNG"
        assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        tile_width, tile_height = (image.width - 2) // 3 - 2, (image.height - 2) // 3 - 2
        assert image.size == (3 * (tile_width + 2) + 2, 3 * (tile_height + 2) + 2)
        assert min(tile_width, tile_height) >= READABLE
        assert tile_width / width == tile_height / height == max(1, -(-READABLE // min(width, height)))
        sheet = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])).reshape(
            image.height, image.width, channels
        )
    if tile_width == width:  # not enlarged: the pixels themselves
        for index, picture in enumerate(pixels):
            top, left = 2 + index // 3 * (height + 2), 2 + index % 3 * (width + 2)
            np.testing.assert_array_equal(sheet[top : top + height, left : left + width].transpose(2, 0, 1), picture)
    empty = sheet[-tile_height // 2, -tile_width // 2]
    assert empty[0] == 96  # paper where there is no picture


def test_enlarged_tiles_are_in_reading_order():
    pixels = np.arange(0, 250, 50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 12, 12), dtype=np.uint8)
    with Image.open(io.BytesIO(grid(pixels, 2))) as image:
        sheet = np.asarray(image)
    step = (sheet.shape[1] - 2) // 2
    assert sheet.shape == (3 * step + 2, 2 * step + 2)
    centres = [sheet[step // 2 + step * row, step // 2 + step * column] for row in range(3) for column in range(2)]
    assert centres == [0, 50, 100, 150, 200, 96]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_one_picture(channels):
    picture = np.random.default_rng(0).integers(0, 256, (channels, 4, 5), dtype=np.uint8)
    image = to_image(picture)
    assert image.size == (5, 4)
    np.testing.assert_array_equal(np.asarray(image).reshape(4, 5, channels).transpose(2, 0, 1), picture)
