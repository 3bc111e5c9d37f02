"""What reaches the disk is whole, what is read is what was written."""

from __future__ import annotations

import builtins
import contextlib
import errno
import json
import math
import os
import random
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum import files
from zerosum.errors import Stopped, UserError


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(files.TEMPORARY)]


def failing(number):
    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return fail


# ---- write ----


def test_write_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "c.bin"
    assert files.write(path, b"one") == path
    assert files.write(path, b"two").read_bytes() == b"two"
    assert [child.name for child in path.parent.iterdir()] == ["c.bin"]


class _Full:
    """A file on a disk with room for only a few more bytes."""

    def __init__(self, file, number, room):
        self.file, self.number, self.room = file, number, room

    def __enter__(self):
        return self

    def __exit__(self, *_details):
        self.file.close()

    def write(self, content):
        self.file.write(content[: self.room])
        self.file.flush()
        raise OSError(self.number, os.strerror(self.number))

    def __getattr__(self, name):
        return getattr(self.file, name)


PLACES = ("write", "fsync", "replace")


def break_disk(monkeypatch, place, number, room=2):
    if place == "write":
        fake = lambda *args: _Full(builtins.open(*args), number, room)  # noqa: E731, SIM115
        monkeypatch.setattr(files, "open", fake, raising=False)
    else:
        monkeypatch.setattr(files.os, place, failing(number))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_file_whole(tmp_path, monkeypatch, place, number):
    path = files.write(tmp_path / "x.bin", b"previous")
    with monkeypatch.context() as patch:
        break_disk(patch, place, number)
        with pytest.raises(Stopped, match=r"disk is full.*x\.bin.*run the same command again"):
            files.write(path, b"next and longer")
    assert path.read_bytes() == b"previous"
    assert [child.name for child in tmp_path.iterdir()] == ["x.bin"]
    assert files.write(path, b"next").read_bytes() == b"next"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_forbidden_folder_is_the_users_matter(tmp_path, monkeypatch, place, number):
    path = files.write(tmp_path / "x.bin", b"previous")
    break_disk(monkeypatch, place, number)
    with pytest.raises(UserError, match=r"x\.bin may not be written to.*--out"):
        files.write(path, b"next")
    assert path.read_bytes() == b"previous"
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("path", ["runs/001/x", "runs/x"])
def test_a_file_in_place_of_a_folder_is_the_users_matter(tmp_path, path):
    (tmp_path / "runs").write_bytes(b"mine")
    with pytest.raises(UserError, match="runs"):
        files.write(tmp_path / path, b"")
    assert (tmp_path / "runs").read_bytes() == b"mine"


def test_a_file_in_place_of_a_locked_folder_is_the_users_matter(tmp_path):
    (tmp_path / "runs").write_bytes(b"mine")
    with pytest.raises(UserError, match="runs"), files.locked(tmp_path / "runs"):
        pass


