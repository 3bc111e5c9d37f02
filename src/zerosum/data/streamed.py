"""Training pictures that are decoded anew in every pass, in windows: for sets larger than the disk."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from zerosum import streams
from zerosum.data.decode import upright
from zerosum.data.fit import Shape, fit
from zerosum.data.glance import digest
from zerosum.data.parallel import spread
from zerosum.data.source import Bytes, Labels, Raw, Source, Unreadable
from zerosum.data.survey import Survey
from zerosum.errors import Stopped, UserError

WINDOW = 2**27  # bytes of pixels that lie in memory at a time; the next window is read meanwhile


@dataclass(frozen=True)
class Streamed:
    """Rows that are read from the source when they are asked for; those of ``kept`` lie in memory."""

    source: Source
    seen: Survey
    wanted: Shape
    kept: dict[int, Bytes]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, channels, height, width)."""
        return (len(self.source), self.wanted.channels, self.wanted.height, self.wanted.width)

    def __getitem__(self, rows: Labels, /) -> Bytes:
        """Rows in any order; the source is read in ascending order."""
        order = np.argsort(rows, kind="stable")
        found = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        found[order] = self.in_turn(rows[order])
        return found

    def in_turn(self, rows: Labels) -> Bytes:
        """Rows, read one after the other as they stand there."""
        found = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        fresh = [place for place, row in enumerate(rows.tolist()) if row not in self.kept]
        items = ((self._raw(row), *self.seen.sizes[row].tolist()) for row in rows[fresh].tolist())
        for place, picture in zip(
            fresh, spread(partial(_decode, self.wanted), items, len(fresh), _crashed), strict=True
        ):
            found[place] = picture
        for place in set(range(len(rows))).difference(fresh):
            found[place] = self.kept[int(rows[place])]
        return found

    def _raw(self, row: int) -> Raw:
        try:
            raw = self.source.read(row)
        except Unreadable as error:
            raise Stopped(
                f"{self.source.called(row)} cannot be read any more ({error}): what was saved stands; bring it back "
                "and run the same command again."
            ) from None
        if isinstance(raw, bytes) and digest(raw) != self.seen.digests[row].tobytes():
            raise Stopped(
                f"{self.source.called(row)} has changed since it was looked at: what was saved stands; bring it back "
                "as it was and run the same command again."
            )
        return raw


def _decode(shape: Shape, item: tuple[Raw, int, int]) -> Bytes:
    raw, width, height = item
    return fit(upright(raw, shape.least(width, height)), shape)


def _crashed(item: tuple[Raw, int, int]) -> Bytes:
    raise UserError("A picture that could be decoded before crashes the decoder now: prepare the data again.")


@dataclass
class Windows:
    """An endless walk over the rows ``train`` in which only a window of them is in memory.

    Every pass takes the source's blocks (tar shards; one if it has none) in a new order, strings their pictures
    together, cuts that into windows, and mixes each window: a function of (seed, global position), like every order.
    """

    pixels: Streamed
    train: Labels
    seed: int
    size: int = 0
    _held: dict[tuple[int, int], Future[Bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.size = self.size or max(1, WINDOW // int(np.prod(self.pixels.shape[1:])))
        lengths = self.pixels.source.blocks
        ends = np.cumsum(lengths if lengths is not None else [len(self.pixels.source)])
        rows = np.sort(self.train)
        self._blocks = [part for part in np.split(rows, np.searchsorted(rows, ends[:-1])) if len(part)]
        self._pool = ThreadPoolExecutor(1)

    def rows(self, epoch: int, window: int) -> Labels:
        """The rows of a window, in the order in which the source has them."""
        order = streams.permutation(self.seed, "block order", epoch, len(self._blocks))
        start, taken = window * self.size, 0
        found: list[Labels] = []
        for block in order:
            part = self._blocks[block]
            first, last = max(0, start - taken), min(len(part), start + self.size - taken)
            if first < last:
                found.append(part[first:last])
            taken += len(part)
        return np.concatenate(found)

    def batch(self, start: int, count: int) -> tuple[Bytes, Labels]:
        """Pictures (count, C, H, W) and their rows for global positions ``start`` and on."""
        pixels = np.empty((count, *self.pixels.shape[1:]), dtype=np.uint8)
        rows = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            epoch, place = divmod(start + done, len(self.train))
            window, offset = divmod(place, self.size)
            own = self.rows(epoch, window)
            order = streams.permutation(self.seed, f"window order {epoch}", window, len(own))
            chosen = order[offset : offset + count - done]
            held = self._window(epoch, window)
            pixels[done : done + len(chosen)] = held[chosen]
            rows[done : done + len(chosen)] = own[chosen]
            done += len(chosen)
        return pixels, rows

    def _window(self, epoch: int, window: int) -> Bytes:
        """The pixels of a window; the next one is read in the background."""
        last = -(-len(self.train) // self.size) - 1
        following = (epoch, window + 1) if window < last else (epoch + 1, 0)
        for key in ((epoch, window), following):
            if key not in self._held:
                self._held[key] = self._pool.submit(lambda key=key: self.pixels.in_turn(self.rows(*key)))
        found = self._held[epoch, window].result()
        for key in list(self._held):
            if key not in ((epoch, window), following):
                del self._held[key]
        return found
