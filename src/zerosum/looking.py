"""What ``zerosum data`` does: look at data, and prepare it."""

from __future__ import annotations

from pathlib import Path

from zerosum.advice import advice, size_for
from zerosum.data import prepared
from zerosum.data.cache import cache_folder
from zerosum.data.checking.check import Findings, check, sheet_of
from zerosum.data.find import find
from zerosum.data.fit import Fit, Shape
from zerosum.data.pictures import Pictures
from zerosum.data.prepare import Broken, cache_of, prepare
from zerosum.data.survey import remember, survey
from zerosum.data.telling import Progress, Say, silent


def check_data(
    data: str,
    *,
    data_root: str | None = None,
    sheet: bool = False,
    say: Say = silent,
    looked: Progress = silent,
    checked: Progress = silent,
) -> tuple[Findings, list[str], bytes | None]:
    """Look at every picture: what was found, what training would do, and with ``sheet`` a PNG of some of them.

    Raises:
        UserError: there is no such data.
    """
    source = find(data, data_root, say)
    seen = survey(source, cache_folder(), looked)
    advised = [reason.line() for reason in advice(source, seen)]
    return check(source, seen, checked), advised, sheet_of(source, seen) if sheet else None


def prepare_data(
    data: str,
    *,
    resolution: str | None = None,
    channels: str = "auto",
    fit: Fit = "crop",
    broken: Broken = "skip",
    out: str | None = None,
    data_root: str | None = None,
    say: Say = silent,
    looked: Progress = silent,
    progress: Progress = silent,
) -> tuple[Pictures, Path]:
    """Decode pictures to one size, into ``out`` or the cache, and return them and their folder.

    Raises:
        UserError: there is no such data, the size is impossible, or ``out`` is something else.
        Stopped: the disk is full; what was prepared so far stays, and the same command goes on.
    """
    source = find(data, data_root, say)
    seen = survey(source, cache_folder(), looked)
    for change in seen.changes:
        say(change)
    (width, height), most = size_for(source, seen, resolution)
    shape = Shape(width, height, most if channels == "auto" else int(channels), fit)
    folder = Path(out).resolve() if out else cache_of(source, seen, shape, cache_folder())
    pictures = prepare(source, seen, shape, broken=broken, out=folder, progress=progress)
    if seen.changes:
        remember(source, seen, cache_folder())
    if pictures.skipped:
        say(f"{len(pictures.skipped):,} pictures cannot be read and are left out: {folder / prepared.MANIFEST}")
    return pictures, folder
