"""A look at every picture before anything is trained: sizes, channels, classes, copies, bars, and what is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from zerosum.data.checking import twins
from zerosum.data.checking.findings import GROUPS, NAMES, Findings, Named, Shapes, Twins
from zerosum.data.checking.look import SIDE, Look, look
from zerosum.data.checking.sheet import sheet_of
from zerosum.data.decode import decode
from zerosum.data.parallel import spread
from zerosum.data.source import Labels, Raw, Source, Unreadable
from zerosum.data.survey import Survey
from zerosum.data.telling import Progress, silent

__all__ = ["Findings", "check", "sheet_of"]

LEAST = (64, 64)  # JPEGs are decoded this small
ROW = np.dtype([
    *((name, np.uint8) for name in ("lowest", "highest")),
    *((name, np.bool_) for name in ("clear", "grey", "constant", "boxed", "plain")),
    ("signature", np.uint64),
    ("miniature", np.uint8, (SIDE * SIDE,)),
])  # fmt: skip


def check(source: Source, seen: Survey, progress: Progress = silent) -> Findings:
    """Look at every picture once. No broken picture stops it; of every picture only a few numbers are kept.

    Args:
        progress: is told how many pictures of how many are done.
    """
    rows, broken = _looked(source, seen, progress)
    lost = sorted(broken)
    damaged = ("it was damaged after it was prepared: prepare it again",) if source.ready is not None and lost else ()
    good = np.setdiff1d(np.arange(len(source)), np.array(lost, dtype=np.int64))
    rows, channels = rows[good], seen.channels[good]
    firsts = twins.copies(seen.digests[good])
    copied = firsts != np.arange(len(good))
    torn = leaks = np.zeros(len(good), dtype=np.bool_)
    if source.labels is not None:
        torn = source.labels[good] != source.labels[good[firsts]]
    if source.test is not None:
        leaks = np.isin(good, source.test) != np.isin(good[firsts], source.test)
    return Findings(
        name=source.name,
        count=len(source),
        notes=(*source.notes, *seen.changes, *damaged),
        broken=_named(source, lost),
        reasons=tuple(broken[index] for index in lost[:NAMES]),
        sizes=_sizes(seen.sizes[good]),
        shapes=_shapes(source, good, seen.sizes[good]),
        channels={number: int((channels == number).sum()) for number in (1, 3, 4)},
        clear=_named(source, good[rows["clear"]]),
        greyish=_named(source, good[rows["grey"] & (channels > 1)]),
        classes=_classes(source, good),
        copies=_twins(source, good, firsts),
        torn=_named(source, good[torn]),
        parts=source.test is not None,
        leaks=_named(source, good[leaks]),
        alike=_twins(source, good, _alike(rows, copied)),
        boxed=_named(source, good[rows["boxed"]]),
        constant=_named(source, good[rows["constant"]]),
        lowest=int(rows["lowest"].min(initial=255)) if len(good) else 0,
        highest=int(rows["highest"].max(initial=0)),
    )


def _looked(source: Source, seen: Survey, progress: Progress) -> tuple[npt.NDArray[np.void], dict[int, str]]:
    """What every picture shows, (N,), and why the broken ones cannot be read."""
    rows, broken = np.zeros(len(source), dtype=ROW), dict(seen.broken)
    headed = [index for index in range(len(source)) if index not in broken]

    def raws() -> Iterator[Raw | str]:
        for index in headed:
            try:
                yield source.read(index)
            except Unreadable as error:
                yield str(error)

    encoded = 0 if source.files is None else len(headed)
    looks = zip(headed, spread(_look, raws(), encoded, _crashed), strict=True)
    for done, (index, found) in enumerate(looks):
        progress(done, len(headed))
        if isinstance(found, str):
            broken[index] = found
        else:
            rows[index] = (*found[:-1], np.frombuffer(found.miniature, dtype=np.uint8))
    progress(len(headed), len(headed))
    return rows, broken


def _look(raw: Raw | str) -> Look | str:
    try:
        return raw if isinstance(raw, str) else look(decode(raw, LEAST))
    except Unreadable as error:
        return str(error)


def _crashed(raw: Raw | str) -> Look | str:
    return "the decoder crashed on it"


def _alike(rows: npt.NDArray[np.void], copied: npt.NDArray[np.bool_]) -> Labels:
    """For every picture an earlier one that looks nearly the same, or itself; (N,)."""
    found = np.arange(len(rows))
    some = np.flatnonzero(~copied & ~rows["plain"])
    found[some] = some[twins.alike(rows["signature"][some], rows["miniature"][some])]
    return found


def _twins(source: Source, good: Labels, firsts: Labels) -> Twins:
    """``firsts`` are places in ``good``: for every picture the first of its group."""
    again = np.flatnonzero(firsts != np.arange(len(good)))
    groups = np.unique(firsts[again])
    names = (_named(source, good[np.flatnonzero(firsts == first)]).names for first in groups[:GROUPS])
    return Twins(len(again), len(groups), tuple(names))


def _sizes(sizes: Labels) -> tuple[tuple[int, int, int], ...]:
    """(width, height, number), the most common first."""
    distinct, counts = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(
        (int(width), int(height), int(counts[place])) for place in order for width, height in [distinct[place]]
    )


def _shapes(source: Source, good: Labels, sizes: Labels) -> Shapes | None:
    if not len(good):
        return None
    ratios = sizes[:, 0] / sizes[:, 1]
    values, counts = np.unique(ratios.round(2), return_counts=True)
    usual = float(np.median(ratios[ratios.round(2) == values[counts.argmax()]]))
    others = np.maximum(ratios / usual, usual / ratios) > 1.05
    lowest, median, highest = (float(value) for value in np.quantile(ratios, (0.05, 0.5, 0.95)))
    return Shapes(usual, median, lowest, highest, _named(source, good[others]))


def _classes(source: Source, good: Labels) -> tuple[tuple[str, int], ...]:
    if source.labels is None:
        return ()
    counts = np.bincount(source.labels[good], minlength=len(source.classes)).tolist()
    return tuple(zip(source.classes, counts, strict=True))


def _named(source: Source, indices: Sequence[int] | Labels) -> Named:
    return Named(len(indices), tuple(source.called(int(index)) for index in indices[:NAMES]))
