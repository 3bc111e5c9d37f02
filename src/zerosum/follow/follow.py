"""What is new in a run's folder, once each, and the loop that passes it on.

Which lines were sent is told from the lines themselves, not from places in files, since logs are rewritten: an
evaluation replaces lines, and a run that was resumed or rolled back forgets lines beyond the state it goes on from.
The latter is told by an event, which is written after the logs are cut and before they grow again.
"""

from __future__ import annotations

import contextlib
import heapq
import importlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zerosum import files
from zerosum.data.telling import Say, silent
from zerosum.errors import UserError
from zerosum.follow.items import Config, Item, Numbers, Pictures, Place, Rewound, Tracker, Words
from zerosum.follow.lines import clean, images_of, numbers, sentence
from zerosum.follow.sent import Line, Sent, digest, read_sent
from zerosum.follow.sheets import OTHERS, Damaged, grids, png
from zerosum.interrupt import Interrupted
from zerosum.run import Run
from zerosum.tail import Tail

TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow")
GROWING = ("stats", "signals")  # logs in the order of images, of any length
BITE = 1 << 18  # bytes of them that are in memory at a time
REWINDS = ("started", "resumed", "rolled back")  # the run goes on from there, or from its very start
ENDS = {"started": False, "resumed": False, "forked": False, "rolled back": False, "finished": True}
QUIET = {
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
SECONDS = 2.0  # between two looks


def track(
    run: Path | str,
    to: str,
    *,
    out: Path | str | None = None,
    project: str = "zerosum",
    once: bool = False,
    say: Say = silent,
) -> None:
    """Pass a run on to an experiment tracker until it has finished; started again, go on where it was left.

    Nothing is sent twice, except what was under way when the process was killed. Ctrl-C ends it.

    Args:
        run: its folder.
        to: one of ``TRACKERS``.
        out: where a tracker that writes files puts them; without it in its own place.
        project: the tracker's project or experiment.
        once: pass on what is there and return.
        say: is told where things are, and of pictures that cannot be read.

    Raises:
        UserError: no run, no such tracker, its package is missing, or another process is sending the same.
    """
    folder = Path(run)
    config = Run(folder).read()
    if to not in TRACKERS:
        raise UserError(f"'{to}' is no tracker: choose one of {', '.join(TRACKERS)}.")
    try:
        with files.locked(folder, f".lock-follow-{to}"):
            cursor = folder / f".follow-{to}.json"
            sent = read_sent(cursor)
            name = clean(folder.resolve().name) or "run"
            place = Place(folder, name, sent.id, project, config, None if out is None else Path(out), say)
            with contextlib.closing(opened(to, place)) as tracker:
                follow(Follower(Run(folder), sent, say), tracker, cursor, once=once)
    except files.InUse:
        raise UserError(f"{folder} is being sent to {to} by another process: let it go on, or stop it.") from None


def opened(to: str, place: Place) -> Tracker:
    """A run with a tracker; its own reports about its use stay off unless the user has turned them on.

    Raises:
        UserError: its package is missing, or it refuses the run.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module(f"zerosum.follow.{to}").start(place)
    except ImportError as error:
        raise UserError(f"--to {to} needs the package {to} ({error}): pip install {to}") from None


def follow(follower: Follower, tracker: Tracker, cursor: Path, *, once: bool) -> None:
    """Pass on what is new, again and again, and keep in ``cursor`` what was sent."""
    last = once
    try:
        while True:
            for item in follower.new():
                tracker.send(item)
            tracker.flush()
            follower.sent.write(cursor)
            if last:
                return
            last = follower.finished and not held(follower.run.folder)  # and once more what came meanwhile
            if not last:
                time.sleep(SECONDS)
    except (KeyboardInterrupt, Interrupted):
        tracker.flush()
        follower.sent.write(cursor)
        follower.say("Stopped: the same command goes on from here.")


def held(folder: Path) -> bool:
    """Whether a training is at work on the run."""
    try:
        with files.locked(folder):
            return False
    except files.InUse:
        return True


class _New(NamedTuple):
    """Something that was not sent.

    Attributes:
        source: a log, or "samples".
        item: what to send; the file of a grid, which is read when it is its turn; None where nothing is sent.
    """

    images: int
    source: str
    item: Item | Path | None
    digest: str = ""


def _place(new: _New) -> int:
    return new.images


@dataclass
class Follower:
    """A run's folder, read while it is written.

    Attributes:
        sent: what was sent.
        finished: whether the run has used up its budget, by the events that were read.
    """

    run: Run
    sent: Sent
    say: Say = silent
    finished: bool = False
    _tails: dict[str, Tail] = field(init=False)
    _known: dict[str, Counter[Line]] = field(init=False)  # lines that were sent and have not been met in their log

    def __post_init__(self) -> None:
        self._tails = {log: self._tail(log) for log in (*GROWING, *self.sent.lines)}
        self._known = {log: self.sent.count(log) for log in self.sent.lines}

    def new(self) -> Iterator[Item]:
        """What was not sent, in the order of images. A thing counts as sent as soon as the next one is asked for."""
        config = self.run.read()
        if digest(config) != self.sent.config:
            yield Config(config)
            self.sent.config = digest(config)
        metrics, events = self._read("metrics"), self._read("events")  # what a rewind makes new comes after its event
        told: list[_New] = []
        for event in events:
            name, images = event.get("event"), images_of(event)
            self.finished = ENDS.get(name, self.finished) if isinstance(name, str) else self.finished
            line = self._unsent("events", event)
            if line is None or images is None:
                continue
            back = -1 if name == "started" else images
            if name in REWINDS and back < self.sent.newest():
                yield Rewound(back)
                self.sent.rewind(back)
                self._known = {log: _upto(own, back) for log, own in self._known.items()}
                self._tails |= {log: self._tail(log) for log in GROWING}  # new lines may have been passed over
            text = sentence(event)
            told.append(_New(images, "events", Words(images, text) if text else None, line[1]))
        measured = [
            _New(line[0], "metrics", _numbers("metrics", line[0], record), line[1])
            for record in metrics
            if (line := self._unsent("metrics", record)) is not None
        ]
        sheets = [_New(images, "samples", path) for images, path in grids(self.run, self.sent.upto["samples"])]
        parts = (sorted(told, key=_place), *map(self._growing, GROWING), sorted(measured, key=_place), sheets)
        for new in heapq.merge(*parts, key=_place):
            yield from self._of(new)
        yield from self._sheets()

    def _tail(self, log: str) -> Tail:
        return Tail(self.run.folder / f"{log}.jsonl")

    def _read(self, log: str) -> list[dict[str, object]]:
        """The new records of a log; all of them where it was rewritten."""
        found: list[dict[str, object]] = []
        while (new := self._tails[log].new()).records or new.again:
            if new.again:
                found.clear()
                self._known[log] = self.sent.count(log)
            found += new.records
        return found

    def _unsent(self, log: str, record: dict[str, object]) -> Line | None:
        """What a line is known by, if it was not sent. One that was sent once and stands there twice is new then."""
        images = images_of(record)
        if images is None:
            return None
        line = images, digest(record)
        met = self._known[log][line] > 0
        self._known[log][line] -= met
        return None if met else line

    def _growing(self, log: str) -> Iterator[_New]:
        """The lines of a log that were not sent, read as they are asked for."""
        newest = self.sent.upto[log]
        while (new := self._tails[log].new(BITE)).records or new.again:
            for record in new.records:
                images = images_of(record)
                if images is not None and images > newest:
                    newest = images
                    yield _New(images, log, _numbers(log, images, record))

    def _of(self, new: _New) -> Iterator[Item]:
        if isinstance(new.item, Path):
            yield from self._picture(new.item, new.images, "samples")
        elif new.item is not None:
            yield new.item
        if new.source in self.sent.lines:
            self.sent.lines[new.source].append((new.images, new.digest))
        else:
            self.sent.upto[new.source] = new.images

    def _sheets(self) -> Iterator[Item]:
        for name in OTHERS:
            path = self.run.folder / "samples" / f"{name}.png"
            changed = path.stat().st_mtime_ns if path.is_file() else None
            if changed is not None and changed != self.sent.sheets.get(name):
                yield from self._picture(path, 0 if name == "real" else max(self.sent.newest(), 0), name)
                self.sent.sheets[name] = changed

    def _picture(self, path: Path, images: int, name: str) -> Iterator[Item]:
        try:
            yield Pictures(images, name, png(path, self.run.folder))
        except FileNotFoundError:  # the run was rewound meanwhile
            return
        except Damaged as error:
            self.say(f"{path} is left out: {error}.")


def _numbers(log: str, images: int, record: dict[str, object]) -> Numbers | None:
    values = numbers(log, record)
    return Numbers(images, values) if values else None


def _upto(lines: Counter[Line], images: int) -> Counter[Line]:
    return Counter({line: count for line, count in lines.items() if line[0] <= images})
