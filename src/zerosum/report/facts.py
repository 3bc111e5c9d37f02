"""Everything that a page says of one run, read from its folder in bounded memory.

The folder may come from anywhere and may be written at this moment: a file that is missing, damaged, of other types or
outside the folder is passed over, and only what ``recipe.json`` lacks is said in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zerosum.errors import UserError
from zerosum.report.gathered import Newest, Record, Spread, Stats
from zerosum.report.thinned import MOST_IMAGES, Series
from zerosum.run import Run
from zerosum.tail import Tail

BITE = 1 << 19  # bytes of a log that are read at a time
LIFE = ("started", "resumed", "forked", "rolled back", "amended", "stopped", "finished")


class Moment(NamedTuple):
    """A file that belongs to a number of images: a sample grid or a snapshot."""

    images: int
    path: Path


@dataclass(frozen=True)
class Facts:
    """What is known of a run.

    Attributes:
        folder: the run's.
        recipe: the content of recipe.json; None where it is damaged or of another version, and ``why`` says so.
        stats: each number of stats.jsonl over the images, thinned to some 600 points.
        broken: by name, at how many images a number was first not finite.
        latest: the newest line of stats.
        metrics, signals, events: lines of those logs, in their order.
        grids: sample grids, the oldest first; all paths lie in the folder.
        snapshots: models, the oldest first.
        real: the grid of real pictures.
        nearest: the sheet of generated pictures and their nearest real ones.
    """

    folder: Path
    recipe: Record | None
    why: str
    stats: Mapping[str, Series]
    broken: Mapping[str, int]
    latest: Record
    metrics: tuple[Record, ...]
    signals: tuple[Record, ...]
    events: tuple[Record, ...]
    grids: tuple[Moment, ...]
    snapshots: tuple[Moment, ...]
    real: Path | None
    nearest: Path | None

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @property
    def images(self) -> int:
        """How far the run is, as far as any log says."""
        found = [self.latest.get("images"), *(line.get("images") for line in self.events)]
        return max((images for images in found if isinstance(images, int) and seen(images) is not None), default=0)

    def says(self, *path: str) -> object:
        """A value of recipe.json by the names that lead to it, None where there is none."""
        return at(self.recipe, *path)


def read(run: Path) -> Facts:
    """Read a run's folder; a million lines of stats take a few seconds.

    Raises:
        UserError: it is no run: there is no such folder, or it has no recipe.json.
    """
    if not run.is_dir():
        raise UserError(f"There is no folder '{run}': give the folder of a run, such as runs/001-digits-modern.")
    if inside(run, "recipe.json") is None:
        raise UserError(f"{run} is not a run of zerosum: it has no recipe.json. Give a folder that train has written.")
    recipe: Record | None = None
    why = ""
    try:
        recipe = Run(run).read()
    except UserError as error:
        why = str(error)
    except (RecursionError, OSError) as error:
        why = f"{run / 'recipe.json'} cannot be read ({type(error).__name__})."
    stats, metrics, signals, events = Stats(), Newest(), Spread(), Newest()
    for name, gathered in (("stats", stats), ("metrics", metrics), ("signals", signals), ("events", events)):
        for records in blocks(run, f"{name}.jsonl"):
            gathered.take(records)
    return Facts(
        folder=run,
        recipe=recipe,
        why=why,
        stats=stats.series(),
        broken=stats.broken,
        latest=stats.latest,
        metrics=tuple(metrics.kept),
        signals=signals.records(),
        events=tuple(events.kept),
        grids=moments(run, "samples", ".png"),
        snapshots=moments(run, "snapshots", ".safetensors"),
        real=inside(run, "samples/real.png"),
        nearest=inside(run, "samples/nearest.png"),
    )


def at(value: object, *path: str) -> object:
    """A value inside JSON by the names and places that lead to it, None where there is none."""
    for name in path:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def number(value: object) -> float | None:
    """A finite number as it is, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, float | int) or not -1e300 < value < 1e300:
        return None
    return float(value)


def seen(value: object) -> float | None:
    """A number of images as it is, None for anything else and for more than any run has seen."""
    found = number(value)
    return found if found is not None and 0 <= found < MOST_IMAGES else None


def life(events: Sequence[Record]) -> str:
    """The last event that says whether a training goes on, "" where none does.

    It does after each of ``LIFE`` but ``stopped`` and ``finished``.
    """
    return next((str(record.get("event")) for record in reversed(events) if record.get("event") in LIFE), "")


def inside(folder: Path, name: str) -> Path | None:
    """A file of the folder; None where there is none or where a link leads out of the folder."""
    path = folder / name
    try:
        whole = path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        return None
    return path if whole else None


def blocks(run: Path, name: str) -> Iterator[list[dict[str, object]]]:
    """The whole lines of one of the run's logs, some at a time."""
    if inside(run, name) is None:
        return
    tail = Tail(run / name)
    while records := tail.new(BITE).records:
        yield records


def moments(run: Path, folder: str, ending: str) -> tuple[Moment, ...]:
    found = [
        Moment(int(path.stem), path)
        for path in (run / folder).glob(f"*{ending}")
        if re.fullmatch(r"\d{12}", path.stem, re.ASCII) and inside(run, f"{folder}/{path.name}")
    ]
    return tuple(sorted(found))
