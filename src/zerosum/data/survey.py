"""One look at every picture, remembered: its size, its channels, what it is called by content, and what is broken."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from zerosum import files
from zerosum.data import decode
from zerosum.data.source import Bytes, Labels, Raw, Source, Unreadable, printable
from zerosum.errors import Stopped, UserError

FORMAT = 1
DIGEST = 16  # bytes
CHUNK = 16  # pictures that a thread takes at a time
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Survey:
    """What was seen of a source.

    Attributes:
        sizes: (width, height) of every picture when upright, shape (N, 2); 0 where it is broken.
        channels: channels that lose nothing, 1, 3 or 4, shape (N,); 0 where it is broken.
        digests: BLAKE2b of the picture's bytes (or shape and pixels), shape (N, 16).
        broken: index -> why the picture cannot be read, as far as its header tells.
        changes: what became of the data since they were looked at last, one sentence each.
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


class _Seen(NamedTuple):
    head: decode.Head | None
    digest: bytes
    why: str


def survey(source: Source, memory: Path | None = None) -> Survey:
    """Look at every picture's header and hash its bytes; what was seen before is not read again.

    Args:
        memory: folder of the cache in which to remember; None remembers nothing.

    Raises:
        UserError: there are no pictures, or none of them can be read.
    """
    count = len(source)
    if not count:
        raise UserError(f"{source.name} holds no pictures: give a folder or file that does.")
    sizes, channels = np.zeros((count, 2), dtype=np.int64), np.zeros(count, dtype=np.uint8)
    digests = np.zeros((count, DIGEST), dtype=np.uint8)
    broken: dict[int, str] = {}
    old = _recall(source, memory)
    unseen = []
    for index in range(count):
        known = None if old is None else old.of(source, index)
        if known is None or known.head is None:
            unseen.append(index)
        else:
            sizes[index], channels[index] = known.head[:2], known.head[2]
            digests[index] = np.frombuffer(known.digest, dtype=np.uint8)
    for index, seen in zip(unseen, (_look(source, index) for index in unseen), strict=True):
        digests[index] = np.frombuffer(seen.digest, dtype=np.uint8)
        if seen.head is None:
            broken[index] = seen.why
        else:
            sizes[index], channels[index] = seen.head[:2], seen.head[2]
    if len(broken) == count:
        first = min(broken)
        raise UserError(f"No picture of {count} in {source.name} can be read. {source.called(first)}: {broken[first]}.")
    found = Survey(sizes, channels, digests, broken, _changes(source, old, digests))
    if memory is not None and (unseen or found.changes):
        _remember(source, found, memory)
    return found


def digest(raw: Raw) -> bytes:
    """What a picture is called by content."""
    if isinstance(raw, np.ndarray):
        return hashlib.blake2b(f"{raw.shape}".encode() + raw.tobytes(), digest_size=DIGEST).digest()
    return hashlib.blake2b(raw, digest_size=DIGEST).digest()


def _look(source: Source, index: int) -> _Seen:
    name = b""
    try:
        raw = source.read(index)
        name = digest(raw)
        return _Seen(decode.head(raw), name, "")
    except Unreadable as error:
        return _Seen(None, name or bytes(DIGEST), str(error))


class _Memory(NamedTuple):
    """What was seen of a place before, by the pictures' names."""

    stamps: dict[str, str]
    rows: dict[str, int]
    sizes: Labels
    channels: Bytes
    digests: Bytes

    def of(self, source: Source, index: int) -> _Seen | None:
        """What is known of a picture whose name and stamp are the same."""
        assert source.files is not None
        assert source.stamps is not None
        name = source.files[index]
        row = self.rows.get(name)
        if row is None or self.stamps[name] != source.stamps[index] or not self.channels[row]:
            return None
        width, height = self.sizes[row]
        return _Seen(decode.Head(int(width), int(height), int(self.channels[row])), self.digests[row].tobytes(), "")


def _memory_file(source: Source, memory: Path) -> Path:
    name = hashlib.sha256(str(source.place).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return memory / "surveys" / f"{name}.npz"


def _recall(source: Source, memory: Path | None) -> _Memory | None:
    if memory is None or source.place is None or source.stamps is None or source.files is None:
        return None
    try:
        with open(_memory_file(source, memory), "rb") as file, np.load(file, allow_pickle=False) as stored:
            table = json.loads(stored["table"].tobytes())
            names, stamps = table["files"], table["stamps"]
            rows = {name: row for row, name in enumerate(names)}
            old = _Memory(
                dict(zip(names, stamps, strict=True)), rows, stored["sizes"], stored["channels"], stored["digests"]
            )
            arrays = ((old.sizes, "int64", (2,)), (old.channels, "uint8", ()), (old.digests, "uint8", (DIGEST,)))
            fits = all(values.dtype == kind and values.shape == (len(names), *rest) for values, kind, rest in arrays)
            return old if fits and table["format"] == FORMAT else None
    except Exception:  # nothing there, or nothing that helps: a damaged archive fails in every way there is
        return None


def _remember(source: Source, found: Survey, memory: Path) -> None:
    """Write down what was seen; a cache that cannot be written costs time, nothing else."""
    if source.place is None or source.stamps is None or source.files is None:
        return
    table = json.dumps({"format": FORMAT, "files": list(source.files), "stamps": list(source.stamps)}).encode()
    stream = io.BytesIO()
    np.savez(
        stream,
        table=np.frombuffer(table, dtype=np.uint8),
        sizes=found.sizes,
        channels=found.channels,
        digests=found.digests,
    )
    with contextlib.suppress(OSError, UserError, Stopped):
        files.write(_memory_file(source, memory), stream.getvalue())


def _changes(source: Source, old: _Memory | None, digests: Bytes) -> tuple[str, ...]:
    """Pictures added, removed, renamed and changed since the last look, the first of each by name."""
    if old is None or source.files is None:
        return ()
    new = {name: index for index, name in enumerate(source.files)}
    gone: dict[bytes, list[str]] = {}
    for name, row in old.rows.items():
        if name not in new:
            gone.setdefault(old.digests[row].tobytes(), []).append(printable(name))
    added: list[str] = []
    renamed: list[str] = []
    changed: list[str] = []
    for name, index in new.items():
        if name in old.rows:
            if (digests[index] != old.digests[old.rows[name]]).any():
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
