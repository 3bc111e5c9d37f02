"""Tar shards in WebDataset's layout, on a disk or at an address: streamed, for sets larger than the disk."""

from __future__ import annotations

import itertools
import math
import os
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from zerosum.data.parallel import in_threads
from zerosum.data.readers.counted import EMPTY, Counted, count, joined
from zerosum.data.readers.parts import parts
from zerosum.data.readers.samples import REMOTE, Sample, open_address, samples
from zerosum.data.source import MOST_CLASSES, Labels, Source, Unreadable, numbered
from zerosum.data.telling import Say, silent, sometimes
from zerosum.errors import UserError

__all__ = ["Sample", "Shards", "expand", "find_shards", "is_shards", "open_address", "samples", "shard_source"]

TAR = re.compile(r"\.(tar|tar\.gz|tgz)$", re.IGNORECASE)
NUMBERED = re.compile(r"\d\.(tar|tar\.gz|tgz)$", re.IGNORECASE)
BESIDE = (".json", ".txt", ".idx", ".csv", ".md", ".parquet")  # what tools write beside shards
RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
MOST = 1_000_000  # shards
RECENT = 2**28  # bytes of pictures that are kept after a stream has passed them
WALKS = 4  # streams that are open at a time: the next pictures to train on, those of a metric, of a grid


@dataclass(frozen=True)
class Shards:
    """Addresses of tar shards: those to train on, then those of the data's own test part."""

    name: str
    addresses: tuple[str, ...]
    test: tuple[str, ...] = ()


def is_shards(address: str) -> bool:
    """Whether an address looks like tar shards: a pattern with braces, anything remote, or a folder of nothing else."""
    if REMOTE.match(address):
        return TAR.search(address.split("?")[0]) is not None
    if "{" in address and TAR.search(address):
        return True
    folder = Path(address)
    return folder.is_dir() and len(_inside(folder)) > 1


def expand(pattern: str) -> list[str]:
    """Addresses of a pattern: ``{000..127}`` counts (with zeros in front), ``{a,b}`` lists; several braces multiply.

    Raises:
        UserError: braces hold something else, or do not match.
    """
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise UserError(f"{pattern} has braces that do not match: expected something such as train-{{000..127}}.tar.")
    choices = [[piece] if at % 2 == 0 else _choices(piece, pattern) for at, piece in enumerate(pieces)]
    count = math.prod(len(choice) for choice in choices)
    if count > MOST:
        raise UserError(f"{pattern} stands for {count} shards: expected at most {MOST}.")
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def find_shards(address: str) -> Shards:
    """The shards of a folder or of a pattern; those called ``test`` or ``val`` beside ``train`` are the test part.

    Raises:
        UserError: a shard on the disk is not there, or the pattern makes no sense.
    """
    folder = Path(address)
    if not REMOTE.match(address) and folder.is_dir():
        found = parts(_inside(folder), address)
        train, test = ([str(folder / name) for name in names] for names in (found.train, found.test))
        return Shards(folder.resolve().name, tuple(train), tuple(test))
    addresses = expand(address)
    if not REMOTE.match(address):
        missing = [place for place in addresses if not Path(place).is_file()]
        if missing:
            raise UserError(f"{len(missing)} of the {len(addresses)} shards of {address} are not there: {missing[0]}.")
    found = parts(addresses, address)
    path = PurePosixPath(address.split("?")[0])
    around = "" if "{" in path.parent.name or path.parent.name.endswith(":") else path.parent.name
    return Shards(around or re.split(r"[-_.]*\{|\.", path.name)[0] or "shards", found.train, found.test)


def shard_source(address: str, say: Say = silent) -> Source:
    """A source over all samples of all shards, which are counted first; pictures are called ``<shard>:<key>``.

    Shards that have to be read as a whole to be counted (packed or remote ones) are looked at on the way, and what was
    found is remembered. Going through a shard in order reads it once; going back starts the shard again.

    Args:
        say: is told from time to time how many shards are counted.

    Raises:
        UserError: a shard is not there or damaged, or there are no pictures.
    """
    shards = find_shards(address)
    places = (*shards.addresses, *shards.test)
    counted: list[Counted] = []
    told = sometimes(say)
    for found in in_threads(count, places):
        counted.append(found)
        told(f"{len(counted):,} of {len(places):,} shards counted")
    if not any(found.names for found in counted):
        raise UserError(f"{address} holds no pictures: expected tar shards of samples such as 0001.jpg and 0001.cls.")
    counts = np.array([len(found.names) for found in counted], dtype=np.int64)
    first_test, total = int(counts[: len(shards.addresses)].sum()), int(counts.sum())
    labels, classes, notes = _labels(counted)
    marks = [found.stamp for found in counted]
    files = [f"{place}:{name}" for place, found in zip(_short(places), counted, strict=True) for name in found.names]
    stamps = [f"{found.stamp}-{row}" for found in counted for row in range(len(found.names))]
    return Source(
        name=shards.name,
        count=total,
        read=_reader(places, counts),
        files=files,
        stamps=None if None in marks else stamps,
        place=address if REMOTE.match(address) else str(Path(address).resolve()),
        labels=labels,
        classes=classes,
        test=np.arange(first_test, total, dtype=np.int64) if 0 < first_test < total else None,
        notes=notes,
        blocks=counts[counts > 0],
        known=joined([found.looks for found in counted]),
    )


