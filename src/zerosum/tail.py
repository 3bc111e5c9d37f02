"""The new lines of a log that another process may still be writing."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CHUNK = 4 << 20  # bytes that are read at a time


class New(NamedTuple):
    """Records that were not there before; after a run was rewound (or the file replaced) all of them, ``again``."""

    records: list[dict[str, object]]
    again: bool


@dataclass
class Tail:
    """A JSON-lines file and how far it has been read. Whole lines only; what is no JSON object is left out."""

    path: Path
    offset: int = 0
    identity: tuple[int, int] | None = None

    def new(self, most: int = CHUNK) -> New:
        """What came since the last call, about ``most`` bytes of it; call again while there are records."""
        before, found = self.offset, self._bite(most)
        while not found.records and not found.again and self.offset > before:  # lines that are no records
            before, found = self.offset, self._bite(most)
        return found

    def _bite(self, most: int) -> New:
        try:
            with open(self.path, "rb") as file:
                found = os.fstat(file.fileno())
                identity = (found.st_dev, found.st_ino)
                again = self.identity not in (None, identity) or found.st_size < self.offset
                self.identity, self.offset = identity, 0 if again else self.offset
                file.seek(self.offset)
                content = file.read(most)
                while content and b"\n" not in content and (more := file.read(most)):
                    content += more
        except FileNotFoundError:
            gone, self.identity, self.offset = self.identity is not None, None, 0
            return New([], gone)
        whole = content[: content.rfind(b"\n") + 1]
        self.offset += len(whole)
        return New([record for line in whole.splitlines() if (record := _record(line)) is not None], again)


def _record(line: bytes) -> dict[str, object] | None:
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(line)
        return record if isinstance(record, dict) else None
    return None
