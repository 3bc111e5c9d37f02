"""From arrays of any numbers and layout to pixels: uint8, channels last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zerosum.data.source import Bytes
from zerosum.errors import UserError

CHANNELS = (1, 3, 4)
PIECE = 2**24  # bytes that are looked at or converted at a time
OBJECTS = "holds Python objects, which in a file would have to be unpickled, and that may run anything: make it uint8."

Numbers = npt.NDArray[np.generic]


class Blocks(NamedTuple):
    """An array that is gone through in pieces along its first axis, as often as needed.

    Attributes:
        pieces: starts at the beginning each time.
        whole: the array itself, where it lies in memory or is memory-mapped.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    pieces: Callable[[], Iterator[Numbers]]
    whole: Numbers | None = None


class Pixels(NamedTuple):
    """uint8 (N, height, width) or (N, height, width, 1|3|4), and what was decided."""

    pixels: Bytes
    notes: tuple[str, ...]


class _Rule(NamedTuple):
    """Pixel = (value + shift) * scale, rounded."""

    shift: float
    scale: float
    note: str


def blocks(array: Numbers) -> Blocks:
    """An array that lies in memory or is memory-mapped."""
    rows = rows_of(array.shape, array.dtype)
    return Blocks(
        array.shape,
        array.dtype,
        lambda: (array[start : start + rows] for start in range(0, len(array), rows)),
        array,
    )


def rows_of(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """How many items along the first axis make a piece."""
    return max(1, PIECE // max(1, dtype.itemsize * int(np.prod(shape[1:], dtype=object))))


def to_pixels(parts: Sequence[Blocks], where: str) -> Pixels:
    """Bring arrays of pictures, one after the other, into one array of pixels.

    Shapes are (N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1, 3 or 4. Integers are 0..255 (or 0 and 1 only),
    floats lie in [0, 1], [-1, 1] or [0, 255]; what they are is decided over all parts. A single part of uint8 is not
    copied; otherwise the result and one piece are held in memory.

    Args:
        where: what an error calls the arrays.

    Raises:
        UserError: another shape or kind, values out of range, NaN or infinity, no pictures, too little memory.
    """
    first, notes = _layout([part.shape for part in parts], where)
    rule = _rule(parts, where)
    whole = parts[0].whole
    if len(parts) == 1 and whole is not None and whole.dtype == np.uint8 and rule.scale == 1:
        pixels: Bytes = whole.view(np.uint8)
    else:
        count = sum(part.shape[0] for part in parts)
        try:
            pixels = np.empty((count, *parts[0].shape[1:]), dtype=np.uint8)
        except (MemoryError, ValueError):
            raise UserError(f"{where}: {count} pictures of {parts[0].shape[1:]} do not fit into memory.") from None
        start = 0
        for piece in (piece for part in parts for piece in part.pieces()):
            pixels[start : start + len(piece)] = _converted(piece, rule)
            start += len(piece)
    if first:
        pixels = pixels.transpose(0, 2, 3, 1)  # a view; each picture is laid out when it is read
    return Pixels(pixels, tuple(note for note in (notes, rule.note) if note))


def _layout(shapes: Sequence[tuple[int, ...]], where: str) -> tuple[bool, str]:
    """Whether channels come first, and a note on why."""
    shape = shapes[0]
    if any(other[1:] != shape[1:] for other in shapes):
        raise UserError(f"{where}: parts of shapes {' and '.join(map(str, shapes))} do not belong together.")
    if len(shape) not in (3, 4):
        raise UserError(
            f"{where} has shape {shape}: expected pictures as (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 "
            "channels."
        )
    if 0 in shape:
        raise UserError(f"{where} has shape {shape}: there are no pictures in it.")
    text = f"(N, {', '.join(map(str, shape[1:]))})"
    if len(shape) == 3:
        odd = f"; if it is one colour picture, it is no data: {shape} would be (1, {', '.join(map(str, shape))})"
        return False, f"{text}: grey pictures{odd if shape[2] in CHANNELS else ''}"
    if shape[3] in CHANNELS and shape[1] in CHANNELS:
        return False, (
            f"{text}: channels last is assumed, because both the second and the last size could be channels; "
            "if they come first, transpose the array: x.transpose(0, 2, 3, 1)"
        )
    if shape[3] in CHANNELS:
        return False, f"{text}: channels last, because the last size is {shape[3]}"
    if shape[1] in CHANNELS:
        return True, f"{text}: channels first, because the second size is {shape[1]} and the last is not 1, 3 or 4"
    raise UserError(f"{where} has shape {shape}: neither the second nor the last size is 1, 3 or 4 channels.")


def _rule(parts: Sequence[Blocks], where: str) -> _Rule:
    """What the values mean, decided over all parts."""
    kinds = {part.dtype.kind for part in parts}
    names = ", ".join(sorted({part.dtype.name for part in parts}))
    if any(part.dtype.hasobject for part in parts):
        raise UserError(f"{where} {OBJECTS}")
    if not kinds <= set("buif") or (len(kinds) > 1 and not kinds <= set("ui")):
        raise UserError(f"{where} holds {names}: expected uint8, other whole numbers, or floats.")
    if kinds == {"b"}:
        return _Rule(0, 255, "bool: taken as black and white")
    if "f" in kinds:
        return _rule_of_floats(*_range_of_floats(parts, where), names, where)
    low, high = _range(parts)
    if low < 0 or high > 255:
        raise UserError(f"{where} holds {names} from {low} to {high}: expected 0 to 255.")
    if high == 1:
        return _Rule(0, 255, "no value is larger than 1: the pictures look like 0/1 values (taken x 255)")
    return _Rule(0, 1, "")


def _range(parts: Sequence[Blocks]) -> tuple[int, int]:
    """Smallest and largest whole number; of uint8 only as far as it matters."""
    low, high = 0, 0
    for part in parts:
        for piece in part.pieces():
            low, high = min(low, int(piece.min())), max(high, int(piece.max()))
            if part.dtype == np.uint8 and high > 1:
                break
    return low, high


def _range_of_floats(parts: Sequence[Blocks], where: str) -> tuple[float, float]:
    lows: list[float] = []
    highs: list[float] = []
    for piece in (piece for part in parts for piece in part.pieces()):
        if not np.isfinite(piece).all():
            raise UserError(f"{where} holds NaN or infinity: expected floats in [0, 1], [-1, 1] or [0, 255].")
        lows.append(float(piece.min()))
        highs.append(float(piece.max()))
    return min(lows), max(highs)


def _rule_of_floats(low: float, high: float, names: str, where: str) -> _Rule:
    if low >= 0 and high <= 1:
        return _Rule(0, 255, f"{names} in [0, 1]: taken x 255")
    if low >= -1 and high <= 1:
        return _Rule(1, 127.5, f"{names} in [-1, 1]: taken (x + 1) x 127.5")
    if low >= 0 and high <= 255:
        return _Rule(0, 1, f"{names} in [0, 255]: rounded")
    raise UserError(f"{where} holds {names} from {low:g} to {high:g}: expected floats in [0, 1], [-1, 1] or [0, 255].")


def _converted(piece: Numbers, rule: _Rule) -> Numbers:
    if piece.dtype.kind != "f":
        return piece.astype(np.uint8) * np.uint8(rule.scale)
    wide = piece.astype(np.promote_types(piece.dtype, np.float32))
    return np.rint((wide + rule.shift) * rule.scale).astype(np.uint8)
