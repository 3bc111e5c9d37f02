"""numpy's own files, .npy and .npz, with every size checked before memory is taken; nothing is unpickled."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zerosum.data.readers.packed import Readable, damaged, take
from zerosum.data.readers.values import OBJECTS, Blocks, Numbers, blocks, rows_of
from zerosum.data.source import printable
from zerosum.errors import UserError

LONGEST_HEADER = 2**16  # bytes
RATIO = 1100  # deflate packs to no less than a 1032nd
MOST = 10_000  # arrays
LOCKED = 0x1


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]
    length: int  # bytes before the numbers


def open_npy(path: Path) -> Blocks:
    """A .npy file, memory-mapped.

    Raises:
        UserError: it is damaged, or holds Python objects.
    """
    try:
        with open(path, "rb") as file:
            header = _header(take(file, LONGEST_HEADER), f"{path}", path.stat().st_size)
        if header.dtype.hasobject:
            raise UserError(f"{path} {OBJECTS}")
        if 0 in header.shape:  # there is nothing to map
            return blocks(np.empty(header.shape, header.dtype))
        order = "F" if header.fortran else "C"
        return blocks(np.asarray(np.memmap(path, header.dtype, "r", header.length, header.shape, order)))
    except UserError:
        raise
    except Exception as error:  # whatever numpy raises about a damaged file is the file's fault
        raise damaged(path, error) from None


def open_npz(path: Path) -> Mapping[str, Blocks]:
    """The arrays of an .npz file by name, each read from the file when it is gone through.

    Going through one raises ``UserError`` where it is damaged, locked, or holds Python objects.

    Raises:
        UserError: the file is damaged, or an array in it is.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename: info for info in archive.infolist() if info.filename.endswith(".npy")}
            if len(infos) > MOST:
                raise UserError(f"{path} holds {len(infos)} arrays: expected one with all the pictures.")
            for info in infos.values():
                _check(info, path)
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as stream:
                    header = _header(stream.read(LONGEST_HEADER), f"'{printable(name)}' in {path}", info.file_size)
                arrays[name] = _member(path, info.filename, header)
    except UserError:
        raise
    except Exception as error:  # whatever zipfile raises about a damaged file is the file's fault
        raise damaged(path, error) from None
    return arrays


def whole(part: Blocks) -> Numbers:
    """All of an array, in memory."""
    return part.whole if part.whole is not None else np.concatenate(list(part.pieces()))


def _check(info: zipfile.ZipInfo, path: Path) -> None:
    """Refuse a member whose size cannot be true, so that memory is only taken for what is there."""
    name = f"'{printable(info.filename)}' in {path}"
    if info.flag_bits & LOCKED:
        raise UserError(f"{name} is locked with a password: save the arrays again without one.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"{name} is packed in another way than numpy does: save it with numpy.savez_compressed.")
    ratio = 1 if info.compress_type == zipfile.ZIP_STORED else RATIO
    if info.compress_size > path.stat().st_size or info.file_size > info.compress_size * ratio:
        raise UserError(f"{name} is damaged: it cannot unpack to {info.file_size} bytes.")


def _header(start: bytes, where: str, size: int) -> _Header:
    """The header from the first bytes of a file of ``size`` bytes; without objects, the sizes fit together."""
    stream = io.BytesIO(start)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            elif version == (2, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
            else:
                raise ValueError(f"format {version}")
    except Exception as error:  # the header is Python's syntax, in which there are many ways to be wrong
        text = printable(" ".join(str(error)[:200].split()))
        raise UserError(f"{where} is no array of numpy, or damaged ({text}).") from None
    length = stream.tell()
    sizes = tuple(int(extent) for extent in shape)
    if min(sizes, default=0) < 0:
        raise UserError(f"{where} is damaged: its header says shape {sizes}.")
    needed = math.prod(sizes) * dtype.itemsize
    if needed != size - length and not dtype.hasobject:
        raise UserError(f"{where} is damaged: shape {sizes} needs {needed} bytes, it holds {size - length}.")
    return _Header(sizes, fortran, dtype, length)


def _member(path: Path, name: str, header: _Header) -> Blocks:
    def pieces() -> Iterator[Numbers]:
        if header.dtype.hasobject:
            raise UserError(f"'{printable(name)}' in {path} {OBJECTS}")
        try:
            with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
                stream.read(header.length)
                yield from _content(stream, header)
        except UserError:
            raise
        except Exception as error:  # as above
            raise damaged(path, error) from None

    return Blocks(header.shape, header.dtype, pieces)


def _content(stream: Readable, header: _Header) -> Iterator[Numbers]:
    """Pieces along the first axis; columns first (Fortran's order) must be read as a whole."""
    shape, dtype = header.shape, header.dtype
    if not shape or 0 in shape:
        yield np.frombuffer(take(stream, dtype.itemsize * math.prod(shape)), dtype).reshape(shape)
        return
    rows = shape[0] if header.fortran else rows_of(shape, dtype)
    for start in range(0, shape[0], rows):
        count = min(rows, shape[0] - start)
        needed = count * math.prod(shape[1:]) * dtype.itemsize
        raw = take(stream, needed)
        if len(raw) < needed:
            raise EOFError("it is cut short")
        part = np.frombuffer(raw, dtype)
        if header.fortran:
            yield from blocks(part.reshape(shape[::-1]).transpose()).pieces()
        else:
            yield part.reshape(count, *shape[1:])
