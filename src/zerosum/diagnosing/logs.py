"""A run of zerosum's, finished or not, and the logs of a StyleGAN training: the rules over checks that are there."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from zerosum.diagnose import stylegan
from zerosum.diagnose.remedies import advice, at
from zerosum.diagnose.verdicts import Verdict, numbers
from zerosum.diagnosing.found import Diagnosed, Found, replayed
from zerosum.errors import UserError
from zerosum.run import PARTS, Run
from zerosum.tail import Tail


def of_run(run: Run) -> Diagnosed:
    """A run of zerosum's, by its checks and events, finished or not.

    Raises:
        UserError: no run, or one without checks.
    """
    content = content_of(run)
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


def content_of(run: Run) -> dict[str, Any]:
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
