"""From a source to pictures of one size: decoded once, in parallel, into a cache where that is worth it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
import PIL

from zerosum import __version__, files
from zerosum.data import prepared
from zerosum.data.decoded import Row, rows
from zerosum.data.firstpass import first_pass
from zerosum.data.fit import Shape
from zerosum.data.holding import MARK, alone, forget_partials, lock_of
from zerosum.data.holding import partial_of as _partial
from zerosum.data.intact import verified
from zerosum.data.memory import hashed
from zerosum.data.pictures import Pictures, Skipped
from zerosum.data.source import DIGEST, Bytes, Source
from zerosum.data.split import identity, is_test, order, split
from zerosum.data.streamed import Streamed
from zerosum.data.survey import Survey
from zerosum.data.telling import Progress, silent
from zerosum.errors import UserError

PART = 2**20  # bytes of pixels that are written together, while they lie in a processor's cache
CHUNK = 2**26  # bytes of pixels between two marks on the disk
IN_MEMORY = 2**29  # arrays whose prepared pixels are smaller are not cached
Broken = Literal["skip", "stop"]
SPARE = 0.9  # share of the free disk that a cache may take


def prepare(
    source: Source,
    seen: Survey,
    shape: Shape,
    *,
    broken: Broken = "skip",
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
    if broken == "stop":
        refuse_broken(source, seen)
    if source.ready is not None and out is None and prepared.load(source.ready)[1].size == shape.size:
        return verified(source.ready, progress)
    size = len(source) * shape.channels * shape.height * shape.width
    plain = source.files is None and size <= IN_MEMORY
    if out is None and (cache is None or plain):
        return _checked(_in_memory(source, seen, shape, progress), source, broken)
    folder = out or cache_of(source, seen, shape, cache or Path())
    key = cache_of(source, seen, shape, Path()).name
    if out is not None and prepared.key(folder) != key and _is_taken(folder):
        raise UserError(f"{out} is there already and holds something else: name another folder with --out.")
    found = _there(source, seen, folder, key, progress)
    if found is None and out is None:
        forget_partials(folder.parent, folder)
        if size > SPARE * (_free(folder) + _size(_partial(folder))):
            found = _unkept(source, seen, shape, size, cache or Path(), progress)
    if found is None:
        try:
            found = _on_disk(source, seen, shape, folder, key, progress)
        except UserError as error:
            if out is not None or not isinstance(error.__cause__, OSError):
                raise
            found = _unkept(source, seen, shape, size, cache or Path(), progress)
            found = replace(found, notes=(f"the cache cannot be written ({error}): nothing is kept", *found.notes))
    return _checked(found, source, broken)


def refuse_broken(source: Source, seen: Survey) -> None:
    """Refuse pictures whose headers show that they cannot be read.

    Raises:
        UserError: it names the first of them.
    """
    if seen.broken:
        raise _refusal([(source.called(index), why) for index, why in sorted(seen.broken.items())], len(source))


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


def _there(source: Source, seen: Survey, folder: Path, key: str, progress: Progress = silent) -> Pictures | None:
    """What was prepared before, as these pictures are called now; None where it is not there, or damaged."""
    if prepared.key(folder) != key:
        return None
    try:
        pictures = verified(folder, progress)
    except UserError:
        return None
    lost = dict(seen.broken)
    if pictures.skipped:
        whys = prepared.lost(folder)
        names = [bytes(digest).hex() for digest in seen.digests]
        lost |= {index: whys[name] for index, name in enumerate(names) if name in whys}
    skipped = tuple((source.called(index), why) for index, why in sorted(lost.items()))
    return replace(pictures, name=source.name, skipped=skipped)


def _unkept(source: Source, seen: Survey, shape: Shape, size: int, cache: Path, progress: Progress) -> Pictures:
    if size <= IN_MEMORY:
        return _in_memory(source, seen, shape, progress)
    return _streamed(source, seen, shape, cache, progress)


def _in_memory(source: Source, seen: Survey, shape: Shape, progress: Progress) -> Pictures:
    pixels = np.empty((len(source), *shape.size), dtype=np.uint8)
    digests = np.empty((len(source), DIGEST), dtype=np.uint8)
    lost: dict[int, str] = {}
    for index, row in enumerate(rows(source, seen, shape)):
        pixels[index], digests[index] = row.pixels, np.frombuffer(row.digest, dtype=np.uint8)
        if row.why:
            lost[index] = row.why
        if index % 1000 == 0:
            progress(index, len(source))
    progress(len(source), len(source))
    return _assembled(source, seen, shape, pixels, digests, lost)


def _on_disk(source: Source, seen: Survey, shape: Shape, folder: Path, key: str, progress: Progress) -> Pictures:
    partial = _partial(folder)
    with _alone(folder):
        made = _there(source, seen, folder, key)  # another process made it while this one waited
        if made is not None:
            return made
        mark = {"zerosum": "pictures being prepared", "source": _in_this_order(source, seen, key)}
        if partial.exists() and files.read_lines(partial / MARK) != [mark]:
            if not (partial / MARK).is_file():
                raise UserError(f"{partial} is in the way and not of zerosum: take it away.")
            shutil.rmtree(partial)
        if not partial.exists():
            with files.in_words(partial):
                partial.mkdir(parents=True)
            files.append_line(partial / MARK, mark)
        writer = prepared.Writer(partial, shape)
        per_part, per_chunk = (max(1, size // writer.picture) for size in (min(PART, CHUNK), CHUNK))
        pending: list[Row] = []
        progress(writer.count, len(source))
        for row in rows(source, seen, shape, writer.count):
            pending.append(row)
            if len(pending) == per_part:
                _append(writer, pending)
                if writer.count - writer.marked >= per_chunk:
                    writer.mark()
                progress(writer.count, len(source))
        _append(writer, pending)
        writer.mark()
        progress(len(source), len(source))
        whole = _assembled(source, seen, shape, np.empty((0, *shape.size), np.uint8), writer.digests(), writer.broken)
        fresh = {row: why for row, why in writer.broken.items() if row not in seen.broken}
        about = {
            "key": key,
            "zerosum": __version__,
            "notes": list(source.notes),
            "lost": {bytes(seen.digests[row]).hex(): why for row, why in fresh.items()},
        }
        prepared.finish(writer, whole, about)
        (partial / MARK).unlink()
        with files.in_words(folder):
            if folder.is_dir():  # empty, or a damaged one of ours: anything else was refused
                shutil.rmtree(folder)
            os.replace(partial, folder)
    pictures = prepared.load(folder)[0]
    return replace(pictures, notes=whole.notes)


def _alone(folder: Path) -> AbstractContextManager[None]:
    return alone(lock_of(folder))


def _is_taken(folder: Path) -> bool:
    return folder.is_file() or (folder.is_dir() and any(folder.iterdir()))


def _in_this_order(source: Source, seen: Survey, key: str) -> str:
    """What decides the rows that lie in a half-written folder: the pictures in the source's own order."""
    digest = hashlib.sha256(key.encode())
    digest.update(np.ascontiguousarray(seen.digests).data)
    digest.update(seen.channels.tobytes())
    for values in (source.labels, is_test(source)):
        digest.update(b"none" if values is None else values.tobytes())
    return digest.hexdigest()


