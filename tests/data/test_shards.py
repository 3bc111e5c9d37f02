"""Tar shards: local, in memory, over http, whole and damaged."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import itertools
import json
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from zerosum.data.readers import samples as reading
from zerosum.data.readers import shards as module
from zerosum.data.readers.labels import SUFFIXES
from zerosum.data.readers.shards import Sample, expand, find_shards, is_shards, samples, shard_source
from zerosum.data.source import Unreadable
from zerosum.errors import UserError


def packed(files, form=tarfile.PAX_FORMAT):
    """A tar of (name, bytes) in this order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def picture(number):
    return f"picture {number} ".encode() * (1 + number % 7)


def shard(first, count=4, labelled=True):
    files = [[(f"{n:06d}.jpg", picture(n)), (f"{n:06d}.cls", b"%d\n" % (n % 3))] for n in range(first, first + count)]
    return packed([file for pair in files for file in (pair if labelled else pair[:1])])


def put(folder, number_of_shards=3, name="train-{:04d}.tar", **how):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(number_of_shards):
        (folder / name.format(number)).write_bytes(shard(4 * number, **how))
    return folder


def everything(source):
    return [source.read(index) for index in range(len(source))]


def expect(function, *words):
    with pytest.raises(UserError) as caught:
        function()
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def read_all(path):
    return list(samples(str(path)))


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{08..11}.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
        ("a-{8..10}.tar", ["a-8.tar", "a-9.tar", "a-10.tar"]),
        ("a-{0..1}.tar", ["a-0.tar", "a-1.tar"]),
        ("{a,b}/{1..2}.tar", ["a/1.tar", "a/2.tar", "b/1.tar", "b/2.tar"]),
        ("s3://x/{7..7}.tar", ["s3://x/7.tar"]),
        ("{x,}.tar", ["x.tar", ".tar"]),
    ],
)
def test_expanding(pattern, wanted):
    assert expand(pattern) == wanted


@pytest.mark.parametrize(
    "pattern",
    [
        "{a}.tar",
        "{.tar",
        "}.tar",
        "{{1..2}}.tar",
        "{5..2}.tar",
        "{0..99999999}.tar",
        "{a..c}.tar",
        "{}.tar",
        "{0..999}{0..9999}.tar",
    ],
)
def test_patterns_that_make_no_sense(pattern):
    expect(lambda: expand(pattern), pattern)


@settings(deadline=None)
@given(st.text("{},.0129ab", max_size=20))
def test_expanding_anything(pattern):
    with contextlib.suppress(UserError):
        assert expand(pattern)


def test_what_are_shards(tmp_path):
    assert is_shards("shards/train-{000000..000127}.tar")
    assert is_shards("s3://bucket/train-{00..99}.tar")
    assert is_shards("https://host/x.tar?key=1")
    assert is_shards("memory://x.tar.gz")
    assert not is_shards("https://host/x.zip")
    assert not is_shards("train-000.tar")  # one archive
    assert not is_shards("{a,b}.png")
    assert not is_shards(str(tmp_path))
    folder = put(tmp_path / "shards")
    (folder / "sizes.json").write_text("{}")
    assert is_shards(str(folder))
    (folder / "extra.png").write_bytes(b"")
    assert not is_shards(str(folder))
    named = tmp_path / "named"
    named.mkdir()
    for name in ("cats.tar", "dogs.tar"):
        (named / name).write_bytes(b"")
    assert not is_shards(str(named))


def test_a_folder_of_shards(tmp_path):
    folder = put(tmp_path / "birds")
    source = shard_source(str(folder))
    assert source.name == "birds"
    assert everything(source) == [picture(n) for n in range(12)]
    assert source.labels.tolist() == [n % 3 for n in range(12)]
    assert source.classes == ("0", "1", "2")
    assert source.files[5] == "train-0001.tar:000005"
    assert source.blocks.tolist() == [4, 4, 4]
    assert source.test is None
    assert source.place == str(folder.resolve())
    assert len(set(source.stamps)) == 12
    again = shard_source(str(folder / "train-{0000..0002}.tar"))
    assert again.name == "birds"
    assert again.stamps == source.stamps
    (folder / "train-0001.tar").write_bytes(shard(50, 3))
    changed = shard_source(str(folder))
    assert [old == new for old, new in zip(source.stamps, changed.stamps, strict=False)] == [True] * 4 + [False] * 7


def test_a_test_part(tmp_path):
    put(tmp_path, 2)
    (tmp_path / "val-0000.tar").write_bytes(shard(100, 2))
    source = shard_source(str(tmp_path))
    assert everything(source) == [picture(n) for n in (*range(8), 100, 101)]
    assert source.test.tolist() == [8, 9]
    found = find_shards(str(tmp_path / "{train-0000,val-0000}.tar"))
    assert found.test == (str(tmp_path / "val-0000.tar"),)


