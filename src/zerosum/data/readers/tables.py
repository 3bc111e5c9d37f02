"""Tables of pictures: Parquet files, folders of them, and what Hugging Face's ``datasets`` saves to the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from zerosum.data.readers.groups import require_pyarrow
from zerosum.data.readers.hub import hub
from zerosum.data.readers.labels import is_picture, read_json
from zerosum.data.readers.parts import choose, is_numbered, parts
from zerosum.data.readers.rows import rows
from zerosum.data.source import Source
from zerosum.errors import UserError

__all__ = ["hub", "is_table", "tables"]

SUFFIXES = (".parquet", ".arrow")
FEW = 10  # pictures beside tables that only illustrate what the tables hold
FAR = 10_000  # files after which a folder is no folder of tables


def is_table(path: Path) -> bool:
    """Whether a path looks like a table by names alone: a file, or a folder of them.

    Tables beside pictures or tar shards tell about those.
    """
    if not path.is_dir():
        return path.suffix.lower() in SUFFIXES
    found, pictures = False, 0
    for seen, name in enumerate(_names(path)):
        pictures += is_picture(name)
        if pictures >= FEW or seen >= FAR or name.lower().endswith((".tar", ".tar.gz", ".tgz")):
            return False
        found = found or name.lower().endswith(SUFFIXES)
    return found


def tables(path: Path) -> Source:
    """A source over the rows of a Parquet or Arrow file, or of a folder of them.

    Files with ``train`` in their names are trained on, ``test`` and ``validation`` are the test part. Pictures come
    from the column that Hugging Face's features, its type or its name make one; classes likewise.

    Raises:
        UserError: pyarrow is missing, there is no table, no column of pictures, or a file is damaged.
    """
    require_pyarrow()
    if not path.is_dir():
        return rows(path.parent, parts([path.name], str(path)), path.stem, str(path.resolve()))
    names = sorted(name for name in _names(path) if name.lower().endswith(SUFFIXES))
    parquet = [name for name in names if name.lower().endswith(".parquet")]
    arrow = [name for name in names if name not in parquet and not Path(name).name.startswith("cache-")]
    names = parquet or arrow
    if not names:
        raise UserError(f"{path} holds no table: expected .parquet files, or what datasets.save_to_disk writes.")
    if not parquet:
        _check_saved(path, names)
    if all(is_numbered(name) for name in names):
        names = choose(names, None, str(path), "give the folder of one of them")
    return rows(path, parts(names, str(path)), path.resolve().name, str(path.resolve()))


def _names(folder: Path) -> Iterator[str]:
    """Files below a folder as posix paths; hidden folders hold what tools keep for themselves."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            yield Path(place, name).relative_to(folder).as_posix()


def _check_saved(path: Path, names: list[str]) -> None:
    """What ``save_to_disk`` wrote must be whole: its ``state.json`` lists the files of a part."""
    for folder in sorted({(path / name).parent for name in names}):
        state = folder / "state.json"
        if not state.is_file():
            continue
        listed = read_json(state.read_bytes(), str(state)).get("_data_files")
        files = (
            [entry.get("filename") for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        )
        for name in files:
            if isinstance(name, str) and not (folder / Path(name).name).is_file():
                raise UserError(f"{folder} is not whole: {Path(name).name} is missing; copy it again.")
