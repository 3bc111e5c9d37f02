"""Archives of pictures: zip and tar, whole, damaged and hostile."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import random
import struct
import tarfile
import threading
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.data.find import find
from zerosum.data.readers import packed, tars, zips
from zerosum.data.readers.archives import archive, is_archive
from zerosum.data.source import Unreadable
from zerosum.data.survey import survey
from zerosum.errors import UserError

TARS = ("tar", "tar.gz", "tgz", "tar.xz", "tar.bz2")
PICTURES = {f"{kind}/{number}.png": f"{kind} {number}".encode() * 7 for kind in "ab" for number in range(4)}


def make(path, members):
    """An archive of (name, content) pairs, or of a mapping; the suffix says which kind."""
    pairs = list(members.items() if isinstance(members, dict) else members)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in pairs:
                file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return path
    mode = {"tar": "w", "gz": "w:gz", "tgz": "w:gz", "xz": "w:xz", "bz2": "w:bz2"}[path.name.rpartition(".")[2]]
    with tarfile.open(path, mode) as file:
        for name, content in pairs:
            file.addfile(member(name, len(content)), io.BytesIO(content))
    return path


def member(name, size=0, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mtime = size, kind, 1
    return info


def content(source):
    return {source.files[index]: source.read(index) for index in range(len(source))}


def refused(path, *words):
    with pytest.raises(UserError) as caught:
        archive(path)
    assert path.name in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# ---- what an archive means ----


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_class_folders_are_labels(tmp_path, suffix):
    pairs = [("all/readme.txt", b"text"), *((f"all/{name}", PICTURES[name]) for name in sorted(PICTURES))]
    path = make(tmp_path / f"my pets.v2.{suffix}", pairs)
    source = archive(path)
    assert source.name == "my pets.v2"
    assert content(source) == {f"all/{name}": bytes_ for name, bytes_ in PICTURES.items()}
    assert list(source.files) == sorted(source.files)
    assert source.classes == ("a", "b")
    assert source.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert source.place == str(path.resolve())
    assert len(set(source.stamps)) > 1 or suffix != "zip"
    assert len(source.stamps) == len(source) == 8
    assert source.notes == ()


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_train_and_test_folders_are_parts(tmp_path, suffix):
    names = [f"{part}/{kind}/1.png" for part in ("test", "train") for kind in "ab"]
    source = archive(make(tmp_path / f"x.{suffix}", {name: name.encode() for name in names}))
    assert source.test.tolist() == [0, 1]
    assert source.labels.tolist() == [0, 1, 0, 1]


def test_suffixes():
    for name in ("a.zip", "a.ZIP", "a.tar", "a.Tar.Gz", "a.tgz", "a.tar.xz", "a.tar.bz2"):
        assert is_archive(Path(name))
    for name in ("zip", "a.gz", "a.7z", "a.npz", "a.png", "train-images-idx3-ubyte.gz"):
        assert not is_archive(Path(name))


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_odd_names(tmp_path, suffix):
    names = ["./a//1.png", "b/größe ☃.JPG", "b/two words.jpeg", "__MACOSX/a/._1.png", "b/._two words.jpeg", ".x/1.png"]
    source = archive(make(tmp_path / f"x.{suffix}", {name: name.encode() for name in names}))
    assert content(source) == {
        "a/1.png": b"./a//1.png",
        "b/größe ☃.JPG": "b/größe ☃.JPG".encode(),
        "b/two words.jpeg": b"b/two words.jpeg",
    }


@pytest.mark.parametrize("suffix", ["zip", *TARS])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_twins_the_last_counts(tmp_path, suffix):
    pairs = [("a/1.png", b"old"), ("b/1.png", b"other"), ("./a/1.png", b"newer"), ("a/1.png", b"newest")]
    assert content(archive(make(tmp_path / f"x.{suffix}", pairs))) == {"a/1.png": b"newest", "b/1.png": b"other"}


def test_backslashes_in_a_zip_are_slashes(tmp_path):
    source = archive(make(tmp_path / "x.zip", {"a\\1.png": b"1", "b\\2.png": b"2"}))
    assert source.files == ["a/1.png", "b/2.png"]
    assert source.classes == ("a", "b")


def rename(path, old, new):
    """Change a name's bytes in place: zipfile writes only names of its own liking."""
    assert len(old) == len(new)
    raw = path.read_bytes()
    assert raw.count(old) == 2
    path.write_bytes(raw.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("käse".encode(), "käse"),  # UTF-8 without the flag, as macOS writes it
        (b"k\x84se!", "käse!"),  # code page 437
        (b"\x83J\x83\xac.", None),  # some other code page
    ],
)
def test_names_in_any_encoding(tmp_path, raw, name):
    path = make(tmp_path / "x.zip", {"a/1.png": b"1", "N" * len(raw) + "/2.png": b"2"})
    source = archive(rename(path, b"N" * len(raw) + b"/2.png", raw + b"/2.png"))
    assert source.read(1) == b"2"
    source.called(1).encode()
    if name:
        assert source.files[1] == f"{name}/2.png"


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_a_member_without_a_name(tmp_path, suffix):
    path = make(tmp_path / f"x.{suffix}", [("a/1.png", b"1"), ("", b"2"), (".", b"3")])
    assert content(archive(path)) == {"a/1.png": b"1"}


