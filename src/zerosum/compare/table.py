"""The newest values of groups of runs in a table, and what may be said of their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from zerosum.compare.groups import Group, Key, groups_of, label
from zerosum.errors import UserError
from zerosum.metrics.draws import different, interval

SIGNIFICANT = 0.05


class Cell(NamedTuple):
    """One metric of one group.

    Attributes:
        values: of each run, at the same number of images (of runs for a time: at their ends).
        broken: how many of them are not finite; then there is no mean.
        images: at which they were measured, where that is not the group's budget.
    """

    values: tuple[float, ...]
    broken: int = 0
    images: int | None = None

    @property
    def mean(self) -> float:
        return math.nan if self.broken else sum(self.values) / len(self.values)

    @property
    def ends(self) -> tuple[float, float] | None:
        """Of the 95 % interval of the mean over the runs; None for one run."""
        if self.broken or len(self.values) < 2:
            return None
        found = interval(self.values)
        return found.low, found.high


class Against(NamedTuple):
    """A group beside the first one: the chance of such a difference without any, or why it cannot be said.

    Attributes:
        chance: by Welch's test, alone.
        corrected: by Holm's rule, for all comparisons of the table.
    """

    group: str
    chance: float | None
    corrected: float | None
    why: str = ""


class Row(NamedTuple):
    """One metric: a cell for each group, None where it has no value, and each further group beside the first."""

    key: Key
    cells: tuple[Cell | None, ...]
    verdicts: tuple[Against, ...]


class Comparison(NamedTuple):
    """Groups of runs, their metrics, and what must be known to read them."""

    groups: list[Group]
    rows: list[Row]
    notes: list[str]


def compare(folders: Sequence[str | Path]) -> Comparison:
    """Group runs by everything but the seed, and compare the groups' newest values with those of the first group.

    Chances are corrected for the number of comparisons in the whole table (Holm 1979).

    Raises:
        UserError: no folder, one that is no run, or runs without metrics.
    """
    groups, notes = groups_of(folders)
    keys = list(dict.fromkeys(key for group in groups for run in group.runs for key in run.path))
    if not keys:
        raise UserError("None of these runs has metrics yet: train to the end, or use zerosum evaluate RUN.")
    behind: dict[str, str] = {}
    rows = [_row(key, groups, behind) for key in keys]
    chances = [found.chance for row in rows for found in row.verdicts if found.chance is not None]
    corrected = iter(holm(chances))
    rows = [
        row._replace(
            verdicts=tuple(
                found if found.chance is None else found._replace(corrected=next(corrected)) for found in row.verdicts
            )
        )
        for row in rows
    ]
    notes += behind.values()
    if len(chances) > 1:
        notes.append(
            f"{len(chances)} comparisons by Welch's test; the second p is corrected for their number by Holm's rule, "
            f"and below {SIGNIFICANT:g} it counts as different."
        )
    return Comparison(groups, rows, notes)


def holm(chances: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number, in the same order (Holm 1979, "A simple sequentially rejective ...").

    The smallest of n is multiplied by n, the next by n - 1 and so on; none becomes smaller than one before it, or
    larger than 1. It holds however the comparisons depend on each other.
    """
    found, least = [0.0] * len(chances), 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        least = max(least, min(1.0, (len(chances) - rank) * chances[place]))
        found[place] = least
    return found


def table(comparison: Comparison) -> list[str]:
    """For people: a line a metric, then what must be known to read it."""
    groups, rows, notes = comparison
    keys = [row.key for row in rows]
    heads = ["", "runs", "budget", *(label(key, keys) for key in keys)]
    columns = [
        [group.name, str(len(group.runs)), group.budget, *(_text(row.cells[place], group) for row in rows)]
        for place, group in enumerate(groups)
    ]
    ends = ["", "", "", *("; ".join(_verdict(found, len(groups)) for found in row.verdicts) for row in rows)]
    wide = max(map(len, heads))
    lines = [head.ljust(wide) for head in heads]
    for column in columns:
        width = max(map(len, column)) + 2
        lines = [line + text.rjust(width) for line, text in zip(lines, column, strict=True)]
    return [f"{line}  {end}".rstrip() for line, end in zip(lines, ends, strict=True)] + notes


