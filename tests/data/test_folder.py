"""Folders of PNG and JPEG files."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from zerosum.data import decode
from zerosum.data import fit as fitting
from zerosum.data import prepare as room
from zerosum.data.find import find
from zerosum.data.fit import Shape
from zerosum.data.source import Unreadable
from zerosum.data.survey import survey
from zerosum.errors import UserError


def prepare(source, width, height, channels):
    return room.prepare(source, survey(source), Shape(width, height, channels))


def fit(picture, width, height, channels):
    return fitting.fit(decode.upright(picture), Shape(width, height, channels))


def pixels_of(source, index):
    return decode.decode(source.read(index))


def sizes_of(source):
    return survey(source).sizes


def channels_of(source):
    return int(survey(source).channels.max())


RANDOM = np.random.default_rng(0)


def noise(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


# ---- what a folder means ----


def test_class_folders_are_labels(tmp_path):
    arrays = {}
    for name in ("b/2.png", "a/1.png", "b/0.png", "c/deep/er/3.png"):
        arrays[name] = noise(6, 5, 3)
        save(tmp_path / "pets" / name, arrays[name])
    source = find(tmp_path / "pets")
    assert source.name == "pets"
    assert source.classes == ("a", "b", "c")
    assert source.labels.tolist() == [0, 1, 1, 2]
    for index, name in enumerate(("a/1.png", "b/0.png", "b/2.png", "c/deep/er/3.png")):
        np.testing.assert_array_equal(pixels_of(source, index), arrays[name])
    np.testing.assert_array_equal(sizes_of(source), [(5, 6)] * 4)
    assert source.notes == ()
    assert source.test is None


def test_flat_folders_have_no_labels_and_say_so(tmp_path):
    for name in ("1.png", "2.JPG", "3.jpeg", "4.PNG"):
        save(tmp_path / name, noise(4, 4, 3))
    (tmp_path / "notes.txt").write_text("no picture")
    source = find(tmp_path)
    assert len(source) == 4
    assert source.labels is None
    assert source.classes == ()
    assert len(source.notes) == 1
    assert "no labels" in source.notes[0]


@pytest.mark.parametrize("names", [("a/1.png", "2.png"), ("a/1.png", "a/2.png")], ids=["one outside", "one class"])
def test_labels_need_every_picture_and_two_classes(tmp_path, names):
    for name in names:
        save(tmp_path / name, noise(4, 4, 3))
    source = find(tmp_path)
    assert source.labels is None
    assert source.classes == ()
    assert source.notes


def test_grey_stays_grey(tmp_path):
    grey, black_or_white = noise(4, 5), noise(4, 5) > 127
    save(tmp_path / "1.png", grey)
    save(tmp_path / "2.png", black_or_white)
    save(tmp_path / "3.jpg", grey)
    source = find(tmp_path)
    assert channels_of(source) == 1
    assert pixels_of(source, 0).shape == (4, 5, 1)
    np.testing.assert_array_equal(pixels_of(source, 0)[:, :, 0], grey)
    np.testing.assert_array_equal(pixels_of(source, 1)[:, :, 0], black_or_white * np.uint8(255))


def test_one_colour_picture_makes_three_channels(tmp_path):
    grey = noise(4, 4)
    save(tmp_path / "1.png", grey)
    save(tmp_path / "2.png", noise(4, 4, 3))
    source = find(tmp_path)
    assert channels_of(source) == 3
    found = prepare(source, 4, 4, 3)
    np.testing.assert_array_equal(found.pixels[0], np.stack([grey] * 3))


def test_transparency_makes_four_channels(tmp_path):
    colour, clear = noise(4, 4, 3), noise(4, 4, 4)
    save(tmp_path / "1.png", colour)
    save(tmp_path / "2.png", clear)
    source = find(tmp_path)
    assert channels_of(source) == 4
    found = prepare(source, 4, 4, 4)
    np.testing.assert_array_equal(
        found.pixels[0], np.concatenate([colour, np.full((4, 4, 1), 255)], 2).transpose(2, 0, 1)
    )
    np.testing.assert_array_equal(found.pixels[1], clear.transpose(2, 0, 1))


def test_other_forms_of_transparency(tmp_path):
    palette = Image.fromarray(noise(6, 6, 3)).quantize(8)
    palette.save(tmp_path / "bytes.png", transparency=bytes([0, 128, 255]))
    palette.save(tmp_path / "index.png", transparency=0)
    Image.fromarray(np.array([[3, 4]], dtype=np.uint8)).save(tmp_path / "grey.png", transparency=3)
    Image.fromarray(noise(2, 2, 3)).save(tmp_path / "key.png", transparency=(1, 2, 3))
    Image.fromarray(noise(2, 2)).convert("LA").save(tmp_path / "la.png")
    source = find(tmp_path)
    assert channels_of(source) == 4
    assert [pixels_of(source, index).shape[2] for index in range(5)] == [4] * 5
    assert pixels_of(source, 1)[0].tolist() == [[3, 3, 3, 0], [4, 4, 4, 255]]


def test_a_palette_is_colour(tmp_path):
    array = np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8)
    Image.fromarray(array).quantize(2).save(tmp_path / "1.png")
    source = find(tmp_path)
    assert channels_of(source) == 3
    np.testing.assert_array_equal(pixels_of(source, 0), array)


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    deep = np.array([[0, 256, 0x4000, 0x8000, 0xC000, 0xFFFF]], dtype=np.uint16)
    save(tmp_path / "1.png", deep)
    source = find(tmp_path)
    assert channels_of(source) == 1
    np.testing.assert_allclose(pixels_of(source, 0)[0, :, 0].astype(int), [0, 1, 64, 128, 192, 255], atol=1)


def test_cmyk(tmp_path):
    red = np.full((8, 8, 3), (200, 30, 30), dtype=np.uint8)
    Image.fromarray(red).convert("CMYK").save(tmp_path / "1.jpg", quality=98)
    source = find(tmp_path)
    assert channels_of(source) == 3
    np.testing.assert_allclose(pixels_of(source, 0).astype(int), red, atol=6)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_exif_orientation(tmp_path, orientation, kind):
    array = np.zeros((16, 24, 3), dtype=np.uint8)
    array[:8, :8], array[8:, 16:] = (255, 0, 0), (0, 0, 255)  # red upper left, blue lower right
    array[:8, 16:] = (0, 255, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"1.{kind}", array, exif=exif, **({"quality": 100, "subsampling": 0} if kind == "jpg" else {}))
    source = find(tmp_path)
    wanted = UPRIGHT[orientation](array)
    assert tuple(sizes_of(source)[0]) == (wanted.shape[1], wanted.shape[0])
    np.testing.assert_allclose(pixels_of(source, 0).astype(int), wanted, atol=0 if kind == "png" else 6)


# ---- what is refused ----


def test_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match=r"no pictures.*it is empty"):
        find(tmp_path)


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.TXT").write_text("")
    (tmp_path / "data.npz").write_text("")
    with pytest.raises(UserError, match=r"no pictures.*\.npz, \.txt.*\.png, \.jpg"):
        find(tmp_path)


@pytest.mark.parametrize("name", ["digit", "Digits", "digts"])
def test_a_misspelt_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"no data named '{name}' \(did you mean digits\?\)"):
        find(name)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(UserError) as caught:
        find(tmp_path / "picturs")
    assert str(tmp_path / "picturs") in str(caught.value)
    assert "did you mean" not in str(caught.value)


def test_a_file_in_place_of_a_folder(tmp_path):
    path = save(tmp_path / "cat.png", noise(4, 4, 3))
    with pytest.raises(UserError, match=r"cat\.png is one picture: give the folder"):
        find(path)


def test_a_folder_named_like_a_picture_is_no_picture(tmp_path):
    save(tmp_path / "a.png" / "1.png", noise(4, 4, 3))
    assert len(find(tmp_path)) == 1


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def encoded(array, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


HEAD = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
UNREADABLE = {
    "empty.png": b"",
    "text.png": b"this is no picture",
    "cut-early.png": encoded(noise(40, 40, 3))[:20],
    "cut-late.png": encoded(noise(40, 40, 3))[:2000],
    "cut.jpg": encoded(noise(40, 40, 3), "JPEG")[:600],
    "html.jpg": b"<html><body>404 Not Found</body></html>",
    "no-pixels.png": HEAD + _chunk(b"IEND", b""),
    "no-stream.png": HEAD + _chunk(b"IDAT", b"this is no zlib stream") + _chunk(b"IEND", b""),
    "short-stream.png": HEAD + _chunk(b"IDAT", zlib.compress(b"\0" * 30)) + _chunk(b"IEND", b""),
    "wrong-sum.png": HEAD[:-1] + b"\0" + _chunk(b"IDAT", b"") + _chunk(b"IEND", b""),
    "enormous.png": HEAD[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + HEAD[24:],
}


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_an_unreadable_picture_is_named(tmp_path, name):
    save(tmp_path / "fine.png", noise(4, 4, 3))
    (tmp_path / name).write_bytes(UNREADABLE[name])
    found = prepare(find(tmp_path), 4, 4, 3)
    assert [file for file, _ in found.skipped] == [name]
    assert len(found) == 1


def test_a_picture_that_vanishes_is_named(tmp_path):
    path = save(tmp_path / "gone.png", noise(4, 4, 3))
    source = find(tmp_path)
    path.unlink()
    with pytest.raises(Unreadable, match="No such file"):
        pixels_of(source, 0)
    with pytest.raises(UserError, match=r"gone\.png"):
        survey(source)


def odd_exif():
    """EXIF that says turned by a quarter, and an image width of text."""
    entries = struct.pack("<HHI4s", 0x0100, 2, 4, b"abc\0") + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)


def _loads_or_says_so(folder, name):
    """A picture loads, with the size and channels that were announced, or words name it."""
    with warnings.catch_warnings(), mock.patch.object(Image, "MAX_IMAGE_PIXELS", 1_000_000):
        warnings.simplefilter("ignore")
        try:
            source = find(folder)
            survey(source)
            picture = pixels_of(source, 0)
        except (UserError, Unreadable) as error:
            picture, words = None, f"{name}: {error}"
    if picture is None:
        assert name in words
        return None
    assert picture.dtype == np.uint8
    assert picture.shape[:2] == tuple(sizes_of(source)[0][::-1])
    assert picture.shape[2] <= channels_of(source)
    return picture


def test_odd_exif_in_a_turned_picture(tmp_path):
    (tmp_path / "1.jpg").write_bytes(encoded(noise(8, 16, 3), "JPEG", exif=odd_exif()))
    picture = _loads_or_says_so(tmp_path, "1.jpg")
    assert picture is None or picture.shape == (16, 8, 3)


SEEDS = [
    encoded(noise(6, 5, 3)),
    encoded(noise(6, 5), transparency=3),
    encoded(noise(6, 5, 4)),
    encoded(noise(6, 5, 3), exif=odd_exif()),
    encoded(noise(6, 5, 3), "JPEG", exif=odd_exif()),
]


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=4),
    st.integers(0, 3000),
)
def test_damaged_pictures_load_or_are_named(tmp_path_factory, content, changes, end):
    folder = tmp_path_factory.getbasetemp() / "fuzz-pictures"
    folder.mkdir(exist_ok=True)
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    (folder / "1.png").write_bytes(damaged[:end])
    _loads_or_says_so(folder, "1.png")


def test_a_large_picture_loads_without_a_warning(tmp_path, monkeypatch):
    """Pillow warns above MAX_IMAGE_PIXELS and refuses above twice that."""
    save(tmp_path / "1.png", noise(30, 30, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert pixels_of(find(tmp_path), 0).shape == (30, 30, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(UserError, match=r"1\.png"):
        survey(find(tmp_path))


def test_damaged_metadata_loads_without_a_warning(tmp_path):
    array = noise(6, 5, 3)
    (tmp_path / "1.png").write_bytes(encoded(array, exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"))
    source = find(tmp_path)
    np.testing.assert_array_equal(pixels_of(source, 0), array)


# ---- one size ----


@pytest.mark.parametrize(("width", "height"), [(60, 20), (20, 60), (61, 20), (20, 33), (20, 20)])
def test_the_centre_is_kept(width, height):
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[:] = (0, 0, 255)
    top, left = (height - 20) // 2, (width - 20) // 2
    picture[top : top + 20 + height % 2, left : left + 20 + width % 2] = (255, 0, 0)
    found = fit(picture, 20, 20, 3)
    np.testing.assert_array_equal(found, np.broadcast_to(np.array([255, 0, 0])[:, None, None], (3, 20, 20)))


def test_the_crop_has_the_aspect_of_the_target():
    picture = np.zeros((40, 100), dtype=np.uint8)
    picture[:, 10:90] = 200  # the 2:1 centre
    found = fit(picture[:, :, None], 20, 10, 1)
    assert found.shape == (1, 10, 20)
    assert (found[:, :, 2:-2] == 200).all()
    wide = fit(picture[:, :, None], 25, 10, 1)
    assert wide[0, 5, 0] < 20
    assert wide[0, 5, -1] < 20


def test_four_corners_keep_their_places():
    picture = np.zeros((40, 80, 3), dtype=np.uint8)
    picture[:20, :40], picture[:20, 40:], picture[20:, :40] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    found = fit(picture, 16, 8, 3)
    assert found[:, 1, 1].tolist() == [255, 0, 0]
    assert found[:, 1, -2].tolist() == [0, 255, 0]
    assert found[:, -2, 1].tolist() == [0, 0, 255]
    assert found[:, -2, -2].tolist() == [0, 0, 0]


def test_shrinking_averages():
    """Without antialiasing a checkerboard would become black, white or stripes."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    found = fit(board[:, :, None], 8, 8, 1)
    np.testing.assert_allclose(found.astype(int), 128, atol=2)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 250), st.integers(1, 250), st.integers(1, 100), st.integers(1, 100), st.sampled_from([1, 3, 4]))
