"""``zerosum compare``: runs side by side, over their seeds, and whether what differs is more than chance."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zerosum import files
from zerosum.errors import UserError
from zerosum.metrics.draws import different, interval
from zerosum.run import Run

SIGNIFICANT = 0.05
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by everybody
Key = tuple[str, str, str]  # metric, protocol, weights


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        name: what sets it apart from the other groups.
        runs: their folders.
        last: the newest value of each run, by metric.
        path: for each run (images, value) in order, by metric.
    """

    name: str
    runs: tuple[str, ...]
    last: Mapping[Key, tuple[float, ...]]
    path: Mapping[Key, tuple[tuple[tuple[int, float], ...], ...]]


class Row(NamedTuple):
    """One metric over the groups: (mean, low, high) of each (ends None for one run), and what may be said of them."""

    key: Key
    cells: tuple[tuple[float, float | None, float | None] | None, ...]
    verdict: str


def compare(folders: Sequence[str | Path]) -> tuple[list[Group], list[Row]]:
    """Group runs by everything but the seed, and compare the groups' newest values.

    Raises:
        UserError: a folder that is no run, or runs without metrics.
    """
    runs = [Run(Path(folder)) for folder in folders]
    contents = [run.read() for run in runs]
    same: dict[str, list[int]] = {}
    for index, content in enumerate(contents):
        key = json.dumps([content["resolved"], content["data"]["identity"], content["budget"]], sort_keys=True)
        same.setdefault(key, []).append(index)
    names = _names([contents[own[0]] for own in same.values()], [runs[own[0]].folder.name for own in same.values()])
    groups = [_group(name, [runs[index] for index in own]) for name, own in zip(names, same.values(), strict=True)]
    keys = list(dict.fromkeys(key for group in groups for key in group.last))
    if not keys:
        raise UserError("None of these runs has metrics yet: train to the end, or use zerosum evaluate RUN.")
    return groups, [_row(key, groups) for key in keys]


def table(groups: Sequence[Group], rows: Sequence[Row]) -> list[str]:
    """For people: a line a metric."""
    keys = [row.key for row in rows]
    names = [f"{metric} ({protocol}{', raw' if which == 'raw' else ''})" for metric, protocol, which in keys]
    wide = max(map(len, names))
    lines = [" " * wide + "".join(f"{group.name[:26]:>28}" for group in groups)]
    lines.append("runs".ljust(wide) + "".join(f"{len(group.runs):>28}" for group in groups))
    for name, row in zip(names, rows, strict=True):
        cells = "".join(f"{_cell(cell):>28}" for cell in row.cells)
        lines.append(f"{name:{wide}}{cells}  {row.verdict}".rstrip())
    return lines


def plot(groups: Sequence[Group], key: Key, width: int = 640, height: int = 360) -> str:
    """An SVG of one metric over images seen: a thin line a run, a thick one for the mean where runs agree on places."""
    points = [point for group in groups for run in group.path.get(key, ()) for point in run]
    if not points:
        raise UserError(f"No run has values of {key[0]} ({key[1]}).")
    right, low, high = max(x for x, _ in points), min(y for _, y in points), max(y for _, y in points)
    left, top, bottom = 60, 30, height - 40

    def place(x: float, y: float) -> str:
        across = left + (width - left - 20) * x / max(right, 1)
        return f"{across:.1f},{bottom - (bottom - top) * (y - low) / ((high - low) or 1):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="18">{html.escape(f"{key[0]} ({key[1]})")}</text>',
        f'<path d="M{left},{top}V{bottom}H{width - 20}" fill="none" stroke="#888"/>',
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{high:.3g}</text>',
        f'<text x="{width - 20}" y="{bottom + 16}" text-anchor="end">{right:,} images</text>',
    ]
    for number, group in enumerate(groups):
        colour = COLOURS[number % len(COLOURS)]
        runs = group.path.get(key, ())
        for run in runs:
            parts.append(_line([place(x, y) for x, y in run], colour, 1 if len(runs) > 1 else 2))
        places = set.intersection(*({x for x, _ in run} for run in runs)) if len(runs) > 1 else set()
        mean = [(x, sum(dict(run)[x] for run in runs) / len(runs)) for x in sorted(places)]
        if len(mean) > 1:
            parts.append(_line([place(x, y) for x, y in mean], colour, 3))
        label = html.escape(f"{group.name} ({len(group.runs)})")
        parts.append(f'<text x="{width - 24}" y="{top + 16 * number}" text-anchor="end" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(places: Sequence[str], colour: str, width: int) -> str:
    if len(places) == 1:
        x, y = places[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="{width + 1}" fill="{colour}"/>'
    return f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _group(name: str, runs: Sequence[Run]) -> Group:
    paths: dict[Key, list[tuple[tuple[int, float], ...]]] = {}
    for run in runs:
        found: dict[Key, dict[int, float]] = {}
        for line in files.read_lines(run.metrics):
            value, images = line.get("value"), line.get("images")
            if isinstance(value, int | float) and isinstance(images, int):
                key = (str(line.get("metric")), str(line.get("protocol")), str(line.get("weights", "")))
                found.setdefault(key, {})[images] = float(value)
        for key, own in found.items():
            paths.setdefault(key, []).append(tuple(sorted(own.items())))
    last = {key: tuple(run[-1][1] for run in own) for key, own in paths.items()}
    return Group(name, tuple(str(run.folder) for run in runs), last, {key: tuple(own) for key, own in paths.items()})


def _row(key: Key, groups: Sequence[Group]) -> Row:
    cells: list[tuple[float, float | None, float | None] | None] = []
    for group in groups:
        values = group.last.get(key)
        if not values:
            cells.append(None)
        elif len(values) == 1:
            cells.append((values[0], None, None))
        else:
            found = interval(values)
            cells.append((found.mean, found.low, found.high))
    return Row(key, tuple(cells), _verdict(key, groups))


def _verdict(key: Key, groups: Sequence[Group]) -> str:
    sides = [group.last[key] for group in groups if key in group.last]
    if len(sides) != 2:
        return ""
    if min(len(side) for side in sides) < 2:
        return "one run says nothing about chance: train other seeds"
    chance = different(*sides)
    if chance < SIGNIFICANT:
        return f"different (p = {chance:.2g})"
    return f"no significant difference (p = {chance:.2g})"


def _cell(cell: tuple[float, float | None, float | None] | None) -> str:
    if cell is None:
        return "-"
    mean, low, high = cell
    return f"{mean:.4g}" if low is None else f"{mean:.4g} [{low:.4g}, {high:.4g}]"


def _names(contents: Sequence[Mapping[str, object]], folders: Sequence[str]) -> list[str]:
    """What sets the groups apart: recipe and data where that is enough, else the folder of the first run."""
    short = [f"{content['recipe']} on {_data(content)}" for content in contents]
    return (
        short if len(set(short)) == len(short) else [f"{name}, {own}" for name, own in zip(folders, short, strict=True)]
    )


def _data(content: Mapping[str, object]) -> str:
    data = content["data"]
    return str(data["name"]) if isinstance(data, Mapping) else "?"