def test_a_name_that_is_no_text_in_a_tar(tmp_path):
    source = archive(make(tmp_path / "x.tar", {"a/1.png": b"1", "b/\udcff.png": b"2"}))
    assert source.read(1) == b"2"
    assert source.called(1) == "b/\\udcff.png"


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("around", ["", "set/"])
def test_styles_dataset_json(tmp_path, suffix, around):
    names = ["00000/img00000000.png", "00000/img00000001.png", "00001/img00001000.png"]
    labels = [[names[0], 6], [names[1], 0], [names[2], 2]]
    members = {around + name: name.encode() for name in names}
    members[f"{around}dataset.json"] = json.dumps({"labels": labels}).encode()
    source = archive(make(tmp_path / f"x.{suffix}", members))
    assert [source.classes[label] for label in source.labels] == ["6", "0", "2"]
    assert len(source) == 3
    members[f"{around}dataset.json"] = b'{"labels": null}'
    plain = archive(make(tmp_path / f"y.{suffix}", members))
    assert (plain.classes, plain.labels) == ((), None)  # its folders only number the pictures
    assert any("dataset.json" in note for note in plain.notes)
    members[f"{around}dataset.json"] = b"{"
    refused(make(tmp_path / f"z.{suffix}", members), "dataset.json", "no JSON")


