"""What a person sees while a run trains: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from zerosum.training.trainer import Moment

PLAIN_SECONDS = 10.0
BAR_SECONDS = 0.1
QUIET_SECONDS = 1.0  # what takes no longer needs no counting


class _Console(Console):
    """Leaves it to the command line what a closed pipe means, instead of ending the process here."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Screen:
    """Says sentences and shows progress; a watcher of the trainer."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _Console(highlight=False, soft_wrap=True)
        self._last = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._counting, self._count, self._due = "", -1, 0.0
        self._counted: TaskID | None = None

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=24),
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
        self.console.print(text, markup=False)

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
        """Show where training stands."""
        rate = moment.stats.get("images_per_second", 0.0)
        losses = " ".join(
            f"{role} {moment.stats[f'{role}.loss']:.3f}"
            for role in ("critic", "generator")
            if f"{role}.loss" in moment.stats
        )
        known = moment.budget < 2**60
        text = f"{moment.images:,} images  {rate:,.0f} img/s  loss {losses}"
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(text, total=None)
            total = moment.budget if known else None
            self._bar.update(self._task, completed=moment.images, total=total, description=text)
            if moment.saved:
                self.say(f"  {moment.images:>9,} images  {moment.saved}")
        elif moment.saved or time.monotonic() - self._last > PLAIN_SECONDS:
            left = (moment.budget - moment.images) / rate if known and rate > 0 else None
            share = f"{moment.images / moment.budget:4.0%} " if known else ""
            wait = f"  {_clock(left)} left" if left else ""
            saved = f"  {moment.saved}" if moment.saved else ""
            self.say(f"{share}{text}{wait}{saved}")
            self._last = time.monotonic()


def _clock(seconds: float) -> str:
    whole = int(seconds + 0.5)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
