"""What becomes of other proportions: a picture is cut, padded or stretched, and nothing else happens to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zerosum.cli import main
from zerosum.data import prepare as room
from zerosum.data import prepared
from zerosum.data.fit import Shape, fit
from zerosum.data.readers.folder import folder
from zerosum.data.survey import survey

RED, GREEN, BLUE, GREY = (200, 0, 0), (0, 180, 0), (0, 0, 220), (90, 90, 90)
SIDES = st.integers(1, 70)


def quarters(width, height, mode="RGB"):
    """Red, green, blue and grey: what lies where can be seen after any resizing."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    half = height // 2, width // 2
    pixels[: half[0], : half[1]], pixels[: half[0], half[1] :] = RED, GREEN
    pixels[half[0] :, : half[1]], pixels[half[0] :, half[1] :] = BLUE, GREY
    return Image.fromarray(pixels).convert(mode)


def colour(pixels, row, column):
    """The colour (C,) at a place given as shares of the height and the width."""
    return pixels[:, int(row * pixels.shape[1]), int(column * pixels.shape[2])].tolist()


def dark_box(pixels):
    """(top, left, height, width) of what is not white in (C, H, W); everything in it is dark."""
    dark = (pixels[:3] < 128).all(axis=0)
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    height, width = len(rows), len(columns)
    assert dark[top : top + height, left : left + width].all()
    outside = np.ones(dark.shape, dtype=bool)
    outside[top : top + height, left : left + width] = False
    assert (pixels[:3, outside] == 255).all()
    return top, left, height, width


# ---- pad ----


@settings(deadline=None, max_examples=200)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3, 4]))
def test_a_padded_picture_is_whole_and_in_the_middle(width, height, wide, high, channels):
    """One side is filled, the other keeps the proportions, and what is left is shared between both ends."""
    found = fit(Image.new("RGB", (width, height), "black"), Shape(wide, high, channels, "pad"))
    assert found.shape == (channels, high, wide)
    top, left, tall, broad = dark_box(found)
    larger = min(wide / width, high / height)
    assert abs(broad - max(1, width * larger)) <= 0.5 + 1e-6
    assert abs(tall - max(1, height * larger)) <= 0.5 + 1e-6
    assert broad == wide or tall == high
    assert 0 <= (wide - broad) - 2 * left <= 1
    assert 0 <= (high - tall) - 2 * top <= 1


@pytest.mark.parametrize(
    ("size", "wanted", "box"),
    [
        ((40, 20), (20, 20), (5, 0, 10, 20)),  # wide, made smaller
        ((20, 40), (20, 20), (0, 5, 20, 10)),  # tall, made smaller
        ((10, 4), (40, 40), (12, 0, 16, 40)),  # wide, made larger
        ((4, 10), (40, 40), (0, 12, 40, 16)),  # tall, made larger
        ((30, 30), (40, 20), (0, 10, 20, 20)),  # a square in a wide one
        ((16, 8), (32, 16), (0, 0, 16, 32)),  # the same proportions
        ((1, 300), (8, 60), (0, 3, 60, 1)),  # never less than a pixel
    ],
)
def test_where_a_padded_picture_lies(size, wanted, box):
    assert dark_box(fit(Image.new("L", size, 0), Shape(*wanted, 1, "pad"))) == box


@pytest.mark.parametrize("size", [(160, 80), (80, 160), (16, 8), (8, 16)])
def test_all_corners_of_a_padded_picture_are_there(size):
    found = fit(quarters(*size), Shape(32, 32, 3, "pad"))
    wide = size[0] > size[1]
    near, far = (0.3, 0.7) if wide else (0.1, 0.9)
    side, other = (0.1, 0.9) if wide else (0.3, 0.7)
    corners = [colour(found, row, column) for row in (near, far) for column in (side, other)]
    np.testing.assert_allclose(corners, [RED, GREEN, BLUE, GREY], atol=2)


def test_the_inside_is_the_resized_picture():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 60, 3), dtype=np.uint8))
    found = fit(image, Shape(24, 24, 3, "pad"))
    inside = np.asarray(image.resize((24, 12), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    np.testing.assert_array_equal(found[:, 6:18], inside)
    assert (found[:, :6] == 255).all()
    assert (found[:, 18:] == 255).all()


def test_the_ground_is_clear_where_transparency_is_kept():
    image = Image.new("RGBA", (20, 10), (10, 20, 30, 128))
    kept = fit(image, Shape(20, 20, 4, "pad"))
    assert (kept[:, 5:15].transpose(1, 2, 0) == (10, 20, 30, 128)).all()
    ground = np.concatenate([kept[:, :5], kept[:, 15:]], axis=1)
    assert (ground[3] == 0).all()
    assert (ground[:3] == 255).all()
    opaque = fit(Image.new("RGB", (20, 10), (10, 20, 30)), Shape(20, 20, 4, "pad"))
    assert (opaque[3, 5:15] == 255).all()
    assert (opaque[3, :5] == 0).all()
    laid = fit(image, Shape(20, 20, 3, "pad"))
    np.testing.assert_allclose(laid[:, 10, 10], [132, 137, 142], atol=1)  # half of it, half white
    assert (laid[:, :5] == 255).all()


def test_transparency_is_laid_on_white_before_it_is_padded():
    found = fit(Image.new("RGBA", (20, 10), (0, 0, 0, 0)), Shape(20, 20, 1, "pad"))
    assert (found == 255).all()


# ---- stretch and crop ----


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["stretch", "crop"]))
def test_nothing_is_added(width, height, wide, high, how):
    found = fit(Image.new("RGB", (width, height), "black"), Shape(wide, high, 3, how))
    assert found.shape == (3, high, wide)
    assert (found == 0).all()