def test_links_and_devices_are_left_out(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as file:
        file.addfile(member("a", kind=tarfile.DIRTYPE))
        file.addfile(member("a/1.png", 1), io.BytesIO(b"1"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = member(f"a/{kind}.png", kind=kind)
            info.linkname = "/etc/passwd"
            file.addfile(info)
        file.addfile(member("b/2.png", 1), io.BytesIO(b"2"))
    source = archive(path)
    assert content(source) == {"a/1.png": b"1", "b/2.png": b"2"}
    assert "left out: 4 links or special files in the archive" in source.notes


def test_links_in_a_zip_are_left_out(tmp_path):
    path = make(tmp_path / "x.zip", {"a/1.png": b"1", "b/2.png": b"2"})
    link = zipfile.ZipInfo("a/3.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, "/etc/passwd")
    source = archive(path)
    assert source.files == ["a/1.png", "b/2.png"]
    assert "left out: 1 links or special files in the archive" in source.notes


# ---- reading ----


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_any_order_and_many_threads(tmp_path, suffix):
    chance = random.Random(0)
    pairs = [(f"{number}.png", chance.randbytes(1 + number * 37 % 3000)) for number in range(60)]
    chance.shuffle(pairs)
    source = archive(make(tmp_path / f"x.{suffix}", pairs))
    members = dict(pairs)
    order = [chance.randrange(60) for _ in range(100)]
    assert [source.read(index) for index in order] == [members[source.files[index]] for index in order]
    wrong = []

    def work():
        wrong.extend(index for index in range(60) if source.read(index) != members[source.files[index]])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("suffix", TARS[1:])
def test_a_packed_tar_is_unpacked_once_in_its_order(tmp_path, suffix, monkeypatch):
    names = [f"{number * 7 % 40}.png" for number in range(40)]
    path = make(tmp_path / f"x.{suffix}", {name: name.encode() * 100 for name in names})
    opened = []
    monkeypatch.setattr(tars, "opened", lambda file: opened.append(file) or packed.opened(file))
    source = archive(path)
    assert source.files == names
    assert len(opened) == 1
    for index in range(0, 40, 2):  # threads that take turns not quite in order
        assert source.read(index + 1) == names[index + 1].encode() * 100
        assert source.read(index) == names[index].encode() * 100
    assert len(opened) == 2
    monkeypatch.setattr(tars, "RECENT", 1)
    source = archive(path)
    assert [source.read(index) for index in (5, 3)] == [names[index].encode() * 100 for index in (5, 3)]
    assert len(opened) == 5


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zip(tmp_path, method):
    members = {"a/1.png": b"", "b/2.png": bytes(range(256)) * 500}
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as file:
        for name, bytes_ in members.items():
            file.writestr(name, bytes_)
    assert content(archive(tmp_path / "x.zip")) == members


def test_a_zip_behind_other_bytes(tmp_path):
    path = make(tmp_path / "x.zip", PICTURES)
    path.write_bytes(b"#!/bin/sh\n" * 50 + path.read_bytes())
    assert content(archive(path)) == PICTURES


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_stamps_change_with_the_picture(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    before = archive(make(path, PICTURES)).stamps
    after = archive(make(path, {**PICTURES, "b/3.png": b"other"})).stamps
    assert before[-1] != after[-1]


# ---- what is refused ----


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("name", ["../1.png", "a/../../1.png", "/a/1.png", "C:/1.png", "c:1.png", "a/..", "\\1.png"])
def test_names_that_climb_out(tmp_path, suffix, name):
    refused(make(tmp_path / f"x.{suffix}", [("a/1.png", b"1"), (name, b"2")]), "climbs out", "1.png" * (name != "a/.."))


def test_backslashes_that_climb_out_of_a_tar(tmp_path):
    refused(make(tmp_path / "x.tar", {"a\\..\\..\\1.png": b"1"}), "climbs out")


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_no_pictures(tmp_path, suffix):
    refused(make(tmp_path / f"a.{suffix}", {}), "it is empty")
    refused(make(tmp_path / f"b.{suffix}", {"x.csv": b"", "y/z.TXT": b"", "LICENSE": b""}), ".csv", ".txt", "LICENSE")
    refused(make(tmp_path / f"c.{suffix}", {"dataset.json": b"{}"}), "dataset.json")


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_damaged_archives(tmp_path, suffix):
    whole = make(tmp_path / f"whole.{suffix}", {name: random.Random(0).randbytes(3000) for name in PICTURES})
    raw = whole.read_bytes()
    path = tmp_path / f"x.{suffix}"
    for broken in (b"", b"\0", b"no archive" * 100, raw[: len(raw) // 2], raw[:40]):
        path.write_bytes(broken)
        refused(path)
    refused(tmp_path / f"missing.{suffix}")


def test_a_tar_with_a_damaged_header_in_its_middle(tmp_path):
    path = make(tmp_path / "x.tar", PICTURES)
    raw = bytearray(path.read_bytes())
    raw[1024 * 4 + 3] ^= 1
    path.write_bytes(raw)
    refused(path, "a header is damaged")


def test_a_locked_zip(tmp_path):
    path = make(tmp_path / "x.zip", PICTURES)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    refused(path, "password", "a/0.png")


def broken_zip(path, change, method=zipfile.ZIP_DEFLATED):
    """A zip of two pictures, with the first one's entry in the table of contents changed."""
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a/1.png", b"one" * 1000)
        file.writestr("b/2.png", b"two" * 1000)
    raw = bytearray(path.read_bytes())
    change(raw, raw.index(b"PK\x01\x02"))
    path.write_bytes(raw)
    return archive(path)


def put(place, value):
    def change(raw, start):
        struct.pack_into("<I", raw, start + place, value)

    return change


def method(number):
    def change(raw, start):
        struct.pack_into("<H", raw, start + 10, number)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put(24, 2999), "more than the 2999 bytes"),
        (put(24, 3001), "checksum"),
        (put(24, 2**28 + 1), "too many"),
        (put(20, 2**28 + 1), "too many"),
        (put(20, 2**20), "cut short"),
        (put(16, 1), "checksum"),
        (put(42, 1), "not where the archive says"),
        (put(42, 2**31), "not where"),
        (method(12), "cannot be unpacked"),
        (method(14), "damaged"),
        (method(93), "method 93"),
    ],
)
def test_one_damaged_member_of_a_zip(tmp_path, change, words):
    source = broken_zip(tmp_path / "x.zip", change)
    with pytest.raises(Unreadable, match=words):
        source.read(0)
    assert source.read(1) == b"two" * 1000


def test_a_zip_bomb_stops_at_what_it_says(tmp_path):
    path = make(tmp_path / "x.zip", {"a/1.png": bytes(2**26)})
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, 1000)
    path.write_bytes(raw)
    source = archive(path)
    tracemalloc.start()
    with pytest.raises(Unreadable, match="more than the 1000 bytes"):
        source.read(0)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_the_memory_that_lzma_asks_for_is_bounded(tmp_path):
    packed_ = b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff" + bytes(20)
    row = zips._Member(0, len(packed_), 3, 0, zipfile.ZIP_LZMA)
    tracemalloc.start()
    with contextlib.suppress(Unreadable, lzma.LZMAError):
        zips._unpack(packed_, row)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**20


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_tar_of_a_huge_picture(tmp_path, suffix, monkeypatch):
    path = make(tmp_path / f"x.{suffix}", {"a/1.png": bytes(5000), "b/2.png": b"2"})
    monkeypatch.setattr(tars, "LARGEST", 4000)
    source = archive(path)
    with pytest.raises(Unreadable, match="too many"):
        source.read(0)
    assert source.read(1) == b"2"


def test_a_packed_tar_that_never_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(tars, "RATIO", 5)
    monkeypatch.setattr(tars, "ALLOWANCE", 2**20)
    refused(make(tmp_path / "x.tar.gz", {"a/1.png": bytes(2**22)}), "unpacks to more than 1 MiB")
    assert len(archive(make(tmp_path / "x.tar", {"a/1.png": bytes(2**22)}))) == 1


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
def test_too_many_members(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(zips if suffix == "zip" else tars, "MOST", 7)
    refused(make(tmp_path / f"x.{suffix}", PICTURES), "7")


def header(name, size, kind=b"0"):
    raw = bytearray(512)
    raw[: len(name)] = name
    raw[100:108] = b"0000644\0"
    raw[124:136] = size
    raw[156:157] = kind
    raw[257:265] = b"ustar\x0000"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
@pytest.mark.parametrize(
    "size",
    [
        b"77777777777\0",
        b"\x80" + b"\xff" * 11,
        b"\xff" * 12,
        b"\xff" * 10 + b"\xfc\0",
        b"\x80" + b"\0" * 6 + b"\xff" * 5,
    ],
    ids=["8 GiB", "2**88", "-1", "-1024", "2**40"],
)
@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L"])
def test_sizes_in_headers_are_not_believed(tmp_path, suffix, size, kind):
    raw = header(b"first.png", b"00000000000\0") + header(b"a.png", size, kind) + bytes(4096)
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(gzip.compress(raw) if suffix == "tar.gz" else raw)
    refused(path)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L"])
def test_a_tar_with_an_endless_header(tmp_path, kind):
    size = 2**20 + 512
    raw = header(b"long", b"%011o\0" % size, kind) + b"9" * size + header(b"a.png", b"00000000000\0") + bytes(1024)
    (tmp_path / "x.tar").write_bytes(raw)
    refused(tmp_path / "x.tar", f"{size} bytes long")


def test_the_index_of_a_tar_holds_pictures_only(tmp_path):
    path = make(tmp_path / "x.tar", [("a.png", b"1"), *((f"{number}.txt", b"") for number in range(2000))])
    archive(path)  # Python's own table of names may grow, once
    tracemalloc.start()
    try:
        assert len(archive(path)) == 1
        assert tracemalloc.get_traced_memory()[1] < 2**19
    finally:
        tracemalloc.stop()


def test_xz_may_not_ask_for_all_the_memory(tmp_path):
    raw = make(tmp_path / "plain.tar", PICTURES).read_bytes()
    chain = [{"id": lzma.FILTER_LZMA2, "dict_size": 3 * 2**29}]
    (tmp_path / "x.tar.xz").write_bytes(with_dictionary(lzma.compress(raw, filters=[{**chain[0], "dict_size": 2**16}])))
    refused(tmp_path / "x.tar.xz", "emory")


def with_dictionary(raw):
    """Say 3 GiB in the first block's header of an xz file."""
    raw = bytearray(raw)
    size = (raw[12] + 1) * 4
    place = raw.index(b"\x21\x01", 12, 12 + size) + 2
    raw[place] = 39
    raw[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(raw[12 : 12 + size - 4]))
    return bytes(raw)


def test_xz_in_several_streams(tmp_path):
    raw = make(tmp_path / "plain.tar", PICTURES).read_bytes()
    parts = [lzma.compress(raw[:3000]), bytes(8), lzma.compress(raw[3000:]), bytes(4)]
    (tmp_path / "x.tar.xz").write_bytes(b"".join(parts))
    assert content(archive(tmp_path / "x.tar.xz")) == PICTURES
    (tmp_path / "y.tar.xz").write_bytes(b"".join(parts)[:-40])
    refused(tmp_path / "y.tar.xz")


# ---- any bytes ----


def settle(path):
    """Words, or pictures that can be read or say why not."""
    with contextlib.suppress(UserError):
        source = archive(path)
        for index in range(len(source)):
            with contextlib.suppress(Unreadable):
                assert isinstance(source.read(index), bytes)


def small(suffix):
    stream = io.BytesIO()
    if suffix == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
            for name, bytes_ in PICTURES.items():
                file.writestr(name, bytes_)
        return stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as file:
        for name, bytes_ in {**PICTURES, "ü" * 120 + "/x.png": b"long"}.items():
            file.addfile(member(name, len(bytes_)), io.BytesIO(bytes_))
    raw = stream.getvalue()
    pack = {"tar": bytes, "tar.gz": gzip.compress, "tar.xz": lzma.compress, "tar.bz2": bz2.compress}
    return pack[suffix](raw)


SMALL = {suffix: small(suffix) for suffix in ("zip", "tar", "tar.gz", "tar.xz", "tar.bz2")}


@pytest.mark.parametrize("suffix", SMALL)
@settings(deadline=None, max_examples=120)
@given(st.data())
def test_mutations_end_in_words(tmp_path_factory, suffix, data):
    raw = bytearray(SMALL[suffix])
    path = tmp_path_factory.getbasetemp() / f"fuzz.{suffix}"
    for _ in range(data.draw(st.integers(0, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))])
    settle(path)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_tar_headers_with_true_checksums_end_in_words(tmp_path_factory, data):
    raw = bytearray(SMALL["tar"])
    path = tmp_path_factory.getbasetemp() / "sums.tar"
    start = data.draw(st.integers(0, 8)) * 1024
    for _ in range(data.draw(st.integers(1, 8))):
        raw[start + data.draw(st.integers(100, 511))] = data.draw(st.sampled_from([*b"\0 01357LKxgS12", 0x80, 0xFF]))
    raw[start + 148 : start + 156] = b" " * 8
    raw[start + 148 : start + 156] = b"%06o\0 " % sum(raw[start : start + 512])
    path.write_bytes(raw)
    settle(path)


@pytest.mark.parametrize("suffix", SMALL)
@settings(deadline=None, max_examples=40)
@given(raw=st.binary(max_size=600))
def test_any_bytes_end_in_words(tmp_path_factory, suffix, raw):
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    path.write_bytes(raw)
    settle(path)


# ---- real archives ----


def real(name):
    root = os.environ.get("ZEROSUM_DATA")
    if not root or not (Path(root) / name).exists():
        pytest.skip(f"set ZEROSUM_DATA to a folder that holds {name}")
    return Path(root) / name


def test_flowers():
    source = archive(real("flowers-227.zip"))
    assert len(source) == 590
    assert source.classes == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    assert source.name == "flowers-227"
    seen = survey(source)
    assert (seen.sizes == 227).all()
    assert not seen.broken


def test_flowers_as_a_packed_tar(tmp_path):
    pictures = content(archive(real("flowers-227.zip")))
    names = sorted(pictures, key=lambda name: zlib.crc32(name.encode()))[:200]
    source = archive(make(tmp_path / "flowers.tar.gz", {name: pictures[name] for name in names}))
    seen = survey(source)  # several threads
    assert not seen.broken
    assert all(source.read(index) == pictures[source.files[index]] for index in range(200))


@pytest.mark.parametrize("name", ["train-0000.tar", "pets.tar.gz", "pets.zip"])
def test_a_folder_that_holds_one_archive_is_that_archive(tmp_path, name):
    """With anything else beside it, it is a folder without pictures."""
    folder = tmp_path / "download"
    folder.mkdir()
    make(folder / name, {"cats/1.png": b"1", "dogs/2.png": b"2"})
    (folder / ".hidden").write_text("")
    own, alone = find(folder), archive(folder / name)
    assert (own.name, own.classes, own.files, own.stamps) == (alone.name, ("cats", "dogs"), alone.files, alone.stamps)
    assert own.read(1) == b"2"
    (folder / "notes.txt").write_text("something")
    refused_by(lambda: find(folder), "no pictures")
    (folder / "notes.txt").unlink()
    (folder / name).rename(folder / "notes.txt")
    refused_by(lambda: find(folder), "it holds only .txt")


def test_a_folder_that_holds_one_damaged_archive(tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "x.tar").write_bytes(b"nonsense" * 99)
    refused_by(lambda: find(folder), "x.tar cannot be read")


def refused_by(function, words):
    with pytest.raises(UserError, match=words):
        function()
