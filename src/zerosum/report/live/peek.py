"""Short looks at a run's files that cost the same however large they are, and do not wait for anything."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from zerosum.report.facts import inside
from zerosum.report.thinned import Series, Thinned

ENDING = 1 << 15  # bytes of a log's end that are read
PLACES = 32  # in a log, of which a sparkline is drawn
PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 128 << 20  # bytes of a picture


def held(folder: Path) -> bool | None:
    """Whether a process trains in a run's folder; None where the system does not say.

    A shared lock is asked for and given back at once, so several pages may ask at the same time.
    """
    try:
        import fcntl

        handle = os.open(folder / ".lock", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(handle)
    return False


def ending(folder: Path) -> Iterator[Mapping[str, object]]:
    """The last whole lines of the stats."""
    path = inside(folder, "stats.jsonl")
    with contextlib.suppress(OSError):
        if path is not None:
            with open(path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - ENDING))
                content = file.read(ENDING)
            whole = content[: content.rfind(b"\n") + 1].splitlines()
            yield from _records(whole[1:] if size > ENDING else whole)


def sampled(path: Path, size: int, name: str) -> Series:
    """A number at places that are evenly spread over a log."""
    found = Thinned(PLACES)
    with contextlib.suppress(OSError), open(path, "rb") as file:
        for place in range(PLACES):
            file.seek(size * place // PLACES)
            if place:
                file.readline(ENDING)  # the rest of a line
            for record in _records([file.readline(ENDING)]):
                found.add(record.get("images"), record.get(name))
    return found.series()


def _records(lines: list[bytes]) -> Iterator[Mapping[str, object]]:
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record


def newest_grid(folder: Path) -> Path | None:
    """The sample grid of the most images that is not damaged."""
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(folder / "samples") if re.fullmatch(r"[0-9]{12}\.png", name)]
        for name in sorted(names, reverse=True)[:3]:
            if (path := inside(folder, f"samples/{name}")) is not None and whole(path):
                return path
    return None


def whole(path: Path) -> bool:
    """Whether a file is a PNG without damage."""
    return _whole(path, changed(path))


@functools.lru_cache(maxsize=1 << 14)
def _whole(path: Path, stamp: tuple[float, int]) -> bool:
    """By the checksums of its parts; asked once of a file as it is."""
    if stamp[1] > LARGEST:
        return False
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        place = len(PNG) if content.startswith(PNG) else len(content)
        while place < len(content):
            end = place + 8 + int.from_bytes(content[place : place + 4])
            part, check = content[place + 4 : end], content[end : end + 4]
            if zlib.crc32(part).to_bytes(4) != check:
                return False
            if part[:4] == b"IEND":
                return True
            place = end + 4
    return False


def changed(path: Path) -> tuple[float, int]:
    """When a file was last written, and its size; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0.0, 0
    return found.st_mtime, found.st_size
