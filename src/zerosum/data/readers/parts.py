"""Which files of a table are trained on, which are its test part, and which of several tables is meant: by names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from zerosum.data.readers.labels import TEST, TRAIN
from zerosum.errors import UserError, did_you_mean

WORD = re.compile(rf"(?<![a-z])({'|'.join((*TRAIN, *TEST, 'dev', 'eval'))})(?![a-z])")
NUMBERED = re.compile(r"(.*?)[-_.]*(\d+)[-_]of[-_](\d+)")  # train-00000-of-00002, also with a checksum after it
PLAIN = ("", "data", "part", "chunk", "shard")
PREFERRED = ("", "default", "plain_text")  # the last is what the Hub's oldest tables are called


class Part(NamedTuple):
    """Files of a table, as posix paths: what is trained on, the table's own test part, and what a user should know."""

    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def parts(names: Sequence[str], where: str) -> Part:
    """Split files by the words ``train``, ``test``, ``validation`` in their names, else in their folders' names.

    Files that name no part at all are trained on, and so is the only part, whatever its name.

    Raises:
        UserError: there are several parts and none of them is called ``train``.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(_part_of(name), []).append(name)
    notes = []
    if any("partial-" in name for name in names):
        notes.append("only the first part of this data set was converted to Parquet")
    test = groups.pop("test", [])
    train = groups.pop("train", None)
    if train is None and len(groups) > 1:
        raise UserError(
            f"{where} has the parts {', '.join(sorted(groups))}: name one of them 'train', or give its files alone."
        )
    if train is None:
        train, test = (groups.popitem()[1], test) if groups else (test, [])
    if groups:
        notes.append(f"left out: {', '.join(sorted(group or files[0] for group, files in groups.items()))}")
    if test:
        words = sorted({word for name in test for word in _words(name)})
        notes.append(f"the data's own test part: {', '.join(words)}")
    return Part(tuple(train), tuple(test), tuple(notes))


def configurations(names: Sequence[str]) -> dict[str, list[str]]:
    """Files by the table that they belong to: their folders, without ``data`` in front and without parts' names."""
    found: dict[str, list[str]] = {}
    for name in names:
        folders = PurePosixPath(name).parts[:-1]
        around = tuple(folder for folder in folders[folders[:1] == ("data",) :] if not WORD.search(folder.lower()))
        found.setdefault("/".join(around), []).append(name)
    return found


def choose(names: Sequence[str], wanted: str | None, where: str, how: str) -> list[str]:
    """The files of one table: the wanted one, the default one, or the only one.

    Raises:
        UserError: there are several and none is wanted, or the wanted one is not there; ``how`` says how to name one.
    """
    found = configurations(names)
    if wanted is not None:
        if wanted not in found:
            raise UserError(f"{where} has no table '{wanted}'{did_you_mean(wanted, [name for name in found if name])}.")
        return found[wanted]
    for name in PREFERRED:
        if name in found:
            return found[name]
    if len(found) == 1:
        return next(iter(found.values()))
    raise UserError(f"{where} has several tables ({', '.join(sorted(found))}): {how}.")


def is_numbered(name: str) -> bool:
    """Whether a file says which one of how many it is."""
    return NUMBERED.match(PurePosixPath(name).stem) is not None


def is_whole(names: Sequence[str]) -> bool:
    """Whether all files say which one of how many they are, and none of them is missing."""
    series: dict[tuple[str, ...], set[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        numbered = NUMBERED.match(path.stem)
        if numbered is None:
            return False
        series.setdefault((str(path.parent), numbered[1], numbered[3]), set()).add(numbered[2])
    return all(len(numbers) == int(of) for (*_, of), numbers in series.items())


def _words(name: str) -> list[str]:
    path = PurePosixPath(name)
    inside_out = (path.stem, *reversed(path.parts[:-1]))
    return [match[1] for part in inside_out for match in WORD.finditer(part.lower())][:1]


def _part_of(name: str) -> str:
    """``train``, ``test``, another name that the file gives, or nothing."""
    words = _words(name)
    if words:
        return "train" if words[0] in TRAIN else "test"
    path = PurePosixPath(name)
    numbered = NUMBERED.match(path.stem)
    own = numbered[1].strip("-_.") if numbered else ""
    if own not in PLAIN:
        return own
    return path.parts[-2] if len(path.parts) > 1 and (numbered or path.stem.isdecimal()) else ""
