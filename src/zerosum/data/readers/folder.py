"""A folder of picture files, at any depth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zerosum.data.readers.labels import from_places, is_picture, read_json
from zerosum.data.source import Source, Unreadable, printable
from zerosum.errors import UserError

LARGEST_FILE = 2**30


class File(NamedTuple):
    """A file by its place under the folder (posix), and its stamp."""

    name: str
    stamp: str


def folder(path: Path) -> Source:
    """The pictures in a folder; if every one lies in a first-level folder, that is its label.

    Raises:
        UserError: there are none, or the folder may not be read.
    """
    others: set[str] = set()
    found = []
    lost: list[str] = []
    for file in walk(path, lost):
        if is_picture(file.name):
            found.append(file)
        elif len(others) < 1000:
            others.add(Path(file.name).suffix.lower() or Path(file.name).name)
    if not found:
        kinds = f"it holds only {', '.join(sorted(others)[:6])}" if others else "it is empty"
        raise UserError(f"{path} has no pictures ({kinds}): expected .png, .jpg or other picture files.")
    found.sort()
    names = [file.name for file in found]
    listed = path / "dataset.json"
    meaning = from_places(names, read_json(listed.read_bytes(), str(listed)) if listed.is_file() else None)
    root = str(path)

    def read(index: int) -> bytes:
        try:
            with open(os.path.join(root, names[index]), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                raw = file.read(min(size, LARGEST_FILE) + 1)  # asking for more than there is takes memory and time
        except OSError as error:
            raise Unreadable(error.strerror or type(error).__name__) from None
        if len(raw) > LARGEST_FILE:
            raise Unreadable("it is larger than 1 GiB")
        return raw

    return Source(
        name=path.resolve().name,
        count=len(names),
        read=read,
        files=names,
        stamps=[file.stamp for file in found],
        place=str(path.resolve()),
        labels=meaning.labels,
        classes=meaning.classes,
        test=meaning.test,
        notes=(*meaning.notes, f"{len(lost)} places may not be read ({printable(lost[0])})") if lost else meaning.notes,
    )


def walk(path: Path, lost: list[str]) -> Iterator[File]:
    """All files below ``path``. Links to folders are followed, each folder once, so that a loop ends.

    What inside it may not be read is added to ``lost``.

    Raises:
        UserError: ``path`` itself may not be read.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        place = waiting.pop()
        try:
            here = os.stat(os.path.join(path, place))
            if (here.st_dev, here.st_ino) in seen:
                continue
            seen.add((here.st_dev, here.st_ino))
            with os.scandir(os.path.join(path, place)) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            if not place:
                raise UserError(f"{path} cannot be read: {error.strerror}.") from None
            lost.append(place)
            continue
        for entry in entries:
            name = f"{place}/{entry.name}" if place else entry.name
            try:
                if entry.is_dir():
                    waiting.append(name)
                elif entry.is_file():
                    about = entry.stat()
                    yield File(name, f"{about.st_size} {about.st_mtime_ns}")
            except OSError:
                lost.append(name)
