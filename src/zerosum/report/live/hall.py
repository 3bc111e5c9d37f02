"""The runs of a folder, found while they come and go, and the views of them that somebody asks for."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from zerosum.errors import UserError
from zerosum.report.facts import inside
from zerosum.report.live import views
from zerosum.report.live.follow import Following
from zerosum.report.live.glance import Glance, Glimpse
from zerosum.report.live.page import Known
from zerosum.report.live.peek import whole
from zerosum.report.live.views import Part, Shown, View
from zerosum.report.panel import Media
from zerosum.run import Run

PICTURE = re.compile(r"real\.png|nearest\.png|[0-9]{12}\.png")
FRESH = 0.7  # seconds for which a view is good for everybody who asks for it
MOST_RUNS = 500  # of a folder
DRAWN = 6  # views that are kept, those asked for last, besides those that are being looked at
LOOKED_AT = 10.0  # seconds for which a view counts as that; a page that is open asks every second
READING = 0.1  # seconds that reading logs may take before the page says how far it is, and others have their turn
REDRAWN = 1.5  # seconds at least between two drawings of a run's panels


@dataclass
class Drawn:
    """A run that somebody has looked at, and its panels as they were drawn last."""

    following: Following
    version: int = -1
    at: float = float("-inf")
    parts: dict[str, Part] = field(default_factory=dict)


@dataclass
class Hall:
    """All that the page knows. Its methods may be called from several threads.

    Attributes:
        folder: a run's, or one that holds runs.
    """

    folder: Path
    _known: dict[str, tuple[str, Glimpse]] = field(default_factory=dict)
    _glances: dict[str, Glance] = field(default_factory=dict)
    _scanned: float = float("-inf")
    _drawn: dict[str, Drawn] = field(default_factory=dict)
    _views: OrderedDict[str, tuple[float, View]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def single(self) -> str | None:
        """The key of the run that the folder itself is."""
        return key_of(self.folder.name) if Run(self.folder).exists() else None

    def view(self, key: str) -> View | None:
        """The page of all runs (``""``) or of one; None where there is no such run (any more)."""
        with self._lock:
            since, known = self._views.get(key, (float("-inf"), None))
            if known is not None and known.whole and time.monotonic() - since < FRESH:
                return known
            found = self._run(key) if key else self._overview()
            self._keep(key, found)
            return found

    def _keep(self, key: str, view: View | None) -> None:
        """Forget what nobody looks at; what was read for it is small, and stays."""
        now = time.monotonic()
        self._views.pop(key, None)
        if view is not None:
            self._views[key] = now, view
        while len(self._views) > DRAWN and now - next(iter(self._views.values()))[0] > LOOKED_AT:
            old, _ = self._views.popitem(last=False)
            if old in self._drawn:
                self._drawn[old] = Drawn(self._drawn[old].following)

    def known(self, key: str) -> Known:
        """A run's name, and those before and after it in the order of the overview."""
        with self._lock:
            found = self._shown()
        order = [run.key for run in found]
        place = order.index(key) if key in order else len(order)
        before = order[place - 1] if 0 < place < len(order) else None
        name = next((run.name for run in found if run.key == key), "")
        return Known(name, before, next(iter(order[place + 1 :]), None), self.single is None)

    def picture(self, key: str, name: str) -> Path | None:
        """A picture of a run's samples, None where there is none of this name inside its folder."""
        folder = self._folder(key)
        if folder is None or not PICTURE.fullmatch(name):
            return None
        return inside(folder, f"samples/{name}")

    def snapshot(self, key: str) -> Path | None:
        """The newest model of a run."""
        folder = self._folder(key)
        names = sorted((path.name for path in folder.glob("snapshots/*.safetensors")), reverse=True) if folder else []
        found = (inside(folder, f"snapshots/{name}") for name in names if folder)
        return next((path for path in found if path is not None), None)

    def _folder(self, key: str) -> Path | None:
        with self._lock:
            self._scan()
            return self._known[key][1].run.folder if key in self._known else None

    def _scan(self) -> None:
        if time.monotonic() - self._scanned < FRESH:
            return
        found = {key_of(run.folder.name): run for run in runs_of(self.folder)}
        for key in [key for key in self._known if key not in found]:
            del self._known[key]
            self._drawn.pop(key, None)
        for key, run in found.items():
            self._known.setdefault(key, (run.folder.name, Glimpse(run)))
        self._glances = {key: glimpse.look() for key, (_, glimpse) in self._known.items()}
        self._scanned = time.monotonic()

    def _shown(self) -> list[Shown]:
        """Those that run first; of the others the highest number first, or the youngest where names have none."""
        self._scan()
        found = [self._one(key) for key in self._known]
        found.sort(key=lambda run: (run.glance.state == "running", _number(run.name), run.glance.began), reverse=True)
        return found

    def _one(self, key: str) -> Shown:
        name, glance = self._known[key][0], self._glances[key]
        grid = None
        with contextlib.suppress(UserError):  # it may have gone since
            grid = None if glance.grid is None else media_of(key)(glance.grid)
        return Shown(key, name, glance, grid)

    def _overview(self) -> View:
        return views.overview(self._shown(), self.folder.name)

    def _run(self, key: str) -> View | None:
        self._scan()
        if key not in self._known:
            return None
        shown = self._one(key)
        drawn = self._drawn.setdefault(key, Drawn(Following(self._known[key][1].run.folder)))
        following = drawn.following
        following.advance(READING)
        due = time.monotonic() - drawn.at > REDRAWN or not drawn.parts
        if following.version != drawn.version and (due or (following.whole and drawn.version < 0)):
            facts = following.facts()
            drawn.parts = views.drawn(facts, media_of(key), key)
            drawn.version, drawn.at = following.version, time.monotonic()
        head = views.part(
            f"panel now {shown.glance.state}", views.now(shown, None if following.whole else following.read_share())
        )
        share = shown.glance.images / shown.glance.budget if shown.glance.budget else None
        title = f"{share:.0%} {shown.name}" if share is not None and shown.glance.state == "running" else shown.name
        done = following.whole and following.version == drawn.version
        return View(title, {"now": head, **drawn.parts}, views.heard([shown]), done)


def runs_of(folder: Path) -> list[Run]:
    """The folder itself if it is a run, else the runs right inside it. Links that lead out of it are left out."""
    if Run(folder).exists():
        return [Run(folder)]
    home = folder.resolve()
    found: list[Run] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(found) < MOST_RUNS and entry.is_dir() and Path(entry.path).resolve().is_relative_to(home):
                    found += [Run(Path(entry.path))] if inside(Path(entry.path), "recipe.json") else []
    except OSError:  # gone, or not to be read, at this moment
        return []
    return found


def key_of(name: str) -> str:
    """A run's address: a hash of its folder's name, so that no name ever is part of an address."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def media_of(key: str) -> Media:
    """Addresses of a run's pictures; they change when the picture does."""

    def media(path: Path) -> str:
        if not PICTURE.fullmatch(path.name) or path.parent.name != "samples":
            raise UserError(f"{path.name} is no picture of a run.")
        try:
            version = path.stat().st_mtime_ns
        except OSError:
            raise UserError(f"{path.name} is gone.") from None
        if not whole(path):
            raise UserError(f"{path.name} cannot be shown: it is damaged or no PNG.")
        return f"/file/{key}/samples/{path.name}?v={version:x}"

    return media


def _number(name: str) -> int:
    found = re.match(r"([0-9]{3,18})-", name)
    return int(found[1]) if found else -1
