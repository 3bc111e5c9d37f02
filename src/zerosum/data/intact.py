"""Whether prepared pixels are still those that were written: untouched files are believed, others are hashed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np

from zerosum import files
from zerosum.data import prepared
from zerosum.data.cache import cache_folder
from zerosum.data.memory import hashed
from zerosum.data.parallel import in_threads
from zerosum.data.pictures import Pictures
from zerosum.data.source import pixel_digest
from zerosum.data.telling import Progress, silent
from zerosum.errors import Stopped, UserError

BLOCK = 2**20  # bytes of pixels that are hashed at a time


def verified(folder: Path, progress: Progress = silent) -> Pictures:
    """The pictures of a prepared folder, once they are known to be those that were prepared.

    Files whose size and time are those of the manifest, or of the last time that they were hashed, are believed (a
    disk that forgets by itself is found by ``zerosum data check``). Folders of earlier versions have no hashes.

    Args:
        progress: is told how many pictures of how many are hashed.

    Raises:
        UserError: the folder is damaged.
    """
    found = prepared.table(folder)
    pictures, digests = found.pictures, found.digests
    if digests is None:
        return pictures
    now = {"identity": pictures.identity, "files": prepared.stamps(folder)}
    if now["files"] == found.stamps or now == _remembered(folder):
        return pictures
    kept = np.sort(np.concatenate([pictures.train, pictures.held_out]))
    block = max(1, BLOCK // int(np.prod(pictures.pixels.shape[1:])))

    def wrong(first: int) -> list[int]:
        rows = kept[first : first + block]
        pairs = zip(pictures.pixels[rows], digests[rows], strict=True)
        return [int(row) for row, (own, name) in zip(rows, pairs, strict=True) if pixel_digest(own) != bytes(name)]

    lost: list[int] = []
    firsts = range(0, len(kept), block)
    for first, found_wrong in zip(firsts, in_threads(wrong, firsts), strict=True):
        progress(first, len(kept))
        lost += found_wrong
    progress(len(kept), len(kept))
    if lost:
        raise UserError(
            f"{folder} is damaged: {len(lost):,} of its {len(kept):,} pictures are not those that were prepared "
            f"(row {lost[0]} for one); prepare it again."
        )
    with contextlib.suppress(OSError, UserError, Stopped):  # a cache that cannot be written costs time alone
        files.write_json(_memory_file(folder), now)
    return pictures


def _memory_file(folder: Path) -> Path:
    return cache_folder() / "surveys" / f"{hashed(str(folder.resolve()))}.json"


def _remembered(folder: Path) -> object:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(_memory_file(folder).read_bytes())
    return None
