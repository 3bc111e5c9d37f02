"""How bytes reach the disk: one function writes a file whole, one appends a line, one holds a folder.

A reader never sees half a file: the bytes go to a temporary file in the same folder, are forced to the disk, and take
the final name in one step. A kill or a full disk at any moment leaves the previous file as it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from zerosum.errors import Stopped, UserError

if TYPE_CHECKING:
    import torch

TEMPORARY = ".writing-"
GLANCE = 0.02  # seconds for which somebody may hold a lock who only looks whether it is held


class InUse(UserError):
    """Another process holds a folder."""


def write(path: Path, content: bytes) -> Path:
    """Write ``content`` to ``path`` whole or not at all, and return ``path``.

    Raises:
        Stopped: the disk is full (the previous file is untouched).
        UserError: the folder may not be written to.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with in_words(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return path


def abandoned(temporary: Path) -> bool:
    """Whether nobody will finish a temporary file: its process is no more, or is this one."""
    found = re.match(re.escape(TEMPORARY) + r"(\d+)-", temporary.name)
    if found is None or int(found[1]) == os.getpid() or os.name == "nt":  # there, asking about a process ends it
        return True
    try:
        os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass
    return False


def write_json(path: Path, value: object) -> Path:
    """Write ``value`` as indented JSON (see ``write``); non-finite numbers are refused."""
    return write(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def append_line(path: Path, record: Mapping[str, object]) -> None:
    """Append one JSON line. Non-finite numbers become null and are named in ``not_finite``."""
    broken = [key for key, value in record.items() if isinstance(value, float) and not math.isfinite(value)]
    clean = {key: None if key in broken else value for key, value in record.items()}
    if broken:
        clean["not_finite"] = broken
    with in_words(path), open(path, "a+b") as file:
        if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
            file.write(b"\n")  # after a line that a kill cut short
        file.write((json.dumps(clean, allow_nan=False) + "\n").encode())


def read_lines(path: Path) -> list[dict[str, object]]:
    """All whole lines of a JSON-lines file; a line that a kill cut short is left out. No file: no lines."""
    if not path.exists():
        return []
    records = []
    for line in path.read_bytes().splitlines(keepends=True):
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line) if line.endswith(b"\n") else None
            if isinstance(record, dict):
                records.append(record)
    return records


def keep_lines(path: Path, keep: Callable[[dict[str, object]], bool]) -> None:
    """Rewrite a JSON-lines file with only the records for which ``keep`` says so (and no torn line)."""
    if path.exists():
        write(path, b"".join((json.dumps(record) + "\n").encode() for record in read_lines(path) if keep(record)))


class Tensors(NamedTuple):
    """What a safetensors file of ours holds: tensors by name, and the JSON of its header."""

    tensors: dict[str, torch.Tensor]
    header: dict[str, object]


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, object]) -> Path:
    """Write tensors with a JSON header and a checksum over both; see ``write`` for what is guaranteed."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(header, allow_nan=False)
    return write(path, save(plain, metadata={"zerosum": text, "sha256": _digest(plain, text)}))


def read_tensors(path: Path) -> Tensors:
    """Read a file of ``write_tensors`` and verify its checksum. Nothing in it is executed.

    Raises:
        UserError: the file is not there, is damaged, or is not one of zerosum's.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path} is not there: expected a .safetensors file of zerosum.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is damaged or no safetensors file ({error}): use another one.") from None
    if "zerosum" not in metadata or "sha256" not in metadata:
        raise UserError(
            f"{path} was not written by zerosum (its header has no zerosum part): give a file of snapshots/."
        )
    if _digest(tensors, metadata["zerosum"]) != metadata["sha256"]:
        raise UserError(f"{path} is damaged: its content does not match its checksum; use another one.")
    return Tensors(tensors, json.loads(metadata["zerosum"]))


@contextlib.contextmanager
def locked(folder: Path, name: str = ".lock", *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for one process. The lock dies with its holder, so nothing is ever left locked.

    Args:
        name: of the lock; whoever takes another one is not kept out.
        wait: until the other process is done, instead of refusing: for what takes a moment.

    Raises:
        InUse: another process holds it.
    """
    with in_words(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / name, "ab")  # noqa: SIM115 - closed below, after the lock
    try:
        if not _taken(file, folder, wait):
            time.sleep(GLANCE)
            if not _taken(file, folder, wait):
                raise InUse(
                    f"{folder} is in use by another zerosum process: wait for it, stop it, or name another run with "
                    "--out."
                )
        yield
    finally:
        file.close()


def _taken(file: BinaryIO, folder: Path, wait: bool) -> bool:
    """Take the lock; whether nobody else has it.

    Raises:
        UserError: there are no locks on this disk.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise UserError(f"{folder} cannot be locked ({error.strerror}): choose a folder on another disk.") from None
        return False
    return True


def _digest(tensors: Mapping[str, torch.Tensor], header: str) -> str:
    import torch

    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name != "nt":  # the rename itself must survive a power cut; Windows cannot open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def in_words(path: Path, instead: str = "choose a folder of yours with --out") -> Iterator[None]:
    """What the system says about writing to ``path``, in words: ``Stopped`` for a full disk, else ``UserError``.

    Args:
        instead: what to do where it may not be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Stopped(
                f"The disk is full: {path} could not be written. What was saved before is whole; "
                "free some space and run the same command again."
            ) from error
        if error.errno in (
            errno.EACCES,
            errno.EPERM,
            errno.EROFS,
            errno.ENOTDIR,
            errno.EEXIST,
            errno.EISDIR,
            errno.ENOENT,
        ):
            raise UserError(f"{path} may not be written to ({error.strerror}): {instead}.") from error
        raise
