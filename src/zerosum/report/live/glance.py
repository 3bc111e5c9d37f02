"""What the overview says of a run, found without reading its long log: from its end and from a few places in it."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from zerosum.errors import UserError
from zerosum.report.facts import LIFE, at, inside, number
from zerosum.report.live.peek import changed, ending, held, newest_grid, sampled
from zerosum.report.thinned import Series, Thinned
from zerosum.run import TRACKED, Run
from zerosum.tail import Tail

State = Literal["running", "finished", "stopped"]
Level = Literal["note", "warn", "act"]
LEVELS: tuple[Level, ...] = ("note", "warn", "act")
POINTS = 60  # of a sparkline, times two
QUIET = 90.0  # seconds without a line after which a run counts as stopped, where no lock says
LARGEST = 1 << 23  # bytes of a recipe.json
MOST_VERDICTS = 50
HEALTHY = "nothing wrong"


class Verdict(NamedTuple):
    """What the diagnosis last said and has not taken back."""

    name: str
    level: Level
    images: int
    says: str


class Glance(NamedTuple):
    """A run in one card.

    Attributes:
        recipe, data: names, as the run's files have them (not to be trusted).
        images: seen so far, of ``budget`` where that is known.
        rate: images per second lately; ``left`` seconds to go at that rate, while it runs.
        metric: the newest tracking metric of the averaged weights, and the best.
        verdict: the gravest that holds; at the end of a run that was checked and has none, that nothing is wrong.
        spark: values over images, ``spark_of`` what they are.
        began: when the folder was written first, to sort by.
    """

    recipe: str
    data: str
    state: State
    images: int
    budget: int | None
    rate: float | None
    left: float | None
    metric: tuple[float, float] | None
    verdict: Verdict | None
    grid: Path | None
    spark: Series
    spark_of: str
    began: float


@dataclass
class Glimpse:
    """Keeps a ``Glance`` of a run up to date, in a few kilobytes and a few reads."""

    run: Run
    events: Tail = field(init=False)
    metrics: Tail = field(init=False)
    life: str = ""
    life_images: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    tracked: Thinned = field(default_factory=lambda: Thinned(POINTS))
    best: float | None = None
    losses: tuple[int, Series] = (0, Series((), ()))  # and the size of the log that they were read from
    content: tuple[tuple[int, int], Mapping[str, object]] = ((0, 0), {})

    def __post_init__(self) -> None:
        self.events, self.metrics = Tail(self.run.events), Tail(self.run.metrics)

    def look(self) -> Glance:
        """What there is to see now."""
        self._read_recipe()
        for record in self._new(self.events):
            self._event(record)
        for record in self._new(self.metrics):
            self._metric(record)
        recipe, folder = self.content[1], self.run.folder
        lines = list(ending(folder))
        last = lines[-1] if lines else {}
        images = max(_count(last.get("images")), self.life_images)
        budget = _count(at(recipe, "budget", "images")) or None
        rates = [rate for line in lines[-9:] if (rate := number(line.get("images_per_second")))]
        rate = statistics.median(rates) if rates else None
        state = self._state()
        left = None
        if state == "running" and budget and rate and budget < 2**60:
            left = max(budget - images, 0) / rate
        spark, spark_of = self._spark()
        values = self.tracked.series().value
        return Glance(
            recipe=_text(recipe.get("recipe")),
            data=_text(at(recipe, "data", "name")),
            state=state,
            images=images,
            budget=budget if budget and budget < 2**60 else None,
            rate=rate,
            left=left,
            metric=(values[-1], values[-1] if self.best is None else self.best) if values else None,
            verdict=self._gravest() or self._healthy(state, images),
            grid=newest_grid(folder),
            spark=spark,
            spark_of=spark_of,
            began=changed(self.run.recipe_file)[0],
        )

    def _new(self, tail: Tail) -> Iterator[Mapping[str, object]]:
        if inside(self.run.folder, tail.path.name) is None:
            return
        while (found := tail.new()).records or found.again:
            if found.again:
                self._forget(tail)
            yield from found.records

    def _forget(self, tail: Tail) -> None:
        if tail is self.metrics:
            self.tracked, self.best = Thinned(POINTS), None
        else:
            self.life, self.life_images = "", 0
            self.verdicts.clear()

    def _event(self, record: Mapping[str, object]) -> None:
        event, name, images = record.get("event"), _text(record.get("verdict")), _count(record.get("images"))
        if event in LIFE:
            self.life, self.life_images = str(event), max(images, self.life_images)
        elif event == "verdict" and (name in self.verdicts or len(self.verdicts) < MOST_VERDICTS):
            level: Level = next((level for level in LEVELS if level == record.get("level")), "note")
            self.verdicts[name] = Verdict(name, level, images, _text(record.get("says"), 600))
        elif event == "recovered":
            self.verdicts.pop(name, None)

    def _metric(self, record: Mapping[str, object]) -> None:
        value = number(record.get("value"))
        if record.get("protocol") == TRACKED and record.get("weights") == "ema" and value is not None:
            self.tracked.add(record.get("images"), value)
            self.best = value if self.best is None else min(self.best, value)

    def _gravest(self) -> Verdict | None:
        found = self.verdicts.values()
        return max(found, key=lambda verdict: (LEVELS.index(verdict.level), verdict.images), default=None)

    def _healthy(self, state: State, images: int) -> Verdict | None:
        """Not while it runs: there it may only be too early."""
        checked = state != "running" and inside(self.run.folder, "signals.jsonl") and changed(self.run.signals)[1]
        return Verdict(HEALTHY, "note", images, "") if checked else None

    def _state(self) -> State:
        if self.life in ("finished", "stopped"):
            return "finished" if self.life == "finished" else "stopped"
        holds = held(self.run.folder)
        if holds is None:
            newest = max(changed(self.run.folder / name)[0] for name in ("stats.jsonl", "events.jsonl", "recipe.json"))
            holds = time.time() - newest < QUIET
        return "running" if holds else "stopped"

    def _spark(self) -> tuple[Series, str]:
        tracked = self.tracked.series()
        if len(tracked.images) >= 3:
            return tracked, "kernel distance"
        path = inside(self.run.folder, "stats.jsonl")
        size = path.stat().st_size if path else 0
        if not self.losses[0] <= size < 1.02 * self.losses[0]:  # its shape changes slowly
            self.losses = size, sampled(path, size, "critic.loss") if path else Series((), ())
        return self.losses[1], "critic's loss"

    def _read_recipe(self) -> None:
        when, size = changed(self.run.recipe_file)
        stamp = (int(when * 1e6), size)
        if stamp != self.content[0]:
            found: Mapping[str, object] = {}
            with contextlib.suppress(UserError, OSError, RecursionError):
                found = self.run.read() if size <= LARGEST else {}
            self.content = stamp, found


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**62 else 0


def _text(value: object, most: int = 200) -> str:
    return str(value)[:most] if isinstance(value, str | int | float) else ""
