"""The samples of one tar shard, on a disk or at an address, streamed from its start to its end."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Iterator
from types import ModuleType
from typing import IO, NamedTuple, cast

from zerosum.data.readers.labels import SUFFIXES
from zerosum.data.readers.packed import LARGEST, PIECE, take
from zerosum.data.source import printable
from zerosum.errors import UserError

REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")
LONGEST_HEADER = 2**20
LONGEST_NOTE = 2**20  # bytes of a .cls or .json
WAITS = (1.0, 3.0, 9.0)  # seconds before an open that failed is tried again
# what storages call a mark of the content or of its time
MARKS = ("ETag", "etag", "md5Hash", "Content-MD5", "mtime", "LastModified", "Last-Modified", "last_modified", "created")
LABELS = ("label", "class", "cls")


class Sample(NamedTuple):
    """Files of one name: the picture's bytes (none where it is larger than 256 MiB) and its class."""

    key: str
    picture: bytes
    label: int | None


def samples(address: str) -> Iterator[Sample]:
    """The samples of one shard, streamed: members whose names are the same up to the first dot of the last part.

    The picture is the member with a picture's suffix (``.jpg`` before ``.mask.png``, then in the order of
    ``labels.SUFFIXES``), the class the number in ``.cls``, or ``label``, ``class`` or ``cls`` in ``.json``. Members of
    other kinds, and samples without a picture, are passed over.

    Raises:
        UserError: the shard cannot be opened, is damaged, or is cut short.
    """
    return _samples(address, True)


def keys(address: str) -> Iterator[Sample]:
    """Like ``samples``, without the pictures; a shard on the disk that is not packed is not read as a whole."""
    return _samples(address, False)


def open_address(address: str) -> IO[bytes]:
    """A file on the disk, or anything that fsspec opens; what fails at a remote place is tried four times.

    Raises:
        UserError: it is not there, may not be read, cannot be reached, or fsspec needs another package for it.
    """
    if not REMOTE.match(address):
        try:
            return open(address, "rb")
        except OSError as error:
            raise UserError(f"{printable(address)} cannot be read: {error.strerror}.") from None
    fsspec = _fsspec()
    for wait in (*WAITS, None):
        try:
            file = fsspec.open(address, "rb").open()
            return cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", file), PIECE))
        except (ImportError, ValueError) as error:
            raise UserError(f"{address} cannot be opened ({_line(error)}): install what it needs.") from None
        except Exception as error:  # every kind of storage has errors of its own
            if isinstance(_root(error), FileNotFoundError | PermissionError):
                raise UserError(f"{address} is not there, or may not be read: check the address.") from None
            if wait is None:
                raise UserError(f"{address} cannot be reached ({_line(_root(error))}): check the connection.") from None
            time.sleep(wait)
    raise AssertionError


def stamp(address: str) -> str | None:
    """A text that changes when a shard does, or None where the place does not tell."""
    if not REMOTE.match(address):
        status = os.stat(address)
        return f"{status.st_size}-{status.st_mtime_ns}"
    try:
        files, path = _fsspec().core.url_to_fs(address)
        told = files.info(path)
    except Exception:  # what cannot be told is looked at again
        return None
    marks = [str(told[name]) for name in MARKS if told.get(name) is not None]
    return "-".join((str(told.get("size")), *marks)) if marks else None  # tars of one size are common


def _samples(address: str, pictures: bool) -> Iterator[Sample]:
    with open_address(address) as file:
        try:
            packed = not address.split("?")[0].lower().endswith(".tar")
            stream = gzip.GzipFile(fileobj=file) if packed else file
            forward = _Forward(cast("IO[bytes]", stream), not packed and not REMOTE.match(address))
            yield from _grouped(forward, pictures)
        except UserError:
            raise
        except Exception as error:  # whatever a damaged shard or a broken connection makes tarfile and fsspec raise
            raise UserError(
                f"{printable(address)} cannot be read to its end ({_line(error)}): copy or download it again."
            ) from None


def _grouped(forward: _Forward, pictures: bool) -> Iterator[Sample]:
    key: str | None = None
    best: tuple[int, int] | None = None
    picture, label = b"", None
    for info in _members(forward):
        folder, _, name = info.name.removeprefix("./").rpartition("/")
        prefix, _, suffix = name.partition(".")
        if not prefix:
            continue
        own = f"{folder}/{prefix}" if folder else prefix
        if own != key:
            if key is not None and best is not None:
                yield Sample(key, picture, label)
            key, best, picture, label = own, None, b"", None
        rank = _rank(suffix.lower())
        if rank is not None and (best is None or rank < best):
            best = rank
            picture = forward.take(info.size) if pictures and info.size <= LARGEST else b""
        elif suffix.lower() == "cls" and info.size <= LONGEST_NOTE:
            label = _class(forward.take(info.size))
        elif suffix.lower() == "json" and label is None and info.size <= LONGEST_NOTE:
            label = _listed_class(forward.take(info.size))
    if key is not None and best is not None:
        yield Sample(key, picture, label)


def _members(forward: _Forward) -> Iterator[tarfile.TarInfo]:
    """Plain files of a tar that is read once, from its start to its end mark."""
    with tarfile.TarFile(fileobj=cast("IO[bytes]", forward), errors="surrogateescape") as archive:
        told = cast("list[tarfile.TarInfo]", vars(archive)["members"])
        while (info := archive.next()) is not None:
            told.clear()  # or it would remember every member
            if info.size < 0:
                raise ValueError("a size is negative")
            if info.isreg() and not info.issparse():
                yield info
    if len(forward.last) != tarfile.BLOCKSIZE or forward.last.strip(b"\0"):
        raise ValueError("its end is missing")


class _Forward:
    """A stream as tarfile sees it: only forward, and with headers of a sensible length."""

    def __init__(self, stream: IO[bytes], leaps: bool) -> None:
        self._stream, self._leaps, self._place = stream, leaps, 0
        self.last = b""

    def read(self, count: int) -> bytes:
        if not 0 <= count <= LONGEST_HEADER:
            raise ValueError(f"a header says that it is {count} bytes long")
        self.last = take(self._stream, count)
        self._place += len(self.last)
        return self.last

    def take(self, count: int) -> bytes:
        """The content of the member whose header was read last."""
        content = take(self._stream, count)
        self._place += len(content)
        if len(content) < count:
            raise EOFError("it is cut short")
        return content

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> int:
        if place < self._place:
            raise ValueError("a header points backwards")
        if self._leaps:
            self._place = self._stream.seek(place)
        while self._place < place and (piece := self._stream.read(min(place - self._place, PIECE))):
            self._place += len(piece)
        return self._place

    def close(self) -> None:
        """Whoever opened the stream closes it."""


def _rank(suffix: str) -> tuple[int, int] | None:
    end = f".{suffix.rpartition('.')[2]}"
    return (suffix.count("."), SUFFIXES.index(end)) if end in SUFFIXES else None


def _class(text: bytes) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() and len(text) < 10 else None


def _listed_class(text: bytes) -> int | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    values = [content.get(name) for name in LABELS] if isinstance(content, dict) else []
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return whole[0] if whole and 0 <= whole[0] < 2**31 else None


def _root(error: BaseException) -> BaseException:
    """What an error was first: fsspec says of a broken connection that a file is not there."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _line(error: BaseException) -> str:
    return printable(" ".join(str(error).split())[:200]) or type(error).__name__


def _fsspec() -> ModuleType:
    try:
        import fsspec
    except ImportError:
        raise UserError("Shards at an address need fsspec: pip install 'zerosum[data]'.") from None
    return fsspec
