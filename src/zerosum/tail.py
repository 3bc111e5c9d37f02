"""The new lines of a log that another process may still be writing."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

CHUNK = 4 << 20  # bytes that are read at a time
LONGEST = 16 << 20  # bytes of a line; what is longer is no record
SEAM = 1 << 10  # bytes before the offset by which a log is known again


class New(NamedTuple):
    """Records that were not there before; after a run was rewound (or the file replaced) all of them, ``again``."""

    records: list[dict[str, object]]
    again: bool


@dataclass
class Tail:
    """A JSON-lines file and how far it has been read. Whole lines only; what is no JSON object is left out.

    Attributes:
        identity: the file's. A file that replaces another may get the very same, so ``seam`` is compared too.
        seam: the last bytes that were read.
        endless: whether ``offset`` lies inside a line that is too long.
    """

    path: Path
    offset: int = 0
    identity: tuple[int, int] | None = None
    seam: bytes = b""
    endless: bool = False

    def new(self, most: int = CHUNK) -> New:
        """What came since the last call, about ``most`` bytes of it; call again while there are records."""
        before, found = self.offset, self._bite(most)
        while not found.records and not found.again and self.offset > before:  # lines that are no records
            before, found = self.offset, self._bite(most)
        return found

    def _bite(self, most: int) -> New:
        try:
            with open(self.path, "rb") as file:
                again = self._replaced(file)
                if again:
                    self._forget()
                    file.seek(0)
                self.identity = _identity(file)
                content = file.read(most)
                if b"\n" not in content:
                    content += file.readline(LONGEST)
        except FileNotFoundError:
            gone = self.identity is not None
            self._forget()
            return New([], gone)
        read = content[: content.rfind(b"\n") + 1]
        lines = read.splitlines()
        if self.endless and read:
            lines, self.endless = lines[1:], False
        elif not read and (self.endless or len(content) >= LONGEST):
            read, self.endless = content, True
        self.offset += len(read)
        self.seam = (self.seam + read[-SEAM:])[-SEAM:]
        return New([record for line in lines if (record := _record(line)) is not None], again)

    def _replaced(self, file: BinaryIO) -> bool:
        """Whether another content stands where reading stopped; if not, ``file`` is at that place."""
        file.seek(self.offset - len(self.seam))
        return self.identity not in (None, _identity(file)) or file.read(len(self.seam)) != self.seam

    def _forget(self) -> None:
        self.offset, self.identity, self.seam, self.endless = 0, None, b"", False


def _identity(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


def _record(line: bytes) -> dict[str, object] | None:
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(line)
        return record if isinstance(record, dict) else None
    return None
