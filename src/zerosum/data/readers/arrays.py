"""Arrays of pictures: numpy's .npy and .npz files, and arrays that a script hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zerosum.data.readers.npy import open_npy, open_npz, whole
from zerosum.data.readers.values import Blocks, Numbers, blocks, to_pixels
from zerosum.data.source import MOST_CLASSES, Labels, Source, from_array, printable
from zerosum.errors import UserError

PICTURES = ("x", "images", "x_train", "train_images", "X", "data", "pixels", "arr_0")
LABELS = ("y", "labels", "y_train", "train_labels", "targets", "target", "label")
PARTNERS = {"x_train": "y_train", "train_images": "train_labels", "arr_0": "arr_1"}
TESTS = {
    "x_train": (("x_test", "y_test"),),
    "train_images": (("val_images", "val_labels"), ("test_images", "test_labels")),
}


class _Part(NamedTuple):
    """Names of the pictures and of their labels."""

    pictures: str
    labels: str | None


class _Numbered(NamedTuple):
    """Labels, or None and a note on why there are none."""

    labels: Labels | None
    note: str


def arrays(path: Path) -> Source:
    """Pictures in a .npy file, or pictures, labels and a test part in an .npz file (see ``to_pixels`` for what they
    may look like).

    A .npy file of uint8 stays on the disk, memory-mapped. Nothing is unpickled.

    Raises:
        UserError: it is damaged, or holds something else than pictures and labels.
    """
    name = path.resolve().stem
    if path.suffix.lower() == ".npy":
        note = "no labels: a .npy file holds pictures only (an .npz file holds x and y)"
        found = to_pixels([open_npy(path)], f"{path}")
        return from_array(name, found.pixels, notes=(*found.notes, note))
    known = open_npz(path)
    train = _Part(*_chosen(known, path))
    tests = [
        _Part(pictures, labels if labels in known else None)
        for pictures, labels in TESTS.get(train.pictures, ())
        if pictures in known
    ]
    return _joined(name, known, [train, *tests], path)


def from_arrays(name: str, pictures: Numbers, labels: Numbers | None, where: str) -> Source:
    """A source over arrays in memory, which are understood as those of a file are.

    Args:
        where: what an error calls the pictures.

    Raises:
        UserError: they are no pictures, or the labels do not fit.
    """
    found = to_pixels([blocks(pictures)], where)
    numbered = _Numbered(None, "")
    if labels is not None:
        numbered = class_numbers(labels, len(found.pixels), f"the labels of {where}")
    notes = (*found.notes, *([numbered.note] if numbered.note else []))
    return from_array(name, found.pixels, numbered.labels, notes=notes)


def class_numbers(values: Numbers, count: int, where: str) -> _Numbered:
    """Labels of ``count`` pictures from whole numbers (N,) or (N, 1), or from one-hot rows (N, K).

    Raises:
        UserError: their number differs, they are no whole numbers, or are negative or too large.
    """
    if values.ndim not in (1, 2) or len(values) != count:
        raise UserError(f"{where} have shape {values.shape}: expected one for each of the {count} pictures.")
    if values.dtype.kind not in "buif":
        raise UserError(f"{where} are {values.dtype.name}: expected whole numbers from 0 on.")
    if values.ndim == 2 and values.shape[1] != 1:
        rows = values != 0
        if not (values[rows] == 1).all() or not (rows.sum(axis=1) == 1).all():
            return _Numbered(None, f"labels of shape {values.shape} are not one class for each picture: not used")
        if values.shape[1] > MOST_CLASSES:
            raise UserError(f"{where} have {values.shape[1]} classes: at most {MOST_CLASSES} can be.")
        return _Numbered(rows.argmax(axis=1).astype(np.int64), "")
    if values.dtype.kind == "f":
        raise UserError(f"{where} are {values.dtype.name}: expected whole numbers from 0 on.")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= MOST_CLASSES:
        raise UserError(f"{where} go from {low} to {high}: expected classes numbered from 0 on, below {MOST_CLASSES}.")
    return _Numbered(values.reshape(-1).astype(np.int64), "")


def _chosen(known: Mapping[str, Blocks], path: Path) -> tuple[str, str | None]:
    """The array of pictures, and that of labels where there is one."""
    sized = [name for name, part in known.items() if len(part.shape) in (3, 4)]
    pictures = next((name for name in PICTURES if name in sized), sized[0] if len(sized) == 1 else None)
    if pictures is None:
        held = [f"{printable(name)} {part.shape}" for name, part in list(known.items())[:8]]
        raise UserError(
            f"{path} holds {', '.join(held) or 'no arrays'}: expected pictures in an array 'x' of 3 or 4 dimensions, "
            "and their classes in 'y'."
        )
    partner = PARTNERS.get(pictures, LABELS[0])
    labels = next((name for name in (partner, *LABELS) if name in known and name != pictures), None)
    if labels == "arr_1" and len(known[labels].shape) > 2:  # a second array of whatever, not of labels
        labels = None
    return pictures, labels


def _joined(name: str, known: Mapping[str, Blocks], parts: Sequence[_Part], path: Path) -> Source:
    where = " and ".join(f"'{printable(part.pictures)}'" for part in parts)
    found = to_pixels([known[part.pictures] for part in parts], f"{where} in {path}")
    labels, notes = _labels(known, parts, path)
    first = known[parts[0].pictures].shape[0]
    used = {key for part in parts for key in part}
    rest = [printable(key) for key in known if key not in used]
    if len(parts) > 1:
        notes = (*notes, f"the data's own test part: {', '.join(part.pictures for part in parts[1:])}")
    if rest:
        notes = (*notes, f"not used: {', '.join(rest[:8])}{', ...' if len(rest) > 8 else ''}")
    return from_array(
        name,
        found.pixels,
        labels,
        test=np.arange(first, len(found.pixels)) if len(parts) > 1 else None,
        notes=(*found.notes, *notes),
    )


def _labels(known: Mapping[str, Blocks], parts: Sequence[_Part], path: Path) -> tuple[Labels | None, tuple[str, ...]]:
    """Labels of all parts one after the other, or None where a part has none."""
    numbered = []
    for part in parts:
        if part.labels is None:
            return None, (f"no labels: there are none for '{printable(part.pictures)}'",)
        values = known[part.labels]
        count, where = known[part.pictures].shape[0], f"the labels '{printable(part.labels)}' in {path}"
        if len(values.shape) not in (1, 2) or values.shape[0] != count:
            raise UserError(f"{where} have shape {values.shape}: expected one for each of the {count} pictures.")
        numbered.append(class_numbers(whole(values), count, where))
    labels = [each.labels for each in numbered if each.labels is not None]
    notes = tuple(dict.fromkeys(each.note for each in numbered if each.note))
    return np.concatenate(labels) if len(labels) == len(parts) else None, notes
