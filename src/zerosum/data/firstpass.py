"""The one pass over a streamed set before it is trained on, remembered so that the same command goes on without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zerosum.data import memory
from zerosum.data.decoded import rows
from zerosum.data.fit import Shape
from zerosum.data.source import DIGEST, Bytes, Source
from zerosum.data.split import split
from zerosum.data.survey import Survey
from zerosum.data.telling import Progress

MOST_KEPT = 2**29  # bytes of held-out pictures that are remembered


class Passed(NamedTuple):
    """What a pass over all pictures leaves.

    Attributes:
        digests: those of the prepared pixels, (N, 16).
        lost: index -> why the picture cannot be decoded.
        kept: index -> pixels of the pictures that are held out.
    """

    digests: Bytes
    lost: dict[int, str]
    kept: dict[int, Bytes]


def first_pass(source: Source, seen: Survey, shape: Shape, path: Path, most: float, progress: Progress) -> Passed:
    """Decode every picture once, or recall what that gave before.

    Args:
        path: the file to remember in; its name stands for the pictures in this order and their shape.
        most: bytes that may be written there.
        progress: is told how many pictures of how many are done.
    """
    known = _recall(path, len(source), shape)
    if known is not None:
        return known
    digests = np.empty((len(source), DIGEST), dtype=np.uint8)
    lost: dict[int, str] = {}
    kept: dict[int, Bytes] = {}
    wanted = set(split(source, seen, seen.good)[1].tolist())
    for index, row in enumerate(rows(source, seen, shape)):
        digests[index] = np.frombuffer(row.digest, dtype=np.uint8)
        if row.why:
            lost[index] = row.why
        elif index in wanted:
            kept[index] = row.pixels
        progress(index, len(source))
    progress(len(source), len(source))
    found = Passed(digests, lost, kept)
    if digests.nbytes + sum(pixels.nbytes for pixels in kept.values()) <= min(most, MOST_KEPT):
        _remember(path, found, shape)
    return found


def _recall(path: Path, count: int, shape: Shape) -> Passed | None:
    def understand(table: dict[str, Any], arrays: memory.Arrays) -> Passed:
        places = arrays["places"].tolist()
        pixels = memory.checked(arrays["pixels"], np.uint8, (len(places), *shape.size))
        digests = memory.checked(arrays["digests"], np.uint8, (count, DIGEST))
        lost = {int(index): str(why) for index, why in table["lost"].items()}
        return Passed(digests, lost, dict(zip(places, pixels, strict=True)))

    return memory.recall(path, understand)


def _remember(path: Path, found: Passed, shape: Shape) -> None:
    places = np.array(list(found.kept), dtype=np.int64)
    pixels = np.stack(list(found.kept.values())) if found.kept else np.empty((0, *shape.size), dtype=np.uint8)
    table = {"lost": {str(index): why for index, why in found.lost.items()}}
    memory.remember(path, table, {"digests": found.digests, "places": places, "pixels": pixels})
