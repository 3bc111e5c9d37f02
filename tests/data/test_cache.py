"""Decoding once: what lies in the cache, what brings it back, and what happens when writing it goes wrong."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zerosum.data import prepare as room
from zerosum.data import prepared
from zerosum.data.cache import cache_folder
from zerosum.data.fit import Shape
from zerosum.data.pictures import Mapped
from zerosum.data.readers.folder import folder
from zerosum.data.source import Source, Unreadable, from_array
from zerosum.data.survey import survey
from zerosum.errors import Stopped, UserError

SHAPE = Shape(8, 8, 3)


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class Counting:
    """A source of encoded pictures that counts how often it is read."""

    def __init__(self, raws, labels=None):
        self.raws, self.reads = raws, 0
        names = [f"{index:04d}.png" for index in range(len(raws))]
        classes = () if labels is None else tuple(map(str, range(max(labels) + 1)))
        self.source = Source(
            "counting",
            len(raws),
            self.read,
            files=names,
            stamps=[str(zlib.crc32(raw)) for raw in raws],
            place="/counting",
            labels=None if labels is None else np.array(labels),
            classes=classes,
        )

    def read(self, index):
        self.reads += 1
        return self.raws[index]


def prepare(counting, cache, shape=SHAPE, **options):
    return room.prepare(counting.source, survey(counting.source, cache), shape, cache=cache, **options)


@pytest.fixture
def raws():
    return [png(noise(12, 10, 3, seed=seed)) for seed in range(130)]


def equal(a, b):
    assert a.identity == b.identity
    for part in ("train", "held-out"):
        np.testing.assert_array_equal(a.take(part)[0], b.take(part)[0])


def test_decoded_once(tmp_path, raws):
    counting = Counting(raws)
    first = prepare(counting, tmp_path)
    assert isinstance(first.pixels, Mapped)
    assert not first.resident
    assert counting.reads == 2 * len(raws)  # once to look, once to decode
    again = prepare(counting, tmp_path)
    assert counting.reads == 2 * len(raws)
    equal(first, again)
    plain = room.prepare(counting.source, survey(counting.source), SHAPE)
    equal(first, plain)
    assert isinstance(plain.pixels, np.ndarray)


def test_the_same_pictures_elsewhere_are_known(tmp_path, raws):
    for index, raw in enumerate(raws):
        (tmp_path / "a" / str(index % 2)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / str(index % 2) / f"{index}.png").write_bytes(raw)
    first = folder(tmp_path / "a")
    one = room.prepare(first, survey(first, tmp_path / "c"), SHAPE, cache=tmp_path / "c")
    made = sorted((tmp_path / "c" / "prepared").iterdir())
    (tmp_path / "b").mkdir()
    for index, raw in enumerate(raws):  # other names, other times, another place
        (tmp_path / "b" / str(index % 2)).mkdir(exist_ok=True)
        (tmp_path / "b" / str(index % 2) / f"x{997 * index % 1000}.png").write_bytes(raw)
    second = folder(tmp_path / "b")
    two = room.prepare(second, survey(second, tmp_path / "c"), SHAPE, cache=tmp_path / "c")
    equal(one, two)
    np.testing.assert_array_equal(one.take("train")[1], two.take("train")[1])
    assert sorted((tmp_path / "c" / "prepared").iterdir()) == made


def test_other_labels_shapes_and_pictures_are_other_data(tmp_path, raws):
    base = prepare(Counting(raws, [0, 1] * 65), tmp_path)
    others = [
        prepare(Counting(raws, [1, 0] * 65), tmp_path),
        prepare(Counting(raws), tmp_path),
        prepare(Counting(raws, [0, 1] * 65), tmp_path, Shape(8, 6, 3)),
        prepare(Counting(raws, [0, 1] * 65), tmp_path, Shape(8, 8, 3, "stretch")),
        prepare(Counting(raws[:-1], ([0, 1] * 65)[:-1]), tmp_path),
    ]
    assert len({pictures.identity for pictures in (base, *others)}) == 6
    assert len([path for path in (tmp_path / "prepared").iterdir() if prepared.is_prepared(path)]) == 6


def test_the_manifest_says_what_was_done(tmp_path, raws):
    photo = io.BytesIO()
    Image.fromarray(noise(512, 512, 3)).save(photo, "JPEG")
    raws = [*raws, photo.getvalue(), b"no picture"]
    source = Counting(raws).source
    room.prepare(source, survey(source), SHAPE, out=tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["drafted"] == 1
    assert manifest["skipped"] == [["0131.png", "it is no picture of a known kind, or damaged"]]
    assert manifest["shape"] == {"width": 8, "height": 8, "channels": 3, "fit": "crop"}
    assert manifest["pillow"] == __import__("PIL").__version__
    assert manifest["libjpeg"]
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]  # no lock, nothing half done


def test_a_prepared_folder_is_data(tmp_path, raws):
    counting = Counting(raws, [0, 1] * 65)
    own = room.prepare(counting.source, survey(counting.source), SHAPE, out=tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "moved")
    source = prepared.source(tmp_path / "moved")
    assert (source.classes, source.count) == (("0", "1"), 130)
    equal(own, room.prepare(source, survey(source), SHAPE))
    smaller = room.prepare(source, survey(source), Shape(4, 4, 3))
    assert smaller.pixels.shape[1:] == (3, 4, 4)
    np.testing.assert_array_equal(np.sort(smaller.held_out), np.sort(own.held_out))  # the split stays


def test_what_is_there_is_not_overwritten(tmp_path, raws):
    one, two = Counting(raws), Counting(raws[:120])
    room.prepare(one.source, survey(one.source), SHAPE, out=tmp_path / "out")
    with pytest.raises(UserError, match="holds something else"):
        room.prepare(two.source, survey(two.source), SHAPE, out=tmp_path / "out")


@pytest.mark.parametrize("name", ["pixels-00000.u8", "rows.npz", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "junk"])
def test_a_damaged_cache_is_made_again(tmp_path, raws, name, damage):
    counting = Counting(raws)
    first = prepare(counting, tmp_path)
    pixels = first.take("train")[0]
    (place,) = (path for path in (tmp_path / "prepared").iterdir() if prepared.is_prepared(path))
    path = place / name
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"{}" + b"junk" * 3)
    if name != "manifest.json" or damage != "cut":
        with pytest.raises(UserError):
            prepared.load(place)
    again = prepare(counting, tmp_path)
    np.testing.assert_array_equal(again.take("train")[0], pixels)
    assert again.identity == first.identity


def test_preparing_goes_on_after_a_kill(tmp_path, raws, monkeypatch):
    monkeypatch.setattr(room, "CHUNK", 8 * 8 * 3 * 16)  # sixteen pictures between two marks
    whole = prepare(Counting(raws), tmp_path / "whole")
    counting = Counting(raws)
    append = prepared.Writer.append
    calls = 0

    def dying(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == 5:
            with open(self.folder / "pixels-00000.u8", "ab") as file:
                file.write(b"half a picture")  # what a kill leaves
            raise KeyboardInterrupt
        append(self, *arguments)

    monkeypatch.setattr(prepared.Writer, "append", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(counting, tmp_path / "c")
    monkeypatch.setattr(prepared.Writer, "append", append)
    counting.reads = 0
    again = prepare(counting, tmp_path / "c")
    assert counting.reads == len(raws) - 64
    equal(whole, again)
    assert len(list((tmp_path / "c" / "prepared").iterdir())) == 1


def test_a_full_disk_stops_in_words_and_loses_nothing(tmp_path, raws, monkeypatch):
    monkeypatch.setattr(room, "CHUNK", 8 * 8 * 3 * 16)
    counting = Counting(raws)
    writes = 0

    def full(file, values):
        nonlocal writes
        writes += 1
        if writes > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(np.ascontiguousarray(values).data)

    real = prepared._write_all
    monkeypatch.setattr(prepared, "_write_all", full)
    with pytest.raises(Stopped, match="disk is full"):
        prepare(counting, tmp_path)
    monkeypatch.setattr(prepared, "_write_all", real)
    counting.reads = 0
    pictures = prepare(counting, tmp_path)
    assert 0 < counting.reads < len(raws)
    equal(pictures, room.prepare(counting.source, survey(counting.source), SHAPE))


def test_pictures_are_split_over_files(tmp_path, raws, monkeypatch):
    monkeypatch.setattr(prepared, "LARGEST_FILE", 8 * 8 * 3 * 50 + 7)
    monkeypatch.setattr(room, "CHUNK", 8 * 8 * 3 * 32)
    pictures = prepare(Counting(raws), tmp_path)
    assert len(pictures.pixels.files) == 3
    monkeypatch.undo()
    plain = room.prepare(Counting(raws).source, survey(Counting(raws).source), SHAPE)
    equal(pictures, plain)
    rows = np.array([129, 0, 49, 50, 51, 99, 100, 0])
    np.testing.assert_array_equal(pictures.pixels[rows], plain.pixels[rows])


def test_broken_pictures_are_skipped_or_stop(tmp_path, raws):
    raws = [*raws]
    raws[7], raws[9] = b"", raws[9][:-40]  # one shows at once, one when it is decoded
    found = prepare(Counting(raws), tmp_path)
    assert [name for name, _ in found.skipped] == ["0007.png", "0009.png"]
    assert len(found) == 128
    assert not {7, 9} & set(np.concatenate([found.train, found.held_out]).tolist())
    for cache in (tmp_path, tmp_path / "fresh"):
        with pytest.raises(UserError, match=r"0007\.png"):
            prepare(Counting(raws), cache, broken="stop")
    with pytest.raises(UserError, match=r"0001\.png"):
        prepare(Counting(raws[8:]), tmp_path / "late", broken="stop")  # shows only when it is decoded


def test_what_changes_on_the_way_is_neither_kept_nor_called_broken(tmp_path, raws):
    """A disk that fails for a moment, or a file that is edited: the next start finds out again."""
    counting = Counting(raws)
    seen = survey(counting.source)

    def gone(index):
        if index == 3:
            raise Unreadable("Input/output error")
        return raws[index]

    def edited(index):
        return raws[4] if index == 3 else raws[index]

    for read, words in ((gone, "could be read a moment ago"), (edited, "has changed since")):
        source = dataclasses.replace(counting.source, read=read)
        with pytest.raises(UserError, match=rf"0003\.png {words}"):
            room.prepare(source, seen, SHAPE, cache=tmp_path)
    assert len(prepare(counting, tmp_path)) == len(raws)


def test_a_half_written_cache_of_other_pictures_is_not_continued(tmp_path, raws, monkeypatch):
    """Broken files and names are no part of what a cache is called, but they decide where its rows lie."""
    monkeypatch.setattr(room, "CHUNK", 8 * 8 * 3 * 16)
    first = Counting([b"broken", *raws])
    append, calls = prepared.Writer.append, []

    def dying(self, *arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        append(self, *arguments)

    monkeypatch.setattr(prepared.Writer, "append", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(first, tmp_path)
    monkeypatch.setattr(prepared.Writer, "append", append)
    for later in (raws, raws[::-1]):  # without the broken one, and under other names
        found = prepare(Counting(later), tmp_path)
        equal(found, room.prepare(Counting(later).source, survey(Counting(later).source), SHAPE))
        assert found.skipped == ()


def test_what_is_skipped_is_said_of_these_pictures(tmp_path, raws):
    cut = [*raws, raws[0][:-40]]
    assert [name for name, _ in prepare(Counting(cut), tmp_path).skipped] == ["0130.png"]
    with_broken = [b"broken", *cut]
    assert [name for name, _ in prepare(Counting(with_broken), tmp_path).skipped] == ["0000.png", "0131.png"]
    assert [name for name, _ in prepare(Counting(cut), tmp_path).skipped] == ["0130.png"]
    with pytest.raises(UserError, match=r"0130\.png"):
        prepare(Counting(cut), tmp_path, broken="stop")
    assert not list((tmp_path / "prepared").glob("*.partial"))


def test_a_folder_of_somebody_else_is_left_alone(tmp_path, raws):
    source = Counting(raws).source
    for place in ("out", "other.partial"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        room.prepare(source, survey(source), SHAPE, out=tmp_path / "out")
    with pytest.raises(UserError, match="in the way"):
        room.prepare(source, survey(source), SHAPE, out=tmp_path / "other")
    for place in ("out", "other.partial"):
        assert (tmp_path / place / "mine.txt").read_text() == "mine"


def test_the_cache_does_not_keep_the_first_name(tmp_path, raws):
    prepare(Counting(raws), tmp_path)
    renamed = dataclasses.replace(Counting(raws).source, name="renamed")
    assert room.prepare(renamed, survey(renamed), SHAPE, cache=tmp_path).name == "renamed"


def test_copies_of_test_pictures_are_not_trained_on(tmp_path, raws):
    source = dataclasses.replace(Counting([*raws, *raws[:10]]).source, test=np.arange(120, 140))
    found = room.prepare(source, survey(source), SHAPE)
    held = {picture.tobytes() for picture in found.take("held-out")[0]}
    assert not held & {picture.tobytes() for picture in found.take("train")[0]}
    assert len(found.train) == 110
    assert "10 training pictures are copies" in found.notes[0]


def test_nothing_readable_is_refused(tmp_path, raws):
    cut = [raw[:-60] for raw in raws[:5]]
    with pytest.raises(UserError, match="No picture of 5"):
        prepare(Counting(cut), tmp_path)


def test_small_arrays_are_not_cached(tmp_path):
    source = from_array("x", noise(200, 8, 8))
    pictures = room.prepare(source, survey(source), Shape(8, 8, 1), cache=tmp_path)
    assert pictures.resident
    assert not list(tmp_path.iterdir())


def test_two_processes_prepare_the_same_pictures(tmp_path, raws):
    (tmp_path / "pictures").mkdir()
    for index, raw in enumerate(raws):
        (tmp_path / "pictures" / f"{index}.png").write_bytes(raw)
    code = (
        "import sys; from pathlib import Path\n"
        "from zerosum.data.fit import Shape; from zerosum.data.readers.folder import folder\n"
        "from zerosum.data.prepare import prepare; from zerosum.data.survey import survey\n"
        "source = folder(Path(sys.argv[1])); cache = Path(sys.argv[2])\n"
        "print(prepare(source, survey(source, cache), Shape(8, 8, 3), cache=cache).identity)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pictures"), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=120)[0].strip() for process in both}
    assert all(process.returncode == 0 for process in both)
    assert len(said) == 1
    assert len(said.pop()) == 64


def test_the_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("ZEROSUM_CACHE")
    assert cache_folder().name in ("zerosum", "cache")


def half_made(cache, name, days, mark=True):
    """A folder that a killed process left so many days ago."""
    folder = cache / "prepared" / f"{name}.partial"
    folder.mkdir(parents=True)
    (folder / "pixels-00000.u8").write_bytes(b"pixels")
    if mark:
        (folder / "source.jsonl").write_text("{}")
    then = time.time() - days * 86_400
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then, then))
    return folder


def test_what_was_left_half_made_is_forgotten_after_a_month(tmp_path, raws):
    old, young = half_made(tmp_path, "old", 31), half_made(tmp_path, "young", 29)
    foreign = half_made(tmp_path, "foreign", 99, mark=False)
    touched = half_made(tmp_path, "touched", 99)
    os.utime(touched / "pixels-00000.u8")
    held = half_made(tmp_path, "held", 99)
    code = (
        "import sys; from pathlib import Path; from zerosum import files; from zerosum.data.holding import lock_of\n"
        "with files.locked(lock_of(Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(held.with_suffix(""))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        prepare(Counting(raws), tmp_path)
        assert [path.exists() for path in (old, young, foreign, touched, held)] == [False, True, True, True, True]
        other.communicate("")
    prepare(Counting(raws), tmp_path)
    assert held.exists()  # nothing was prepared
    prepare(Counting(raws), tmp_path, Shape(8, 6, 3))
    assert [path.exists() for path in (young, foreign, touched, held)] == [True, True, True, False]


def test_ones_own_half_made_folder_is_gone_on_with_however_old(tmp_path, raws, monkeypatch):
    monkeypatch.setattr(room, "CHUNK", 8 * 8 * 3 * 16)
    counting, append, calls = Counting(raws), prepared.Writer.append, []

    def dying(self, *arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        append(self, *arguments)

    monkeypatch.setattr(prepared.Writer, "append", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(counting, tmp_path)
    monkeypatch.setattr(prepared.Writer, "append", append)
    (partial,) = (tmp_path / "prepared").iterdir()
    for path in (*partial.iterdir(), partial):
        os.utime(path, (0, 0))
    counting.reads = 0
    prepare(counting, tmp_path)
    assert counting.reads == len(raws) - 48


def test_preparing_elsewhere_forgets_nothing(tmp_path, raws):
    half_made(tmp_path, "old", 99)
    source = Counting(raws).source
    room.prepare(source, survey(source), SHAPE, out=tmp_path / "prepared" / "mine")
    assert (tmp_path / "prepared" / "old.partial").exists()


def test_a_cache_that_may_not_be_written_costs_time_alone(tmp_path, raws, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    found = prepare(Counting(raws), tmp_path / "cache")
    assert found.resident
    assert "cannot be written" in found.notes[0]
    with pytest.raises(UserError, match="may not be written"):
        room.prepare(Counting(raws).source, survey(Counting(raws).source), SHAPE, out=tmp_path / "out")
