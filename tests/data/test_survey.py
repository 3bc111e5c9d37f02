"""One look at every picture: in order, remembered, and no broken one stops it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zerosum.data.glance import digest
from zerosum.data.source import Looks, Source, Unreadable, from_array
from zerosum.data.survey import remember, survey
from zerosum.errors import UserError


def picture(number, mode="RGB", size=(5, 4), kind="PNG"):
    file = io.BytesIO()
    Image.new(mode, size, number if mode == "L" else (number, 0, 0)).save(file, kind)
    return file.getvalue()


def pictures(count):
    return {f"{number:03}.png": picture(number) for number in range(count)}


def source_of(contents, reads=None, place="/somewhere", stamps=None):
    """A source over encoded pictures by name; ``reads`` counts what is read."""
    names = list(contents)

    def read(index):
        if reads is not None:
            reads[names[index]] += 1
        raw = contents[names[index]]
        if isinstance(raw, Exception):
            raise raw
        return raw

    if stamps is None:
        stamps = [hashlib.sha256(raw).hexdigest() if isinstance(raw, bytes) else "?" for raw in contents.values()]
    return Source("some", len(names), read, files=names, stamps=stamps, place=place)


def same(one, other):
    assert one.broken == other.broken
    for name in ("sizes", "channels", "digests"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# ---- what is seen ----


def test_sizes_channels_and_digests():
    contents = {
        "a.png": picture(1),
        "b.jpg": picture(7, "L", (3, 9), "JPEG"),
        "c.gif": picture(2, size=(1, 1), kind="GIF"),
    }
    contents["d.png"] = picture(3, "RGBA")
    seen = survey(source_of(contents))
    assert seen.sizes.tolist() == [[5, 4], [3, 9], [1, 1], [5, 4]]
    assert seen.channels.tolist() == [3, 1, 3, 4]
    for row, raw in zip(seen.digests, contents.values(), strict=True):
        assert row.tobytes() == hashlib.blake2b(raw, digest_size=16).digest()
    assert seen.broken == {}
    assert seen.changes == ()
    assert seen.good.tolist() == [0, 1, 2, 3]


def test_arrays_are_seen_too(tmp_path):
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    seen = survey(from_array("array", pixels), tmp_path)
    assert seen.sizes.tolist() == [[5, 4], [5, 4]]
    assert seen.channels.tolist() == [3, 3]
    assert seen.digests[1].tobytes() == digest(pixels[1])
    assert list(tmp_path.iterdir()) == []
    assert survey(from_array("grey", pixels[:, :, :, 0])).channels.tolist() == [1, 1]


def test_digests_tell_shapes_apart():
    pixels = np.zeros((4, 6, 1), dtype=np.uint8)
    assert digest(pixels) != digest(pixels.reshape(6, 4, 1))
    assert digest(pixels) == digest(np.zeros((6, 4, 1), dtype=np.uint8).transpose(1, 0, 2))


def test_broken_pictures_are_told_by_name():
    contents = {"a.png": picture(1), "b.png": b"nonsense", "c.png": Unreadable("the disk spoke"), "d.png": b""}
    source = source_of(contents)
    seen = survey(source)
    assert {source.called(index): why for index, why in seen.broken.items()} == {
        "b.png": "it is no picture of a known kind, or damaged",
        "c.png": "the disk spoke",
        "d.png": "it is empty",
    }
    assert seen.good.tolist() == [0]
    assert seen.sizes[1:].tolist() == [[0, 0]] * 3
    assert seen.digests[1].any()  # the same damage is known again
    assert not seen.digests[2].any()


def test_something_must_be_readable():
    with pytest.raises(UserError, match=r"No picture of 2 in some can be read\. \\udcffb\.png: it is empty\."):
        survey(source_of({"\udcffb.png": b"", "c.png": b"x"}))
    with pytest.raises(UserError, match="some holds no pictures"):
        survey(source_of({}))


def test_other_mistakes_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        survey(source_of(pictures(40) | {"x.png": ZeroDivisionError()}))


# ---- memory ----


def test_nothing_is_read_twice(tmp_path):
    contents, reads = pictures(50), Counter()
    first = survey(source_of(contents, reads), tmp_path)
    assert set(reads.values()) == {1}
    reads.clear()
    second = survey(source_of(contents, reads), tmp_path)
    assert not reads
    same(first, second)
    assert second.changes == ()
    assert len(list(tmp_path.rglob("*.npz"))) == 1


def test_without_a_memory_all_are_read_again(tmp_path):
    contents, reads = pictures(5), Counter()
    for _ in range(2):
        survey(source_of(contents, reads))
        survey(source_of(contents, reads, place=None), tmp_path)
    assert set(reads.values()) == {4}
    assert list(tmp_path.iterdir()) == []


def test_every_place_has_its_own_memory(tmp_path):
    reads = Counter()
    survey(source_of(pictures(3), place="/a"), tmp_path)
    survey(source_of(pictures(3), reads, place="/b\udcff"), tmp_path)
    assert len(reads) == 3


def test_the_order_of_files_does_not_matter(tmp_path):
    contents, reads = pictures(9), Counter()
    survey(source_of(contents), tmp_path)
    turned = dict(reversed(contents.items()))
    same(survey(source_of(turned, reads), tmp_path), survey(source_of(turned)))
    assert not reads


def test_what_changed_is_read_again_and_named(tmp_path):
    contents = pictures(20)
    survey(source_of(contents), tmp_path)
    contents["\udcff.png"] = contents.pop("007.png")  # renamed, to something that is no text
    contents["003.png"] = picture(103)
    contents["new.png"] = picture(104)
    for name in ("010.png", "011.png", "012.png", "013.png"):
        del contents[name]
    reads = Counter()
    seen = survey(source_of(contents, reads), tmp_path)
    assert reads == {"\udcff.png": 1, "003.png": 1, "new.png": 1}
    assert seen.changes == (
        "1 added since the last time (new.png)",
        "4 removed since the last time (010.png, 011.png, 012.png, ...)",
        "1 renamed since the last time (007.png is \\udcff.png now)",
        "1 changed since the last time (003.png)",
    )
    same(seen, survey(source_of(contents)))
    remember(source_of(contents), seen, tmp_path)
    reads.clear()
    assert survey(source_of(contents, reads), tmp_path).changes == ()  # that was the last time
    assert not reads


def test_a_look_alone_forgets_no_change(tmp_path):
    """Whoever goes on with the data names what changed, however often somebody looked meanwhile."""
    contents = pictures(5)
    survey(source_of(contents), tmp_path)
    contents["new.png"], contents["003.png"] = picture(104), picture(103)
    del contents["000.png"]
    changes = survey(source_of(contents), tmp_path).changes
    assert len(changes) == 3
    contents["newer.png"] = picture(105)
    for _ in range(2):
        seen = survey(source_of(contents), tmp_path)
        assert seen.changes == ("2 added since the last time (new.png, newer.png)", *changes[1:])
    remember(source_of(contents), seen, tmp_path)
    assert survey(source_of(contents), tmp_path).changes == ()


def test_removed_pictures_are_forgotten(tmp_path):
    contents = pictures(5)
    survey(source_of(contents), tmp_path)
    removed = contents.pop("004.png")
    seen = survey(source_of(contents), tmp_path)
    assert seen.changes == ("1 removed since the last time (004.png)",)
    remember(source_of(contents), seen, tmp_path)
    contents["004.png"] = removed
    assert survey(source_of(contents), tmp_path).changes == ("1 added since the last time (004.png)",)


def test_how_far_a_look_is(tmp_path):
    contents, told = pictures(7), []
    survey(source_of(contents), tmp_path, lambda *counts: told.append(counts))
    assert told == [(done, 7) for done in range(8)]
    contents["003.png"] = picture(103)
    told.clear()
    survey(source_of(contents), tmp_path, lambda *counts: told.append(counts))
    assert told == [(0, 1), (1, 1)]


def test_what_is_known_is_not_looked_at(tmp_path):
    contents, reads = pictures(6), Counter()
    seen = survey(source_of(contents))
    looks = Looks(seen.sizes, seen.channels, seen.digests, {})
    source = dataclasses.replace(source_of(contents, reads), known=looks)
    same(survey(source, tmp_path), seen)
    assert not reads
    fewer = dict(list(contents.items())[:5])
    assert survey(source_of(fewer, reads), tmp_path).changes == ("1 removed since the last time (005.png)",)
    assert not reads  # what was known is remembered


def test_twins_that_move_are_counted_once(tmp_path):
    survey(source_of({"a.png": picture(1), "b.png": picture(1), "c.png": picture(2)}), tmp_path)
    seen = survey(source_of({"c.png": picture(2), "x.png": picture(1)}), tmp_path)
    assert seen.changes == (
        "1 removed since the last time (b.png)",
        "1 renamed since the last time (a.png is x.png now)",
    )


def test_a_new_stamp_alone_is_no_change(tmp_path):
    contents, reads = pictures(3), Counter()
    survey(source_of(contents, stamps=["1", "2", "3"]), tmp_path)
    assert survey(source_of(contents, reads, stamps=["1", "2", "4"]), tmp_path).changes == ()
    assert reads == {"002.png": 1}
    reads.clear()
    survey(source_of(contents, reads, stamps=["1", "2", "4"]), tmp_path)
    assert not reads


def test_broken_pictures_are_tried_again(tmp_path):
    contents, reads = pictures(3) | {"x.png": b"nonsense"}, Counter()
    for _ in range(2):
        reads.clear()
        seen = survey(source_of(contents, reads), tmp_path)
        assert list(seen.broken) == [3]
        assert seen.changes == ()
    assert reads == {"x.png": 1}
    contents["x.png"] = picture(9)
    assert survey(source_of(contents), tmp_path).changes == ("1 changed since the last time (x.png)",)


DAMAGE = st.binary(max_size=200) | st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=5
)


@settings(max_examples=60, deadline=None)
@given(DAMAGE, st.booleans())
def test_a_damaged_memory_is_no_memory(tmp_path_factory, damage, cut):
    """Whatever is in the file: what is seen is what is there."""
    folder = tmp_path_factory.mktemp("memory")
    contents = pictures(3)
    whole = survey(source_of(contents), folder)
    (file,) = folder.rglob("*.npz")
    raw = bytearray(file.read_bytes())
    if isinstance(damage, bytes):
        raw = damage
    for place, value in () if isinstance(damage, bytes) else damage:
        raw[int(place * len(raw))] ^= value
    file.write_bytes(raw[: len(raw) // 2] if cut else raw)
    same(survey(source_of(contents), folder), whole)
    reads = Counter()
    same(survey(source_of(contents, reads), folder), whole)
    assert not reads  # the memory was written anew


def stored(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def table(text):
    return np.frombuffer(text.encode(), dtype=np.uint8)


RIGHT = '{"format": 1, "files": ["000.png"], "stamps": ["x"]}'
ARRAYS = {
    "sizes": np.zeros((1, 2), dtype=np.int64),
    "channels": np.ones(1, dtype=np.uint8),
    "digests": np.zeros((1, 16), dtype=np.uint8),
}


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        npy(np.zeros(3)),
        stored(sizes=np.zeros(3)),
        stored(table=table("[]"), **ARRAYS),
        stored(table=table("nonsense"), **ARRAYS),
        stored(table=table(RIGHT.replace("1", "0")), **ARRAYS),
        stored(table=table(RIGHT.replace('["x"]', "[]")), **ARRAYS),
        stored(table=table(RIGHT.replace('"000.png"', "[]")), **ARRAYS),
        stored(table=table(RIGHT), **(ARRAYS | {"sizes": np.zeros((2, 2), dtype=np.int64)})),
        stored(table=table(RIGHT), **(ARRAYS | {"sizes": np.zeros((1, 2))})),
        stored(table=table(RIGHT), **(ARRAYS | {"channels": np.zeros(1, dtype=np.float32)})),
        stored(table=table(RIGHT), **(ARRAYS | {"digests": np.zeros((1, 16), dtype="U9")})),
    ],
)
def test_other_memories_are_no_memory(tmp_path, content):
    survey(source_of(pictures(1)), tmp_path)
    (file,) = tmp_path.rglob("*.npz")
    file.write_bytes(content)
    reads = Counter()
    seen = survey(source_of(pictures(1), reads, stamps=["x"]), tmp_path)
    assert reads == {"000.png": 1}
    assert seen.changes == ()
    same(seen, survey(source_of(pictures(1))))


def test_memories_are_not_unpickled(tmp_path):
    """An array of objects would run what it holds."""
    survey(source_of(pictures(1)), tmp_path)
    (file,) = tmp_path.rglob("*.npz")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("table.npy", npy(np.array([print], dtype=object)))
    assert survey(source_of(pictures(1)), tmp_path).broken == {}


def test_a_memory_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "surveys").write_text("a file where the folder should be")
    contents = pictures(3)
    for _ in range(2):
        same(survey(source_of(contents), tmp_path), survey(source_of(contents)))
    assert (tmp_path / "surveys").is_file()
