"""Runs that differ in nothing but the seed, and their values by metric."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from zerosum import files
from zerosum.errors import UserError
from zerosum.run import Run

DIGITS = 12  # of a hash that are shown


class Key(NamedTuple):
    """What two values must have in common to be comparable.

    Attributes:
        protocol: how it was measured.
        weights: "ema" or "raw".
        detector: name and hash of what looked, "" where the line does not say.
        data: name and first digits of the identity of the real pictures, "" where the line does not say.
    """

    metric: str
    protocol: str
    weights: str = ""
    detector: str = ""
    data: str = ""


class Point(NamedTuple):
    """A value of a run (NaN where it was not finite) and the images seen by then."""

    images: int
    value: float


@dataclass(frozen=True)
class Member:
    """One run of a group.

    Attributes:
        ended: the images at which its budget was used up, None if it is not.
        path: its values in order, by metric.
    """

    folder: str
    seed: int
    ended: int | None
    path: Mapping[Key, tuple[Point, ...]]


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        name: what sets it apart from the other groups.
        images: their budget; None where the budget is a time.
        seconds: that time.
    """

    name: str
    images: int | None
    seconds: float | None
    runs: tuple[Member, ...]

    @property
    def budget(self) -> str:
        """In words."""
        return f"{self.seconds:g} s" if self.seconds is not None else f"{self.images or 0:,} images"


def groups_of(folders: Sequence[str | Path]) -> tuple[list[Group], list[str]]:
    """The runs by everything but the seed, and a sentence for each that is left out.

    A folder that is named twice and a second run of a seed are left out: neither says anything about chance. Runs for a
    time belong together whatever number of images it was enough for.

    Raises:
        UserError: no folder, or one that is no run.
    """
    if not folders:
        raise UserError("compare needs runs: name at least one run's folder, such as runs/001-digits-modern.")
    notes: list[str] = []
    places: set[Path] = set()
    same: dict[str, dict[int, tuple[Run, dict[str, Any]]]] = {}
    for run in map(Run, map(Path, folders)):
        content = run.read()
        if run.folder.resolve() in places:
            notes.append(f"{run.folder} is named twice and counts once.")
            continue
        places.add(run.folder.resolve())
        own = same.setdefault(_kind(content), {})
        if content["seed"] in own:
            first = own[content["seed"]][0].folder
            notes.append(f"{run.folder} is left out: it has the same settings and the same seed as {first}.")
            continue
        own[content["seed"]] = run, content
    firsts = [next(iter(own.values())) for own in same.values()]
    names = _names(firsts)
    called: dict[str, str] = {}
    groups = []
    for name, own, (_, content) in zip(names, same.values(), firsts, strict=True):
        budget = content["budget"]
        seconds = budget.get("seconds")
        members = tuple(_member(run, seed, called) for seed, (run, _) in own.items())
        groups.append(Group(name, None if seconds else budget["images"], seconds or None, members))
    return groups, notes


def label(key: Key, among: Sequence[Key]) -> str:
    """A metric's name in the table: with detector and data where without them it would be another's too."""
    short = f"{key.metric} ({key.protocol}{', raw' if key.weights == 'raw' else ''})"
    alike = [other for other in among if other[:2] == key[:2] and (other.weights == "raw") == (key.weights == "raw")]
    more = []
    if len({other.detector for other in alike}) > 1:
        more.append(key.detector or "detector unknown")
    if len({other.data for other in alike}) > 1:
        more.append(f"against {key.data or 'data unknown'}")
    return f"{short[:-1]}, {', '.join(more)})" if more else short


def _kind(content: Mapping[str, Any]) -> str:
    """All that makes runs comparable as seeds of one thing."""
    resolved, budget = {**content["resolved"], "images": None}, content["budget"]
    seconds = budget.get("seconds")
    limit = ["seconds", seconds] if seconds else ["images", budget["images"]]
    return json.dumps([resolved, content["data"]["identity"], limit], sort_keys=True)


def _member(run: Run, seed: int, called: dict[str, str]) -> Member:
    found: dict[Key, dict[int, float]] = {}
    for line in files.read_lines(run.metrics):
        value, images = line.get("value"), line.get("images")
        if not isinstance(images, int) or not (value is None or isinstance(value, int | float)):
            continue
        key = Key(
            str(line.get("metric")),
            str(line.get("protocol")),
            str(line.get("weights", "")),
            _detector(str(line.get("detector", "")), called),
            _data(line, called),
        )
        found.setdefault(key, {})[images] = math.nan if value is None else float(value)
    ends = [
        line["images"]
        for line in files.read_lines(run.events)
        if line.get("event") == "finished" or (line.get("event") == "stopped" and line.get("why") == "the time is up")
    ]
    path = {key: tuple(Point(*point) for point in sorted(own.items())) for key, own in found.items()}
    return Member(str(run.folder), seed, max((end for end in ends if isinstance(end, int)), default=None), path)


def _detector(name: str, called: dict[str, str]) -> str:
    """Its hash is what counts: a classifier is named after the data, which may be called differently elsewhere."""
    return called.setdefault(f"detector {name.rpartition('@')[2]}", name)


def _data(line: Mapping[str, object], called: dict[str, str]) -> str:
    identity = str(line.get("identity") or "")
    name = f"{line.get('data') or 'data'}@{identity[:DIGITS]}" if identity else ""
    return called.setdefault(f"data {identity}", name)


def _names(firsts: Sequence[tuple[Run, Mapping[str, Any]]]) -> list[str]:
    """What sets groups apart: recipe and data, else also the budget, else the folder of the first run."""
    ways: list[list[str]] = [[], [], [], []]
    for run, content in firsts:
        short, budget = f"{content['recipe']} on {content['data']['name']}", content["budget"]
        limit = f"{budget['seconds']:g} s" if budget.get("seconds") else f"{budget['images'] or 0:,} images"
        names = (short, f"{short}, {limit}", f"{run.folder.name}, {short}", f"{run.folder}, {short}")
        for way, name in zip(ways, names, strict=True):
            way.append(name)
    best = ways[0]
    for way in ways[1:]:
        counts = Counter(best)
        best = [name if counts[name] == 1 else longer for name, longer in zip(best, way, strict=True)]
    return best
