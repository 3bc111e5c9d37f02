"""What a tracker is told, and what a tracker is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from zerosum.data.telling import Say


class Config(NamedTuple):
    """The content of recipe.json, first of all and whenever it has changed."""

    values: dict[str, Any]


class Numbers(NamedTuple):
    """Finite values by name; ``step`` is the images seen, here and below."""

    step: int
    values: dict[str, float]


class Pictures(NamedTuple):
    """A grid of pictures: a whole PNG."""

    step: int
    name: str
    png: bytes


class Words(NamedTuple):
    """What the diagnosis said or did, in a line."""

    step: int
    text: str


class Rewound(NamedTuple):
    """The run goes on from ``step`` once more: what was sent of later steps is no longer part of it."""

    step: int


Item = Config | Numbers | Pictures | Words | Rewound


class Place(NamedTuple):
    """Where a run goes.

    Attributes:
        folder: the run's.
        name: its name for people.
        id: its identity with the tracker, the same whenever the run is followed again.
        project: the tracker's project or experiment.
        config: the content of recipe.json at the start.
        out: the folder that was asked for.
        say: is told where things are.
    """

    folder: Path
    name: str
    id: str
    project: str
    config: Mapping[str, Any]
    out: Path | None
    say: Say


class Tracker(Protocol):
    """A run with a tracker, open. What it cannot show, it leaves out."""

    def send(self, item: Item) -> None:
        """Pass one thing on, perhaps in the background."""
        ...

    def flush(self) -> None:
        """Return when what was sent is kept, where the tracker can tell."""
        ...

    def close(self) -> None:
        """Send what is under way and let go; the run may be opened again."""
        ...
