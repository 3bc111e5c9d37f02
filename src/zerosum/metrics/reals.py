"""The real pictures of an evaluation: prepared at one size, or each at its own, part by part."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from zerosum.data.pictures import Pictures
from zerosum.data.source import Labels, Source
from zerosum.data.split import split
from zerosum.data.survey import Survey
from zerosum.metrics.samples import Samples, Shaped, of_pictures, of_source

Which = Literal["full", "train", "held-out"]
"""``full`` is every picture, but the training pictures alone where the data bring a test part of their own."""
Taken = Literal["all", "train", "held-out"]
WORDS: dict[Taken, str] = {"all": "", "train": "training ", "held-out": "held-out "}


class Loose(NamedTuple):
    """Pictures of several sizes where they lie, and the channels (1 or 3) in which they are looked at."""

    source: Source
    seen: Survey
    channels: int


@dataclass(frozen=True)
class Reals:
    """What samples are compared with.

    Attributes:
        name: of the data.
        pictures: all at one size, prepared when they are asked for.
        tested: the data bring a test part of their own.
        loose: where they have several sizes and the samples are no generator's: then a detector sees each as it is.
    """

    name: str
    pictures: Callable[[], Pictures]
    tested: bool = False
    loose: Loose | None = None

    def part(self, which: Which) -> Taken:
        """What a protocol's part is of these data."""
        if which != "full":
            return which
        return "train" if self.tested else "all"

    def count(self, part: Taken, prepared: bool) -> int:
        """How many pictures there are."""
        return len(_rows(part, self._apart(prepared)))

    def samples(self, part: Taken, most: int | None, prepared: bool) -> Samples:
        """Pictures of a part, or ``most`` of them drawn at random; ``prepared`` asks for one size."""
        rows, name = _rows(part, self._apart(prepared)), f"{self.name}, {WORDS[part]}pictures"
        if self.loose is None or prepared:
            return of_pictures(self.pictures(), rows, name, most)
        found = of_source(self.loose.source, rows, self.loose.channels, name=name)
        return found._replace(count=min(most or len(rows), len(rows)))

    def identity(self, prepared: bool) -> str:
        """Of pixels, labels and split; of files, where each picture is looked at as it is."""
        return self.pictures().identity if self.loose is None or prepared else _identity(self.loose, self._apart(False))

    def size(self, prepared: bool) -> str:
        """Width x height x channels of what is looked at, or that there are several sizes."""
        if self.loose is not None and not prepared:
            return in_short(None)
        channels, height, width = self.pictures().pixels.shape[1:]
        return in_short((channels, height, width))

    def _apart(self, prepared: bool) -> tuple[Labels, Labels]:
        """Training and held-out rows."""
        if self.loose is None or prepared:
            return self.pictures().train, self.pictures().held_out
        return self._apart_as_they_are

    @functools.cached_property
    def _apart_as_they_are(self) -> tuple[Labels, Labels]:
        assert self.loose is not None
        return split(self.loose.source, self.loose.seen, self.loose.seen.good)


def in_short(size: Shaped | None) -> str:
    """Width x height x channels."""
    return "several sizes" if size is None else f"{size[2]}x{size[1]}x{size[0]}"


def _rows(part: Taken, apart: tuple[Labels, Labels]) -> Labels:
    train, held_out = apart
    return {"all": np.concatenate([train, held_out]), "train": train, "held-out": held_out}[part]


def _identity(loose: Loose, apart: tuple[Labels, Labels]) -> str:
    digest = hashlib.sha256(f"zerosum pictures as they are {loose.channels}".encode())
    for rows in apart:
        digest.update(np.ascontiguousarray(loose.seen.digests[rows]).data)
        digest.update(b"no labels" if loose.source.labels is None else loose.source.labels[rows].tobytes())
    return digest.hexdigest()
