"""The run folder: what is written where. Everything that reads a run goes through here.

recipe.json                 what is trained, on what, from which seed, with which choices
stats.jsonl  metrics.jsonl  events.jsonl  signals.jsonl
samples/real.png  samples/<images>.png
snapshots/<images>.safetensors       models to use
state/<images>/state.safetensors     where to go on; the last two
before-roll-back/<which>/            what a roll-back put aside: samples, snapshots and the logs as they were
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zerosum
from zerosum import files
from zerosum.errors import UserError
from zerosum.files import Tensors

FORMAT = 1
PARTS = ("resolved", "seed", "data", "budget", "choices", "versions")
KEPT_STATES = 2
KEPT_SNAPSHOTS = 10  # between the first and the last
TRACKED = "track400"  # the protocol of the tracking metric


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path

    @property
    def recipe_file(self) -> Path:
        return self.folder / "recipe.json"

    @property
    def stats(self) -> Path:
        return self.folder / "stats.jsonl"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def signals(self) -> Path:
        return self.folder / "signals.jsonl"

    @property
    def logs(self) -> tuple[Path, ...]:
        """All of them."""
        return self.stats, self.metrics, self.events, self.signals

    def exists(self) -> bool:
        """Whether this is a run of zerosum (a folder of another program is not)."""
        return self.recipe_file.is_file()

    def read(self) -> dict[str, Any]:
        """The content of recipe.json.

        Raises:
            UserError: there is none, it is damaged, or it was written by a later format.
        """
        if not self.exists():
            raise UserError(f"{self.folder} is not a run of zerosum: it has no recipe.json.")
        try:
            content = json.loads(self.recipe_file.read_text())
            found, _ = content["format"], [content[key] for key in PARTS]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(
                f"{self.recipe_file} is not a recipe of zerosum (or is damaged): choose another folder with --out."
            ) from None
        if found != FORMAT:
            raise UserError(
                f"{self.folder} has format {found}, this is zerosum {zerosum.__version__} for format {FORMAT}: "
                "use the version that wrote it."
            )
        return content

    def write(self, content: Mapping[str, Any]) -> None:
        """Write recipe.json."""
        files.write_json(self.recipe_file, {"format": FORMAT, "zerosum": zerosum.__version__, **content})

    def event(self, name: str, images: int, **details: Any) -> None:
        """Append a line to events.jsonl."""
        files.append_line(self.events, {"images": images, "event": name, **details})

    def add_metrics(
        self,
        records: Iterable[Mapping[str, object]],
        instead_of: Callable[[dict[str, object]], bool] | None = None,
    ) -> None:
        """Append lines to metrics.jsonl, in the place of those of which ``instead_of`` says so.

        A training and any number of evaluations may do so at the same time, and no line is lost.
        """
        with self._metrics_held():
            if instead_of is not None:
                files.keep_lines(self.metrics, lambda line: not instead_of(line))
            for record in records:
                files.append_line(self.metrics, record)

    def _metrics_held(self) -> AbstractContextManager[None]:
        return files.locked(self.folder, ".lock-metrics", wait=True)

    def finished_at(self) -> int | None:
        """The images at which the run was last complete, metrics included, or None."""
        ends = [record["images"] for record in files.read_lines(self.events) if record.get("event") == "finished"]
        return max((end for end in ends if isinstance(end, int)), default=None)

    def sample_file(self, images: int) -> Path:
        """Where a sample grid goes."""
        return self.folder / "samples" / f"{images:012d}.png"

    def snapshot_file(self, images: int) -> Path:
        """Where a model goes."""
        return self.folder / "snapshots" / f"{images:012d}.safetensors"

    def snapshots(self) -> list[Path]:
        """All models, the oldest first."""
        return sorted(self.folder.glob("snapshots/*.safetensors"))

    def states(self) -> list[Path]:
        """All resume states, the oldest first."""
        return sorted(file for file in self.folder.glob("state/*/state.safetensors"))

    def save_state(
        self, images: int, tensors: Mapping[str, Any], header: Mapping[str, Any], safe: int | None = None
    ) -> Path:
        """Write a resume state and drop all but the last two, and the last one from before ``safe`` images."""
        path = files.write_tensors(self.folder / "state" / f"{images:012d}" / "state.safetensors", tensors, header)
        found = self.states()
        kept = found[-KEPT_STATES:] + [one for one in found if int(one.parent.name) < (safe or 0)][-1:]
        for old in found:
            if old not in kept:
                shutil.rmtree(old.parent, ignore_errors=True)
        return path

    def newest_state(self, states: Sequence[Path] | None = None) -> tuple[Tensors | None, list[str]]:
        """The last state that is whole, of all or of those given, and a sentence for each that was skipped."""
        skipped = []
        for path in reversed(self.states() if states is None else states):
            try:
                return files.read_tensors(path), skipped
            except UserError as error:
                skipped.append(f"skipped {error}")
        return None, skipped

    def rewind(self, images: int) -> None:
        """Forget what was logged beyond a state: lines, states and files of later images.

        The states first: whoever is killed on the way and goes on does so from where this leads, or from a state whose
        lines are all there.
        """
        for path in reversed(self.states()):
            if int(path.parent.name) > images:
                shutil.rmtree(path.parent, ignore_errors=True)
        with self._metrics_held():
            for log in self.logs:
                files.keep_lines(log, lambda line: isinstance(line.get("images"), int) and line["images"] <= images)
        for path in self._later(images):
            path.unlink(missing_ok=True)
        for path in self.folder.rglob(f"{files.TEMPORARY}*"):
            if files.abandoned(path):
                path.unlink(missing_ok=True)

    def set_aside(self, images: int, which: str) -> Path:
        """Move samples and models of later images to ``before-roll-back/<which>``, with a copy of the logs.

        Raises:
            Stopped: the disk is full.
        """
        folder = self.folder / "before-roll-back" / which
        for log in self.logs:
            if log.exists():
                files.write(folder / log.name, log.read_bytes())
        with files.in_words(folder):
            for path in self._later(images):
                place = folder / path.parent.name
                place.mkdir(parents=True, exist_ok=True)
                os.replace(path, place / path.name)
        return folder

    def _later(self, images: int) -> list[Path]:
        """Samples and models of later images."""
        found = [*self.folder.glob("samples/*.png"), *self.snapshots()]
        return [path for path in found if (own := re.match(r"\d{12}", path.name)) and int(own[0]) > images]

    def best(self) -> int | None:
        """Images of the snapshot with the best tracking metric (averaged weights), or None.

        Of equal ones the later; snapshots that are not there (of the run that this one is a fork of) do not count.
        """
        found = [
            (value, -images)
            for line in self.tracked()
            for value, images in [(line.get("value"), line.get("images"))]
            if isinstance(value, float) and isinstance(images, int) and line.get("weights") == "ema"
            if self.snapshot_file(images).is_file()
        ]
        return -min(found)[1] if found else None

    def tracked(self) -> list[dict[str, object]]:
        """The lines of the tracking metric."""
        return [line for line in files.read_lines(self.metrics) if line.get("protocol") == TRACKED]

    def thin_snapshots(self) -> None:
        """Keep the first, the last and the best model, and ten spread between them."""
        found = self.snapshots()
        best = self.best()
        inner = found[1:-1]
        if len(inner) <= KEPT_SNAPSHOTS:
            return
        images = [int(path.stem) for path in found]
        span = images[-1] - images[0]
        wanted = [images[0] + span * (index + 1) / (KEPT_SNAPSHOTS + 1) for index in range(KEPT_SNAPSHOTS)]
        kept = {min(inner, key=lambda path: abs(int(path.stem) - target)) for target in wanted}
        for path in inner:
            if path not in kept and int(path.stem) != best:
                path.unlink(missing_ok=True)


def runs_in(folder: Path) -> list[Run]:
    """All runs in a folder such as ``runs/``, the newest number first."""
    found = [path for path in folder.glob("*") if re.match(r"\d{3,}-", path.name) and Run(path).exists()]
    return [Run(path) for path in sorted(found, key=lambda path: int(path.name.split("-")[0]), reverse=True)]


def next_run(folder: Path, data: str, recipe: str) -> Run:
    """A folder with the next free number: ``runs/003-digits-modern``."""
    numbers = [int(path.name.split("-")[0]) for path in folder.glob("*") if re.match(r"\d{3,}-", path.name)]
    clean = re.sub(r"[^A-Za-z0-9_.]+", "-", data).strip("-.") or "data"
    return Run(folder / f"{max(numbers, default=0) + 1:03d}-{clean}-{recipe}")
