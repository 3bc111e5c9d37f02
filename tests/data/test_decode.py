"""From bytes to pixels: sizes, orientation, colours, and nothing but Unreadable from damaged pictures."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, ImageOps

from zerosum.data.decode import LARGEST, SILENCE, TURNS, Head, decode, head
from zerosum.data.source import Unreadable

RANDOM = np.random.default_rng(7)
BLOCKS = np.kron(RANDOM.integers(0, 256, (3, 5, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, depth=8, colour=2):
    """A PNG of our own making; its pixels are among ``chunks``."""
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + b"".join(chunks) + chunk(b"IEND", b"")


def idat(rows):
    return chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))


def oriented(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


# ---- awkward pictures of others ----


@pytest.fixture(scope="module")
def odd():
    root = os.environ.get("ZEROSUM_DATA")
    if not root or not (Path(root) / "odd-images.zip").exists():
        pytest.skip("set ZEROSUM_DATA to a folder that holds odd-images.zip")
    with zipfile.ZipFile(Path(root) / "odd-images.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def by_hand(image):
    """The pixels of an upright picture (height, width, 1|3|4), by what its mode means."""
    values, see_through = np.asarray(image), image.info.get("transparency")
    if image.mode == "P":
        palette = np.zeros((256, 3), dtype=np.uint8)
        known = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        palette[: len(known)] = known
        if see_through is None:
            return palette[values]
        alpha = np.full(256, 255, dtype=np.uint8)
        if isinstance(see_through, bytes):
            alpha[: len(see_through)] = np.frombuffer(see_through, dtype=np.uint8)
        else:
            alpha[see_through] = 0
        return np.dstack([palette[values], alpha[values]])
    if image.mode in ("1", "L"):
        grey = values.astype(np.uint8) * (255 if image.mode == "1" else 1)
        if see_through is None:
            return grey[:, :, None]
        return np.dstack([grey, grey, grey, np.where(grey == see_through, 0, 255)])
    if image.mode == "LA":
        return values[:, :, [0, 0, 0, 1]]
    if image.mode == "CMYK":
        light = 255.0 - values
        return light[:, :, :3] * light[:, :, 3:] / 255
    if image.mode == "I;16":
        return (values >> 8)[:, :, None]
    assert image.mode in ("RGB", "RGBA"), image.mode
    assert see_through is None
    return values


def test_all_that_are_well_are_read(odd):
    names = [name for name in odd if name.startswith("ok/")]
    assert len(names) == 45
    for name in names:
        with Image.open(io.BytesIO(odd[name])) as image:
            wanted = by_hand(ImageOps.exif_transpose(image))
        found = decode(odd[name])
        assert found.dtype == np.uint8
        assert found.shape == wanted.shape, name
        np.testing.assert_allclose(found.astype(float), wanted, atol=1, err_msg=name)
        assert head(odd[name]) == Head(wanted.shape[1], wanted.shape[0], wanted.shape[2]), name


def test_turned_pictures_are_the_same_picture(odd):
    upright = decode(odd["ok/hopper.jpg"]).astype(int)
    for orientation in (2, 5, 6, 7, 8):
        turned = decode(odd[f"ok/hopper_orientation_{orientation}.jpg"]).astype(int)
        assert np.abs(turned - upright).mean() < 6


def test_each_broken_one_is_refused(odd):
    names = [name for name in odd if name.startswith("broken/")]
    assert len(names) == 4
    for name in names:
        with pytest.raises(Unreadable, match=r"\w+ \w+"):
            decode(odd[name])


# ---- orientation ----


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_stands_upright(kind, orientation):
    options = {"tiffinfo": {0x0112: orientation}} if kind == "TIFF" else {"exif": oriented(orientation), "quality": 95}
    image = Image.fromarray(BLOCKS)
    raw = encoded(image, kind, **options)
    wanted = np.asarray(image if orientation == 1 else image.transpose(TURNS[orientation])).astype(int)
    found = decode(raw)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 12
    assert head(raw)[:2] == (wanted.shape[1], wanted.shape[0])


def test_orientation_behind_the_pixels_of_a_png_counts():
    exif = chunk(b"eXIf", oriented(6).tobytes(8).removeprefix(b"Exif\0\0"))
    raw = png(40, 24, idat(BLOCKS), exif)
    assert head(raw) == Head(24, 40, 3)
    np.testing.assert_array_equal(decode(raw), np.rot90(BLOCKS, -1))


def test_heads_do_not_decode(monkeypatch):
    raws = [encoded(Image.fromarray(BLOCKS), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")]
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    for raw in raws:
        assert head(raw) == Head(40, 24, 3)


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"nonsense" * 9])
def test_damaged_exif_loses_no_picture(exif):
    raw = encoded(Image.fromarray(BLOCKS), "JPEG", exif=exif)
    assert decode(raw).shape == (24, 40, 3)
    assert head(raw) == Head(40, 24, 3)


# ---- values ----


def test_deep_pictures_keep_their_meaning():
    deep = np.array([[0, 255, 256], [32768, 65280, 65535]], dtype=np.uint16)
    raw = encoded(Image.fromarray(deep), "PNG")
    assert head(raw) == Head(3, 2, 1)
    assert decode(raw)[:, :, 0].tolist() == [[0, 0, 1], [128, 255, 255]]
    floats = np.array([[0, 0.5, 1], [-3, np.nan, 0.2]], dtype=np.float32)
    assert decode(encoded(Image.fromarray(floats), "TIFF"))[:, :, 0].tolist() == [[0, 127, 255], [0, 0, 51]]
    whole = np.array([[0, 7, 255], [-1, np.inf, 128]], dtype=np.float32)
    assert decode(encoded(Image.fromarray(whole), "TIFF"))[:, :, 0].tolist() == [[0, 7, 255], [0, 255, 128]]
    small = np.array([[0, 7, 255]], dtype=np.int32)
    assert decode(encoded(Image.fromarray(small), "TIFF"))[:, :, 0].tolist() == [[0, 7, 255]]


def test_one_colour_of_a_png_may_be_clear():
    rows = np.array([[[10, 20, 30], [1, 2, 3]]], dtype=np.uint8)
    raw = png(2, 1, chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)), idat(rows))
    assert head(raw).channels == 4
    assert decode(raw).tolist() == [[[10, 20, 30, 255], [1, 2, 3, 0]]]


def test_pixels_are_returned_as_they_are():
    pixels = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    assert head(pixels) == Head(7, 5, 4)
    assert decode(pixels, (2, 2)) is pixels


# ---- colour profiles ----

PRIMARIES = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7141)}


def profile(red, green, blue, name=b"made up"):
    """A minimal ICC profile: three primaries (as XYZ under D50) and a gamma of 2.2."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white = (0.9642, 1.0, 0.8249)
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(2.2 * 256), 0)
    words = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(78)
    tags = {b"desc": words, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(white)}
    tags |= {
        letter + b"XYZ": xyz(values) for letter, values in zip((b"r", b"g", b"b"), (red, green, blue), strict=True)
    }
    tags |= {letter + b"TRC": curve for letter in (b"r", b"g", b"b")}
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    start = b"\0\0\0\0" + b"\x02\x10\0\0" + b"mntrRGB XYZ " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp"
    start += bytes(28) + xyz(white)[8:] + bytes(48)
    return struct.pack(">I", 128 + len(table + body)) + start + table + body


