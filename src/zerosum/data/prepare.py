"""From a source to pictures of one size: decoded once, in parallel, into a cache where that is worth it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np

from zerosum import __version__, files
from zerosum.data import prepared
from zerosum.data.decoded import Row, rows
from zerosum.data.fit import Shape
from zerosum.data.pictures import Pictures, Skipped
from zerosum.data.source import Bytes, Source
from zerosum.data.split import identity, is_test, order, split
from zerosum.data.streamed import Streamed
from zerosum.data.survey import DIGEST, Survey
from zerosum.errors import UserError

CHUNK = 2**26  # bytes of pixels between two marks on the disk
IN_MEMORY = 2**29  # arrays whose prepared pixels are smaller are not cached
SPARE = 0.9  # share of the free disk that a cache may take
Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Show nothing."""


def prepare(
    source: Source,
    seen: Survey,
    shape: Shape,
    *,
    broken: Literal["skip", "stop"] = "skip",
    cache: Path | None = None,
    out: Path | None = None,
    progress: Progress = silent,
) -> Pictures:
    """Bring every picture to one size, and split them into what is trained on and what is held out.

    Args:
        broken: leave pictures out that cannot be read, or refuse.
        cache: folder in which encoded pictures are kept once they are decoded; None keeps nothing.
        out: write the prepared pictures to this folder instead.
        progress: is told how many pictures of how many are done.

    Raises:
        UserError: with ``stop``, the pictures that cannot be read; or none can.
        Stopped: the disk is full.
    """
    if broken == "stop" and seen.broken:
        raise _refusal(source, seen.broken)
    if source.ready is not None and out is None:
        pictures, there = prepared.load(source.ready)
        if there == shape:
            return pictures
    size = len(source) * shape.channels * shape.height * shape.width
    plain = source.files is None and size <= IN_MEMORY
    if out is None and (cache is None or plain):
        return _in_memory(source, seen, shape, broken, progress)
    folder = out or cache_of(source, seen, shape, cache or Path())
    key = cache_of(source, seen, shape, Path()).name
    if (there := prepared.key(folder)) is not None:
        if there == key:
            with contextlib.suppress(UserError):  # a damaged one is made again
                return _refuse_skipped(prepared.load(folder)[0], broken)
        elif out is not None:
            raise UserError(f"{out} holds other prepared pictures: name another folder with --out, or delete it.")
    if out is None and size > SPARE * _free(folder):
        if size <= IN_MEMORY:
            return _in_memory(source, seen, shape, broken, progress)
        return _streamed(source, seen, shape, broken, progress)
    return _on_disk(source, seen, shape, broken, folder, key, progress)


def cache_of(source: Source, seen: Survey, shape: Shape, cache: Path) -> Path:
    """The folder in the cache for these pictures: named by their content, labels and shape, not by their place."""
    key = hashlib.sha256(f"{prepared.FORMAT} {asdict(shape)} {source.classes}".encode())
    ordered = order(source, seen, seen.good)
    for array in (
        seen.digests[ordered],
        *(values[ordered] for values in (source.labels, is_test(source)) if values is not None),
    ):
        key.update(np.ascontiguousarray(array).data)
    return cache / "prepared" / f"{shape.width}x{shape.height}x{shape.channels}-{key.hexdigest()[:24]}"


def _in_memory(
    source: Source, seen: Survey, shape: Shape, broken: Literal["skip", "stop"], progress: Progress
) -> Pictures:
    pixels = np.empty((len(source), shape.channels, shape.height, shape.width), dtype=np.uint8)
    digests = np.empty((len(source), DIGEST), dtype=np.uint8)
    lost: dict[int, str] = {}
    for index, row in enumerate(rows(source, seen, shape)):
        pixels[index], digests[index] = row.pixels, np.frombuffer(row.digest, dtype=np.uint8)
        if row.why:
            lost[index] = row.why
        if index % 1000 == 0:
            progress(index, len(source))
    return _assembled(source, seen, shape, pixels, digests, lost, broken)


