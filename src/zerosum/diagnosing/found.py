"""What a diagnosis found, for people and for a file, and how it is found in checks that are there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from zerosum.data.telling import clean
from zerosum.diagnose.rules import RULES, Rule
from zerosum.diagnose.symptoms import Check
from zerosum.diagnose.verdicts import Diagnosis, Verdict

LONGEST = 4000  # letters of a line: a command may be long
SURE = 0.99  # is the most that is printed: checks in a row are not independent


class Found(NamedTuple):
    """A verdict, its remedy, and until when it held (None: it still does).

    Attributes:
        backs: how many times it was rolled back.
        looked: whether it is of a single look at pictures, which knows no time and no confidence.
    """

    verdict: Verdict
    remedy: str
    until: int | None = None
    backs: int = 0
    looked: bool = False

    def record(self) -> dict[str, Any]:
        """For a file."""
        own = {**self.verdict._asdict(), "evidence": dict(self.verdict.evidence)}
        own |= dict.fromkeys(("confidence", "images", "since")) if self.looked else {}
        return {**own, "remedy": self.remedy, "until": self.until, "rolled back": self.backs}

    def lines(self) -> list[str]:
        """For people."""
        verdict = self.verdict
        evidence = ", ".join(f"{name} {_short(value)}" for name, value in verdict.evidence.items())
        told = [
            f"{verdict.name} ({'; '.join([verdict.level, *self._when()])})",
            f"  {verdict.says}",
            *([f"  Evidence: {evidence}."] if evidence else []),
            *([f"  {self.remedy}"] if self.remedy else []),
        ]
        return [line[: len(line) - len(line.lstrip())] + clean(line, LONGEST) for line in told]

    def _when(self) -> list[str]:
        """When it held and how sure that is, as far as there is something to say."""
        verdict = self.verdict
        if self.looked:
            return []
        if verdict.since == verdict.images:  # a moment, and a fact
            times = {0: [], 1: ["rolled back once"]}.get(self.backs, [f"rolled back {self.backs} times"])
            return [f"at {verdict.images:,} images" if verdict.images else "at the start", *times]
        until = "" if self.until is None else f" to {self.until:,}"
        when = f"from {verdict.since:,} images" if verdict.since else "from the start"
        return [f"{when}{until}", f"confidence {min(verdict.confidence, SURE):.0%}"]


class Diagnosed(NamedTuple):
    """What was found, and how many checks say so."""

    found: tuple[Found, ...]
    checks: int


def replayed(checks: Sequence[Check], remedy: Callable[[str], str], rules: Sequence[Rule] = RULES) -> tuple[Found, ...]:
    """Every verdict that the rules say of these checks, in the order of time, with its end."""
    diagnosis, found = Diagnosis(rules=rules), list[Found]()
    for check in checks:
        news = diagnosis.see(check)
        found += [Found(verdict, remedy(verdict.name)) for verdict in news.verdicts]
        for name in news.recovered:
            at = max(place for place, one in enumerate(found) if one.verdict.name == name)
            found[at] = found[at]._replace(until=int(check["images"]))
    return tuple(
        one._replace(verdict=diagnosis.standing[one.verdict.name])
        if one.until is None and one.verdict.name in diagnosis.standing
        else one
        for one in found
    )


def _short(value: float) -> str:
    """Three figures, and all of a large number."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
