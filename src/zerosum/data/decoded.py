"""Every picture of a source at its wanted size, one after the other, decoded in parallel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from zerosum.data.decode import upright
from zerosum.data.fit import Shape, fit
from zerosum.data.glance import digest
from zerosum.data.parallel import spread
from zerosum.data.source import DIGEST, Bytes, Raw, Source, Unreadable, pixel_digest
from zerosum.data.survey import Survey
from zerosum.errors import UserError


class Row(NamedTuple):
    """One picture: pixels (C, H, W), their digest, why it is broken (or nothing), whether it was decoded roughly."""

    pixels: Bytes
    digest: bytes
    why: str
    drafted: bool


class _Item(NamedTuple):
    raw: Raw | str  # or why it cannot be read
    width: int
    height: int


def rows(source: Source, seen: Survey, shape: Shape, start: int = 0) -> Iterator[Row]:
    """Every picture at its wanted size, in order; broken ones are black and say why."""

    def items() -> Iterator[_Item]:
        for index in range(start, len(source)):
            width, height = seen.sizes[index].tolist()
            raw = seen.broken[index] if index in seen.broken else _again(source, seen, index)
            yield _Item(raw, width, height)

    encoded = 0 if source.files is None else len(source) - start
    return spread(partial(_row, shape), items(), encoded, partial(_crashed, shape))


def _row(shape: Shape, item: _Item) -> Row:
    raw = item.raw
    drafted = False
    try:
        if isinstance(raw, str):
            raise Unreadable(raw)
        if isinstance(raw, np.ndarray) and raw.shape == (shape.height, shape.width, shape.channels):
            pixels = np.ascontiguousarray(raw.transpose(2, 0, 1))
        else:
            image = upright(raw, shape.least(item.width, item.height))
            pixels, drafted = fit(image, shape), image.height < item.height
    except Unreadable as error:
        return Row(np.zeros(shape.size, dtype=np.uint8), bytes(DIGEST), str(error), False)
    return Row(pixels, pixel_digest(pixels), "", drafted)


def _crashed(shape: Shape, item: _Item) -> Row:
    return _row(shape, item._replace(raw="the decoder crashed on it"))


def _again(source: Source, seen: Survey, index: int) -> Raw:
    """The picture that was looked at, and no other.

    Raises:
        UserError: it has changed or vanished since.
    """
    name = source.called(index)
    try:
        raw = source.read(index)
    except Unreadable as error:
        if source.ready is not None:
            raise UserError(f"{source.ready} is damaged ({name}: {error}): prepare it again.") from None
        raise UserError(f"{name} could be read a moment ago, and not now ({error}): start again.") from None
    if isinstance(raw, bytes) and digest(raw) != seen.digests[index].tobytes():
        raise UserError(f"{name} has changed since it was looked at: start again.")
    return raw
