"""Which rows are trained on and which are held out, in an order that follows from content, and what they are called."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from zerosum.data.fit import Shape, hold_out, ranks
from zerosum.data.source import Bytes, Labels, Source
from zerosum.data.survey import Survey


def split(source: Source, seen: Survey, good: Labels) -> tuple[Labels, Labels]:
    """Rows that are trained on and rows that are held out."""
    test = is_test(source)
    if test is not None:
        held = good[test[good]]
        contents = ranks(seen.digests[good])
        fresh = good[~np.isin(contents, contents[test[good]])]  # a copy of a test picture is not trained on
        return order(source, seen, fresh), order(source, seen, held)
    labels = None if source.labels is None else source.labels[good]
    held = good[hold_out(ranks(seen.digests[good]), labels)]
    return order(source, seen, np.setdiff1d(good, held)), order(source, seen, held)


def order(source: Source, seen: Survey, rows: Labels) -> Labels:
    """Rows in an order that does not depend on files' names: by content; where there are no names, as they are."""
    if source.files is None or not len(rows):
        return rows
    contents = ranks(seen.digests[rows])
    labels = np.zeros(len(rows), dtype=np.int64) if source.labels is None else source.labels[rows]
    return rows[np.lexsort((labels, contents))]


def is_test(source: Source) -> npt.NDArray[np.bool_] | None:
    """Whether each picture belongs to the data's own test part, (N,); None where there is none."""
    if source.test is None:
        return None
    mask = np.zeros(len(source), dtype=np.bool_)
    mask[source.test] = True
    return mask


def identity(shape: Shape, digests: Bytes, labels: Labels | None, train: Labels, held_out: Labels) -> str:
    """SHA-256 over prepared pixels (by their digests, (N, 16)), labels and split."""
    digest = hashlib.sha256(f"zerosum pictures 2 {shape.size} {len(train)} {len(held_out)}".encode())
    for rows in (train, held_out):
        digest.update(np.ascontiguousarray(digests[rows]).data)
        digest.update(b"no labels" if labels is None else labels[rows].astype("<i8").tobytes())
    return digest.hexdigest()
