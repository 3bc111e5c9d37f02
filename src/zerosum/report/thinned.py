"""A long series of numbers in a bounded number of points, made while it is read: no spike is lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MOST = 300  # buckets, of two points each
MOST_IMAGES = 2.0**60  # no run has seen more
_HUGE = 1e300  # nothing measured is larger; it keeps integers out that no float can hold


class Series(NamedTuple):
    """Values over the images seen: two tuples of one length, in the order of the log. All numbers are finite."""

    images: tuple[float, ...]
    value: tuple[float, ...]


@dataclass
class Thinned:
    """Points in buckets of equal counts, of which the lowest and the highest are kept; so is the newest point.

    While there are at most ``most`` points, all are kept; then full buckets are joined in pairs, again and again. So it
    can be added to at any time, and what it was asked in between changes nothing.

    Attributes:
        most: buckets, an even number.
        stride: points that a full bucket stands for.
    """

    most: int = MOST
    stride: int = 1
    _buckets: list[list[float]] = field(default_factory=list)  # images and value of the lowest, then of the highest
    _filled: int = 0
    _last: tuple[float, float] | None = None

    def add(self, images: object, value: object) -> None:
        """Take one more point; what is no finite number is left out, and so are images that no run has seen."""
        self.extend([(images, value)])

    def extend(self, points: Iterable[tuple[object, object]]) -> None:
        """``add`` for many."""
        buckets, stride, filled, last = self._buckets, self.stride, self._filled, self._last
        for x, y in points:
            if not (isinstance(x, float | int) and isinstance(y, float | int)):
                continue
            if not (0 <= x < MOST_IMAGES and -_HUGE < y < _HUGE):
                continue
            last = x, y
            if buckets and filled < stride:
                filled += 1
                bucket = buckets[-1]
                if y < bucket[1]:
                    bucket[:2] = x, y
                elif y > bucket[3]:
                    bucket[2:] = x, y
                continue
            if len(buckets) == self.most:
                buckets[:] = [_joined(*buckets[place : place + 2]) for place in range(0, self.most, 2)]
                stride *= 2
            buckets.append([x, y, x, y])
            filled = 1
        self.stride, self._filled, self._last = stride, filled, last

    def series(self) -> Series:
        """At most ``2 * most + 1`` points: the lowest and the highest of each bucket in their order, and the newest."""
        found: list[tuple[float, float]] = []
        for low_at, low, high_at, high in self._buckets:
            both = [(low_at, low)] if low == high else sorted([(low_at, low), (high_at, high)])
            found += both
        if self._last is not None and found[-1] != self._last:
            found.append(self._last)
        return Series(tuple(float(x) for x, _ in found), tuple(float(y) for _, y in found))


def _joined(left: list[float], right: list[float]) -> list[float]:
    low = left if left[1] <= right[1] else right
    high = left if left[3] >= right[3] else right
    return [*low[:2], *high[2:]]