def test_other_failures_keep_their_traceback_and_the_file(tmp_path, monkeypatch):
    path = files.write(tmp_path / "x.bin", b"previous")
    break_disk(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(OSError, match="Input/output") as caught:
        files.write(path, b"next")
    assert caught.value.errno == errno.EIO
    assert path.read_bytes() == b"previous"
    assert not leftovers(tmp_path)


def test_a_full_disk_under_every_writer(tmp_path, monkeypatch):
    log = tmp_path / "log.jsonl"
    files.append_line(log, {"a": 1})
    files.write_json(tmp_path / "x.json", {"a": 1})
    files.write_tensors(tmp_path / "x.safetensors", {"a": torch.ones(3)}, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(files.os, "fsync", failing(errno.ENOSPC))
    for attempt in (
        lambda: files.write_json(tmp_path / "x.json", {"a": 2}),
        lambda: files.write_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(3)}, {}),
        lambda: files.keep_lines(log, lambda record: False),
    ):
        with pytest.raises(Stopped):
            attempt()
    break_disk(monkeypatch, "write", errno.ENOSPC, room=0)
    with pytest.raises(Stopped):
        files.append_line(log, {"a": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


WRITER = """
import sys
from pathlib import Path
from zerosum.files import write
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    write(path, b"%c" % (65 + number % 26) * (100_000 + 1000 * (number % 26)))
"""


def test_kill_leaves_no_torn_file(tmp_path):
    path = tmp_path / "x.bin"
    wait = random.Random(0)

    def check():
        content = path.read_bytes()
        assert len(set(content)) == 1
        assert len(content) == 100_000 + 1000 * ((content[0] - 65) % 26)
        return content[:1]

    for _ in range(6):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        try:
            _until(path.exists)
            first = check()
            _until(lambda first=first: check() != first)  # a reader sees only whole files, too
            time.sleep(wait.uniform(0.0, 0.02))
        finally:
            process.kill()
            assert process.wait() == -9
        check()
        assert len(leftovers(tmp_path)) <= 1
        for name in leftovers(tmp_path):
            (tmp_path / name).unlink()


def _until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the other process did not get there"
        time.sleep(0.002)


# ---- JSON ----


def test_json_is_whole_and_strict(tmp_path):
    path = files.write_json(tmp_path / "x.json", {"a": [1, None, 0.1]})
    assert json.loads(path.read_text()) == {"a": [1, None, 0.1]}
    for broken in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            files.write_json(path, {"a": broken})
    assert json.loads(path.read_text()) == {"a": [1, None, 0.1]}


def test_lines_name_what_is_not_finite(tmp_path):
    path = tmp_path / "log.jsonl"
    files.append_line(path, {"images": 1, "loss": math.nan, "up": math.inf, "down": -math.inf, "fine": 0.5})
    files.append_line(path, {"images": 2, "loss": 0.25})

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    first, second = (json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines())
    assert first == {
        "images": 1,
        "loss": None,
        "up": None,
        "down": None,
        "fine": 0.5,
        "not_finite": ["loss", "up", "down"],
    }
    assert second == {"images": 2, "loss": 0.25}
    assert files.read_lines(path) == [first, second]


def test_no_file_no_lines(tmp_path):
    assert files.read_lines(tmp_path / "none.jsonl") == []
    files.keep_lines(tmp_path / "none.jsonl", lambda record: True)
    assert not (tmp_path / "none.jsonl").exists()


def test_a_line_cut_anywhere_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    records = [{"images": 1, "a": {"b": 2}}, {"images": 22, "text": "ä\n\u2028"}]
    for record in records:
        files.append_line(path, record)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        assert files.read_lines(path) == records[: (end >= first) + (end >= len(whole))]


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"[1]\n", b"7\n", b"\0\0\0\0\n", b"\n", b"{\n"])
def test_lines_that_are_no_records_are_left_out(tmp_path, junk):
    path = tmp_path / "log.jsonl"
    files.append_line(path, {"a": 1})
    with path.open("ab") as file:
        file.write(junk)
    files.append_line(path, {"a": 2})
    assert files.read_lines(path) == [{"a": 1}, {"a": 2}]


def test_keep_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    for images in range(5):
        files.append_line(path, {"images": images})
    with path.open("ab") as file:
        file.write(b'{"images": 5')
    files.keep_lines(path, lambda record: record["images"] % 2 == 0)
    assert path.read_bytes() == b'{"images": 0}\n{"images": 2}\n{"images": 4}\n'
    files.append_line(path, {"images": 6})
    assert [record["images"] for record in files.read_lines(path)] == [0, 2, 4, 6]


# ---- tensors ----

DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3, 4)], ids=str)
def test_tensors_round_trip(tmp_path, dtype, shape):
    tensor = (torch.rand(shape) * 100).to(dtype)
    found = files.read_tensors(files.write_tensors(tmp_path / "x.safetensors", {"t": tensor}, {"n": 1}))
    assert found.header == {"n": 1}
    assert list(found.tensors) == ["t"]
    assert found.tensors["t"].dtype == dtype
    assert found.tensors["t"].shape == tensor.shape
    assert torch.equal(found.tensors["t"], tensor)


def test_awkward_tensors_round_trip(tmp_path):
    base = torch.arange(48.0).reshape(2, 3, 2, 4)
    special = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45])
    tensors = {
        "whole": base,
        "view": base[:, 1],
        "turned": base.permute(3, 1, 0, 2),
        "last": base.to(memory_format=torch.channels_last),
        "wants gradients": torch.ones(2, requires_grad=True),
        "special": special,
        "näme/with.dots": torch.ones(1),
    }
    header = {"text": 'ä "quoted"\n\\', "list": [1, 2.5, None, True], "deep": {"a": {"b": []}}}
    found = files.read_tensors(files.write_tensors(tmp_path / "x.safetensors", tensors, header))
    assert found.header == header
    assert found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found.tensors[name].is_contiguous()
        assert not found.tensors[name].requires_grad
        assert torch.equal(found.tensors[name].nan_to_num(7), tensor.detach().nan_to_num(7))
    assert found.tensors["special"].view(torch.int32).equal(special.view(torch.int32))