SWAPPED = profile(PRIMARIES["g"], PRIMARIES["r"], PRIMARIES["b"], name=b"sRGB with red and green swapped")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_another_colour_space_is_converted(kind):
    pixels = (RANDOM.integers(0, 2, (6, 9, 3)) * 255).astype(np.uint8)
    raw = encoded(Image.fromarray(pixels), kind, icc_profile=SWAPPED, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_allclose(decode(raw).astype(int), pixels[:, :, [1, 0, 2]], atol=3)


def test_profiles_leave_transparency_alone():
    pixels = RANDOM.integers(0, 2, (6, 9, 4), dtype=np.uint8) * 255
    pixels[:, :, 3] = RANDOM.integers(1, 256, (6, 9))
    found = decode(encoded(Image.fromarray(pixels), "PNG", icc_profile=SWAPPED))
    np.testing.assert_allclose(found.astype(int), pixels[:, :, [1, 0, 2, 3]], atol=3)
    np.testing.assert_array_equal(found[:, :, 3], pixels[:, :, 3])


def test_palettes_have_profiles_too():
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[:, 3:, 0] = 255
    raw = encoded(Image.fromarray(pixels).quantize(4), "PNG", icc_profile=SWAPPED)
    np.testing.assert_allclose(decode(raw).astype(int), pixels[:, :, [1, 0, 2]], atol=3)


def test_srgb_is_not_touched():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = RANDOM.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(pixels), "PNG", icc_profile=srgb)), pixels)


