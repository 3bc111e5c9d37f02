"""What is kept of a run's logs while their lines are read, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zerosum.report.thinned import Series, Thinned

Record = Mapping[str, object]
MOST_STATS = 400  # different numbers in the lines of stats
MOST_SIGNALS = 400  # checks that are kept, evenly chosen
MOST_LINES = 5_000  # of metrics and of events, the newest


@dataclass
class Stats:
    """The numbers of stats.jsonl over the images, thinned."""

    thinned: dict[str, Thinned] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    latest: Record = field(default_factory=dict)

    def take(self, records: Sequence[Record]) -> None:
        """Add lines, in the order of the log."""
        for name in dict.fromkeys(name for record in records for name in record):
            if name in ("images", "not_finite") or (name not in self.thinned and len(self.thinned) >= MOST_STATS):
                continue
            points = [(record.get("images"), record[name]) for record in records if name in record]
            self.thinned.setdefault(name, Thinned()).extend(points)
        for record in records:
            names, images = record.get("not_finite"), record.get("images")
            if isinstance(names, list) and isinstance(images, int) and len(self.broken) < MOST_STATS:
                for name in names[:MOST_STATS]:
                    self.broken.setdefault(str(name), images)
        self.latest = records[-1]

    def series(self) -> dict[str, Series]:
        """The numbers of which there are some."""
        found = {name: own.series() for name, own in self.thinned.items()}
        return {name: series for name, series in found.items() if series.images}


@dataclass
class Spread:
    """Lines at even distances, and the newest."""

    kept: list[Record] = field(default_factory=list)
    stride: int = 1
    count: int = 0
    newest: Record | None = None

    def take(self, records: Sequence[Record]) -> None:
        """Add lines, in the order of the log."""
        for record in records:
            if self.count % self.stride == 0:
                self.kept.append(record)
            if len(self.kept) > MOST_SIGNALS:
                self.kept, self.stride = self.kept[::2], self.stride * 2
            self.newest = record
            self.count += 1

    def records(self) -> tuple[Record, ...]:
        """At most ``MOST_SIGNALS`` lines and the newest."""
        own = tuple(self.kept)
        return own if self.newest is None or own[-1] is self.newest else (*own, self.newest)


@dataclass
class Newest:
    """The newest lines."""

    kept: deque[Record] = field(default_factory=lambda: deque(maxlen=MOST_LINES))

    def take(self, records: Sequence[Record]) -> None:
        """Add lines, in the order of the log."""
        self.kept.extend(records)
