"""Runs as one HTML file that can be read anywhere and mailed: no network, and no script is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zerosum import __version__, files
from zerosum.errors import UserError
from zerosum.report.facts import Facts, read

__all__ = ["Facts", "read", "write"]

BYTES = 4_200_000  # of pictures, before they become text
FRAMES, LEAST = 24, 4  # grids through time, of one run and of each of many


def write(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page about the runs and return where: ``out``, or report.html in the first run's folder.

    Raises:
        UserError: no run, a folder that is none, or a place that may not be written to.
        Stopped: the disk is full.
    """
    from zerosum.report import comparison, setup, walk
    from zerosum.report.embedding import Embedded
    from zerosum.report.page import page
    from zerosum.report.panel import panels

    if not runs:
        raise UserError("report needs runs: name at least one run's folder, such as runs/001-digits-modern.")
    found = [read(run) for run in runs]
    frames = max(LEAST, FRAMES // len(found))
    most = BYTES // ((frames + 4) * len(found))
    media = Embedded(most)
    groups = []
    for place, (letter, facts) in enumerate(zip(comparison.names(found), found, strict=True)):
        own = panels(facts, media, walk=walk.html(facts, most), recipe=setup.html(facts), frames=frames, place=place)
        groups.append((f"{letter}: {facts.name}" if len(found) > 1 else "", own))
    if len(found) > 1:
        groups.insert(0, ("", comparison.panels(found, media)))
    title = f"{found[0].name}" if len(found) == 1 else f"{len(found)} runs beside each other"
    foot = f"Written by zerosum {__version__}. This file loads nothing from anywhere."
    content = page(title, " · ".join(facts.name for facts in found) if len(found) > 1 else "", groups, foot)
    return files.write(out or runs[0] / "report.html", content.encode())