@pytest.mark.parametrize("size", [(160, 40), (40, 160), (8, 30)])
def test_a_stretched_picture_is_whole(size):
    found = fit(quarters(*size), Shape(30, 20, 3, "stretch"))
    corners = [colour(found, row, column) for row in (0.1, 0.9) for column in (0.1, 0.9)]
    np.testing.assert_allclose(corners, [RED, GREEN, BLUE, GREY], atol=2)
    middle = (found[0, 0].astype(int) > 100).sum()  # red ends in the middle
    assert abs(middle - 15) <= 1


def test_a_cropped_picture_keeps_its_middle():
    pixels = np.zeros((40, 160, 3), dtype=np.uint8)
    pixels[:, 60:100] = 255
    found = fit(Image.fromarray(pixels), Shape(20, 20, 3))
    assert found[:, :, 1:19].min() > 250
    assert fit(Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90), Shape(20, 20, 3))[:, 1:19].min() > 250


# ---- how roughly a JPEG may be decoded ----


@pytest.mark.parametrize(
    ("how", "size", "least"),
    [
        ("pad", (400, 100), (40, 10)),
        ("pad", (100, 400), (10, 40)),
        ("crop", (400, 100), (160, 40)),
        ("crop", (100, 400), (40, 160)),
        ("stretch", (400, 100), (40, 40)),
    ],
)
def test_twice_of_what_is_wanted_is_decoded(how, size, least):
    assert Shape(20, 20, 3, how).least(*size) == least


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["crop", "pad", "stretch"]))
def test_never_less_is_decoded_than_is_drawn(width, height, wide, high, how):
    """The part of the picture that is used has at least twice the pixels of what it becomes, on either side."""
    shape = Shape(wide, high, 3, how)
    least = shape.least(width, height)
    if how == "pad":
        assert max(least[0] / wide, least[1] / high) >= 2
    else:
        assert min(least[0] / wide, least[1] / high) >= 2 - 1e-9


# ---- through the door ----


def put(place):
    """A wide photograph, a tall one, and a small one with a clear half."""
    place.mkdir()
    quarters(512, 256).save(place / "a.jpg", quality=95)
    quarters(200, 400).save(place / "b.png")
    clear = np.zeros((4, 8, 4), dtype=np.uint8)
    clear[:, :4] = (*RED, 255)
    Image.fromarray(clear).save(place / "c.png")
    return place


@pytest.mark.parametrize("channels", [3, 4])
def test_padding_while_preparing(tmp_path, channels):
    source = folder(put(tmp_path / "pictures"))
    found = room.prepare(source, survey(source), Shape(32, 32, channels, "pad"), cache=tmp_path / "cache")
    wide, tall, clear = found.pixels[np.arange(3)]
    for pixels, rows, columns in ((wide, (0.3, 0.7), (0.1, 0.9)), (tall, (0.1, 0.9), (0.3, 0.7))):
        corners = [colour(pixels, row, column)[:3] for row in rows for column in columns]
        np.testing.assert_allclose(corners, [RED, GREEN, BLUE, GREY], atol=6)  # one of them is a JPEG
    assert (wide[:3, :8] == 255).all()
    assert (wide[:3, 24:] == 255).all()
    assert (tall[:3, :, :8] == 255).all()
    np.testing.assert_allclose(colour(clear, 0.5, 0.1)[:3], RED, atol=2)
    assert colour(clear, 0.5, 0.9)[-1] == (0 if channels == 4 else 255)
    if channels == 4:
        assert (wide[3, :8] == 0).all()
        assert (wide[3, 8:24] == 255).all()


def test_padding_by_command(tmp_path, capsys):
    put(tmp_path / "pictures")
    command = ["data", "prepare", str(tmp_path / "pictures"), "--resolution", "32x16", "--channels", "3"]
    shown = {}
    for how in ("pad", "stretch", "crop"):
        out = tmp_path / how
        assert main([*command, "--fit", how, "-o", str(out)]) == 0
        pictures, shape = prepared.load(out)
        assert shape.fit == how
        shown[how] = pictures.pixels[np.array([1])][0]  # the tall one
    assert dark_columns(shown["pad"]) == (12, 8)
    for how in ("stretch", "crop"):
        assert dark_columns(shown[how]) == (0, 32)
    np.testing.assert_allclose(colour(shown["stretch"], 0.1, 0.1), RED, atol=2)
    capsys.readouterr()


def dark_columns(pixels):
    """The first column that is not white, and how many there are."""
    columns = np.flatnonzero((pixels < 250).any(axis=(0, 1)))
    return int(columns[0]), len(columns)
