"""Any stream of pictures that can be measured: a generator's, a data set's, or a folder's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from zerosum.data.decode import decode
from zerosum.data.pictures import Part, Pictures
from zerosum.data.source import Bytes, Source, Unreadable
from zerosum.data.survey import Survey
from zerosum.errors import UserError

BLOCK = 256  # pictures of a data set that are looked at together


class Samples(NamedTuple):
    """Pictures by position; position n always gives the same one.

    Attributes:
        name: for tables.
        count: how many there are; None: as many as wanted.
        pixels: (start, count) -> blocks of uint8 (n, C, H, W), each block of one size.
        labels: (start, count) -> (count,) int64, or None where there are none.
        paths: latents (N, d) -> float pictures in [-1, 1], of a generator alone.
        latents: (start, count) -> (count, d), of a generator alone.
        weights: which weights of a run: "ema" or "raw".
    """

    name: str
    count: int | None
    pixels: Callable[[int, int], Iterator[Bytes]]
    labels: Callable[[int, int], Tensor | None]
    paths: Callable[[Tensor], Tensor] | None = None
    latents: Callable[[int, int], Tensor] | None = None
    weights: str | None = None

    def need(self, last: int, protocol: str) -> None:
        """Refuse where there are fewer than ``last`` pictures.

        Raises:
            UserError: too few for the protocol.
        """
        if self.count is not None and self.count < last:
            raise UserError(
                f"{protocol} needs {last:,} pictures, and {self.name} has {self.count:,}: give more, or take a smaller "
                "protocol (zerosum evaluate --help lists them)."
            )


class Makes(Protocol):
    """A generator, as far as it matters here (``zerosum.generate`` comes after this room)."""

    def pixels(self, seeds: range) -> Iterator[Bytes]: ...

    def labels(self, seeds: range) -> Tensor | None: ...


def of_generator(generator: Makes, name: str, weights: str) -> Samples:
    """Picture n is that of seed n."""

    def pixels(start: int, count: int) -> Iterator[Bytes]:
        return generator.pixels(range(start, start + count))

    def labels(start: int, count: int) -> Tensor | None:
        return generator.labels(range(start, start + count))

    return Samples(name, None, pixels, labels, weights=weights)


def of_pictures(pictures: Pictures, part: Part) -> Samples:
    """The pictures of one part, in its order."""
    rows = pictures.rows(part)

    def pixels(start: int, count: int) -> Iterator[Bytes]:
        for first in range(start, min(start + count, len(rows)), BLOCK):
            yield pictures.pixels[rows[first : min(first + BLOCK, start + count)]]

    def labels(start: int, count: int) -> Tensor | None:
        own = pictures.labels
        return None if own is None else torch.from_numpy(own[rows[start : start + count]])

    name = {"train": "training pictures", "held-out": "held-out pictures"}[part]
    return Samples(f"{name} of {pictures.name}", len(rows), pixels, labels)


def of_source(source: Source, seen: Survey) -> Samples:
    """Pictures as they are, whatever their sizes: a detector resizes each by itself. Transparency is laid on white."""
    good = seen.good
    channels = 1 if int(seen.channels.max()) == 1 else 3

    def pixels(start: int, count: int) -> Iterator[Bytes]:
        waiting: list[Bytes] = []
        for index in good[start : start + count].tolist():
            try:
                picture = _plain(decode(source.read(index)), channels)
            except Unreadable as error:
                raise UserError(f"{source.called(index)} cannot be read ({error}): take it away.") from None
            if waiting and (waiting[0].shape != picture.shape or len(waiting) == BLOCK):
                yield np.stack(waiting)
                waiting = []
            waiting.append(picture)
        if waiting:
            yield np.stack(waiting)

    def labels(start: int, count: int) -> Tensor | None:
        return None if source.labels is None else torch.from_numpy(source.labels[good[start : start + count]])

    return Samples(source.name, len(good), pixels, labels)


def _plain(picture: Bytes, channels: int) -> Bytes:
    """(H, W, 1|3|4) -> (channels, H, W)."""
    if picture.shape[2] == 4:
        alpha = picture[:, :, 3:].astype(np.uint16)
        colours = picture[:, :, :3].astype(np.uint16)
        picture = ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if picture.shape[2] == 1 and channels == 3:
        picture = np.repeat(picture, 3, axis=2)
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
