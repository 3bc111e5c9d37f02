"""What a person sees while a run trains: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from zerosum.data.telling import safe
from zerosum.diagnose.symptoms import IN_A_ROW, WARM_UP
from zerosum.errors import UserError
from zerosum.follow.lines import clean, number
from zerosum.preview import possible, preview
from zerosum.run import TRACKED, Run
from zerosum.tail import Tail
from zerosum.training.trainer import Moment

PLAIN_SECONDS = 10.0
BAR_SECONDS = 0.1
QUIET_SECONDS = 1.0  # what takes no longer needs no counting
BARS = (24, 12, 4)  # columns; the bar gives way first
BESIDE = 16  # columns of the percentage and the time that is left
CHECKS = WARM_UP + IN_A_ROW  # of the diagnosis: with fewer nothing can have been said against a run
LONGEST = 30  # characters of a verdict in the line
STYLES = {"act": "red", "warn": "yellow", "": "green"}  # by the verdict's level, none for a healthy run


class _Console(Console):
    """Leaves it to the command line what a closed pipe means, instead of ending the process here."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Part(NamedTuple):
    """A part of the progress line; where there is little room, those of the highest rank are left out."""

    rank: int
    text: str
    style: str = ""


@dataclass
class Standing:
    """Where a run stands by its logs, which are read while they grow, and may be rewritten."""

    run: Run
    kernel: float | None = None
    signals: dict[str, object] = field(default_factory=dict)
    checks: int = 0
    verdicts: dict[str, str] = field(default_factory=dict)  # those that hold, each with its level

    def __post_init__(self) -> None:
        self._metrics, self._signals, self._events = (
            Tail(self.run.folder / f"{log}.jsonl") for log in ("metrics", "signals", "events")
        )

    def read(self) -> None:
        """Read on in the logs."""
        while (new := self._metrics.new()).records or new.again:
            self.kernel = None if new.again else self.kernel
            for line in new.records:
                if (line.get("protocol"), line.get("metric"), line.get("weights")) == (TRACKED, "kernel", "ema"):
                    self.kernel = number(line.get("value"))
        while (new := self._signals.new()).records or new.again:
            self.checks = len(new.records) + (0 if new.again else self.checks)
            self.signals = new.records[-1] if new.records else {}
        while (new := self._events.new()).records or new.again:
            if new.again:
                self.verdicts.clear()
            for event in new.records:
                self._event(event)

    def _event(self, event: dict[str, object]) -> None:
        name = clean(event.get("verdict", ""), LONGEST)
        if event.get("event") in ("verdict", "recovered"):
            self.verdicts.pop(name, None)
        if event.get("event") == "verdict" and event.get("level") != "note":
            self.verdicts[name] = str(event.get("level"))

    def parts(self) -> list[Part]:
        """The tracking metric, the critic's scores, and how healthy the run is, as far as they are known."""
        found = []
        if self.kernel is not None:
            found.append(Part(2, f"kernel {self.kernel:.2g}"))
        held, fake = (number(self.signals.get(f"accuracy_{part}")) for part in ("held", "fake"))
        if held is not None and fake is not None:
            found.append(Part(3, f"held {_share(held)} fake {_share(fake)}"))
        if self.verdicts:
            name, level = list(self.verdicts.items())[-1]
            found.append(Part(1, name, STYLES.get(level, "")))
        elif self.checks >= CHECKS:
            found.append(Part(1, "healthy", STYLES[""]))
        return found


