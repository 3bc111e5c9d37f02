"""The members of a tar archive, packed or not, read one by one and never written to the disk."""

from __future__ import annotations

import io
import tarfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, cast

from zerosum.data.readers.packed import (
    DAMAGES,
    LARGEST,
    MOST,
    PIECE,
    Listing,
    damaged,
    inside,
    kind,
    opened,
    reader_at,
    take,
)
from zerosum.data.source import Unreadable, printable
from zerosum.errors import UserError

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
RATIO, ALLOWANCE = 1000, 2**30  # an archive that unpacks to more than this is a trap
LONGEST_HEADER = 2**20
RECENT = 2**26  # bytes of members that are kept after the stream has passed them


class _Member(NamedTuple):
    start: int
    size: int
    stamp: str


def open_tar(path: Path, keep: Callable[[str], bool]) -> Listing:
    """List the files of a tar archive whose names ``keep`` wants, in the archive's order.

    Going through a packed archive in that order unpacks it once; going back starts again at its beginning.

    Raises:
        UserError: it is damaged or a trap, or a name leads out of it.
    """
    members: dict[str, _Member] = {}
    left_out, others = 0, Counter[str]()
    plain = path.suffix.lower() == ".tar"
    try:
        state = path.stat()
        most = state.st_size * RATIO + ALLOWANCE
        with opened(path) as stream:
            forward = _Forward(stream, path, None if plain else most)
            # tarfile asks for no more than _Forward offers; its members are told in one pass, without keeping them
            with tarfile.TarFile(fileobj=cast("IO[bytes]", forward), errors="surrogateescape") as archive:
                told, count = cast("list[tarfile.TarInfo]", vars(archive)["members"]), 0
                while (info := archive.next()) is not None:
                    told.clear()
                    count += 1
                    if count > MOST:
                        raise UserError(f"{path} holds more than {MOST} files: these are no pictures to train on.")
                    name = inside(info.name, path)
                    if info.size < 0:
                        raise ValueError(f"the size of {printable(name)} is negative")
                    if info.isdir() or not name:
                        continue
                    if not info.isreg() or info.issparse():
                        left_out += 1
                    elif not keep(name):
                        others[kind(name)] += 1
                    else:
                        members.pop(name, None)  # of twins the last one counts, and it lies where it lies
                        members[name] = _Member(info.offset_data, info.size, f"{info.size} {info.mtime}")
            if forward.last.strip(b"\0"):
                raise ValueError("a header is damaged")
            while not plain and forward.read(PIECE):  # at the end of a packed file its checksum is compared
                pass
    except UserError:
        raise
    except Exception as error:  # whatever tarfile raises about a damaged archive is the archive's fault
        raise damaged(path, error) from None
    rows = list(members.values())
    return Listing(
        names=list(members),
        stamps=[f"{row.stamp} {state.st_size} {state.st_mtime_ns}" for row in rows],
        read=_at_will(path, rows) if plain else _in_passing(path, rows),
        left_out=left_out,
        others=others,
    )


class _Forward:
    """A stream that only goes forward, as far as it may, and remembers what was read last."""

    def __init__(self, stream: io.BufferedIOBase, path: Path, most: int | None) -> None:
        self._stream, self._path, self._most = stream, path, most
        self._place = 0
        self.last = b""

    def read(self, count: int) -> bytes:
        if not 0 <= count <= LONGEST_HEADER:
            raise ValueError(f"a header says that it is {count} bytes long")
        self.last = take(self._stream, count)
        self._moved(len(self.last))
        return self.last

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> int:
        if place < self._place:
            raise ValueError("a header points backwards")
        if self._most is None:
            self._stream.seek(place)
            self._place = place
        while self._place < place and (piece := self._stream.read(min(place - self._place, PIECE))):
            self._moved(len(piece))
        return self._place

    def close(self) -> None:
        """Whoever opened the stream closes it."""

    def _moved(self, count: int) -> None:
        self._place += count
        if self._most is not None and self._place > self._most:
            raise UserError(
                f"{self._path} unpacks to more than {self._most >> 20} MiB, which no pictures do: "
                "if you trust it, unpack it and give the folder."
            )


def _at_will(path: Path, rows: list[_Member]) -> Callable[[int], bytes]:
    """Members of an archive that is not packed, in any order."""
    try:
        read_at = reader_at(path)
    except OSError as error:
        raise damaged(path, error) from None

    def read(index: int) -> bytes:
        row = rows[index]
        _check_size(row)
        try:
            content = read_at(row.start, row.size)
        except OSError as error:
            raise Unreadable(printable(str(error))) from None
        if len(content) < row.size:
            raise Unreadable("the archive is cut short")
        return content

    return read


@dataclass
class _Passing:
    """Where the stream of a packed archive is, and members that it passed a short while ago."""

    stream: io.BufferedIOBase | None = None
    place: int = 0
    following: int = 0  # index of the first member that was not passed
    recent: dict[int, bytes] = field(default_factory=dict)
    held: int = 0


def _in_passing(path: Path, rows: list[_Member]) -> Callable[[int], bytes]:
    """Members of a packed archive; quick in ascending order, also where several threads take turns not quite in order.

    What is passed on the way is kept for a while: without that, a thread that comes a little late for its member would
    make the archive be unpacked again from its beginning.
    """
    passing = _Passing()
    lock = threading.Lock()

    def read(index: int) -> bytes:
        _check_size(rows[index])
        with lock:
            if index in passing.recent:
                return passing.recent[index]
            try:
                _pass(path, passing, rows, index)
            except DAMAGES as error:
                _rewind(passing)
                raise Unreadable(f"the archive cannot be unpacked: {printable(str(error))}") from None
            return passing.recent[index]

    weakref.finalize(read, _rewind, passing)
    return read


def _pass(path: Path, passing: _Passing, rows: list[_Member], index: int) -> None:
    if passing.stream is None or index < passing.following:
        _rewind(passing)
        passing.stream = opened(path)
    while passing.following <= index:
        row = rows[passing.following]
        while passing.place < row.start:
            piece = passing.stream.read(min(row.start - passing.place, PIECE))
            if not piece:
                raise EOFError("it is cut short")
            passing.place += len(piece)
        if row.size <= LARGEST:
            content = take(passing.stream, row.size)
            if len(content) < row.size:
                raise EOFError("it is cut short")
            passing.place += row.size
            passing.recent[passing.following] = content
            passing.held += row.size
        passing.following += 1
        while passing.held > RECENT and len(passing.recent) > 1:
            passing.held -= len(passing.recent.pop(next(iter(passing.recent))))


def _rewind(passing: _Passing) -> None:
    if passing.stream is not None:
        passing.stream.close()
    passing.stream, passing.place, passing.following = None, 0, 0
    passing.recent.clear()
    passing.held = 0


def _check_size(row: _Member) -> None:
    if row.size > LARGEST:
        raise Unreadable(f"{row.size / 2**20:.0f} MiB are too many for a picture")
