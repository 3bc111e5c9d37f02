"""What one tar shard holds: counted once, and looked at on the way where it has to be read as a whole for that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zerosum.data import memory
from zerosum.data.cache import cache_folder
from zerosum.data.glance import Glance, gathered, glance
from zerosum.data.readers.packed import LARGEST
from zerosum.data.readers.samples import REMOTE, keys, samples, stamp
from zerosum.data.source import DIGEST, Looks

EMPTY = f"it is empty, or larger than {LARGEST >> 20} MiB"


class Counted(NamedTuple):
    """What one shard holds.

    Attributes:
        names: keys of the samples, each once.
        labels: their classes.
        stamp: what tells that the shard changed, or None.
        looks: what was seen of the pictures; None where they were leapt over.
    """

    names: tuple[str, ...]
    labels: tuple[int | None, ...]
    stamp: str | None
    looks: Looks | None


def count(address: str) -> Counted:
    """The samples of a shard.

    What was read as a whole is remembered in the cache, as long as the shard's stamp stays.

    Raises:
        UserError: the shard cannot be read.
    """
    mark = stamp(address)
    leaps = not REMOTE.match(address) and address.lower().endswith(".tar")
    path = _memory_file(address, mark)
    if not leaps and mark is not None and (known := _recall(path, mark)) is not None:
        return known
    labels: list[int | None] = []
    names: dict[str, None] = {}
    glances: list[Glance] = []
    for sample in keys(address) if leaps else samples(address):
        name = sample.key if sample.key not in names else f"{sample.key}#{len(names)}"
        names[name] = None
        labels.append(sample.label)
        if not leaps:
            glances.append(glance(sample.picture) if sample.picture else Glance(None, bytes(DIGEST), EMPTY))
    found = Counted(tuple(names), tuple(labels), mark, None if leaps else gathered(glances))
    if mark is not None and found.looks is not None:
        _remember(path, found, found.looks)
    return found


def joined(looks: Sequence[Looks | None]) -> Looks | None:
    """What was seen of all shards, or None where some were leapt over."""
    known = [look for look in looks if look is not None]
    if len(known) < len(looks):
        return None
    firsts = np.cumsum([0, *(len(look.channels) for look in known)]).tolist()
    broken = {
        first + index: why for first, look in zip(firsts, known, strict=False) for index, why in look.broken.items()
    }
    return Looks(
        np.concatenate([look.sizes for look in known]),
        np.concatenate([look.channels for look in known]),
        np.concatenate([look.digests for look in known]),
        broken,
    )


def _memory_file(address: str, mark: str | None) -> Path:
    place = address if REMOTE.match(address) else str(Path(address).resolve())
    return cache_folder() / "shards" / f"{memory.hashed(f'{place} {mark}')}.npz"


def _recall(path: Path, mark: str) -> Counted | None:
    def understand(table: dict[str, Any], arrays: memory.Arrays) -> Counted:
        pairs = zip(table["names"], table["labels"], strict=True)
        names, labels = zip(*((str(name), None if label is None else int(label)) for name, label in pairs), strict=True)
        return Counted(names, labels, mark, memory.looks_of(arrays, len(names), table["broken"]))

    return memory.recall(path, understand)


def _remember(path: Path, found: Counted, looks: Looks) -> None:
    broken = {str(index): why for index, why in looks.broken.items()}
    table = {"names": found.names, "labels": found.labels, "broken": broken}
    memory.remember(path, table, {"sizes": looks.sizes, "channels": looks.channels, "digests": looks.digests})
