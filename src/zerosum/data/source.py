"""What was found, before anything is decided: pictures where they lie, their labels, and the data's own test part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Raw = bytes | Bytes


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

    def __len__(self) -> int:
        return self.count

    def called(self, index: int) -> str:
        """What a user calls a picture; safe to print whatever the file's name is."""
        name = f"picture {index}" if self.files is None else self.files[index]
        return printable(name)


def printable(name: str) -> str:
    """A name as it can be printed: names of files need not be text, and may hold what commands a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name)


class Unreadable(Exception):
    """One picture cannot be read; the text says why."""


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
        classes = tuple(str(value) for value in range(int(labels.max()) + 1))
    return Source(
        name=name,
        count=len(pixels),
        read=lambda index: pixels[index] if pixels.ndim == 4 else pixels[index][:, :, None],
        labels=labels,
        classes=classes,
        test=test,
        notes=notes,
    )
