"""Prepared pictures: one size, split into what is trained on and what is held out; in memory, mapped, or streamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from zerosum.data.source import Bytes, Labels
from zerosum.data.streamed import Streamed

Part = Literal["train", "held-out"]
Skipped = tuple[str, str]  # a picture that was left out, and why


class Pixels(Protocol):
    """Rows of pictures: uint8, shape (N, channels, height, width); indexing with row numbers copies them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: Labels, /) -> Bytes: ...


@dataclass(frozen=True)
class Mapped:
    """Rows in several memory-mapped files, each of ``files[0]``'s length but the last."""

    files: Sequence[Bytes]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, channels, height, width)."""
        return (sum(len(file) for file in self.files), *self.files[0].shape[1:])

    def __getitem__(self, rows: Labels, /) -> Bytes:
        if len(self.files) == 1:
            return self.files[0][rows]
        found = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        owners, places = np.divmod(rows, len(self.files[0]))
        for owner in np.unique(owners):
            own = owners == owner
            found[own] = self.files[owner][places[own]]
        return found


@dataclass(frozen=True)
class Pictures:
    """What training, evaluation and reports see.

    Attributes:
        pixels: rows of pixels.
        labels: class of every row, or None.
        classes: names of the classes, empty without labels.
        train: rows that are trained on, in an order that does not depend on where the data lie or what they are called.
        held_out: rows that never enter training.
        source_size: (width, height) that all pictures of the source have, else the prepared size.
        identity: SHA-256 over pixels, labels and split: the same data have the same identity wherever they lie.
        skipped: pictures that could not be read.
        resident: the pixels lie in memory, not on a disk.
        notes: what was done, one sentence each.
    """

    name: str
    pixels: Pixels
    labels: Labels | None
    classes: tuple[str, ...]
    train: Labels
    held_out: Labels
    source_size: tuple[int, int]
    identity: str
    skipped: tuple[Skipped, ...] = ()
    resident: bool = True
    notes: tuple[str, ...] = ()

    def rows(self, which: Part) -> Labels:
        """The rows of one part."""
        return self.held_out if which == "held-out" else self.train

    def take(self, which: Part, chosen: Labels | slice | None = None) -> tuple[Bytes, Labels | None]:
        """Pictures and labels of one part, or of those places in it."""
        rows = self.rows(which)
        rows = rows if chosen is None else rows[chosen]
        return self.pixels[rows], None if self.labels is None else self.labels[rows]

    def some(self, count: int) -> Labels:
        """Places of at most ``count`` training pictures: evenly spread; of a streamed set those that come first."""
        if isinstance(self.pixels, Streamed):
            return np.argsort(self.train, kind="stable")[:count]
        return np.linspace(0, len(self.train) - 1, min(count, len(self.train))).astype(np.int64)

    def __len__(self) -> int:
        return len(self.train) + len(self.held_out)
