"""Packed files and members of archives: read in pieces, so that what a header claims never makes memory be taken."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import threading
import weakref
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from zerosum.data.source import printable
from zerosum.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE = 2**20  # bytes that are unpacked at a time
LARGEST = 2**28  # bytes of one member of an archive
MOST = 20_000_000  # members of an archive
XZ_MEMORY = 2**30  # bytes; xz -9 needs 65 MiB, and a header may ask for 4 GiB
PACKINGS = (".gz", ".xz", ".bz2")
DAMAGES = (OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError)  # what a damaged packed file raises


class Readable(Protocol):
    """Any stream of bytes."""

    def read(self, count: int, /) -> bytes: ...


class Listing(NamedTuple):
    """What an archive holds.

    Attributes:
        names: posix, relative, each once.
        stamps: one text for each name that changes when the member does.
        read: index into ``names`` -> the member's bytes. May be called from several threads, quickest in ascending
            order; raises ``Unreadable``.
        left_out: number of links, devices and other members that are no plain files.
        others: suffixes of the files that were not asked for, and how often each occurs.
    """

    names: Sequence[str]
    stamps: Sequence[str]
    read: Callable[[int], bytes]
    left_out: int
    others: Counter[str]


def opened(path: Path) -> io.BufferedIOBase:
    """The content of a file, unpacked where its suffix is .gz, .xz or .bz2 (or .tgz, .txz, .tbz2).

    Reading raises one of ``DAMAGES`` where the file is damaged.
    """
    suffix = path.suffix.lower()
    if suffix in (".gz", ".tgz"):
        return gzip.open(path)
    if suffix in (".bz2", ".tbz2"):
        return bz2.open(path)
    if suffix in (".xz", ".txz"):
        return io.BufferedReader(_Xz(path), PIECE)
    return open(path, "rb")


def bare(name: str) -> str:
    """A file's name without the suffix of its packing: ``train.gz`` is ``train``."""
    return name.removesuffix(next((suffix for suffix in PACKINGS if name.endswith(suffix)), ""))


def take(stream: Readable, count: int) -> bytes:
    """The next ``count`` bytes of a stream, fewer at its end; no more memory is taken than there is content."""
    pieces = []
    while count > 0 and (piece := stream.read(min(count, PIECE))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def reader_at(path: Path) -> Callable[[int, int], bytes]:
    """A function (start, count) -> bytes of a file, fewer at its end, for several threads.

    The file is opened once, and closed when the function is forgotten.
    """
    file = open(path, "rb")  # noqa: SIM115 - closed by the finalizer
    lock = threading.Lock()

    def read(start: int, count: int) -> bytes:
        with lock:
            file.seek(start)
            return file.read(count)

    weakref.finalize(read, file.close)
    return read


def inside(name: str, path: Path) -> str:
    """A member's name without empty parts and dots.

    Raises:
        UserError: the name leads out of the archive.
    """
    if ".." in re.split(r"[/\\]", name) or re.match(r"[/\\]|[A-Za-z]:", name):
        raise UserError(
            f"{path} holds a file named {printable(name)!r}, which climbs out of the archive: "
            "unpack it with a tool that you trust and give the folder."
        )
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def kind(name: str) -> str:
    """What an error calls a file that is no picture: its suffix, or its name where it has none."""
    return PurePosixPath(name).suffix.lower() or PurePosixPath(name).name


def damaged(path: Path, why: object) -> UserError:
    """The error for a file as a whole."""
    text = printable(" ".join(str(why).split())) or type(why).__name__
    return UserError(f"{path} cannot be read ({text}): copy or download it again.")


class _Xz(io.RawIOBase):
    """Like ``lzma.LZMAFile`` for reading, with a limit on the memory that a header may ask for."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        self._decoder = _xz_decoder()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        room = memoryview(buffer).cast("B")
        while True:
            data = b""
            if self._decoder.eof:  # another stream may follow, after zeros
                data = self._decoder.unused_data.lstrip(b"\0")
                while not data and (piece := self._file.read(PIECE)):
                    data = piece.lstrip(b"\0")
                if not data:
                    return 0
                self._decoder = _xz_decoder()
            elif self._decoder.needs_input:
                data = self._file.read(PIECE)
                if not data:
                    raise EOFError("it is cut short")
            content = self._decoder.decompress(data, len(room))
            if content:
                room[: len(content)] = content
                return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