def _labels(counted: Sequence[Counted]) -> tuple[Labels | None, tuple[str, ...], tuple[str, ...]]:
    values = [label for found in counted for label in found.labels]
    known = [label for label in values if label is not None]
    if len(known) < len(values):
        few = f"{len(values) - len(known)} of {len(values)} samples have no class" if known else "samples have none"
        return None, (), (f"no labels: {few}",)
    if max(known) >= MOST_CLASSES:
        return None, (), (f"no labels: classes go up to {max(known)}, which are too many",)
    return numbered(np.array(known, dtype=np.int64))


def _short(places: Sequence[str]) -> list[str]:
    """What users call shards: their last names, or their addresses where those are not enough."""
    names = [PurePosixPath(place.split("?")[0]).name if REMOTE.match(place) else Path(place).name for place in places]
    return names if len(set(names)) == len(names) else list(places)


@dataclass
class _Walk:
    """One stream through a shard."""

    shard: int
    following: int  # index of the sample that comes next
    stream: Iterator[Sample]


@dataclass
class _Walks:
    """Streams that were used last come last, and pictures that were passed a short while ago."""

    walks: list[_Walk] = field(default_factory=list)
    recent: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    held: int = 0


def _reader(places: Sequence[str], counts: Labels) -> Callable[[int], bytes]:
    """Several walks, so that those who go through the shards at different places do not make each other start again."""
    ends = np.cumsum(counts).tolist()
    own = _Walks()
    lock = threading.Lock()

    def read(index: int) -> bytes:
        with lock:
            picture = own.recent.get(index)
            if picture is None:
                shard = bisect_right(ends, index)
                before = [walk for walk in own.walks if walk.shard == shard and walk.following <= index]
                if before:
                    walk = max(before, key=lambda walk: walk.following)
                    own.walks.remove(walk)  # until the stream has come so far without an error
                else:
                    walk = _Walk(shard, ends[shard] - int(counts[shard]), samples(places[shard]))
                picture = _advance(own, walk, index, places[shard])
                own.walks = [*own.walks, walk][-WALKS:]
        if not picture:
            raise Unreadable(EMPTY)
        return picture

    return read


def _advance(own: _Walks, walk: _Walk, index: int, place: str) -> bytes:
    """Go on in a stream up to a sample; what is passed is kept for threads that come a little late for theirs."""
    while True:
        sample = next(walk.stream, None)
        if sample is None:
            raise UserError(f"{place} has changed since its samples were counted: start again.")
        own.held -= len(own.recent.pop(walk.following, b""))
        own.recent[walk.following] = sample.picture
        own.held += len(sample.picture)
        walk.following += 1
        while own.held > RECENT and len(own.recent) > 1:
            own.held -= len(own.recent.popitem(last=False)[1])
        if walk.following > index:
            return sample.picture


def _inside(folder: Path) -> list[str]:
    """Names of a folder's shards; none where anything else lies there."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name.lower().endswith(BESIDE):
                continue
            if not NUMBERED.search(name) or not entry.is_file():
                return []
            found.append(name)
    return sorted(found)


def _choices(inside: str, pattern: str) -> list[str]:
    counted = RANGE.fullmatch(inside)
    if counted is None and "," not in inside:
        raise UserError(f"{pattern} has {{{inside}}}: expected {{000..127}} or {{a,b}}.")
    if counted is None:
        return inside.split(",")
    first, last = counted[1], counted[2]
    if not int(first) <= int(last) < int(first) + MOST:
        raise UserError(f"{pattern} counts from {first} to {last}: expected at most {MOST} shards, counted upwards.")
    padded = any(len(text) > 1 and text[0] == "0" for text in (first, last))
    width = max(len(first), len(last)) if padded else 0
    return [str(number).zfill(width) for number in range(int(first), int(last) + 1)]