def test_nothing_but_a_header(tmp_path):
    found = files.read_tensors(files.write_tensors(tmp_path / "x.safetensors", {}, {"images": 3}))
    assert found == ({}, {"images": 3})


def test_the_reader_keeps_nothing_of_the_file(tmp_path):
    path = files.write_tensors(tmp_path / "x.safetensors", {"t": torch.zeros(1000)}, {})
    found = files.read_tensors(path)
    files.write_tensors(path, {"t": torch.ones(1000)}, {})
    assert found.tensors["t"].sum() == 0


def test_every_damaged_byte_is_noticed(tmp_path):
    tensors = {"a": torch.rand(2, 3), "b": torch.arange(4), "c": torch.tensor([True, False]), "d": torch.tensor(0.5)}
    path = files.write_tensors(tmp_path / "x.safetensors", tensors, {"images": 12, "kind": "state"})
    whole = path.read_bytes()
    unnoticed = []
    for position in range(len(whole)):
        for mask in (1 << position % 8, 0x80 >> position % 8, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= mask
            path.write_bytes(damaged)
            with contextlib.suppress(UserError):
                files.read_tensors(path)
                unnoticed.append((position, mask))
    assert not unnoticed


def test_every_shortened_or_lengthened_file_is_noticed(tmp_path):
    path = files.write_tensors(tmp_path / "x.safetensors", {"a": torch.rand(2, 3)}, {"images": 12})
    whole = path.read_bytes()
    for content in [*(whole[:end] for end in range(len(whole))), whole + b"\0", whole + whole]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"x\.safetensors"):
            files.read_tensors(path)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"any\.safetensors"):
        files.read_tensors(path)


def test_files_of_others_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    with pytest.raises(UserError, match="not there"):
        files.read_tensors(path)
    path.mkdir()
    with pytest.raises(UserError, match="not there"):
        files.read_tensors(path)
    path.rmdir()
    for metadata in (None, {"format": "pt"}, {"zerosum": "{}"}):
        save_file({"a": torch.ones(2)}, path, metadata=metadata)
        with pytest.raises(UserError, match="not written by zerosum"):
            files.read_tensors(path)
    save_file({"a": torch.ones(2)}, path, metadata={"zerosum": "{}", "sha256": "0" * 64})
    with pytest.raises(UserError, match="damaged"):
        files.read_tensors(path)


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError):
        files.read_tensors(path)
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(UserError):
        files.read_tensors(path)
    assert not (tmp_path / "executed").exists()


# ---- lock ----

HOLDER = """
import sys, time
from pathlib import Path
from zerosum.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""

ASKER = """
import sys
from pathlib import Path
from zerosum.errors import UserError
from zerosum.files import locked
try:
    with locked(Path(sys.argv[1])):
        print("got it")
except UserError as error:
    print("refused:", error)
"""


def ask(folder):
    return subprocess.run([sys.executable, "-c", ASKER, str(folder)], capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def holder(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_lock_keeps_other_processes_out(tmp_path):
    folder = tmp_path / "runs" / "001"
    with files.locked(folder):
        assert folder.is_dir()
        answer = ask(folder)
        assert answer.startswith("refused:")
        assert str(folder) in answer
        assert "in use by another zerosum process" in answer
        assert ask(tmp_path / "runs" / "002") == "got it\n"
    assert ask(folder) == "got it\n"


def test_a_lock_dies_with_a_killed_holder(tmp_path):
    with holder(tmp_path) as process:
        with pytest.raises(UserError, match="in use"), files.locked(tmp_path):
            pass
        process.kill()
        process.wait()
        with files.locked(tmp_path):
            assert ask(tmp_path).startswith("refused:")


def test_a_lock_is_released_by_an_exception_and_is_not_reentrant(tmp_path):
    with pytest.raises(KeyError), files.locked(tmp_path):
        raise KeyError
    with files.locked(tmp_path), pytest.raises(UserError, match="in use"), files.locked(tmp_path):
        pass
    with files.locked(tmp_path):
        pass


def test_a_lock_on_a_full_disk_stops_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "open", failing(errno.ENOSPC), raising=False)
    with pytest.raises(Stopped, match="disk is full"), files.locked(tmp_path):
        pass