def _on_disk(
    source: Source,
    seen: Survey,
    shape: Shape,
    broken: Literal["skip", "stop"],
    folder: Path,
    key: str,
    progress: Progress,
) -> Pictures:
    partial = folder.with_name(folder.name + ".partial")
    lock = folder.with_name(f".{folder.name}.lock")
    with _alone(lock):
        if prepared.key(folder) == key:  # another process made it while this one waited
            with contextlib.suppress(UserError):
                return _refuse_skipped(prepared.load(folder)[0], broken)
        mark = {"source": key}
        if not partial.is_dir() or files.read_lines(partial / "source.jsonl") != [mark]:
            shutil.rmtree(partial, ignore_errors=True)
            with files.in_words(partial):
                partial.mkdir(parents=True)
            files.append_line(partial / "source.jsonl", mark)
        writer = prepared.Writer(partial, shape)
        per_chunk = max(1, CHUNK // (shape.channels * shape.height * shape.width))
        pending: list[Row] = []
        progress(writer.count, len(source))
        for row in rows(source, seen, shape, writer.count):
            pending.append(row)
            if len(pending) == per_chunk:
                _append(writer, pending)
                progress(writer.count, len(source))
        _append(writer, pending)
        progress(writer.count, len(source))
        whole = _assembled(
            source, seen, shape, np.empty((0, *shape.size), np.uint8), writer.digests(), writer.broken, broken
        )
        prepared.finish(writer, whole, {"key": key, "zerosum": __version__, "notes": list(source.notes)})
        (partial / "source.jsonl").unlink()
        with files.in_words(folder):
            if folder.is_dir():
                shutil.rmtree(folder)
            os.replace(partial, folder)
        shutil.rmtree(lock, ignore_errors=True)
    return prepared.load(folder)[0]


def _append(writer: prepared.Writer, pending: list[Row]) -> None:
    if pending:
        broken = {writer.count + place: row.why for place, row in enumerate(pending) if row.why}
        digests = np.frombuffer(b"".join(row.digest for row in pending), dtype=np.uint8).reshape(-1, DIGEST)
        drafted = sum(row.drafted for row in pending)
        writer.append(np.stack([row.pixels for row in pending]), digests, broken, drafted)
        pending.clear()


def _streamed(
    source: Source, seen: Survey, shape: Shape, broken: Literal["skip", "stop"], progress: Progress
) -> Pictures:
    """Nothing is kept but the held-out pictures: the others are decoded anew in every pass."""
    digests = np.empty((len(source), DIGEST), dtype=np.uint8)
    lost: dict[int, str] = {}
    _, held_out = split(source, seen, seen.good)
    wanted = set(held_out.tolist())
    kept: dict[int, Bytes] = {}
    for index, row in enumerate(rows(source, seen, shape)):
        digests[index] = np.frombuffer(row.digest, dtype=np.uint8)
        if row.why:
            lost[index] = row.why
        elif index in wanted:
            kept[index] = row.pixels
        if index % 1000 == 0:
            progress(index, len(source))
    pixels = Streamed(source, seen, shape, kept)
    notes = ("the prepared pictures do not fit on the disk: they are decoded anew in every pass",)
    return replace(_assembled(source, seen, shape, pixels, digests, lost, broken), resident=False, notes=notes)


def _assembled(
    source: Source,
    seen: Survey,
    shape: Shape,
    pixels: Bytes | Streamed,
    digests: Bytes,
    lost: dict[int, str],
    broken: Literal["skip", "stop"],
) -> Pictures:
    """The pictures once all are seen; ``digests`` (N, 16) are those of the prepared pixels."""
    if lost and broken == "stop":
        raise _refusal(source, lost)
    if len(lost) == len(source):
        raise UserError(f"No picture of {len(source)} in {source.name} can be read: {lost[0]}.")
    good = np.setdiff1d(np.arange(len(source)), np.array(sorted(lost), dtype=np.int64))
    train, held_out = split(source, seen, good)
    sizes = np.unique(seen.sizes[good], axis=0)
    return Pictures(
        name=source.name,
        pixels=pixels,
        labels=source.labels,
        classes=source.classes,
        train=train,
        held_out=held_out,
        source_size=(int(sizes[0, 0]), int(sizes[0, 1])) if len(sizes) == 1 else (shape.width, shape.height),
        identity=identity(shape, digests, source.labels, train, held_out),
        skipped=tuple((source.called(index), why) for index, why in sorted(lost.items())),
    )


def _refusal(source: Source, lost: dict[int, str]) -> UserError:
    names = "; ".join(f"{source.called(index)}: {lost[index]}" for index in sorted(lost)[:5])
    more = f"; and {len(lost) - 5} more" if len(lost) > 5 else ""
    return UserError(
        f"{len(lost)} of the {len(source)} pictures cannot be read ({names}{more}): replace them or take them out, or "
        "use --broken skip."
    )


def _refuse_skipped(pictures: Pictures, broken: Literal["skip", "stop"]) -> Pictures:
    if broken == "stop" and pictures.skipped:
        lost: list[Skipped] = list(pictures.skipped)
        names = "; ".join(f"{name}: {why}" for name, why in lost[:5])
        raise UserError(f"{len(lost)} pictures cannot be read ({names}): replace them, or use --broken skip.")
    return pictures


def _free(folder: Path) -> int:
    place = folder
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the preparation of these pictures; wait for another process that is at it."""
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(files.locked(folder))
            except files.InUse:
                time.sleep(0.5)
                continue
            yield
            return
