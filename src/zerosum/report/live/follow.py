"""Facts of a run that are kept up to date while its logs grow: each line is read once, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zerosum.errors import UserError
from zerosum.report.facts import Facts, Moment, Record, inside, moments
from zerosum.report.gathered import Newest, Spread, Stats
from zerosum.run import Run
from zerosum.tail import Tail

BITE = 1 << 18  # bytes of a log that are read at a time
LARGEST = 1 << 23  # bytes of a recipe.json


@dataclass
class Following:
    """One run that somebody looks at.

    Attributes:
        version: grows whenever there is something new.
        whole: whether everything that the logs held at the last look has been read.
    """

    folder: Path
    version: int = 0
    whole: bool = False
    stats: Stats = field(default_factory=Stats)
    metrics: Newest = field(default_factory=Newest)
    signals: Spread = field(default_factory=Spread)
    events: Newest = field(default_factory=Newest)
    _tails: dict[str, Tail] = field(default_factory=dict)
    _stamps: dict[str, tuple[int, int]] = field(default_factory=dict)
    _found: dict[str, tuple[Moment, ...]] = field(default_factory=dict)
    _recipe: tuple[Record | None, str] = (None, "")

    def __post_init__(self) -> None:
        self._tails = {name: Tail(self.folder / f"{name}.jsonl") for name in ("events", "metrics", "signals", "stats")}

    def advance(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Read what is new, for about so many seconds; ``whole`` says whether that was all."""
        until = clock() + seconds
        self._look()
        self.whole = False
        for name, tail in self._tails.items():
            if inside(self.folder, tail.path.name) is None:  # gone, or a link now
                if tail.identity is not None:
                    self._tails[name] = Tail(tail.path)
                    self._forget(name)
                continue
            while (found := tail.new(BITE)).records or found.again:
                if found.again:
                    self._forget(name)
                if not found.records:
                    break
                self.version += 1
                getattr(self, name).take(found.records)
                if clock() > until:
                    return
        self.whole = True

    def read_share(self) -> float:
        """How much of the logs has been read, 0 to 1."""
        size = sum(_stamp(tail.path)[1] for tail in self._tails.values())
        return min(1.0, sum(tail.offset for tail in self._tails.values()) / max(size, 1))

    def facts(self) -> Facts:
        """What is known by now."""
        return Facts(
            folder=self.folder,
            recipe=self._recipe[0],
            why=self._recipe[1],
            stats=self.stats.series(),
            broken=dict(self.stats.broken),
            latest=self.stats.latest,
            metrics=tuple(self.metrics.kept),
            signals=self.signals.records(),
            events=tuple(self.events.kept),
            grids=self._found["samples"],
            snapshots=self._found["snapshots"],
            real=inside(self.folder, "samples/real.png"),
            nearest=inside(self.folder, "samples/nearest.png"),
        )

    def _forget(self, name: str) -> None:
        setattr(self, name, type(getattr(self, name))())
        self.version += 1

    def _look(self) -> None:
        """At the files that are no logs, where they changed."""
        for name, ending in (("samples", ".png"), ("snapshots", ".safetensors")):
            if self._changed(name):
                self._found[name] = moments(self.folder, name, ending)
        if self._changed("recipe.json"):
            self._recipe = recipe_of(self.folder)

    def _changed(self, name: str) -> bool:
        stamp = _stamp(self.folder / name)
        if self._stamps.get(name) == stamp:
            return False
        self._stamps[name] = stamp
        self.version += 1
        return True


def recipe_of(folder: Path) -> tuple[Record | None, str]:
    """The content of recipe.json, or None and why."""
    path = inside(folder, "recipe.json")
    if path is None or _stamp(path)[1] > LARGEST:
        return None, f"{folder.name} has no recipe.json that can be read."
    try:
        return Run(folder).read(), ""
    except (UserError, RecursionError, OSError) as error:
        return None, words(error, folder)


def words(error: Exception, folder: Path) -> str:
    """A mistake in a run's folder, without where on this machine that lies."""
    return str(error).replace(str(folder), folder.name)


def _stamp(path: Path) -> tuple[int, int]:
    """When a file or a folder last changed, and its size."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
