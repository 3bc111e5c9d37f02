"""From checks, one after the other, to verdicts: rules with a warm-up, persistence, and what explains what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from zerosum.diagnose.rules import RULES, Level, Rule
from zerosum.diagnose.symptoms import WARM_UP, Check, Evidence


class Verdict(NamedTuple):
    """What is wrong.

    Attributes:
        since: images at the first of the checks that say so.
        confidence: 1 - 2^-n after n checks in a row that say so.
    """

    name: str
    level: Level
    says: str
    evidence: Evidence
    confidence: float
    images: int
    since: int


class News(NamedTuple):
    """What one check brought: verdicts that are new, and names of those that no longer hold."""

    verdicts: tuple[Verdict, ...]
    recovered: tuple[str, ...]


@dataclass
class Diagnosis:
    """The checks so far, and what stands. A function of the checks alone: read again it says the same."""

    rules: Sequence[Rule] = RULES
    checks: list[Check] = field(default_factory=list)
    held: dict[str, list[Check]] = field(default_factory=dict)  # the checks in a row at which a rule holds
    missed: dict[str, int] = field(default_factory=dict)
    standing: dict[str, Verdict] = field(default_factory=dict)

    def see(self, check: Check) -> News:
        """Take in the next check."""
        past = list(self.checks)
        if past and "moved" in past[-1]:  # which the first check after a resume cannot know
            check = {"moved": past[-1]["moved"], **check}
        self.checks.append(check)
        images = int(check["images"])
        true: dict[str, Evidence] = {}
        for rule in self.rules:
            asked = len(past) >= WARM_UP and check.get("round", math.inf) >= rule.after
            found = rule.test(check, past) if asked else None
            if found is not None:
                true[rule.name] = found
            self.held[rule.name] = [*self.held.get(rule.name, []), check] if found is not None else []
        quiet = {name for rule in self.rules if rule.name in true for name in rule.explains}
        new = []
        for rule in self.rules:
            row = self.held[rule.name]
            if rule.name in quiet or len(row) < rule.in_a_row or _rounds(row) < rule.lasts:
                continue
            sure = 1 - 0.5 ** len(row)
            since = int(row[0]["images"])
            verdict = Verdict(rule.name, rule.level, rule.says, true[rule.name], sure, images, since)
            if rule.name not in self.standing:
                new.append(verdict)
            self.standing[rule.name] = verdict
        return News(tuple(new), tuple(self._recovered(true)))

    def ill_since(self) -> int | None:
        """Images at the first of the checks in a row at which something holds that acts by itself, said or not yet."""
        rows = [self.held.get(rule.name) for rule in self.rules if rule.level == "act"]
        return min((int(row[0]["images"]) for row in rows if row), default=None)

    def _recovered(self, true: dict[str, Evidence]) -> list[str]:
        """What stood and has not held for as many checks as it took to be said."""
        gone = []
        for rule in self.rules:
            if rule.name in self.standing:
                self.missed[rule.name] = 0 if rule.name in true else self.missed.get(rule.name, 0) + 1
                if self.missed[rule.name] >= rule.in_a_row:
                    del self.standing[rule.name], self.missed[rule.name]
                    gone.append(rule.name)
        return gone


def _rounds(row: Sequence[Check]) -> float:
    """Rounds from the first to the last of some checks; logs of others do not count them."""
    return row[-1].get("round", math.inf) - row[0].get("round", 0.0)


def numbers(line: Mapping[str, object]) -> dict[str, float]:
    """The finite numbers of a line of a log."""
    return {
        name: value
        for name, value in line.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
