"""MNIST's IDX files, plain or packed."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zerosum.data.readers import packed
from zerosum.data.source import Bytes, Labels, Source, from_array
from zerosum.errors import UserError

LARGEST = 2**33  # bytes


class _Part(NamedTuple):
    pixels: Bytes
    labels: Labels | None
    notes: tuple[str, ...]


def has_idx(folder: Path) -> bool:
    """Whether a folder holds IDX files of pictures, by their names."""
    return bool(_files(folder, "images"))


def idx(path: Path) -> Source:
    """A folder with MNIST's own files (``*-images-idx3-ubyte``, plain, .gz, .xz or .bz2), or one file of pictures.

    In a folder ``t10k`` files are the test part. The labels lie beside the pictures, under the name with ``labels``.

    Raises:
        UserError: no training pictures, a damaged file, or files that do not belong together.
    """
    if not path.is_dir():
        if not _is_idx(path, "images"):
            raise UserError(f"{path} is no IDX file of pictures: expected a name such as train-images-idx3-ubyte.gz.")
        part = _read_part(path, _files(path.resolve().parent, "labels"))
        name = packed.bare(path.resolve().name)
        return _source(name, part.pixels, part.labels, None, part.notes)
    name = path.resolve().name
    train, test = _part(path, "train"), _part(path, "test")
    if train is None:
        raise UserError(f"{path} has no training pictures: expected a file such as train-images-idx3-ubyte.gz.")
    pixels, labels, notes = train
    if test is None:
        return _source(name, pixels, labels, None, notes)
    if test.pixels.shape[1:] != pixels.shape[1:]:
        raise UserError(
            f"The test pictures in {path} have shape {test.pixels.shape[1:]}, the training pictures "
            f"{pixels.shape[1:]}: they do not belong together."
        )
    return _source(
        name,
        np.concatenate([pixels, test.pixels]),
        None if labels is None or test.labels is None else np.concatenate([labels, test.labels]),
        np.arange(len(pixels), len(pixels) + len(test.pixels)),
        (*notes, *test.notes),
    )


def _source(name: str, pixels: Bytes, labels: Labels | None, test: Labels | None, notes: tuple[str, ...]) -> Source:
    return from_array(name, pixels, labels, test=test, notes=notes)


def _is_idx(file: Path, kind: str) -> bool:
    return re.search(rf"{kind}[-.]idx\d-ubyte(\.(gz|xz|bz2))?$", file.name) is not None


def _files(folder: Path, kind: str) -> list[Path]:
    try:
        return [file for file in sorted(folder.iterdir()) if _is_idx(file, kind)]
    except OSError as error:
        raise packed.damaged(folder, error) from None


def _part(path: Path, part: str) -> _Part | None:
    images = [file for file in _files(path, "images") if _part_of(file) == part]
    if not images:
        return None
    found = _read_part(images[0], [file for file in _files(path, "labels") if _part_of(file) == part])
    rest = sorted({packed.bare(file.name) for file in images} - {packed.bare(images[0].name)})
    return found._replace(notes=(f"{images[0].name} is used, not {', '.join(rest)}",)) if rest else found


def _read_part(images: Path, candidates: list[Path]) -> _Part:
    """Pictures of a file, and the labels that are called like it."""
    pixels = _read(images)
    if pixels.ndim != 3:
        raise UserError(f"{images} holds {pixels.ndim - 1}-dimensional items: expected grey pictures.")
    wanted = _set_of(images)
    labels = next((file for file in candidates if _set_of(file) == wanted), None)
    if labels is None:
        return _Part(pixels, None, ())
    values = _read(labels).astype(np.int64)
    if values.shape != (len(pixels),):
        raise UserError(f"{labels} has {len(values)} labels for {len(pixels)} pictures: the files do not match.")
    return _Part(pixels, values, ())


def _set_of(file: Path) -> str:
    """What a file of pictures and its file of labels have in common."""
    return re.split(r"(images|labels)[-.]idx\d", file.name)[0]


def _part_of(file: Path) -> str:
    return "test" if re.match(r"t10k|(emnist-.*)?test", file.name) else "train"


def _read(file: Path) -> Bytes:
    """One IDX file: two zero bytes, type 8 (uint8), rank, the sizes as big-endian int32, the bytes."""
    try:
        with packed.opened(file) as stream:
            head = packed.take(stream, 4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
                raise UserError(f"{file} is not an IDX file of bytes: its first bytes are {head.hex()}.")
            sizes = packed.take(stream, 4 * head[3])
            shape = struct.unpack(f">{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
            expected = math.prod(shape)
            if len(shape) != head[3] or min(shape) < 1 or expected > LARGEST:
                raise UserError(f"{file} is damaged: its header says shape {shape}.")
            body = packed.take(stream, expected + 1)  # one more than there should be, to notice a longer file
    except packed.DAMAGES as error:
        raise packed.damaged(file, error) from None
    if len(body) != expected:
        raise UserError(f"{file} is damaged: shape {shape} needs {expected} bytes, it holds {len(body)}.")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
