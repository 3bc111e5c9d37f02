"""Prepared folders are believed as long as nobody touched them, and known to be damaged otherwise."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil

import numpy as np
import pytest

from zerosum.cli import main
from zerosum.data import intact, prepared
from zerosum.data import prepare as room
from zerosum.data.checking.check import check
from zerosum.data.fit import Shape
from zerosum.data.intact import verified
from zerosum.data.pictures import Mapped
from zerosum.data.source import Source, Unreadable, from_array
from zerosum.data.survey import survey
from zerosum.errors import UserError

COUNT = 130
SHAPE = Shape(16, 12, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 12, 16, 3), dtype=np.uint8)
PICTURE = 12 * 16 * 3


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def made(tmp_path):
    """A prepared folder."""
    source = from_array("x", PIXELS, np.arange(COUNT) % 2)
    room.prepare(source, survey(source), SHAPE, out=tmp_path / "made")
    return tmp_path / "made"


@pytest.fixture
def reads(monkeypatch):
    """How many rows of prepared pixels were read."""
    counted = []
    real = Mapped.__getitem__
    monkeypatch.setattr(Mapped, "__getitem__", lambda self, rows: counted.extend(rows.tolist()) or real(self, rows))
    return counted


def damage(folder, row, *, quietly=False):
    """Change one byte of a row; quietly: without a trace in the file's time."""
    path = folder / "pixels-00000.u8"
    state = path.stat()
    with open(path, "r+b") as file:
        file.seek(row * PICTURE + 100)
        byte = file.read(1)[0]
        file.seek(row * PICTURE + 100)
        file.write(bytes([byte ^ 1]))
    later = state.st_mtime_ns if quietly else state.st_mtime_ns + 10**9
    os.utime(path, ns=(state.st_atime_ns, later))


def touch(folder):
    path = folder / "pixels-00000.u8"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def start(folder, shape=SHAPE):
    """What a start of training does with a prepared folder."""
    source = prepared.source(folder)
    return room.prepare(source, survey(source), shape)


def as_of_earlier_versions(folder):
    with np.load(folder / "rows.npz") as table:
        arrays = {name: table[name] for name in table if name != "digests"}
    np.savez(folder / "rows.npz", **arrays)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


# ---- what is believed ----


def test_a_start_reads_no_pixels(made, reads):
    pictures = start(made)
    assert not reads
    plain = from_array("x", PIXELS, np.arange(COUNT) % 2)
    own = room.prepare(plain, survey(plain), SHAPE)
    assert pictures.identity == own.identity
    np.testing.assert_array_equal(pictures.take("train")[0], own.take("train")[0])


def test_what_is_known_is_what_a_look_finds(made):
    source = prepared.source(made)
    known, looked = survey(source), survey(dataclasses.replace(source, known=None))
    np.testing.assert_array_equal(known.sizes, looked.sizes)
    np.testing.assert_array_equal(known.channels, looked.channels)
    wanted = [hashlib.blake2b(own.transpose(2, 0, 1).tobytes(), digest_size=16).digest() for own in PIXELS]
    assert [row.tobytes() for row in known.digests] == wanted


def test_a_copied_folder_is_hashed_once(made, tmp_path, reads):
    shutil.copytree(made, tmp_path / "copy", copy_function=shutil.copyfile)
    touch(tmp_path / "copy")
    told = []
    pictures = verified(tmp_path / "copy", lambda *counts: told.append(counts))
    assert sorted(reads) == list(range(COUNT))
    assert told[-1] == (COUNT, COUNT)
    reads.clear()
    start(tmp_path / "copy")
    verified(made)
    assert not reads
    assert pictures.identity == verified(made).identity
    touch(tmp_path / "copy")
    verified(tmp_path / "copy")
    assert len(reads) == COUNT  # touched again


def test_a_cache_that_may_not_be_written_costs_time_alone(made, tmp_path, reads):
    touch(made)
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file where the folder should be")
    for _ in range(2):
        verified(made)
        assert len(reads) == COUNT
        reads.clear()


