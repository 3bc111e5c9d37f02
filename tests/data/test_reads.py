"""How often shards are read: once to know them, once to decode them, and not again by the same command."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from zerosum.data import prepare as room
from zerosum.data import streamed, telling
from zerosum.data.cache import cache_folder
from zerosum.data.fit import Shape
from zerosum.data.readers import samples as reading
from zerosum.data.readers import shards as module
from zerosum.data.readers.shards import shard_source
from zerosum.data.source import Unreadable
from zerosum.data.streamed import Streamed
from zerosum.data.survey import remember, survey
from zerosum.errors import Stopped

fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")
SHARDS, EACH = 5, 30
SHAPE = Shape(8, 8, 3)
ADDRESS = "memory://reads/t-{00..04}.tar"


def picture(number):
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def shard(first, count=EACH, **instead):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number in range(first, first + count):
            for suffix, content in (
                (".png", instead.get(f"x{number}", picture(number))),
                (".cls", b"%d" % (number % 3)),
            ):
                member = tarfile.TarInfo(f"{number:06d}{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


class Reads:
    """Bytes read and streams opened, by address."""

    def __init__(self):
        self.bytes, self.opens, self.total = 0, 0, 1

    def learn(self, addresses):
        """What reading everything once is: a little less than the files hold, which end in padding."""
        self.bytes, self.total = 0, 1
        for address in addresses:
            list(reading.samples(address))
        self.total, self.bytes, self.opens = self.bytes, 0, 0

    def taken(self):
        """How often everything was read since the last time, and how many streams were opened."""
        found = round(self.bytes / self.total, 1), self.opens
        self.bytes = self.opens = 0
        return found


class Counting:
    """A file that counts what is read."""

    def __init__(self, file, reads):
        self.file, self.reads = file, reads

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def read(self, count=-1):
        content = self.file.read(count)
        self.reads.bytes += len(content)
        return content


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def reads(monkeypatch):
    counted, real = Reads(), reading.open_address

    def opened(address):
        counted.opens += 1
        return Counting(real(address), counted)

    monkeypatch.setattr(reading, "open_address", opened)
    monkeypatch.setattr(module, "RECENT", 0)
    return counted


@pytest.fixture
def remote(reads):
    files = fsspec.filesystem("memory")
    for number in range(SHARDS):
        files.pipe(f"/reads/t-{number:02d}.tar", shard(EACH * number))
    reads.learn(f"memory://reads/t-{number:02d}.tar" for number in range(SHARDS))
    yield files
    files.rm("/reads", recursive=True)


def seen_of(source):
    return survey(source, cache_folder())


# ---- knowing them ----


def test_counting_remote_shards_looks_at_them_too(remote, reads):
    source = shard_source(ADDRESS)
    assert reads.taken() == (1.0, SHARDS)
    seen = seen_of(source)
    assert reads.taken() == (0, 0)
    looked = survey(dataclasses.replace(source, known=None))
    assert reads.taken() == (1.0, SHARDS)
    for name in ("sizes", "channels", "digests"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(looked, name))
    assert seen.broken == looked.broken == {}
    again = shard_source(ADDRESS)
    assert reads.taken() == (0, 0)
    assert (again.files, again.stamps, again.classes) == (source.files, source.stamps, source.classes)
    np.testing.assert_array_equal(again.labels, source.labels)
    np.testing.assert_array_equal(seen_of(again).digests, seen.digests)
    assert reads.taken() == (0, 0)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "shards").mkdir()
    return tmp_path / "shards"


def test_packed_shards_on_the_disk_are_the_same(place, reads):
    for number in range(SHARDS):
        (place / f"t-{number}.tar.gz").write_bytes(gzip.compress(shard(EACH * number)))
    reads.learn(map(str, place.glob("*.gz")))
    seen_of(shard_source(str(place)))
    assert reads.taken() == (1.0, SHARDS)
    seen_of(shard_source(str(place)))
    assert reads.taken() == (0, 0)


def test_plain_shards_on_the_disk_are_leapt_through(place, reads):
    for number in range(SHARDS):
        (place / f"t-{number}.tar").write_bytes(shard(EACH * number))
    reads.learn(map(str, place.glob("*.tar")))
    for looked in (1.0, 0):
        source = shard_source(str(place))
        assert source.known is None
        assert reads.taken()[0] < 0.7  # headers and classes, which are much of such small pictures
        seen_of(source)
        assert reads.taken()[0] == looked


def test_only_a_shard_that_changed_is_read_again(remote, reads):
    source = shard_source(ADDRESS)
    seen_of(source)
    remote.pipe("/reads/t-02.tar", shard(1000))
    reads.taken()
    changed = shard_source(ADDRESS)
    assert reads.taken() == (0.2, 1)
    seen = seen_of(changed)
    assert [change.split(" (")[0] for change in seen.changes] == [
        "30 added since the last time",
        "30 removed since the last time",
    ]
    remember(changed, seen, cache_folder())
    assert seen_of(changed).changes == ()
    assert reads.taken() == (0, 0)


def test_broken_pictures_in_shards_are_told_by_name(remote, reads):
    remote.pipe("/reads/t-01.tar", shard(EACH, x31=b"nonsense", x32=b""))
    wanted = {31: "it is no picture of a known kind, or damaged", 32: "it is empty, or larger than 256 MiB"}
    for _ in range(2):
        source = shard_source(ADDRESS)
        seen = survey(source)
        assert seen.broken == wanted
        assert [source.called(index) for index in seen.broken] == ["t-01.tar:000031", "t-01.tar:000032"]
        assert not seen.digests[32].any()
        assert seen.channels[31] == 0
    with pytest.raises(Unreadable, match="it is empty"):
        source.read(32)


def test_shards_without_a_stamp_are_counted_each_time(remote, reads, monkeypatch):
    monkeypatch.setattr("zerosum.data.readers.counted.stamp", lambda address: None)
    for _ in range(2):
        source = shard_source(ADDRESS)
        assert reads.taken() == (1.0, SHARDS)
        assert seen_of(source).good.size == SHARDS * EACH
        assert reads.taken() == (0, 0)
    assert not list(cache_folder().rglob("*.npz"))


@pytest.mark.parametrize("damage", ["cut", "junk", "short", "old"])
def test_a_damaged_memory_is_no_memory(remote, reads, damage):
    source = shard_source(ADDRESS)
    for path in (cache_folder() / "shards").iterdir():
        content = path.read_bytes()
        if damage == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "junk":
            path.write_bytes(b"junk")
        else:
            with np.load(path) as stored:
                arrays = dict(stored)
            if damage == "short":
                arrays["digests"] = arrays["digests"][1:]
            else:
                table = json.loads(arrays["table"].tobytes()) | {"format": 0}
                arrays["table"] = np.frombuffer(json.dumps(table).encode(), dtype=np.uint8)
            np.savez(path, **arrays)
    reads.taken()
    assert shard_source(ADDRESS).files == source.files
    assert reads.taken() == (1.0, SHARDS)


def test_counting_says_how_far_it_is(remote, reads, monkeypatch):
    said, now = [], iter(range(0, 100, 6))
    monkeypatch.setattr(telling, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    shard_source(ADDRESS, said.append)
    assert said == ["1 of 5 shards counted", "3 of 5 shards counted", "5 of 5 shards counted"]


# ---- going through them ----


def test_two_who_read_at_different_places_do_not_disturb_each_other(remote, reads):
    source = shard_source(ADDRESS)
    reads.taken()
    for step in range(2 * EACH):
        for start in (0, 5, 3 * EACH):  # two of them in the same shards
            index = start + step
            if index < len(source):
                assert source.read(index) == picture(index)
    assert reads.taken()[1] <= 8  # two shards each


def test_many_who_read_get_their_pictures_all_the_same(remote, reads):
    source = shard_source(ADDRESS)
    starts = range(0, len(source), 11)  # more than there are streams
    for step in range(5):
        for start in starts:
            assert source.read(start + step) == picture(start + step)


@pytest.fixture
def prepared(remote, reads, monkeypatch, tmp_path):
    """Shards that fit neither into memory nor on the disk."""
    monkeypatch.setattr(room, "IN_MEMORY", 0)
    monkeypatch.setattr(room, "_free", lambda folder: SHARDS * EACH * 8 * 8 * 3 // 2)
    monkeypatch.setattr(streamed, "WINDOW", 20 * 8 * 8 * 3)

    def prepare(shape=SHAPE):
        source = shard_source(ADDRESS)
        return room.prepare(source, seen_of(source), shape, cache=tmp_path / "cache")

    return prepare


def test_two_passes_before_the_first_batch_and_then_none(prepared, reads):
    first = prepared()
    assert isinstance(first.pixels, Streamed)
    assert reads.taken() == (2.0, 2 * SHARDS)
    again = prepared()
    assert reads.taken() == (0, 0)
    assert again.identity == first.identity
    assert again.notes == first.notes
    for part in ("train", "held-out"):
        np.testing.assert_array_equal(again.rows(part), first.rows(part))
        np.testing.assert_array_equal(again.take(part)[0], first.take(part)[0])
    reads.taken()
    again.take("held-out")
    assert reads.taken() == (0, 0)


def test_what_a_pass_found_belongs_to_pictures_order_and_shape(prepared, reads, remote):
    first = prepared()
    held_out, train = first.take("held-out")[0], first.take("train")[0]
    reads.taken()
    assert prepared(Shape(8, 8, 1)).identity != first.identity
    assert reads.taken() == (1.0, SHARDS)
    swapped = [remote.cat(f"/reads/t-{number:02d}.tar") for number in (1, 0)]
    for number, content in enumerate(swapped):
        remote.pipe(f"/reads/t-{number:02d}.tar", content)
    turned = prepared()
    assert turned.identity == first.identity  # the same pictures in another order
    np.testing.assert_array_equal(turned.take("held-out")[0], held_out)
    np.testing.assert_array_equal(turned.take("train")[0], train)
    with pytest.raises(Stopped, match="has changed since it was looked at"):
        first.take("train")


def test_pictures_that_break_late_are_remembered_too(prepared, reads, remote):
    remote.pipe("/reads/t-01.tar", shard(EACH, x40=picture(40)[:-60]))
    first, again = prepared(), prepared()
    assert first.skipped == again.skipped
    assert [name for name, _ in again.skipped] == ["t-01.tar:000040"]
    assert again.identity == first.identity


@pytest.mark.parametrize("damage", ["cut", "short", "gone"])
def test_a_damaged_memory_of_a_pass_is_none(prepared, reads, damage):
    first = prepared()
    (path,) = (cache_folder() / "streamed").iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "gone":
        path.unlink()
    else:
        with np.load(path) as stored:
            np.savez(path, **{**dict(stored), "pixels": stored["pixels"][1:]})
    reads.taken()
    assert prepared().identity == first.identity
    assert reads.taken() == (1.0, SHARDS)


def test_where_nothing_can_be_kept_every_start_decodes(prepared, reads, monkeypatch):
    monkeypatch.setattr(room, "_free", lambda folder: 0)
    prepared()
    assert not (cache_folder() / "streamed").exists()
    reads.taken()
    prepared()
    assert reads.taken() == (1.0, SHARDS)
