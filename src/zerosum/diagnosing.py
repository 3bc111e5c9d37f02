"""``zerosum diagnose``: a run that is there, a log of StyleGAN's, or pictures beside real ones, through the rules."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zerosum.advice import size_for
from zerosum.data.cache import cache_folder
from zerosum.data.find import find
from zerosum.data.fit import Shape
from zerosum.data.prepare import prepare
from zerosum.data.source import Bytes
from zerosum.data.survey import survey
from zerosum.data.telling import Progress, Say, clean, silent
from zerosum.diagnose import looked as looking
from zerosum.diagnose import stylegan
from zerosum.diagnose.data import of_pictures
from zerosum.diagnose.looked import LOOKED_AT, Made
from zerosum.diagnose.remedies import advice, at
from zerosum.diagnose.rules import RULES, Rule
from zerosum.diagnose.symptoms import Check
from zerosum.diagnose.verdicts import Diagnosis, Verdict, numbers
from zerosum.errors import UserError
from zerosum.generate import load
from zerosum.metrics.samples import of_generator
from zerosum.run import PARTS, Run
from zerosum.tail import Tail

SNAPSHOT = ".safetensors"
LONGEST = 4000  # letters of a line: a command may be long
LEAST, FEW = 10, 100  # pictures on either side, without which nothing or little can be said
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


def diagnose(
    target: str,
    against: str | None = None,
    *,
    data_root: str | None = None,
    say: Say = silent,
    looked: Progress = silent,
) -> Diagnosed:
    """Verdicts on a run's folder, a log of StyleGAN's (or its folder), or pictures ``against`` real ones.

    Beside real pictures a run (or one of its snapshots) is asked for pictures of its own.

    Raises:
        UserError: it is none of these, or has nothing to go by.
    """
    path = Path(target)
    if against is not None:
        return of_pictures_against(target, against, data_root, say, looked)
    if path.is_dir() and Run(path).exists():
        return of_run(Run(path))
    if path.suffix == SNAPSHOT:
        raise UserError(f"{path} is a generator: give its run's folder, or --against and the real pictures.")
    log = path / "stats.jsonl" if path.is_dir() else path
    if log.is_file():
        return of_log(log)
    raise UserError(
        f"'{target}' is no run and no stats.jsonl: give a run's folder, or pictures with --against and the real ones."
    )


def of_run(run: Run) -> Diagnosed:
    """A run of zerosum's, by its checks and events, finished or not.

    Raises:
        UserError: no run, or one without checks.
    """
    content = _content(run)
    events = list(_records(run.events))
    checks = [check for line in _records(run.signals) if "images" in (check := numbers(line))]
    if not checks:
        raise UserError(
            f"{run.folder} has no checks (signals.jsonl): it is older than the diagnosis, or has just begun."
        )
    content["resolved"] = _as_amended(content.get("resolved"), events)

    def remedy(name: str) -> str:
        return advice(name, content, str(run.folder))

    told = [_told(event) for event in events if event.get("event") == "verdict" and event.get("images") == 0]
    found = [Found(verdict, remedy(verdict.name)) for verdict in told]
    return Diagnosed((*found, *_broken(events, remedy), *replayed(checks, remedy)), len(checks))


def _content(run: Run) -> dict[str, Any]:
    """What recipe.json says.

    Raises:
        UserError: it is damaged, or of another format.
    """
    try:
        found = json.loads(run.recipe_file.read_text())
        whole = isinstance(found, dict) and found.keys() >= {"format", *PARTS}
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{run.recipe_file} is damaged, or not of zerosum: put a copy of it back.")
    return run.read()


def _broken(events: Iterable[Mapping[str, Any]], remedy: Callable[[str], str]) -> list[Found]:
    """What was not finite, and what was rolled back: one for a row of the same kind, as it was the last time."""
    found: list[Found] = []
    for event in events:
        if event.get("event") not in ("not finite", "rolled back"):
            continue
        back = event["event"] == "rolled back"
        name = str(event.get("why", "not finite"))
        images = int(_number(event.get("from", event.get("images"))))
        says = str(event.get("says", "A loss or gradient was not finite."))
        evidence = event.get("evidence")
        seen = numbers(evidence) if isinstance(evidence, dict) else {}
        before = found.pop() if found and found[-1].verdict.name == name else None
        verdict = Verdict(name, "act", says, seen, 1.0, images, images)
        backs = (0 if before is None else before.backs) + back
        found.append(Found(verdict, remedy(name), images if back else None, backs))
    return found


def _as_amended(resolved: object, events: Iterable[Mapping[str, Any]]) -> object:
    """A resolved recipe with what events say was changed."""
    changed = copy.deepcopy(resolved)
    for event in events:
        settings = event.get("settings") if event.get("event") == "amended" else None
        for path, text in settings.items() if isinstance(settings, dict) else ():
            *way, last = str(path).split(".")
            place = at(changed, tuple(way))
            with contextlib.suppress(ValueError):
                if isinstance(place, dict) and last in place:
                    place[last] = float(str(text))
    return changed


def of_log(path: Path) -> Diagnosed:
    """A stats.jsonl of StyleGAN's, with the metric-*.jsonl beside it.

    Raises:
        UserError: it has no line of that kind.
    """
    lines = [line for line in _records(path) if stylegan.is_stylegan(line)]
    beside = sorted(path.parent.glob("metric-*.jsonl"))
    points = stylegan.points_of(record for log in beside for record in _records(log))
    checks = stylegan.checks_of(lines, points)
    if not checks:
        raise UserError(
            f"{path} has no lines of StyleGAN's (no Progress/kimg): give its stats.jsonl, or a run's folder."
        )

    def remedy(name: str) -> str:
        return stylegan.answer(name, checks, points)

    found = [
        Found(Verdict("not finite", "act", f"{name} is not finite.", {}, 1.0, images, images), remedy("not finite"))
        for images, name in filter(None, [stylegan.first_not_finite(lines)])
    ]
    return Diagnosed((*found, *replayed(checks, remedy, stylegan.RULES)), len(checks))


def of_pictures_against(target: str, against: str, data_root: str | None, say: Say, looked: Progress) -> Diagnosed:
    """Generated pictures beside real ones: what a single look can tell.

    Raises:
        UserError: there are no such pictures, or fewer than ten.
    """
    path = Path(target)
    run = Run(path) if path.is_dir() and Run(path).exists() else None
    content = None if run is None else _content(run)
    source = find(against, data_root, say)
    seen = survey(source, cache_folder(), looked)
    if run is not None or path.suffix == SNAPSHOT:
        made = _sampled(path, looked)
        shape = Shape(made.pixels.shape[3], made.pixels.shape[2], made.pixels.shape[1])
    else:
        (width, height), channels = size_for(source, seen, None)
        shape = Shape(width, height, channels)
        made = looking.drawn(target, shape, data_root, say, looked)
    real = prepare(source, seen, shape, broken="skip", cache=cache_folder(), progress=looked)
    least = min(len(made.pixels), len(real.train))
    if least < LEAST:
        raise UserError(f"{least} pictures are too few to say anything: give at least ten.")
    say(
        f"{made.name}, beside {len(real.train):,} real pictures and {len(real.held_out):,} held-out ones of "
        f"{real.name}, at {shape.width}x{shape.height}."
    )
    if made.resized:
        say(f"{made.resized} of the generated ones had another size and were resized: a grid is not looked for.")
    if least < FEW:
        say(f"{least} pictures are few: only what is wrong with most of them shows.")
    found = looking.look(real, made.pixels, resized=made.resized > 0)
    pairs = [f"{made.called[one]} ~ {looking.called(source, real, other)}" for one, other in found.pairs]

    def remedy(name: str) -> str:
        if content is not None:
            return advice(name, content, target)
        return looking.answer(name, target, against, min(made.total, len(real.held_out)), pairs)

    told = [one for one in of_pictures(real) if one.level != "note"] + looking.verdicts(found.check)
    return Diagnosed(tuple(Found(one, remedy(one.name), looked=True) for one in told), 1)


def _sampled(path: Path, looked: Progress) -> Made:
    """Pictures of a run's newest snapshot, or of a snapshot, by seeds."""
    generator = load(path)
    blocks: list[Bytes] = []
    for pixels, _ in of_generator(generator, path.name, "ema").blocks(0, LOOKED_AT):
        blocks.append(pixels)
        looked(sum(map(len, blocks)), LOOKED_AT)
    name = f"{LOOKED_AT} pictures of {path.name} (averaged weights at {int(str(generator.header['images'])):,} images)"
    return Made(np.concatenate(blocks), [f"seed {seed}" for seed in range(LOOKED_AT)], name, total=2**60)


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


def _records(path: Path) -> Iterable[Mapping[str, Any]]:
    tail = Tail(path)
    while records := tail.new().records:
        yield from records


def _told(event: Mapping[str, Any]) -> Verdict:
    evidence = event.get("evidence")
    level = event.get("level")
    return Verdict(
        str(event.get("verdict")),
        level if level in ("note", "warn", "act") else "warn",
        str(event.get("says", "")),
        numbers(evidence) if isinstance(evidence, dict) else {},
        _number(event.get("confidence", 1.0)),
        0,
        0,
    )


def _short(value: float) -> str:
    """Three figures, and all of a large number."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