class Screen:
    """Says sentences and shows progress; a watcher of the trainer."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _Console(highlight=False, soft_wrap=True)
        self._last = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._counting, self._count, self._due = "", -1, 0.0
        self._counted: TaskID | None = None
        self._column = BarColumn(bar_width=BARS[0])
        self._standing: Standing | None = None

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._bar = Progress(
                self._column,
                TaskProgressColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line (above the progress line, if there is one)."""
        self.console.print(safe(text), markup=False)

    def looked(self, done: int, total: int) -> None:
        """Show how many pictures were looked at."""
        self._counts("looked at", done, total)

    def checked(self, done: int, total: int) -> None:
        """Show how many pictures were checked."""
        self._counts("checked", done, total)

    def prepared(self, done: int, total: int) -> None:
        """Show how many pictures are prepared."""
        self._counts("prepared", done, total)

    def _counts(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._counting or done < self._count:
            self._counting, self._due = what, now + QUIET_SECONDS
        self._count = done
        if done >= total:
            self._counting = ""
            if self._bar is not None and self._counted is not None:
                self._bar.remove_task(self._counted)
                self._counted = None
            return
        if now < self._due:
            return
        text = f"{done:,} of {total:,} pictures {what}"
        if self._bar is not None:
            if self._counted is None:
                self._counted = self._bar.add_task(text, total=total)
            self._bar.update(self._counted, completed=done, total=total, description=text)
            self._due = now + BAR_SECONDS
        else:
            self.say(text)
            self._due = now + PLAIN_SECONDS

    def watch(self, moment: Moment) -> None:
        """Show where training stands, how healthy it is, and a few samples of a grid that was saved."""
        if moment.run is not None:
            if self._standing is None or self._standing.run != moment.run:
                self._standing = Standing(moment.run)
            self._standing.read()
        rate = moment.stats.get("images_per_second", 0.0)
        losses = " ".join(
            f"{role} {moment.stats[f'{role}.loss']:.3f}"
            for role in ("critic", "generator")
            if f"{role}.loss" in moment.stats
        )
        known = moment.budget < 2**60
        parts = [
            Part(0, f"{moment.images:,} images at {rate:,.0f}/s"),
            *(self._standing.parts() if self._standing else ()),
            *([Part(4, f"loss {losses}")] if losses else []),
        ]
        if self._bar is not None:
            self._column.bar_width, shown = fitted(parts, self.console.width - BESIDE)
            text = "  ".join(f"[{part.style}]{escape(part.text)}[/]" if part.style else part.text for part in shown)
            total = moment.budget if known else None
            if self._task is None:
                self._task = self._bar.add_task(text, total=total)
            self._bar.update(self._task, completed=moment.images, total=total, description=text)
            if moment.saved:
                self.say(f"  {moment.images:>9,} images  {moment.saved}")
                self._show(Path(moment.saved))
        elif moment.saved or time.monotonic() - self._last > PLAIN_SECONDS:
            left = (moment.budget - moment.images) / rate if known and rate > 0 else None
            share = f"{moment.images / moment.budget:4.0%} " if known else ""
            wait = f"  {_clock(left)} left" if left else ""
            saved = f"  {moment.saved}" if moment.saved else ""
            self.say(f"{share}{'  '.join(part.text for part in parts)}{wait}{saved}")
            self._last = time.monotonic()

    def _show(self, grid: Path) -> None:
        if self._standing is None or not possible(self.console):
            return
        try:
            recipe = self._standing.run.read()["resolved"]
            pictures = preview(grid, int(recipe["width"]), int(recipe["height"]), self.console.width)
        except (UserError, KeyError, TypeError, ValueError):
            return
        if pictures is not None:
            self.console.print(pictures)


def fitted(parts: list[Part], room: int) -> tuple[int, list[Part]]:
    """Columns for the bar, and the parts for which there is room beside it; first the bar gives way."""
    for rank in sorted({part.rank for part in parts}, reverse=True):
        shown = [part for part in parts if part.rank <= rank]
        for bar in BARS:
            if _width(shown) <= room - bar:
                return bar, shown
    return BARS[-1], parts[:1]


def _width(parts: list[Part]) -> int:
    return cell_len("  ".join(part.text for part in parts))


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _clock(seconds: float) -> str:
    whole = int(seconds + 0.5)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
