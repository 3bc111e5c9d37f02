"""The diagnosis during training: checks at fixed image counts, into signals.jsonl; verdicts, into events.jsonl.

It costs at most 2 % of the time: an account of what all checks took says when the next one is due, and the line of a
check has that, so that a run that goes on is checked where it would have been (the one at the end is always made). So
where a check stands depends on the machine's speed, and with it where a training is changed for a verdict; a training
that is not changed keeps its bits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zerosum import files
from zerosum.amending import is_wanted
from zerosum.data.telling import Say, silent
from zerosum.diagnose.data import of_pictures
from zerosum.diagnose.remedies import advice, settings
from zerosum.diagnose.verdicts import Diagnosis, Verdict, numbers
from zerosum.machine import room
from zerosum.probing import Probe, write_nearest
from zerosum.recipe import describe
from zerosum.run import Run
from zerosum.tail import Tail
from zerosum.training.trainer import Moment, Trainer

LEAST = 10  # rounds between two checks
CHECKS = 60  # in a budget, at most
SHARE = 0.019  # of the time
OF_TIME = ("images", "seconds")


@dataclass
class Watch:
    """A watcher of the trainer.

    Attributes:
        content: of recipe.json, from which remedies are made.
        act: whether to want a change for every verdict that has one, and not only for those that act by themselves.
        share: of the time that checks may take.
        wants: the verdict for which the training is to be stopped and changed.
    """

    trainer: Trainer
    run: Run
    say: Say = silent
    content: Mapping[str, Any] = field(default_factory=dict)
    act: bool = False
    share: float = field(default_factory=lambda: SHARE)
    wants: Verdict | None = None
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    probe: Probe | None = None
    spent: float = 0.0  # seconds, in all checks
    fresh: list[Mapping[str, float]] = field(default_factory=list)  # lines of stats since the last check
    clock: tuple[float, float] = (0.0, 0.0)  # the trainer's seconds, and those it waited, at the last check

    def __post_init__(self) -> None:
        self.stats = Tail(self.run.stats)
        self.clock = (self.trainer.seconds, self.trainer.waited)
        for line in files.read_lines(self.run.signals):
            self.diagnosis.see(numbers(line))
        checks = self.diagnosis.checks
        self.spent = sum(check.get("seconds", 0.0) for check in checks)
        last = int(checks[-1]["images"]) if checks else -1
        self.due = float(checks[-1].get("next", 0)) if checks else 0.0
        self.fresh = [line for line in self._lines() if line["images"] > last]
        told = {str(line.get("verdict")) for line in files.read_lines(self.run.events)}
        for verdict in self.diagnosis.standing.values():  # a kill may have come between the check and the word
            if verdict.name not in told:
                self._tell(verdict)
        self._react(self.diagnosis.standing.values())
        if not checks and self.trainer.images == 0:
            for verdict in of_pictures(self.trainer.pictures):
                self._tell(verdict)
            self._check(0, 0.0, 0.0)  # how it was before anything moved

    def __call__(self, moment: Moment) -> None:
        """Check if it is time; verdicts that are new or gone are said and written."""
        self.fresh += self._lines()
        done = moment.images >= moment.budget
        if moment.budget >= 2**60 or (moment.images < self.due and not done):
            return
        rounds = LEAST * self.trainer.images / max(1, self.trainer.rounds)
        self._check(moment.images, moment.images / moment.budget, max(rounds, moment.budget / CHECKS))
        if self.probe is not None and done:
            write_nearest(self.probe, self.run)

    def _check(self, images: int, share: float, apart: float) -> None:
        """One check, at a share of the budget; the next is due after ``apart`` images, or later if this took long."""
        began = time.monotonic()
        self.probe = self.probe or Probe(self.trainer)
        check = self.probe.look() | self._means() | self._machine() | {"share": round(share, 5)}
        seconds = time.monotonic() - began
        self.spent += seconds
        rate = check.get("images_per_second")
        owed = (self.spent + seconds) / self.share - self.trainer.seconds  # of training, before one more is paid for
        self.due = images + max(apart, owed * rate if isinstance(rate, float) else 0.0)
        files.append_line(self.run.signals, check | {"seconds": round(seconds, 4), "next": round(self.due)})
        news = self.diagnosis.see(numbers(check))
        for verdict in news.verdicts:
            self._tell(verdict)
        self._react(news.verdicts)
        for name in news.recovered:
            self.run.event("recovered", images, verdict=name)
            self.say(f"{name}: no longer, since {images:,} images")

    def _tell(self, verdict: Verdict) -> None:
        content = {**self.content, "resolved": describe(self.trainer.recipe)}  # as amended
        remedy = advice(verdict.name, content, str(self.run.folder))
        if self.act and verdict.level == "warn" and not settings(verdict.name, content["resolved"]):
            remedy = f"{remedy} --act changes learning rates alone, so not this."
        self.run.event(
            "verdict",
            verdict.images,
            verdict=verdict.name,
            level=verdict.level,
            since=verdict.since,
            confidence=round(verdict.confidence, 3),
            evidence=dict(verdict.evidence),
            says=verdict.says,
            remedy=remedy,
        )
        self.say(f"{verdict.name}: {verdict.says} {remedy}".rstrip())
        if verdict.name == "copies" and self.probe is not None:  # which the remedy says to look at
            write_nearest(self.probe, self.run)

    def _react(self, verdicts: Iterable[Verdict]) -> None:
        """Want a change where one is due, and have the state kept that a roll-back would go back to."""
        for verdict in verdicts:
            if self.wants is None and is_wanted(verdict, self.trainer, act=self.act):
                self.wants = verdict
        self.trainer.safe = self.diagnosis.ill_since()

    def _machine(self) -> dict[str, float]:
        """The share of the time since the last check that went into waiting for pictures, and the room left."""
        before, self.clock = self.clock, (self.trainer.seconds, self.trainer.waited)
        passed, waited = (now - then for now, then in zip(self.clock, before, strict=True))
        found = room(self.run.folder, self.trainer.device)
        states = self.run.states()
        found |= {"saved_mib": states[-1].stat().st_size / 2**20} if states else {}
        found |= {"waiting": waited / passed} if passed > 0 else {}
        return {name: round(value, 4) for name, value in found.items()}

    def _lines(self) -> list[Mapping[str, float]]:
        found: list[Mapping[str, float]] = []
        while records := self.stats.new().records:
            found += [numbers(line) for line in records if "images" in line]
        return found

    def _means(self) -> dict[str, object]:
        """Means of the stats since the last check."""
        lines, self.fresh = self.fresh, list[Mapping[str, float]]()
        names = {name for line in lines for name in line if name not in OF_TIME}
        means = {name: [line[name] for line in lines if name in line] for name in sorted(names)}
        return {name: float(f"{sum(values) / len(values):.6g}") for name, values in means.items()}