def _append(writer: prepared.Writer, pending: list[Row]) -> None:
    if pending:
        broken = {writer.count + place: row.why for place, row in enumerate(pending) if row.why}
        digests = np.frombuffer(b"".join(row.digest for row in pending), dtype=np.uint8).reshape(-1, DIGEST)
        drafted = sum(row.drafted for row in pending)
        writer.append(np.stack([row.pixels for row in pending]), digests, broken, drafted)
        pending.clear()


def _streamed(source: Source, seen: Survey, shape: Shape, cache: Path, progress: Progress) -> Pictures:
    """Nothing is kept but the held-out pictures: the others are decoded anew in every pass."""
    key = cache_of(source, seen, shape, Path()).name
    memory = cache / "streamed" / f"{hashed(f'{_in_this_order(source, seen, key)} {PIL.__version__}')}.npz"
    passed = first_pass(source, seen, shape, memory, SPARE * _free(cache), progress)
    found = _assembled(source, seen, shape, Streamed(source, seen, shape, passed.kept), passed.digests, passed.lost)
    notes = ("the prepared pictures do not fit on the disk: they are decoded anew in every pass", *found.notes)
    return replace(found, resident=False, notes=notes)


def _assembled(
    source: Source,
    seen: Survey,
    shape: Shape,
    pixels: Bytes | Streamed,
    digests: Bytes,
    lost: dict[int, str],
) -> Pictures:
    """The pictures once all are seen; ``digests`` (N, 16) are those of the prepared pixels."""
    if len(lost) == len(source):
        raise UserError(f"No picture of {len(source)} in {source.name} can be read: {lost[0]}.")
    good = np.setdiff1d(np.arange(len(source)), np.array(sorted(lost), dtype=np.int64))
    train, held_out = split(source, seen, good)
    if not len(train):
        raise UserError(f"{source.name} has no picture to train on: all that can be read are held out.")
    copies = len(good) - len(train) - len(held_out)
    notes = (f"{copies:,} training pictures are copies of the test part's and are left out",) if copies else ()
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
        notes=notes,
    )


def _checked(pictures: Pictures, source: Source, broken: Broken) -> Pictures:
    if broken == "stop" and pictures.skipped:
        raise _refusal(pictures.skipped, len(source))
    return pictures


def _refusal(lost: Sequence[Skipped], count: int) -> UserError:
    names = "; ".join(f"{name}: {why}" for name, why in lost[:5])
    more = f"; and {len(lost) - 5} more" if len(lost) > 5 else ""
    return UserError(
        f"{len(lost)} of the {count} pictures cannot be read ({names}{more}): replace them or take them out, or "
        "use --broken skip."
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0


def _free(folder: Path) -> int:
    place = folder
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