@pytest.mark.parametrize("damaged", [b"nonsense", SWAPPED[:200], SWAPPED[:300] + bytes(200), b"\0" * 500])
def test_unreadable_profiles_lose_no_picture(damaged):
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(BLOCKS), "PNG", icc_profile=damaged)), BLOCKS)


def test_grey_stays_grey_and_profiles_that_do_not_fit_are_left_alone():
    raw = encoded(Image.fromarray(BLOCKS[:, :, 0]), "PNG", icc_profile=SWAPPED)
    np.testing.assert_array_equal(decode(raw), BLOCKS[:, :, :1])
    cyan = Image.new("CMYK", (3, 3), (255, 0, 0, 0))
    assert decode(encoded(cyan, "TIFF", icc_profile=SWAPPED))[0, 0].tolist() == [0, 255, 255]


# ---- decoding at a part of the size ----

SIDES = st.integers(1, 400)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(1, 8))
@example(200, 800, 100, 200, 6)  # 800x200 when upright: a half would be too low
@example(800, 200, 25, 400, 8)
def test_jpegs_are_never_smaller_than_wanted(width, height, least_width, least_height, orientation):
    raw = encoded(Image.new("RGB", (width, height), "teal"), "JPEG", exif=oriented(orientation))
    whole = head(raw)
    found = decode(raw, (least_width, least_height))
    assert found.shape[1] >= min(least_width, whole.width)
    assert found.shape[0] >= min(least_height, whole.height)
    scale = max(part for part in (1, 2, 4, 8) if part == 1 or whole.width // part >= least_width)
    scale = max(part for part in (1, 2, 4, 8) if part <= scale and (part == 1 or whole.height // part >= least_height))
    assert found.shape == (-(-whole.height // scale), -(-whole.width // scale), 3)


def test_pictures_with_others_behind_them_are_jpegs_too():
    images = [Image.fromarray(np.kron(BLOCKS, np.ones((10, 10, 1), dtype=np.uint8))) for _ in range(2)]
    raw = encoded(images[0], "MPO", save_all=True, append_images=images[1:])
    assert head(raw) == Head(400, 240, 3)
    assert decode(raw, (100, 60)).shape == (60, 100, 3)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_others_are_decoded_whole(kind):
    assert decode(encoded(Image.new("RGB", (300, 200), "teal"), kind), (10, 10)).shape == (200, 300, 3)


# ---- damage ----


def claims(width, height):
    """Files whose headers claim a size, with next to nothing behind them."""
    return {
        "PNG": png(width, height, chunk(b"IDAT", zlib.compress(bytes(1000)))),
        "PPM": b"P6 %d %d 255\n" % (width, height) + bytes(100),
        "BMP": b"BM"
        + struct.pack("<IIIIiiHHIIIIII", 154, 0, 54, 40, width, height, 1, 24, 0, 100, 0, 0, 0, 0)
        + bytes(100),
        "GIF": b"GIF89a" + struct.pack("<HHBBB", min(width, 65535), min(height, 65535), 0x80, 0, 0) + bytes(6)
        + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0;",
    }  # fmt: skip


@pytest.mark.parametrize("size", [(100_000, 100_000), (20_000, 20_000), (LARGEST // 10_000, 10_007)])
@pytest.mark.parametrize("kind", ["PNG", "PPM", "BMP", "GIF"])
def test_bombs_are_refused_before_anything_is_allocated(monkeypatch, kind, size):
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    for function in (head, decode):
        with pytest.raises(Unreadable, match=r"too many|more than"):
            function(claims(*size)[kind])


def test_reasons_are_words():
    with pytest.raises(Unreadable, match="it is empty"):
        head(b"")
    with pytest.raises(Unreadable, match="no picture of a known kind"):
        head(b"hello, world")
    with pytest.raises(Unreadable, match="no picture of a known kind"):  # a kind that can run programs
        head(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")


KINDS = {
    "PNG": {},
    "JPEG": {"exif": oriented(6)},
    "GIF": {"save_all": True, "append_images": [Image.fromarray(BLOCKS[::-1])]},
    "WEBP": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw", "icc_profile": SWAPPED},
    "PPM": {},
    "AVIF": {"speed": 10},
}
WHOLE = {kind: encoded(Image.fromarray(BLOCKS), kind, **options) for kind, options in KINDS.items()}
WHOLE["palette"] = encoded(Image.fromarray(BLOCKS).quantize(8), "PNG", transparency=3, icc_profile=SWAPPED)
WHOLE["raw TIFF"] = encoded(Image.fromarray(BLOCKS), "TIFF", tiffinfo={0x0112: 6})


def only_unreadable(raw):
    """Read a picture both ways, or be told that it is damaged."""
    for function in (head, decode):
        why = "damaged"
        try:
            found = function(raw)
        except Unreadable as error:
            why = str(error)
        else:
            shape = found.shape[1::-1] + found.shape[2:] if function is decode else found
            assert len(shape) == 3
            assert shape[2] in (1, 3, 4)
        assert why.strip()
        assert "\n" not in why


@pytest.mark.parametrize("kind", WHOLE)
def test_truncated_files(kind):
    whole = WHOLE[kind]
    assert decode(whole).shape[2] in (3, 4)
    for length in {*range(min(64, len(whole))), *range(64, len(whole), max(1, len(whole) // 60))}:
        only_unreadable(whole[:length])
    if kind not in ("WEBP", "AVIF"):
        with pytest.raises(Unreadable):
            decode(whole[: len(whole) // 2])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    st.booleans(),
)
def test_mutated_files(kind, edits, at_the_start):
    raw = bytearray(WHOLE[kind])
    for place, values in edits:
        start = int(place * (min(len(raw), 100) if at_the_start else len(raw)))
        raw[start : start + len(values)] = values
    only_unreadable(bytes(raw))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"", *(whole[:12] for whole in WHOLE.values())]), st.binary(max_size=300))
def test_random_bytes(start, rest):
    only_unreadable(start + rest)


# ---- warnings ----


def test_warnings_are_kept_back_and_filters_left_as_they_were():
    """Also by many threads at a time."""
    raw = png(40, 24, chunk(b"acTL", bytes(8)), idat(BLOCKS))  # Pillow warns of no frames
    with pytest.warns(UserWarning, match="Invalid APNG"), Image.open(io.BytesIO(raw)):
        pass
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(decode, [raw] * 200):
            np.testing.assert_array_equal(found, BLOCKS)
    assert warnings.filters == before
    assert SILENCE not in warnings.filters
