"""What was found, before anything is decided: pictures where they lie, their labels, and the data's own test part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Raw = bytes | Bytes
DIGEST = 16  # bytes of the hash that a picture is called by
MOST_CLASSES = 100_000  # more values are no classes


class Looks(NamedTuple):
    """What a look at every picture finds.

    Attributes:
        sizes: (width, height) of every picture when upright, shape (N, 2); 0 where it is broken.
        channels: channels that lose nothing, 1, 3 or 4, shape (N,); 0 where it is broken.
        digests: BLAKE2b of the picture's bytes (or shape and pixels), shape (N, 16).
        broken: index -> why the picture cannot be read, as far as its header tells.
    """

    sizes: Labels
    channels: Bytes
    digests: Bytes
    broken: dict[int, str]


@dataclass(frozen=True)
class Source:
    """Pictures as they are on the disk.

    Attributes:
        name: short name, used for the run's folder.
        count: number of pictures.
        read: index -> the bytes of an encoded picture, or its pixels: uint8 (height, width, 1, 3 or 4). May be called
            from several threads; is quickest in ascending order. Raises ``Unreadable`` for this one picture.
        files: what users call each picture, or None where pictures have numbers only. The order of pictures that
            have names means nothing: they are ordered by content, so that renaming changes nothing.
        stamps: one short text for each picture that changes when the picture does (size and time, a checksum), or
            None where looking at all of them again costs nothing.
        place: absolute address, under which what was seen is remembered; None where nothing is remembered.
        labels: class of every picture, or None where not every picture has one.
        classes: names of the classes, empty without labels.
        test: indices of the data's own test part, or None.
        notes: what a user should know about what was found, one sentence each.
        ready: folder of pictures that are prepared already, or None.
        blocks: number of pictures in each part that can only be read from its start on (tar shards), or None.
        known: what a look at every picture would find, where that is known already, or None.
    """

    name: str
    count: int
    read: Callable[[int], Raw]
    files: Sequence[str] | None = None
    stamps: Sequence[str] | None = None
    place: str | None = None
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    test: Labels | None = None
    notes: tuple[str, ...] = ()
    ready: Path | None = None
    blocks: Labels | None = None
    known: Looks | None = None

    def __len__(self) -> int:
        return self.count

    def called(self, index: int) -> str:
        """What a user calls a picture; safe to print whatever the file's name is."""
        name = f"picture {index}" if self.files is None else self.files[index]
        return printable(name)


def printable(name: str) -> str:
    """A name as it can be printed: names of files need not be text, and may hold what commands a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name)


def pixel_digest(pixels: Bytes) -> bytes:
    """What a prepared picture (C, H, W) is called by its pixels."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=DIGEST).digest()


class Unreadable(Exception):
    """One picture cannot be read; the text says why."""


class Numbered(NamedTuple):
    """Classes that are called by numbers: labels (N,) that count them from 0 on, their names, and notes."""

    labels: Labels
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def numbered(values: Labels) -> Numbered:
    """Classes from whole numbers (N,): those that occur, called by their numbers; gaps between these are closed."""
    present, labels = np.unique(values, return_inverse=True)
    classes = tuple(str(value) for value in present.tolist())
    if present.tolist() == list(range(len(present))):
        return Numbered(values, classes, ())
    some = f"{', '.join(classes[:6])}{', ...' if len(classes) > 6 else ''}"
    note = f"the numbers of the classes have gaps ({some}): {len(classes)} classes, called by their numbers"
    return Numbered(labels.astype(np.int64), classes, (note,))


def from_array(
    name: str,
    pixels: Bytes,
    labels: Labels | None = None,
    classes: tuple[str, ...] = (),
    test: Labels | None = None,
    notes: tuple[str, ...] = (),
) -> Source:
    """A source over pixels in memory (or memory-mapped): uint8 (N, height, width) or (N, height, width, 1|3|4)."""
    if labels is not None and not classes:
        labels, classes, more = numbered(labels)
        notes = (*notes, *more)
    return Source(
        name=name,
        count=len(pixels),
        read=lambda index: pixels[index] if pixels.ndim == 4 else pixels[index][:, :, None],
        labels=labels,
        classes=classes,
        test=test,
        notes=notes,
    )
