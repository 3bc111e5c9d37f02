"""Rows of Parquet and Arrow files as pictures: one group of rows in memory at a time, never a whole table."""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from zerosum.data.readers.columns import Columns, name_classes
from zerosum.data.readers.groups import Group, Table, open_table, require_pyarrow
from zerosum.data.readers.parts import Part
from zerosum.data.source import Source, Unreadable
from zerosum.errors import UserError

KEPT_GROUPS = 4  # threads that run ahead of each other must not load a group twice
KEPT_BYTES = 2**29


def rows(root: Path, part: Part, name: str, place: str) -> Source:
    """A source over the rows of files below ``root``; pictures are called ``<file>:<row>``.

    Raises:
        UserError: pyarrow is missing, a file is damaged, or files do not belong together.
    """
    require_pyarrow()
    opened = {file: open_table(root / file) for file in (*part.train, *part.test)}
    _check_same(opened)
    test, more = _labelled(part, opened)
    names = [*part.train, *test]
    found = [opened[file] for file in names]
    counts = [sum(table.rows) for table in found]
    if sum(counts[: len(part.train)]) == 0:
        raise UserError(f"{root} holds no rows: expected a table of pictures.")
    named = name_classes([table.classes for table in found if table.classes], found[0].columns, str(root))
    first = sum(counts[: len(part.train)])
    files: list[str] = []
    stamps: list[str] = []
    for file, count in zip(names, counts, strict=True):
        status = (root / file).stat()
        files += [f"{file}:{row}" for row in range(count)]
        stamps += [f"{status.st_size}-{status.st_mtime_ns}-{row}" for row in range(count)]
    return Source(
        name=name,
        count=sum(counts),
        read=_reader(found),
        files=files,
        stamps=stamps,
        place=place,
        labels=named.labels,
        classes=named.classes,
        test=np.arange(first, sum(counts), dtype=np.int64) if first < sum(counts) else None,
        notes=(*part.notes, *more, *named.notes),
        blocks=np.array([count for table in found for count in table.rows if count], dtype=np.int64),
    )


def _check_same(opened: dict[str, Table]) -> None:
    (name, table), *others = opened.items()
    for other, twin in others:
        if twin.columns != table.columns:
            raise UserError(
                f"{other} has other columns of pictures and classes than {name} ({_words(twin.columns)}, "
                f"not {_words(table.columns)}): give files that belong together."
            )


def _words(columns: Columns) -> str:
    classes = f" with {len(columns.classes)} names" if columns.classes else ""
    label = "no classes" if columns.label is None else f"classes in {columns.label!r}{classes}"
    return f"pictures in {columns.picture!r}, {label}"


def _labelled(part: Part, opened: dict[str, Table]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The test part without files whose classes are kept secret, where everything else has classes; and notes."""

    def missing(file: str) -> bool:
        table = opened[file]
        return table.classes is None or bool((table.classes.codes < 0).any())

    secret = tuple(file for file in part.test if missing(file))
    if not secret or any(missing(file) for file in part.train):
        return part.test, ()
    kept = tuple(file for file in part.test if file not in secret)
    return kept, (f"left out, because their rows have no class: {', '.join(secret)}",)


def _reader(tables: Sequence[Table]) -> Callable[[int], bytes]:
    groups = [(table, number) for table in tables for number in range(len(table.rows))]
    ends = list(itertools.accumulate(table.rows[number] for table, number in groups))
    kept: OrderedDict[int, Group] = OrderedDict()
    lock = threading.Lock()

    def load(group: int) -> Group:
        with lock:
            if group in kept:
                kept.move_to_end(group)
                return kept[group]
            while len(kept) >= KEPT_GROUPS or (
                len(kept) >= 2 and sum(one.pictures.nbytes for one in kept.values()) > KEPT_BYTES
            ):
                kept.popitem(last=False)
            table, number = groups[group]
            kept[group] = table.load(number)
            return kept[group]

    def read(index: int) -> bytes:
        group = bisect_right(ends, index)
        found = load(group)
        row = index - (ends[group - 1] if group else 0)
        value = found.pictures[row].as_py()
        if value is None:
            path = found.paths is not None and found.paths[row].is_valid
            raise Unreadable("the table holds only a path" if path else "the table holds no picture in this row")
        return bytes(value)

    return read