def test_hashing_in_small_pieces(made, monkeypatch, reads):
    monkeypatch.setattr(intact, "BLOCK", 7 * PICTURE)
    touch(made)
    verified(made)
    assert sorted(reads) == list(range(COUNT))


def test_folders_of_earlier_versions_are_data_too(made, reads):
    before = verified(made)
    as_of_earlier_versions(made)
    source = prepared.source(made)
    assert source.known is None
    seen = survey(source)
    assert sorted(reads) == list(range(COUNT))
    touch(made)
    assert room.prepare(source, seen, SHAPE).identity == before.identity
    smaller = room.prepare(source, seen, Shape(8, 6, 3))
    assert smaller.pixels.shape == (COUNT, 3, 6, 8)
    assert check(source, seen).readable == COUNT


# ---- what is not ----


def test_damaged_pixels_are_refused(made):
    damage(made, 17)
    damage(made, 99)
    for _ in range(2):
        with pytest.raises(UserError, match=r"2 of its 130 pictures are not those that were prepared \(row 17 for"):
            start(made)


def test_check_finds_damage_that_left_no_trace(made, capsys):
    damage(made, 17, quietly=True)
    start(made)  # a start believes the file's time
    source = prepared.source(made)
    findings = check(source, survey(source))
    assert findings.broken == (1, ("picture 17",))
    assert findings.reasons == ("its pixels are not those that were prepared",)
    assert main(["data", "check", str(made)]) == 0
    said = capsys.readouterr().out
    assert "it was damaged after it was prepared: prepare it again" in said
    assert "picture 17: its pixels are not those that were prepared" in said


def test_a_whole_folder_is_whole(made, capsys):
    assert main(["data", "check", str(made)]) == 0
    said = capsys.readouterr().out
    assert "130, all of them can be read" in said
    assert "damaged" not in said


def test_other_sizes_are_not_made_of_damaged_pixels(made):
    damage(made, 17, quietly=True)
    with pytest.raises(UserError, match=r"made is damaged \(picture 17: its pixels are not .* prepare it again"):
        start(made, Shape(8, 6, 3))
    with pytest.raises(Unreadable):
        prepared.source(made).read(17)
    prepared.source(made).read(18)


def test_rows_that_are_no_pictures_do_not_matter(tmp_path):
    def read(index):
        if index == 3:
            raise Unreadable("it is nothing")
        return PIXELS[index]

    source = Source("x", COUNT, read)
    room.prepare(source, survey(source), SHAPE, out=tmp_path / "made")
    damage(tmp_path / "made", 3)
    assert len(start(tmp_path / "made")) == COUNT - 1


def rewritten(folder, **changed):
    with np.load(folder / "rows.npz") as table:
        np.savez(folder / "rows.npz", **{**dict(table), **changed})


@pytest.mark.parametrize("what", ["labels", "train", "digests", "shape"])
def test_a_table_that_is_not_the_manifests_is_refused(made, what):
    with np.load(made / "rows.npz") as table:
        arrays = dict(table)
    if what == "labels":
        rewritten(made, labels=1 - arrays["labels"])
    elif what == "train":
        rewritten(made, train=arrays["train"][::-1])
    elif what == "digests":
        rewritten(made, digests=arrays["digests"] ^ 1)
    else:
        rewritten(made, digests=arrays["digests"][1:])
    with pytest.raises(UserError, match=r"damaged \(its (table is not what the manifest says|digests are wrong)\)"):
        start(made)


def test_a_damaged_picture_in_the_cache_is_made_again(tmp_path):
    raws = list(PIXELS)
    names = [f"{index}.png" for index in range(COUNT)]
    source = Source("x", COUNT, lambda index: raws[index], files=names)
    cache = tmp_path / "cache"
    first = room.prepare(source, survey(source), SHAPE, cache=cache)
    wanted = first.take("train")[0]
    (folder,) = (cache / "prepared").iterdir()
    damage(folder, 17)
    again = room.prepare(source, survey(source), SHAPE, cache=cache)
    np.testing.assert_array_equal(again.take("train")[0], wanted)
    assert again.identity == first.identity
