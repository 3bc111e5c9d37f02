"""``zerosum diagnose``: a run that is there, a log of StyleGAN's, or pictures beside real ones, through the rules."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum.advice import size_for
from zerosum.data.cache import cache_folder
from zerosum.data.find import find
from zerosum.data.fit import Shape
from zerosum.data.pictures import Pictures
from zerosum.data.pixels import to_float
from zerosum.data.prepare import prepare
from zerosum.data.survey import survey
from zerosum.data.telling import Progress, Say, clean, silent
from zerosum.diagnose import signals, spectrum
from zerosum.diagnose.data import of_pictures
from zerosum.diagnose.remedies import REMEDIES, Remedy, advice, at
from zerosum.diagnose.rules import RECENT, RULES, Check
from zerosum.diagnose.stylegan import check_of, first_not_finite, is_stylegan
from zerosum.diagnose.verdicts import Diagnosis, Verdict, numbers
from zerosum.errors import UserError
from zerosum.run import Run
from zerosum.tail import Tail

LOOKED_AT = 500  # generated pictures
KNOWN, HELD = 2_000, 500
OF_PICTURES = ("copies", "collapse", "drops modes", "checkerboard")


class Found(NamedTuple):
    """A verdict, its remedy, and until when it held (None: it still does)."""

    verdict: Verdict
    remedy: str
    until: int | None = None

    def record(self) -> dict[str, Any]:
        """For a file."""
        own = {**self.verdict._asdict(), "evidence": dict(self.verdict.evidence)}
        return {**own, "remedy": self.remedy, "until": self.until}

    def lines(self) -> list[str]:
        """For people."""
        verdict = self.verdict
        when = f"from {verdict.since:,} images" if verdict.since else "from the start"
        until = "" if self.until is None else f" to {self.until:,}"
        evidence = ", ".join(f"{name} {value:.3g}" for name, value in verdict.evidence.items())
        told = [
            f"{verdict.name} ({verdict.level}; {when}{until}; confidence {verdict.confidence:.0%})",
            f"  {verdict.says}",
            *([f"  Evidence: {evidence}."] if evidence else []),
            *([f"  {self.remedy}"] if self.remedy else []),
        ]
        return [line[: len(line) - len(line.lstrip())] + clean(line) for line in told]


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
    """Verdicts on a run's folder, a stats.jsonl of StyleGAN's, or pictures ``against`` real ones.

    Raises:
        UserError: it is none of these, or has nothing to go by.
    """
    path = Path(target)
    if against is not None:
        return of_pictures_against(target, against, data_root, say, looked)
    if path.is_dir() and Run(path).exists():
        return of_run(Run(path))
    if path.is_file():
        return of_log(path)
    raise UserError(
        f"'{target}' is no run and no stats.jsonl: give a run's folder, or pictures with --against and the real ones."
    )


def of_run(run: Run) -> Diagnosed:
    """A run of zerosum's, by its checks and events, finished or not.

    Raises:
        UserError: no run, or one without checks.
    """
    content = run.read()
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
    for event in events:
        if event.get("event") in ("not finite", "rolled back"):
            back = event["event"] == "rolled back"
            images = int(_number(event.get("from", event.get("images"))))
            says = str(event.get("says", "A loss or gradient was not finite."))
            evidence = event.get("evidence")
            seen = numbers(evidence) if isinstance(evidence, dict) else {}
            verdict = Verdict(str(event.get("why", "not finite")), "act", says, seen, 1.0, images, images)
            found.append(Found(verdict, remedy(verdict.name), images if back else None))
    return Diagnosed((*found, *replayed(checks, remedy)), len(checks))


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
    """A stats.jsonl of StyleGAN's.

    Raises:
        UserError: it has no line of that kind.
    """
    lines = [line for line in _records(path) if is_stylegan(line)]
    checks = [check for line in lines if "images" in (check := check_of(line))]
    if not checks:
        raise UserError(
            f"{path} has no lines of StyleGAN's (no Progress/kimg): give its stats.jsonl, or a run's folder."
        )
    found = [
        Found(
            Verdict("not finite", "act", f"{name} is not finite.", {}, 1.0, images, images), REMEDIES["not finite"].says
        )
        for images, name in filter(None, [first_not_finite(lines)])
    ]
    return Diagnosed((*found, *replayed(checks, lambda name: REMEDIES.get(name, Remedy("")).says)), len(checks))


def of_pictures_against(target: str, against: str, data_root: str | None, say: Say, looked: Progress) -> Diagnosed:
    """Generated pictures beside real ones: what a single look can tell.

    Raises:
        UserError: there are no such pictures, or fewer than ten.
    """
    source = find(against, data_root, say)
    seen = survey(source, cache_folder(), looked)
    (width, height), channels = size_for(source, seen, None)
    shape = Shape(width, height, channels, "crop")
    real = prepare(source, seen, shape, broken="skip", cache=cache_folder(), progress=looked)
    source = find(target, data_root, say)
    made = prepare(
        source, survey(source, cache_folder(), looked), shape, broken="skip", cache=cache_folder(), progress=looked
    )
    rows = np.sort(np.concatenate([made.train, made.held_out]))
    rows = rows[np.linspace(0, len(rows) - 1, min(LOOKED_AT, len(rows))).astype(np.int64)]
    if min(len(rows), len(real.train)) < 10:
        raise UserError(f"{min(len(rows), len(real.train))} pictures are too few to say anything: give at least ten.")
    check = look(real, to_float(torch.from_numpy(made.pixels[rows])))
    past = [check] * RECENT
    found = [
        Verdict(rule.name, rule.level, rule.says, evidence, 0.5, 0, 0)
        for rule in RULES
        if rule.name in OF_PICTURES and (evidence := rule.test(check, past)) is not None
    ]
    return Diagnosed(tuple(Found(one, REMEDIES[one.name].says) for one in [*of_pictures(real), *found]), 1)


def look(real: Pictures, fake: Tensor) -> Check:
    """What of a check needs no training: pictures (N, C, H, W) in [-1, 1] beside real ones."""
    known = to_float(torch.from_numpy(real.take("train", real.some(KNOWN))[0]))
    order = np.random.default_rng(0).permutation(len(known))  # those that stand for all come first
    held = to_float(torch.from_numpy(real.take("held-out", slice(0, HELD))[0])) if len(real.held_out) >= 10 else None
    reals = signals.Reals(
        signals.view(known)[order], None if held is None else signals.view(held), min(len(fake), len(known))
    )
    views = signals.view(fake)
    power = spectrum.power(known)
    found = {
        "images": 0.0,
        "share": 1.0,
        "round": math.inf,
        "checkerboard": spectrum.checkerboard(spectrum.power(fake), power),
        "grid": spectrum.grid(fake, known),
    }
    return found | reals.of_fakes(views, "raw") | reals.of_fakes(views, "ema") | reals.of_copies(views)


def replayed(checks: Sequence[Check], remedy: Callable[[str], str]) -> tuple[Found, ...]:
    """Every verdict that the rules say of these checks, in the order of time, with its end."""
    diagnosis, found = Diagnosis(), list[Found]()
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


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
