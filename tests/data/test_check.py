"""A look at every picture: what is found, and how it is told."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zerosum.data.checking import twins
from zerosum.data.checking.check import check, sheet_of
from zerosum.data.checking.look import look
from zerosum.data.readers.labels import from_places
from zerosum.data.source import Source, Unreadable, from_array
from zerosum.data.survey import survey


def encoded(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def photo(seed, width=160, height=120):
    """Something like a photograph: large soft shapes and fine grain, to the edges."""
    random = np.random.default_rng(seed)
    soft = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    pixels = np.asarray(soft.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return (pixels + random.normal(0, 8, pixels.shape)).clip(0, 255).astype(np.uint8)


def photos(count, suffix=".jpg"):
    return {f"{seed:04}{suffix}": encoded(photo(seed, 40, 30), "JPEG") for seed in range(count)}


def source_of(contents):
    """A source over encoded pictures by name, as a folder of them would give."""
    names = list(contents)
    found = from_places(names)

    def read(index):
        raw = contents[names[index]]
        if isinstance(raw, Exception):
            raise raw
        return raw

    return Source("some", len(names), read, files=names, labels=found.labels, classes=found.classes, test=found.test)


def checked(contents):
    source = contents if isinstance(contents, Source) else source_of(contents)
    findings = check(source, survey(source))
    json.dumps(findings.to_json(), allow_nan=False)
    lines = findings.lines()
    assert len(lines) <= 25
    assert all("\n" not in line for line in lines)
    return findings


def said(findings, what):
    """The line that starts with ``what``, and those that go on with it."""
    lines = findings.lines()
    start = next((place for place, line in enumerate(lines) if line.startswith(f"{what:<12}")), None)
    if start is None:
        return ""
    end = next((place for place in range(start + 1, len(lines)) if lines[place][0] != " "), len(lines))
    return " ".join(line[12:] for line in lines[start:end])


# ---- counts, sizes, channels, classes ----


def test_nothing_to_mend_is_said_in_few_words():
    findings = checked(photos(12))
    assert findings.lines() == [
        "pictures    12, all of them can be read",
        "sizes       all 40x30",
        "channels    colour",
        "classes     none",
        "copies      none",
    ]


def test_sizes_and_proportions():
    contents = photos(10) | {"wide.png": encoded(photo(90, 80, 20)), "high.png": encoded(photo(91, 39, 90))}
    contents["same.png"] = encoded(photo(92, 60, 45))
    findings = checked(contents)
    assert findings.sizes == ((40, 30, 10), (39, 90, 1), (60, 45, 1), (80, 20, 1))
    assert findings.shapes.usual == pytest.approx(4 / 3)
    assert findings.shapes.others == (2, ("wide.png", "high.png"))
    assert said(findings, "sizes") == "4 sizes from 40x30 to 39x90, most often 40x30 (10 of 13)"
    assert said(findings, "proportions") == (
        "2 pictures are wider or narrower than most (width / height 1.33): "
        "training crops the centre (--fit pad or stretch change that)"
    )
    sizes = findings.to_json()["sizes"]
    assert (sizes["count"], sizes["smallest"], sizes["largest"]) == (4, (40, 30), (39, 90))


def test_transparency_counts_only_where_it_is_used():
    opaque = np.dstack([photo(1, 20, 20), np.full((20, 20), 255, dtype=np.uint8)])
    clear = opaque.copy()
    clear[3, 4, 3] = 254
    findings = checked(photos(5) | {"opaque.png": encoded(opaque), "clear.png": encoded(clear)})
    assert findings.channels == {1: 0, 3: 5, 4: 2}
    assert findings.clear == (1, ("clear.png",))
    assert said(findings, "channels") == (
        "1 of 7 pictures have transparency (clear.png): it is laid on white (--set channels=4 keeps it)"
    )
    assert said(checked(photos(5) | {"opaque.png": encoded(opaque)}), "channels") == "colour"


def test_grey_pictures_are_known_however_they_are_stored():
    grey = photo(1, 30, 30)[:, :, :1]
    contents = {
        "grey.png": encoded(grey[:, :, 0]),
        "colour.png": encoded(np.repeat(grey[::-1], 3, axis=2)),
        "jpeg.jpg": encoded(np.repeat(grey, 3, axis=2), "JPEG"),
    }
    clear = np.dstack([photo(2, 9, 9), np.zeros((9, 9), dtype=np.uint8)])
    findings = checked(photos(2) | contents | {"clear.png": encoded(clear)})  # colours that nobody sees
    assert findings.channels == {1: 1, 3: 4, 4: 1}
    assert findings.greyish == (3, ("colour.png", "jpeg.jpg", "clear.png"))
    assert "4 of 6 pictures are grey: training treats them as colour" in said(findings, "channels")
    assert "all grey, but stored as colour: --set channels=1" in said(checked(contents), "channels")
    assert said(checked({"grey.png": contents["grey.png"]}), "channels") == "all grey: training uses one channel"


def test_classes_and_their_balance():
    def classes(**counts):
        return {f"{name}/{seed}.jpg": raw for name, count in counts.items() for seed, raw in photos(count).items()}

    assert said(checked(classes(ant=3, bee=3)), "classes") == "2 classes of 3 pictures each"
    findings = checked(classes(ant=30, bee=4))
    assert findings.classes == (("ant", 30), ("bee", 4))
    assert said(findings, "classes") == "2 classes from 4 (bee) to 30 pictures (ant)"
    assert findings.to_json()["classes"]["largest_by_smallest"] == 7.5
    findings = checked(classes(ant=2, bee=20))
    assert said(findings, "classes").endswith("(bee): ant will look worse, add pictures of it")
    findings = checked(classes(ant=2, bee=2) | {"cat/1.jpg": b"damaged"})
    assert said(findings, "classes") == "2 classes of 2 pictures each 1 more without pictures (cat)"


# ---- what cannot be read ----


def test_broken_pictures_are_told_by_name_with_the_reason():
    whole = encoded(photo(0))
    contents = photos(3) | {
        "head.png": b"nonsense",
        "body.png": whole[: len(whole) // 2],
        "\udcff.png": Unreadable("it lies on a bad sector"),
    }
    findings = checked(contents)
    assert findings.count == 6
    assert findings.readable == 3
    assert findings.broken == (3, ("head.png", "body.png", "\\udcff.png"))
    lines = findings.lines()
    assert lines[0] == "pictures    3 that can be read"
    assert lines[1] == "broken      3 cannot be read: training leaves them out (--broken stop refuses them)"
    assert lines[2] == "            head.png: it is no picture of a known kind, or damaged"
    assert lines[3].startswith("            body.png: it is damaged (")
    assert lines[4] == "            \\udcff.png: it lies on a bad sector"
    assert findings.sizes == ((40, 30, 3),)
    stored = findings.to_json()["broken"]
    assert stored["count"] == 3
    assert stored["pictures"][2] == {"name": "\\udcff.png", "why": "it lies on a bad sector"}


def test_long_lists_are_cut_short_but_counted():
    findings = checked(photos(2) | {f"{number}.png": b"" for number in range(1100)})
    assert findings.broken.count == 1100
    assert len(findings.to_json()["broken"]["pictures"]) == 1000
    assert findings.lines()[8] == "            and 1,094 more, which --json names"


def test_even_if_no_picture_can_be_read_to_the_end():
    whole = encoded(photo(0))
    findings = checked({f"{cut}.png": whole[:-cut] for cut in (500, 600, 700)})
    assert findings.readable == 0
    assert len(findings.lines()) == 5
    assert findings.to_json()["width_by_height"] is None


# ---- twins ----


def test_copies_are_found():
    contents = photos(20)
    contents |= {"copy.jpg": contents["0003.jpg"], "again.jpg": contents["0003.jpg"], "other.jpg": contents["0007.jpg"]}
    findings = checked(contents)
    assert findings.copies.count == 3
    assert findings.copies.groups == 2
    assert findings.copies.names == (("0003.jpg", "copy.jpg", "again.jpg"), ("0007.jpg", "other.jpg"))
    assert said(findings, "copies") == (
        "3 pictures are the same as another (0003.jpg = copy.jpg, 0007.jpg = other.jpg): "
        "copies stay on one side of the hold-out"
    )
    assert findings.alike.count == 0
    assert findings.torn.count == findings.leaks.count == 0


def test_only_the_first_groups_are_named():
    contents = photos(30)
    findings = checked(contents | {f"copy of {name}": raw for name, raw in contents.items()})
    assert findings.copies[:2] == (30, 30)
    assert len(findings.copies.names) == 20


def test_copies_in_two_classes_are_a_contradiction():
    raw = encoded(photo(1))
    findings = checked({"a/1.png": raw, "b/1.png": raw, "b/2.png": raw, "b/3.png": encoded(photo(2))})
    assert findings.torn == (2, ("b/1.png", "b/2.png"))
    assert "2 of them in another class than the first (b/1.png, b/2.png): decide for one class" in said(
        findings, "copies"
    )


def test_copies_in_the_test_part_are_a_leak():
    raw = encoded(photo(1))
    findings = checked({"train/1.png": raw, "train/2.png": raw, "test/1.png": raw, "test/2.png": encoded(photo(2))})
    assert findings.copies.count == 2
    assert findings.leaks == (1, ("test/1.png",))
    assert "1 of them both in training and in the test part (test/1.png): take" in said(findings, "copies")
    assert "hold-out" not in said(findings, "copies")


def test_look_alikes_are_found():
    contents = {f"{seed}.png": encoded(photo(seed)) for seed in range(30)}
    contents["small.jpg"] = encoded(photo(4, 160, 120)[::2, ::2], "JPEG", quality=60)
    contents["pale.png"] = encoded((photo(9) * 0.5 + 100).astype(np.uint8))
    contents["grey.png"] = encoded(np.asarray(Image.fromarray(photo(9)).convert("L")))
    contents["copy.png"] = contents["5.png"]
    findings = checked(contents)
    assert findings.alike.names == (("4.png", "small.jpg"), ("9.png", "pale.png", "grey.png"))
    assert findings.alike[:2] == (3, 2)
    assert said(findings, "look-alikes") == (
        "3 pictures are nearly the same as another (4.png ~ small.jpg, 9.png ~ pale.png): "
        "take out what is the same picture again"
    )
    assert findings.copies.names == (("5.png", "copy.png"),)


def test_flat_pictures_are_no_look_alikes():
    contents = {}
    for shade in range(40):
        pixels = np.full((40, 40, 3), shade * 6, dtype=np.uint8)
        pixels[10 : 12 + shade % 4, 15:25] = 255
        contents[f"{shade}.png"] = encoded(pixels)
    assert checked(contents).alike.count == 0


SIGNATURES = st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 63), max_size=7)), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None)
@given(SIGNATURES)
def test_all_signatures_that_are_near_are_found(drawn):
    """As a comparison of all pairs finds them."""
    bases = [0x0123456789ABCDEF, 0, 0xFF00FF00F0F0AAAA]
    values = [bases[base] ^ sum(1 << bit for bit in set(bits)) for base, bits in drawn]
    miniature = np.random.default_rng(0).integers(0, 256, (1, 256), dtype=np.uint8)
    found = twins.alike(np.array(values, dtype=np.uint64), np.repeat(miniature, len(values), axis=0))
    for later, value in enumerate(values):
        near = any((value ^ earlier).bit_count() <= twins.APART for earlier in values[:later])
        assert (found[later] < later) == near
    assert (found[found] == found).all()


def test_a_hundred_thousand_pictures_need_no_loop_over_pairs():
    random = np.random.default_rng(3)
    count = 100_000
    signatures = random.integers(0, 2**64, count, dtype=np.uint64)
    miniatures = random.integers(0, 256, (count, 256), dtype=np.uint8)
    planted = random.choice(count // 2, 500, replace=False)
    signatures[planted + count // 2] = signatures[planted] ^ np.uint64(0b1001 << 30 | 1 << 63)
    miniatures[planted + count // 2] = miniatures[planted] // 2
    found = twins.alike(signatures, miniatures)
    np.testing.assert_array_equal(np.flatnonzero(found != np.arange(count)), np.sort(planted + count // 2))
    np.testing.assert_array_equal(found[planted + count // 2], planted)


def test_many_of_one_signature_are_found_too():
    miniatures = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 256), dtype=np.uint8), 3000, axis=0)
    assert (twins.alike(np.full(3000, 77, dtype=np.uint64), miniatures) == 0).mean() > 0.9


# ---- bars ----


def framed(pixels, top, left, colour):
    height, width = pixels.shape[:2]
    whole = np.full((height + 2 * top, width + 2 * left, 3), colour, dtype=np.uint8)
    whole[top : top + height, left : left + width] = pixels
    return whole


@pytest.mark.parametrize("colour", [0, 255, (200, 30, 60)])
@pytest.mark.parametrize(("top", "left"), [(30, 0), (0, 40), (20, 20), (10, 0)])
def test_bars_are_seen(colour, top, left):
    contents = {f"{seed}.jpg": encoded(framed(photo(seed, 200, 150), top, left, colour), "JPEG") for seed in range(20)}
    findings = checked(contents)
    assert findings.boxed.count >= 18
    assert f"{findings.boxed.count} pictures have bars or a frame of one colour (" in said(findings, "bars")
    assert "crop them, or training learns the bars" in said(findings, "bars")


def test_few_bars_are_no_drama():
    findings = checked(photos(150) | {"framed.png": encoded(framed(photo(0), 30, 0, 0))})
    assert said(findings, "bars") == (
        "1 picture has bars or a frame of one colour (framed.png): few enough to leave as they are"
    )


def test_photographs_and_things_on_plain_grounds_have_no_bars():
    random = np.random.default_rng(0)
    for seed in range(100):
        assert not look(photo(seed)).boxed
        blob = np.zeros((28, 28, 1), dtype=np.uint8)
        rows, columns = np.indices((28, 28))
        blob[((rows - 14) / random.uniform(4, 12)) ** 2 + ((columns - 14) / random.uniform(4, 12)) ** 2 < 1] = 255
        assert not look(blob).boxed
    sky = photo(1)
    sky[:40] = (90, 120, 250)
    assert not look(sky).boxed
    thin = framed(photo(2), 2, 0, 0)
    assert not look(thin).boxed


@pytest.fixture
def real():
    root = os.environ.get("ZEROSUM_DATA")
    if not root:
        pytest.skip("set ZEROSUM_DATA to a folder that holds mnist/ and flowers-227.zip")
    return Path(root)


def test_digits_have_no_bars(real):
    raw = gzip.decompress((real / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    findings = checked(from_array("mnist", np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[:2500]))
    assert findings.boxed.count == 0
    assert findings.alike.count == 0
    assert findings.constant.count == 0
    assert findings.lines() == [
        "pictures    2,500, all of them can be read",
        "sizes       all 28x28",
        "channels    all grey: training uses one channel",
        "classes     none",
        "copies      none",
    ]


def test_few_flowers_have_bars(real):
    with zipfile.ZipFile(real / "flowers-227.zip") as archive:
        findings = checked({name: archive.read(name) for name in archive.namelist()[::2]})
    assert 1 <= findings.boxed.count <= 9
    assert findings.classes == tuple((name, 59) for name in ("daisy", "dandelion", "rose", "sunflower", "tulip"))
    assert findings.copies.count == findings.alike.count == 0


# ---- values ----


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 1, "all between 0 and 1, where 0 is black and 255 is white: multiply them by 255"),
        (0, 37, "all between 0 and 37, where 0 is black and 255 is white: check how"),
        (200, 255, "all between 200 and 255, where 0 is black and 255 is white: check how"),
        (0, 64, ""),
        (192, 255, ""),
        (0, 255, ""),
    ],
)
def test_wrong_ranges_of_values_are_told(low, high, words):
    pixels = np.random.default_rng(0).integers(low, high, (50, 16, 16, 3), endpoint=True, dtype=np.uint8)
    line = said(checked(from_array("array", pixels)), "values")
    assert line.startswith(words)
    assert bool(line) == bool(words)


def test_blank_pictures_are_told():
    contents = photos(5) | {"black.png": encoded(np.zeros((20, 20), dtype=np.uint8))}
    contents["red.jpg"] = encoded(np.full((90, 90, 3), (200, 0, 0), dtype=np.uint8), "JPEG")
    contents["clear.png"] = encoded(np.zeros((9, 9, 4), dtype=np.uint8))
    findings = checked(contents)
    assert findings.constant == (3, ("black.png", "red.jpg", "clear.png"))
    assert said(findings, "blank").startswith("3 pictures are of one colour only (black.png, red.jpg, clear.png): ")


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 3, 4]), st.integers(0, 2**32), st.integers(1, 256))
def test_any_pixels_can_be_looked_at(width, height, channels, seed, levels):
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, channels), dtype=np.uint8)
    found = look(pixels)
    assert 0 <= found.lowest <= found.highest <= 255
    assert 0 <= found.signature < 2**64
    assert len(found.miniature) == 256
    assert found.grey >= (channels == 1)
    assert not found.clear or channels == 4


# ---- all at once ----


def test_one_screen_whatever_is_wrong():
    contents = {}
    for place, (name, raw) in enumerate(photos(60).items()):
        contents[f"train/{'ab'[place % 11 == 0]}/{name * 30}"] = raw
        contents[f"test/b/{name * 30}"] = raw
    contents |= {f"train/a/{number}.png": b"" for number in range(50)}
    contents |= {
        f"train/a/x{number}.png": encoded(np.zeros((9, 9 * number + 9, 4), dtype=np.uint8)) for number in range(9)
    }
    contents |= {f"train/a/{seed}.jpg": encoded(framed(photo(seed), 40, 0, 0), "JPEG") for seed in range(60, 70)}
    contents |= {f"test/b/{seed}.jpg": encoded(framed(photo(seed), 41, 0, 0), "JPEG") for seed in range(60, 70)}
    contents["train/c/1.png"] = b""
    findings = checked(contents)
    for what in ("broken", "proportions", "channels", "classes", "blank", "bars", "copies", "look-alikes"):
        assert said(findings, what)
    assert max(len(line) for line in findings.lines()) < 200


# ---- sheets ----


def opened(raw):
    with Image.open(io.BytesIO(raw)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def sheet(contents, count=48):
    source = contents if isinstance(contents, Source) else source_of(contents)
    return opened(sheet_of(source, survey(source), count))


def test_a_sheet_has_a_row_for_every_class():
    contents = {
        f"{name}/{seed}.png": encoded(photo(seed)) for name in ("ant", "bee", "Käfer", "日本") for seed in range(40)
    }
    found = sheet(contents)
    assert found.shape == (4 * (22 + 116) + 4, 12 * 116 + 4, 3)
    np.testing.assert_array_equal(found, sheet(contents))
    assert (found[4:26] == 255).any()  # a name
    assert sheet(contents, 8).shape == (4 * (22 + 116) + 4, 2 * 116 + 4, 3)


def test_no_room_is_wasted_on_small_and_empty_classes():
    """What a small class leaves goes to the others, and classes without pictures need no room at all."""
    sizes = {"ant": 1, "bee": 3, "cat": 30, "dog": 40}
    contents = {
        f"{name}/{seed}.png": encoded(photo(seed, 20, 20)) for name, size in sizes.items() for seed in range(size)
    }
    found = sheet(contents, 24)
    tiles = (found[:, 4 + 56 :: 116][:, :12] != 64).any(axis=2)  # columns through the middles of the tiles
    rows = [int(tiles[22 + 4 + 56 + 138 * row].sum()) for row in range(4)]
    assert rows == [1, 3, 10, 10]
    named = dataclasses.replace(
        source_of(photos(3)), labels=np.array([0, 7, 19]), classes=tuple("abcdefghijklmnopqrst")
    )
    assert sheet(named).shape == (3 * (22 + 116) + 4, 116 + 4, 3)


def test_without_classes_or_with_many_pictures_follow_each_other():
    assert sheet(photos(100)).shape == (4 * 116 + 4, 12 * 116 + 4, 3)
    assert sheet(photos(5)).shape == (116 + 4, 5 * 116 + 4, 3)
    many = {f"{place:02}/{name}": raw for place in range(30) for name, raw in photos(3).items()}
    assert sheet(many).shape == (4 * 116 + 4, 12 * 116 + 4, 3)
    assert sheet(many, 10).shape == (116 + 4, 10 * 116 + 4, 3)


def test_pictures_are_drawn_evenly():
    """From all classes, and from all of each."""
    colours = {f"{name}/{place:02}.png": np.full((4, 4, 3), (shade, place * 5, 0), dtype=np.uint8)
               for shade, name in ((100, "a"), (200, "b")) for place in range(40)}  # fmt: skip
    found = sheet({name: encoded(pixels) for name, pixels in colours.items()}, 8)
    centres = [found[4 + 22 + 56 + row * 138, 4 + 56 + column * 116].tolist() for row in (0, 1) for column in range(4)]
    assert centres == [[shade, place * 5, 0] for shade in (100, 200) for place in (0, 10, 20, 30)]


def test_pictures_are_shown_whole_and_clear_ones_on_a_checkerboard():
    wide = np.full((10, 40, 3), (255, 0, 0), dtype=np.uint8)
    clear = np.zeros((20, 20, 4), dtype=np.uint8)
    thin = np.full((300, 1), 255, dtype=np.uint8)
    found = sheet({"1.png": encoded(wide), "2.png": encoded(clear), "3.png": encoded(thin)})
    first, second, third = (found[4:116, 4 + 116 * place : 116 + 116 * place] for place in range(3))
    assert (first[42:70] == (255, 0, 0)).all()
    assert (first[:42] == 96).all()
    assert (first[70:] == 96).all()
    assert {tuple(pixel) for pixel in second.reshape(-1, 3).tolist()} == {(170,) * 3, (120,) * 3}
    assert (third[:, 55] == 255).all()
    assert (third[:, 60:] == 96).all()


def test_broken_pictures_are_left_out_of_the_sheet():
    whole = encoded(photo(0))
    found = sheet(photos(3) | {"a.png": b"", "b.png": whole[: len(whole) // 2]})
    assert found.shape == (116 + 4, 3 * 116 + 4, 3)
    only = source_of({"b.png": whole[: len(whole) // 2]})
    assert opened(sheet_of(only, survey(only))).shape[2] == 3


def test_arrays_have_sheets_too():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    found = sheet(from_array("array", pixels, np.arange(20) % 2, ("even", "odd")), 10)
    assert found.shape == (2 * 138 + 4, 5 * 116 + 4, 3)
