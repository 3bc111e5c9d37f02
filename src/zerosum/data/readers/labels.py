"""Labels and test part from where the files lie: the same rules for a folder and for an archive of one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from zerosum.data.source import MOST_CLASSES, Labels, Numbered, numbered, printable
from zerosum.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")


class Found(NamedTuple):
    """What the files' places say; fields as in ``Source``."""

    labels: Labels | None
    classes: tuple[str, ...]
    test: Labels | None
    notes: tuple[str, ...]


def is_picture(name: str) -> bool:
    """Whether a file's name ends like a picture's, and is not one of the hidden twins that macOS writes."""
    path = PurePosixPath(name)
    hidden = path.name.startswith("._") or "__MACOSX" in path.parts
    return path.suffix.lower() in SUFFIXES and not hidden


def from_places(names: Sequence[str], listed: Mapping[str, object] | None = None) -> Found:
    """Labels of files named by their place (posix, relative): the first folder that differs names the class.

    A folder around everything means nothing. Folders ``train`` and ``test`` (or ``val``) beside each other are the
    data's own parts. ``listed`` is the content of a StyleGAN ``dataset.json``, which goes before folders.

    Raises:
        UserError: ``listed`` has labels in another form, or not for every picture.
    """
    if not names:
        return Found(None, (), None, ())
    parts = _inside([PurePosixPath(name).parts for name in names])
    firsts = {part[0].lower() for part in parts if len(part) > 1}
    test = None
    notes: list[str] = []
    split = all(len(part) > 1 and part[0].lower() in TRAIN + TEST for part in parts)
    if split and firsts & set(TRAIN) and firsts & set(TEST):
        test = np.flatnonzero([part[0].lower() in TEST for part in parts])
        notes.append(f"the data's own test part: {', '.join(sorted(firsts & set(TEST)))}")
        parts = _inside([part[1:] for part in parts])
    if listed is not None and "labels" in listed:  # folders of such a set only number its pictures
        pairs = listed["labels"]
        if pairs is None or _are_attributes(pairs):
            return Found(None, (), test, (*notes, "no labels: dataset.json has none, or several numbers a picture"))
        labels, classes, more = _listed(names, listed)
        return Found(labels, classes, test, (*notes, "labels from dataset.json", *more))
    classes = tuple(sorted({part[0] for part in parts})) if all(len(part) > 1 for part in parts) else ()
    if len(classes) < 2:
        outside = sum(len(part) == 1 for part in parts)
        some = f"{outside} of {len(parts)} pictures lie outside of class folders"
        none = "the pictures do not lie in class folders"
        return Found(None, (), test, (*notes, f"no labels: {some if 0 < outside < len(parts) else none}"))
    number = {name: index for index, name in enumerate(classes)}
    labels = np.array([number[part[0]] for part in parts], dtype=np.int64)
    return Found(labels, tuple(printable(name) for name in classes), test, tuple(notes))


def _inside(parts: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Places without the folders around everything."""
    around = 0
    while all(len(part) > around + 1 and part[around] == parts[0][around] for part in parts):
        around += 1
    return [part[around:] for part in parts]


def read_json(text: bytes, where: str) -> Mapping[str, object]:
    """The content of a ``dataset.json``.

    Raises:
        UserError: it is no JSON object.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is no JSON ({error}): repair it or take it away.") from None
    if not isinstance(content, dict):
        raise UserError(f"{where} holds no JSON object: expected {{'labels': [[file, number], ...]}}.")
    return content


def _are_attributes(pairs: object) -> bool:
    """Whether pictures have several numbers each, which are no class."""
    return isinstance(pairs, list) and any(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], list) for pair in pairs
    )


def _listed(names: Sequence[str], listed: Mapping[str, object]) -> Numbered:
    """StyleGAN's labels: a list of [file, number]; several numbers (attributes) are no class."""
    pairs = listed["labels"]
    wrong = "dataset.json has labels in another form than [[file, number], ...]: repair it or take it away."
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise UserError(wrong)
    known: dict[str, int] = {}
    for name, value in pairs:
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UserError(wrong)
        known[name.replace("\\", "/")] = value
    whole = [PurePosixPath(name).parts for name in names]
    around = len(whole[0]) - len(_inside(whole)[0])  # the file's names may leave out folders around everything
    ways = (["/".join(part[start:]) for part in whole] for start in range(around + 1))
    places = next((way for way in ways if known.keys() >= set(way)), None)
    if places is None:
        missing = [name for name in names if name not in known]
        raise UserError(
            f"dataset.json has no label for {len(missing)} of {len(names)} pictures, {printable(missing[0])} for one: "
            "complete it or take it away."
        )
    values = [known[place] for place in places]
    if max(values) >= MOST_CLASSES:
        raise UserError(f"dataset.json has the label {max(values)}: classes are numbered from 0 on.")
    return numbered(np.array(values, dtype=np.int64))