def test_shards_that_are_not_there(tmp_path):
    put(tmp_path, 2)
    expect(lambda: shard_source(str(tmp_path / "train-{0000..0003}.tar")), "2 of the 4 shards", "train-0002.tar")
    expect(lambda: read_all(tmp_path / "nothing.tar"), "nothing.tar")
    expect(lambda: read_all(tmp_path), str(tmp_path))


@pytest.mark.parametrize(
    ("files", "label"),
    [
        ([("a.jpg", b"x"), ("a.cls", b" 7\n")], 7),
        ([("a.cls", b"7"), ("a.jpg", b"x")], 7),
        ([("a.jpg", b"x"), ("a.json", b'{"label": 3}')], 3),
        ([("a.jpg", b"x"), ("a.json", b'{"width": 9, "class": 4}')], 4),
        ([("a.jpg", b"x"), ("a.json", b'{"cls": 5}'), ("a.cls", b"2")], 2),
        ([("a.cls", b"2"), ("a.json", b'{"cls": 5}'), ("a.jpg", b"x")], 2),
        ([("a.jpg", b"x"), ("a.cls", b"cat")], None),
        ([("a.jpg", b"x"), ("a.cls", b"-1")], None),
        ([("a.jpg", b"x"), ("a.cls", b"9" * 30)], None),
        ([("a.jpg", b"x"), ("a.json", b'{"label": true}')], None),
        ([("a.jpg", b"x"), ("a.json", b'{"label": "3"}')], None),
        ([("a.jpg", b"x"), ("a.json", b"{")], None),
        ([("a.jpg", b"x"), ("a.json", b"[" * 100_000)], None),
        ([("a.jpg", b"x"), ("a.json", b"\xff\xfe")], None),
        ([("a.jpg", b"x"), ("a.txt", b"a caption")], None),
    ],
)
def test_labels(tmp_path, files, label):
    (tmp_path / "x-0.tar").write_bytes(packed(files))
    assert read_all(tmp_path / "x-0.tar") == [Sample("a", b"x", label)]


def test_samples_without_a_label(tmp_path):
    put(tmp_path, 2)
    (tmp_path / "train-0002.tar").write_bytes(shard(8, labelled=False))
    source = shard_source(str(tmp_path))
    assert source.labels is None
    assert source.notes == ("no labels: 4 of 12 samples have no class",)
    assert shard_source(str(put(tmp_path / "none", labelled=False))).notes == ("no labels: samples have none",)


def test_numbers_of_classes_with_gaps(tmp_path):
    (tmp_path / "x-0.tar").write_bytes(packed([("a.jpg", b"x"), ("a.cls", b"9"), ("b.jpg", b"y"), ("b.cls", b"4")]))
    source = shard_source(str(tmp_path / "x-{0..0}.tar"))
    assert (source.labels.tolist(), source.classes) == ([1, 0], ("4", "9"))
    assert any("gaps (4, 9)" in note for note in source.notes)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("a.jpg", "a.png"), "a.png"),
        (("a.png", "a.jpg"), "a.png"),
        (("a.mask.png", "a.jpg"), "a.jpg"),
        (("a.JPG", "a.mask.png"), "a.JPG"),
        (("a.input.jpg", "a.txt"), "a.input.jpg"),
    ],
)
def test_several_pictures_in_a_sample(tmp_path, names, chosen):
    (tmp_path / "x-0.tar").write_bytes(packed([(name, name.encode()) for name in names]))
    assert read_all(tmp_path / "x-0.tar") == [Sample("a", chosen.encode(), None)]


def test_names(tmp_path):
    files = [
        ("./d/a.jpg", b"1"),
        ("d/._b.jpg", b"?"),
        ("d/a.cls", b"1"),
        ("d.x/a.jpg", b"2"),
        ("a.txt", b"no"),
        ("jpg", b""),
    ]
    content = packed([*files, (f"{'long/' * 60}b.webp", b"3"), ("ä ß.png", b"4"), ("ä ß.cls", b"2")])
    (tmp_path / "x-0.tar").write_bytes(content)
    found = read_all(tmp_path / "x-0.tar")
    keys = ["d/a", "d.x/a", f"{'long/' * 60}b", "ä ß"]
    assert found == [Sample(*row) for row in zip(keys, (b"1", b"2", b"3", b"4"), (1, None, None, 2), strict=True)]


