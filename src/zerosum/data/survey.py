"""One look at every picture, remembered: its size, its channels, what it is called by content, and what is broken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zerosum.data import memory
from zerosum.data.glance import Glance, glance
from zerosum.data.source import DIGEST, Bytes, Labels, Looks, Source, Unreadable, printable
from zerosum.data.telling import Progress, silent
from zerosum.errors import UserError


@dataclass(frozen=True)
class Survey:
    """What was seen of a source: the fields of ``Looks``, and what changed.

    Attributes:
        changes: what became of the data since the last look that is remembered, one sentence each.
    """

    sizes: Labels
    channels: Bytes
    digests: Bytes
    broken: dict[int, str]
    changes: tuple[str, ...] = ()

    @property
    def good(self) -> Labels:
        """Indices of the pictures that can be read."""
        return np.flatnonzero(self.channels)


def survey(source: Source, folder: Path | None = None, progress: Progress = silent) -> Survey:
    """Look at every picture's header and hash its bytes; what was seen before, or is known, is not read again.

    What is seen is remembered where nothing was before, or nothing changed: changes are forgotten by ``remember``
    alone, which is for whoever has named them to the user and goes on with the data.

    Args:
        folder: the cache, in which to remember; None remembers nothing.
        progress: is told how many of the pictures that have to be looked at are done.

    Raises:
        UserError: there are no pictures, or none of them can be read.
    """
    count = len(source)
    if not count:
        raise UserError(f"{source.name} holds no pictures: give a folder or file that does.")
    old = _recall(source, folder)
    looks, fresh = _looks(source, old, progress) if source.known is None else (source.known, old is None)
    if len(looks.broken) == count:
        first = min(looks.broken)
        why = looks.broken[first]
        raise UserError(f"No picture of {count} in {source.name} can be read. {source.called(first)}: {why}.")
    found = Survey(*looks, _changes(source, old, looks.digests))
    if folder is not None and fresh and not found.changes:
        remember(source, found, folder)
    return found


def _looks(source: Source, old: _Memory | None, progress: Progress) -> tuple[Looks, bool]:
    """What is remembered of each picture, or seen now, and whether anything had to be looked at."""
    count = len(source)
    sizes, channels = np.zeros((count, 2), dtype=np.int64), np.zeros(count, dtype=np.uint8)
    digests = np.zeros((count, DIGEST), dtype=np.uint8)
    broken: dict[int, str] = {}
    unseen = []
    for index in range(count):
        row = None if old is None else old.row(source, index)
        if old is None or row is None:
            unseen.append(index)
        else:
            sizes[index], channels[index] = old.looks.sizes[row], old.looks.channels[row]
            digests[index] = old.looks.digests[row]
    for done, index in enumerate(unseen):
        progress(done, len(unseen))
        seen = _look(source, index)
        digests[index] = np.frombuffer(seen.digest, dtype=np.uint8)
        if seen.head is None:
            broken[index] = seen.why
        else:
            sizes[index], channels[index] = seen.head[:2], seen.head[2]
    progress(len(unseen), len(unseen))
    return Looks(sizes, channels, digests, broken), bool(unseen)


def _look(source: Source, index: int) -> Glance:
    try:
        return glance(source.read(index))
    except Unreadable as error:
        return Glance(None, bytes(DIGEST), str(error))


class _Memory(NamedTuple):
    """What was seen of a place before, by the pictures' names."""

    stamps: dict[str, str]
    rows: dict[str, int]
    looks: Looks

    def row(self, source: Source, index: int) -> int | None:
        """Where a picture is whose name and stamp are the same, if it was whole."""
        assert source.files is not None
        assert source.stamps is not None
        name = source.files[index]
        row = self.rows.get(name)
        if row is None or self.stamps[name] != source.stamps[index] or not self.looks.channels[row]:
            return None
        return row


def _memory_file(source: Source, folder: Path) -> Path:
    return folder / "surveys" / f"{memory.hashed(str(source.place))}.npz"


def _recall(source: Source, folder: Path | None) -> _Memory | None:
    if folder is None or source.place is None or source.stamps is None or source.files is None:
        return None

    def understand(table: dict[str, Any], arrays: memory.Arrays) -> _Memory:
        names = table["files"]
        rows = {name: row for row, name in enumerate(names)}
        return _Memory(dict(zip(names, table["stamps"], strict=True)), rows, memory.looks_of(arrays, len(names), {}))

    return memory.recall(_memory_file(source, folder), understand)


def remember(source: Source, found: Survey, folder: Path) -> None:
    """Write down what was seen, so that its changes are named no more."""
    if source.place is None or source.stamps is None or source.files is None:
        return
    table = {"files": list(source.files), "stamps": list(source.stamps)}
    arrays = {"sizes": found.sizes, "channels": found.channels, "digests": found.digests}
    memory.remember(_memory_file(source, folder), table, arrays)


def _changes(source: Source, old: _Memory | None, digests: Bytes) -> tuple[str, ...]:
    """Pictures added, removed, renamed and changed since the last look, the first of each by name."""
    if old is None or source.files is None:
        return ()
    new = {name: index for index, name in enumerate(source.files)}
    gone: dict[bytes, list[str]] = {}
    for name, row in old.rows.items():
        if name not in new:
            gone.setdefault(old.looks.digests[row].tobytes(), []).append(printable(name))
    added: list[str] = []
    renamed: list[str] = []
    changed: list[str] = []
    for name, index in new.items():
        if name in old.rows:
            if (digests[index] != old.looks.digests[old.rows[name]]).any():
                changed.append(printable(name))
        elif digests[index].any() and (before := gone.get(digests[index].tobytes())):
            renamed.append(f"{before.pop(0)} is {printable(name)} now")
        else:
            added.append(printable(name))
    removed = [name for names in gone.values() for name in names]
    kinds = (("added", added), ("removed", removed), ("renamed", renamed), ("changed", changed))
    return tuple(
        f"{len(names)} {kind} since the last time ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in kinds
        if names
    )