@example(29, 40, 28, 28, 1)
@example(40, 58, 28, 56, 3)
@example(7, 7, 25, 3, 1)
@example(1, 250, 100, 100, 1)
def test_any_size_fits_any_other(width, height, to_width, to_height, channels):
    found = fit(np.full((height, width, 3), 77, dtype=np.uint8), to_width, to_height, channels)
    assert found.shape == (channels, to_height, to_width)
    assert (found[:3] == 77).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_laid_on_white(channels):
    picture = np.zeros((1, 3, 4), dtype=np.uint8)
    picture[0, :, 3] = (0, 128, 255)  # clear, half and full black
    found = fit(picture, 3, 1, channels)
    np.testing.assert_allclose(found.astype(int), np.broadcast_to([255, 127, 0], (channels, 1, 3)), atol=1)


def test_transparency_is_kept_with_four_channels():
    picture = noise(3, 3, 4)
    np.testing.assert_array_equal(fit(picture, 3, 3, 4), picture.transpose(2, 0, 1))


def test_colour_becomes_grey_by_luma():
    picture = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    np.testing.assert_allclose(fit(picture, 3, 1, 1)[0, 0].astype(int), [76, 150, 29], atol=1)


# ---- real pictures ----


def test_flowers(tmp_path):
    root = os.environ.get("ZEROSUM_DATA")
    if not root or not (Path(root) / "flowers-227.zip").exists():
        pytest.skip("set ZEROSUM_DATA to a folder that holds flowers-227.zip")
    with zipfile.ZipFile(Path(root) / "flowers-227.zip") as archive:
        archive.extractall(tmp_path)
    source = find(tmp_path / "flowers")
    assert source.classes == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    assert np.bincount(source.labels).tolist() == [118] * 5
    assert channels_of(source) == 3
    found = prepare(source, 32, 32, 3)
    assert found.pixels.shape == (590, 3, 32, 32)
    assert found.source_size == (227, 227)
    assert len(found.held_out) == 59
    assert set(np.bincount(found.take("held-out")[1])) <= {11, 12}
    assert 90 < found.pixels.mean() < 140
