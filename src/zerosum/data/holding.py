"""One process at a time at a place of the cache, and what processes that never came back left half made there."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from zerosum import files
from zerosum.data.cache import cache_folder
from zerosum.data.memory import hashed
from zerosum.errors import Stopped, UserError

MARK = "source.jsonl"  # the file that makes a half-made folder one of ours
MONTH = 30 * 86_400.0  # seconds


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold a folder, and wait for another process that holds it. The lock dies with its holder."""
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(files.locked(place))
            except files.InUse:
                time.sleep(0.5)
                continue
            except (UserError, Stopped, OSError):  # where nothing can be locked, each process takes its chance
                pass
            break
        yield


def lock_of(folder: Path) -> Path:
    """The place to hold while a folder is made, which is not there before it is whole."""
    return cache_folder() / "locks" / hashed(str(folder.resolve()))


def partial_of(folder: Path) -> Path:
    """Where a folder lies while it is made."""
    return folder.with_name(folder.name + ".partial")


def forget_partials(parent: Path, but: Path) -> None:
    """Remove folders of ours that were begun and not touched for a month, unless a process holds them."""
    for partial in parent.glob("*.partial"):
        if partial == partial_of(but) or not (partial / MARK).is_file():
            continue
        with contextlib.suppress(UserError, Stopped, OSError):  # held by another process, or gone meanwhile
            newest = max(path.stat().st_mtime for path in (partial, *partial.iterdir()))
            if newest < time.time() - MONTH:
                with files.locked(lock_of(partial.with_suffix(""))):
                    shutil.rmtree(partial)
