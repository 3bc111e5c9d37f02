"""CIFAR-10 and CIFAR-100 as they are handed out for Python: batches of pickles, which are read as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from zerosum.data.parallel import in_threads
from zerosum.data.readers import packed, pickled, tars
from zerosum.data.source import MOST_CLASSES, Bytes, Labels, Source, Unreadable, from_array
from zerosum.errors import UserError

SIZE = 32
FOLDERS = ("cifar-10-batches-py", "cifar-100-python")


class _Kind(NamedTuple):
    train: tuple[str, ...]
    test: str
    meta: str
    labels: str
    names: str
    note: str


class _Batch(NamedTuple):
    """Pixels (N, 3, 32, 32) and labels (N,)."""

    pixels: Bytes
    labels: Labels


Read = Callable[[], bytes]
TEN = _Kind(tuple(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta", "labels", "label_names", "")
HUNDRED = _Kind(
    ("train",), "test", "meta", "fine_labels", "fine_label_names", "labels: the 100 fine classes, not the 20 coarse"
)


def is_cifar(path: Path) -> bool:
    """Whether a folder holds CIFAR's batches (or the one folder of them), or a file is called like CIFAR's archive."""
    if path.is_dir():
        return _home(path) is not None
    return path.name.startswith(("cifar-10-python", "cifar-100-python")) and _is_tar(path) and path.is_file()


def cifar(path: Path) -> Source:
    """CIFAR-10 or CIFAR-100 (fine labels): the folder of batches, each plain, .gz or .xz, or the original .tar.gz.

    The pictures are in the original order; the test batch is the test part.

    Raises:
        UserError: batches are damaged, or hold something else.
    """
    if path.is_dir():
        home = _home(path) or path
        files = {name: _reader(file) for name, file in _batches(home).items()}
        name = path.resolve().name
    else:
        files = _members(path)
        name = re.split(r"\.(tar|tgz|txz|tbz2)\b", path.resolve().name)[0]
    kind = _kind(files)
    if kind is None:
        raise UserError(
            f"{path} holds no batches of CIFAR: expected files such as data_batch_1, test_batch and batches.meta, "
            "or train, test and meta."
        )
    train = [batch for batch in kind.train if batch in files]
    wanted = [*train, kind.test] if kind.test in files else train
    found = list(in_threads(lambda batch: _batch(path, batch, files[batch], kind), wanted))
    labels = np.concatenate([batch.labels for batch in found])
    pixels = np.concatenate([batch.pixels for batch in found])
    count = sum(len(batch.labels) for batch in found[: len(train)])
    notes = [kind.note] if kind.note else []
    if len(train) < len(kind.train):
        notes.append(f"{len(train)} of {len(kind.train)} batches: {', '.join(train)}")
    if kind.test not in files:
        notes.append(f"there is no {kind.test}: a part of the training pictures is held out instead")
    return from_array(
        name,
        pixels.transpose(0, 2, 3, 1),  # a view; each picture is laid out when it is read
        labels,
        _classes(path, files, kind, int(labels.max())),
        np.arange(count, len(labels)) if kind.test in files else None,
        tuple(notes),
    )


def _is_tar(path: Path) -> bool:
    return path.name.lower().endswith(tars.SUFFIXES)


def _batches(folder: Path) -> dict[str, Path]:
    """Files of a folder that are called like batches; a plain one goes before a packed one."""
    known = {*TEN.train, TEN.test, TEN.meta, *HUNDRED.train, HUNDRED.test, HUNDRED.meta}
    try:
        files = sorted(folder.iterdir(), reverse=True)
    except OSError:
        return {}
    return {packed.bare(file.name): file for file in files if packed.bare(file.name) in known and file.is_file()}


def _kind(names: Mapping[str, object]) -> _Kind | None:
    if any(name in names for name in TEN.train):
        return TEN
    return HUNDRED if all(name in names for name in ("train", "test", "meta")) else None


def _home(path: Path) -> Path | None:
    """The folder that holds the batches: this one, or the only one in it that is called like CIFAR's."""
    if _kind(_batches(path)):
        return path
    inner = [path / name for name in FOLDERS if _kind(_batches(path / name))]
    return inner[0] if len(inner) == 1 else None


def _reader(file: Path) -> Read:
    def read() -> bytes:
        try:
            with packed.opened(file) as stream:
                return packed.take(stream, pickled.LARGEST + 1)
        except packed.DAMAGES as error:
            raise packed.damaged(file, error) from None

    return read


def _members(path: Path) -> dict[str, Read]:
    """The batches in a tar archive, in memory."""
    if not _is_tar(path):
        return {}
    known = {*TEN.train, TEN.test, TEN.meta, *HUNDRED.train, HUNDRED.test, HUNDRED.meta}
    listing = tars.open_tar(path, lambda name: PurePosixPath(name).name in known)
    places = {PurePosixPath(name).name: index for index, name in enumerate(listing.names)}
    try:  # in the archive's order, in which alone it is unpacked only once
        contents = {name: listing.read(index) for name, index in sorted(places.items(), key=lambda item: item[1])}
    except Unreadable as error:
        raise packed.damaged(path, error) from None
    return {name: partial(bytes, content) for name, content in contents.items()}


def _content(path: Path, name: str, read: Read) -> Mapping[str, object]:
    """The dict in a batch; keys that Python 2 or 3 wrote as bytes are text."""
    raw = read()
    try:
        content = pickled.read_pickle(raw)
    except UserError as error:
        raise UserError(f"{name} in {path} is no batch of CIFAR: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{name} in {path} is no batch of CIFAR: it holds {pickled.describe(content)}, not a dict.")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()}


def _batch(path: Path, name: str, read: Read, kind: _Kind) -> _Batch:
    content = _content(path, name, read)
    try:
        pixels = pickled.as_array(content.get("data"))
    except UserError as error:
        raise UserError(f"{name} in {path} has no pictures under 'data': {error}") from None
    if pixels.ndim != 2 or pixels.shape[1] != 3 * SIZE * SIZE or not len(pixels):
        raise UserError(f"{name} in {path} has 'data' of shape {pixels.shape}: expected (N, {3 * SIZE * SIZE}).")
    labels = content.get(kind.labels)
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise UserError(f"{name} in {path} has no list of {len(pixels)} '{kind.labels}'.")
    if not all(type(label) is int and 0 <= label < MOST_CLASSES for label in labels):
        raise UserError(f"{name} in {path} has '{kind.labels}' that are no numbers of classes.")
    return _Batch(pixels.reshape(-1, 3, SIZE, SIZE), np.array(labels, dtype=np.int64))


def _classes(path: Path, files: Mapping[str, Read], kind: _Kind, largest: int) -> tuple[str, ...]:
    """Names of the classes, or their numbers where the file with the names is not there."""
    if kind.meta not in files:
        return ()
    names = _content(path, kind.meta, files[kind.meta]).get(kind.names)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise UserError(f"{kind.meta} in {path} has no list of '{kind.names}'.")
    if largest >= len(names):
        raise UserError(f"{kind.meta} in {path} names {len(names)} classes, but there is a label {largest}.")
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names)