def chosen(rows: Sequence[Row], name: str | None) -> list[Key]:
    """The metrics of this name, protocol or line of the table; without one the first.

    Raises:
        UserError: there is none.
    """
    keys = [row.key for row in rows]
    if name is None:
        return keys[:1]
    found = [key for key in keys if name in (key.metric, key.protocol, label(key, keys))]
    if not found:
        known = ", ".join(sorted({key.metric for key in keys}))
        raise UserError(f"No run has a metric '{name}': there are {known}.")
    return found


def _row(key: Key, groups: Sequence[Group], behind: dict[str, str]) -> Row:
    cells = tuple(_cell(key, group, behind) for group in groups)
    first, *others = cells
    verdicts = (
        _against(first, cell, group.name)
        for cell, group in zip(others, groups[1:], strict=True)
        if first is not None and cell is not None
    )
    return Row(key, cells, tuple(verdicts))


def _cell(key: Key, group: Group, behind: dict[str, str]) -> Cell | None:
    """Each run's newest value, at the same number of images; whoever is behind is left out and said so."""
    measured = [(run, run.path[key]) for run in group.runs if key in run.path]
    if not measured:
        return None
    furthest = max(path[-1].images for _, path in measured)
    at: int | None = None
    if group.images is None:
        kept = [path[-1] if run.ended is not None else None for run, path in measured]
        if not any(kept):  # all of them still train
            kept, at = [path[-1] for _, path in measured], furthest
    else:
        common = set.intersection(*({point.images for point in path} for _, path in measured))
        # while all of them still train, they are compared where all have been
        images = max(common) if common and furthest < group.images else furthest
        kept = [next((point for point in path if point.images == images), None) for _, path in measured]
        at = None if images == group.images else images
    for (run, path), point in zip(measured, kept, strict=True):
        if point is None:
            behind[run.folder] = (
                f"{run.folder} is left out where others of its group are further: it stands at {path[-1].images:,} "
                f"images, they at {furthest:,}."
            )
    values = tuple(point.value for point in kept if point is not None)
    return Cell(values, sum(not math.isfinite(value) for value in values), at)


def _against(first: Cell, other: Cell, name: str) -> Against:
    sides = (first.values, other.values)
    if first.broken or other.broken:
        return Against(name, None, None, "not finite: nothing to compare")
    if first.images != other.images:
        return Against(name, None, None, "measured before its end: nothing to compare yet")
    if min(map(len, sides)) < 2:
        return Against(name, None, None, "one run says nothing about chance: train other seeds")
    if all(len(set(side)) == 1 for side in sides):
        return Against(name, None, None, "equal values within each group allow no test")
    return Against(name, different(*sides), None)


def _verdict(found: Against, groups: int) -> str:
    whose = f"{found.group}: " if groups > 2 else ""
    if found.chance is None or found.corrected is None:
        return whose + found.why
    said = "different" if found.corrected < SIGNIFICANT else "no significant difference"
    corrected = "" if found.corrected == found.chance else f", {found.corrected:.2g} corrected"
    return f"{whose}{said} (p = {found.chance:.2g}{corrected})"


def _text(cell: Cell | None, group: Group) -> str:
    if cell is None:
        return "-"
    count, at = len(cell.values), "" if cell.images is None else f" at {cell.images:,} images"
    if cell.broken:
        return f"not finite{f' in {cell.broken} of {count}' if count > 1 else ''}{at}"
    ends = "" if cell.ends is None else " [{:.4g}, {:.4g}]".format(*cell.ends)
    few = "" if count == len(group.runs) else f" (n = {count})"
    return f"{cell.mean:.4g}{ends}{few}{at}"
