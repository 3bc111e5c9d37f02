"""One way to all kinds of data: from what the user named to a ``Source``."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from zerosum.data import prepared
from zerosum.data.cache import cache_folder
from zerosum.data.readers.archives import archive, is_archive
from zerosum.data.readers.arrays import arrays
from zerosum.data.readers.cifar import cifar, is_cifar
from zerosum.data.readers.digits import digits
from zerosum.data.readers.download import CATALOGUE, fetch, local
from zerosum.data.readers.folder import folder
from zerosum.data.readers.idx import has_idx, idx
from zerosum.data.readers.labels import is_picture
from zerosum.data.readers.script import script
from zerosum.data.readers.shards import is_shards, shard_source
from zerosum.data.readers.stacked import DIGITS, stacked
from zerosum.data.readers.stacked import NAME as STACKED
from zerosum.data.readers.tables import hub, is_table, tables
from zerosum.data.source import Source
from zerosum.data.telling import Say, silent
from zerosum.errors import UserError, did_you_mean

NAMES = ("digits", STACKED, *CATALOGUE)
KINDS = (
    "a folder of pictures, a zip or tar of one, an .npy or .npz file, MNIST's or CIFAR's own files, Parquet, "
    "tar shards, hf:owner/name, a Python file with source(), or one of the names " + ", ".join(NAMES)
)


def find(data: str | Path, root: str | Path | None = None, say: Say = silent) -> Source:
    """Find the pictures that ``data`` names.

    Args:
        data: a path, an address, or a name of ``NAMES``.
        root: folder with local copies of named data; then ``ZEROSUM_DATA``; only then a download.
        say: is told what is downloaded, and how many shards are counted.

    Raises:
        UserError: nothing of that name, nothing in it, or a file that is damaged.
    """
    text, roots = str(data), _roots(root)
    if text == "digits":
        return digits()
    if (parts := digits_of(text, root, say)) is not None:
        return stacked(parts)
    if text in CATALOGUE and not Path(text).exists():
        return _named(text, roots, say)
    if text.startswith("hf:"):
        return hub(text.removeprefix("hf:"))
    if re.match(r"[a-z0-9]+://", text) or ("{" in text and not Path(text).exists()):
        if not is_shards(text):
            raise UserError(
                f"{text} is no address of tar shards: expected something such as s3://bucket/train-{{000..099}}.tar."
            )
        return shard_source(text, say)
    path = next((place for place in _places(text, roots) if place.exists()), None)
    if path is None:
        hint = did_you_mean(text, NAMES) if Path(text).name == text else ""
        raise UserError(f"There is no data named '{text}'{hint}: give {KINDS}.")
    return read(path, say)


def digits_of(data: str | Path, root: str | Path | None = None, say: Say = silent) -> Source | None:
    """The labelled digits that are the colours of ``data``'s pictures; None for all data but stacked-mnist."""
    if str(data) != STACKED or Path(data).exists():
        return None
    return _named(DIGITS, _roots(root), say)


def read(path: Path, say: Say = silent) -> Source:
    """The source at a path that is there; a folder that holds one archive and nothing else is that archive.

    Args:
        say: is told how far the counting of shards is.

    Raises:
        UserError: it is no data that zerosum knows, or it is damaged.
    """
    if prepared.is_prepared(path):
        return prepared.source(path)
    if is_cifar(path):
        return cifar(path)
    if path.is_dir():
        if has_idx(path):
            return idx(path)
        if is_table(path):
            return tables(path)
        if is_shards(str(path)):
            return shard_source(str(path), say)
        only = _only_archive(path)
        return folder(path) if only is None else read(only, say)
    name = path.name.lower()
    if is_archive(path):
        return archive(path)
    if path.suffix.lower() in (".npy", ".npz"):
        return arrays(path)
    if re.search(r"[-.]idx\d-ubyte", name):
        return idx(path)
    if is_table(path):
        return tables(path)
    if path.suffix == ".py":
        return script(path)
    what = "one picture: give the folder that holds the pictures" if is_picture(name) else f"no data: give {KINDS}"
    raise UserError(f"{path} is {what}.")


def _only_archive(folder: Path) -> Path | None:
    """The archive that lies alone in a folder, if it is one."""
    try:
        with os.scandir(folder) as entries:
            seen = (entry for entry in entries if not entry.name.startswith("."))
            found = [Path(entry.path) for entry in itertools.islice(seen, 2)]
    except OSError:  # the reader of folders says so
        return None
    return found[0] if len(found) == 1 and is_archive(found[0]) and found[0].is_file() else None


def _roots(root: str | Path | None) -> list[Path]:
    """Folders in which named data may lie."""
    return [Path(place) for place in (root, os.environ.get("ZEROSUM_DATA")) if place]


def _named(name: str, roots: Sequence[Path], say: Say) -> Source:
    """A data set of the catalogue: a local copy, or a download."""
    return read(local(name, roots) or fetch(name, cache_folder(), say))


def _places(text: str, roots: Sequence[Path]) -> list[Path]:
    """Where a path may lie: as it is, then below the roots."""
    path = Path(text).expanduser()
    return [path] if path.is_absolute() else [path, *(root / path for root in roots)]