def test_keys_that_occur_twice(tmp_path):
    (tmp_path / "x-0.tar").write_bytes(packed([("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"3")]))
    source = shard_source(str(tmp_path / "x-{0,0}.tar"))
    assert everything(source) == [b"1", b"2", b"3"] * 2
    assert len(set(source.files)) >= 3


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_kinds_of_tar(tmp_path, form, suffix):
    content = packed([(f"{n}.png", picture(n)) for n in range(5)], form)
    path = tmp_path / f"x-0{suffix}"
    path.write_bytes(content if suffix == ".tar" else gzip.compress(content))
    assert read_all(path) == [Sample(str(n), picture(n), None) for n in range(5)]
    assert [sample.key for sample in reading.keys(str(path))] == [str(n) for n in range(5)]


def test_links_and_folders_are_passed_over(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind in (("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.DIRTYPE), ("c.jpg", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/hostname"
            archive.addfile(member)
    (tmp_path / "x-0.tar").write_bytes(stream.getvalue())
    assert read_all(tmp_path / "x-0.tar") == []
    expect(lambda: shard_source(str(tmp_path / "x-{0..0}.tar")), "no pictures")


def test_a_member_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST", 100)
    (tmp_path / "x-0.tar").write_bytes(
        packed([("a.jpg", b"x" * 101), ("a.cls", b"1"), ("b.jpg", b"y"), ("b.cls", b"0")])
    )
    assert read_all(tmp_path / "x-0.tar") == [Sample("a", b"", 1), Sample("b", b"y", 0)]
    source = shard_source(str(tmp_path / "x-{0..0}.tar"))
    assert source.read(1) == b"y"
    with pytest.raises(Unreadable, match="larger"):
        source.read(0)


def test_a_cut_shard(tmp_path):
    whole = shard(0)
    path = tmp_path / "x-0.tar"
    used = len(whole.rstrip(b"\0"))
    for end in (1, 100, 512, 600, 1024, 1536, used - 100, used // 512 * 512, used // 512 * 512 + 512):
        path.write_bytes(whole[:end])
        for count in (lambda: read_all(path), lambda: list(reading.keys(str(path)))):
            expect(count, "x-0.tar", "cannot be read to its end")
    packed_whole = gzip.compress(whole)
    for end in (0, 1, 12, len(packed_whole) // 2, len(packed_whole) - 30):
        (tmp_path / "x-0.tar.gz").write_bytes(packed_whole[:end])
        expect(lambda: read_all(tmp_path / "x-0.tar.gz"), "x-0.tar.gz", "cannot be read to its end")


def test_what_comes_before_the_damage_is_read(tmp_path):
    (tmp_path / "x-0.tar").write_bytes(shard(0)[: 512 * 9])
    stream = samples(str(tmp_path / "x-0.tar"))
    assert next(stream) == Sample("000000", picture(0), 0)
    expect(lambda: list(stream), "x-0.tar")


def test_a_header_that_claims_too_much(tmp_path):
    claims = tarfile.TarInfo("a.jpg")
    claims.size = 2**40
    (tmp_path / "x-0.tar").write_bytes(claims.tobuf() + bytes(5000))
    expect(lambda: read_all(tmp_path / "x-0.tar"), "x-0.tar")
    claims.size, claims.type = 2**30, tarfile.XHDTYPE
    (tmp_path / "x-0.tar.gz").write_bytes(gzip.compress(claims.tobuf() + bytes(2**22)))
    expect(lambda: read_all(tmp_path / "x-0.tar.gz"), "header")


def test_in_order_every_shard_is_opened_once(tmp_path, monkeypatch):
    source = shard_source(str(put(tmp_path)))
    opened = []
    real = module.samples
    monkeypatch.setattr(module, "samples", lambda address: opened.append(address[-5]) or real(address))
    assert everything(source) == [picture(n) for n in range(12)]
    assert opened == ["0", "1", "2"]
    assert source.read(11) == picture(11)  # kept
    monkeypatch.setattr(module, "RECENT", 0)
    source = shard_source(str(tmp_path))
    assert [source.read(index) for index in (3, 2, 9, 0)] == [picture(index) for index in (3, 2, 9, 0)]
    assert opened == ["0", "1", "2", "0", "0", "2", "0"]


def test_several_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECENT", 100)
    source = shard_source(str(put(tmp_path)))
    order = np.random.default_rng(0).permutation(12).tolist() * 3
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(source.read, order)) == [picture(index) for index in order]


def test_a_shard_that_changes_meanwhile(tmp_path):
    source = shard_source(str(put(tmp_path)))
    (tmp_path / "train-0000.tar").write_bytes(shard(0, 2))
    assert source.read(1) == picture(1)
    for _ in range(2):
        expect(lambda: source.read(3), "train-0000.tar", "changed")
    assert source.read(4) == picture(4)


def test_in_memory():
    fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")
    files = fsspec.filesystem("memory")
    for number in range(2):
        files.pipe(f"/birds/t-{number:02d}.tar", shard(4 * number))
    source = shard_source("memory://birds/t-{00..01}.tar")
    assert source.name == "birds"
    assert source.place == "memory://birds/t-{00..01}.tar"
    assert everything(source) == [picture(n) for n in range(8)]
    assert len(set(source.stamps)) == 8
    expect(lambda: shard_source("memory://birds/t-{00..02}.tar"), "t-02.tar", "not there")
    expect(lambda: shard_source("nonsense://t-00.tar"), "nonsense://")


@pytest.fixture
def web(tmp_path):
    """(address, folder) of a server of files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", tmp_path
        server.shutdown()
        thread.join()


def test_over_http(web, monkeypatch):
    pytest.importorskip("fsspec", reason="addresses need fsspec")
    pytest.importorskip("aiohttp", reason="http addresses need aiohttp")
    monkeypatch.setattr(reading, "WAITS", (0.0,))
    address, folder = web
    put(folder, 2, count=4)
    source = shard_source(address + "/train-{0000..0001}.tar")
    assert everything(source) == [picture(n) for n in range(8)]
    assert source.stamps is None or len(source.stamps) == 8  # older versions of fsspec tell the size alone
    expect(lambda: shard_source(address + "/train-{0000..0002}.tar"), "train-0002.tar")
    (folder / "cut-0.tar").write_bytes(shard(0)[:3000])
    expect(lambda: list(samples(address + "/cut-0.tar")), "cut-0.tar", "to its end")
    expect(lambda: list(samples("http://127.0.0.1:9/x-0.tar")), "cannot be reached")


def test_a_failed_open_is_tried_again(monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")
    fsspec.filesystem("memory").pipe("/again/t-0.tar", shard(0))
    real, waited, calls = fsspec.open, [], itertools.count()
    monkeypatch.setattr(reading.time, "sleep", waited.append)

    def flaky(fails):
        def opened(*given):
            if next(calls) < fails:
                raise TimeoutError("too slow")
            return real(*given)

        return opened

    monkeypatch.setattr(fsspec, "open", flaky(3))
    assert len(list(samples("memory://again/t-0.tar"))) == 4
    assert waited == sorted(waited)
    assert len(waited) == 3
    calls = itertools.count()
    monkeypatch.setattr(fsspec, "open", flaky(9))
    expect(lambda: list(samples("memory://again/t-0.tar")), "memory://again/t-0.tar", "too slow")


def test_without_fsspec(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    expect(lambda: list(samples("memory://x-0.tar")), "pip install 'zerosum[data]'")


WHOLE = packed([("a.jpg", b"x" * 700), ("a.cls", b"1"), (f"{'d' * 120}/b.png", b"y"), (f"{'d' * 120}/b.json", b"{}")])


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(WHOLE)),
    st.booleans(),
)
@example([(124, 0x80), (135, 255)], len(WHOLE), False)  # a size in binary
@example([(156, ord("x"))], len(WHOLE), False)
@example([(156, ord("S"))], len(WHOLE), False)
def test_mutations(tmp_path, changes, end, mend):
    content = bytearray(WHOLE)
    for at, value in changes:
        content[at % len(content)] = value
    if mend:  # a header whose checksum is right all the same
        content[148:156] = b" " * 8
        content[148:156] = b"%06o\0 " % sum(content[:512])
    path = tmp_path / "x-0.tar"
    path.write_bytes(content[:end])
    counted = found = None
    with contextlib.suppress(UserError):
        counted = [(sample.key, sample.label) for sample in reading.keys(str(path))]
    with contextlib.suppress(UserError):
        found = [(sample.key, sample.label) for sample in samples(str(path))]
    if found is not None:
        assert counted == found


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=1500), st.sampled_from([".tar", ".tar.gz"]))
@example(bytes(1024), ".tar")
@example(bytes(512), ".tar")
def test_random_bytes(tmp_path, content, suffix):
    (tmp_path / f"x-0{suffix}").write_bytes(content)
    with contextlib.suppress(UserError):
        assert read_all(tmp_path / f"x-0{suffix}") == []


NAMES = st.text(st.characters(exclude_characters="/.\0", exclude_categories=["Cs"]), min_size=1, max_size=60)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from(SUFFIXES), st.binary(max_size=1100), st.none() | st.integers(0, 99)),
        unique_by=lambda row: row[0],
        max_size=6,
    ),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_what_is_written_is_read(tmp_path, rows, form):
    files = []
    for name, suffix, content, label in rows:
        files.append((f"{name}{suffix}", content))
        if label is not None:
            files.append((f"{name}.json", json.dumps({"label": label}).encode()))
    (tmp_path / "x-0.tar").write_bytes(packed(files, form))
    assert read_all(tmp_path / "x-0.tar") == [Sample(name, content, label) for name, _, content, label in rows]
