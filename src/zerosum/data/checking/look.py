"""What one picture shows of itself: its range of values, whether it is grey, clear or plain, bars, and a miniature."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from zerosum.data.source import Bytes

SIDE = 16  # of a miniature
STRONG, MOST_FLAT = 3, 24  # levels between neighbours that are more than noise; neighbours of 64 that may be less
SMALLEST, LARGEST = 16, 256  # sides between which bars are looked for
THINNEST, THICKEST = 0.04, 0.7  # shares of a side: either bar, and both together
SAME, OTHER = 12, 16  # levels: within a bar, and between a bar and what lies beyond
STRAY = 0.1  # share of a line across a bar that may be something else
SHARP = 0.03  # share of the height within which something else begins


class Look(NamedTuple):
    """What one picture shows.

    Attributes:
        lowest: smallest value, 0 to 255, transparency laid on white; ``highest`` likewise.
        clear: whether anything is transparent.
        grey: whether all channels are equal, also where there is only one.
        constant: whether it is of one colour.
        boxed: whether bars were put around it.
        plain: whether it is mostly flat, so that its signature says little.
        signature: 64 bits: where a 9x8 grey miniature becomes brighter from left to right.
        miniature: 16x16 grey values, by rows.
    """

    lowest: int
    highest: int
    clear: bool
    grey: bool
    constant: bool
    boxed: bool
    plain: bool
    signature: int
    miniature: bytes


def look(pixels: Bytes) -> Look:
    """Look at the pixels of a picture: uint8 (height, width, 1, 3 or 4)."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    clear = pixels.shape[2] == 4 and bool((pixels[:, :, 3] < 255).any())
    if pixels.shape[2] == 4:
        image = on_white(image)
        pixels = np.asarray(image)
    ranges = np.array(image.getextrema()).reshape(-1, 2)
    grey = pixels.shape[2] == 1 or bool((pixels[:, :, 1:] == pixels[:, :, :1]).all())
    small = image.reduce(-(-max(image.size) // LARGEST)) if max(image.size) > LARGEST else image
    shades = small.convert("L")
    steps = np.diff(np.asarray(shades.resize((9, 8), Image.Resampling.BOX)).astype(np.int16), axis=1)
    return Look(
        lowest=int(ranges[:, 0].min()),
        highest=int(ranges[:, 1].max()),
        clear=clear,
        grey=grey,
        constant=bool((ranges[:, 0] == ranges[:, 1]).all()),
        boxed=boxed(np.atleast_3d(np.asarray(small)), np.asarray(shades)),
        plain=int((np.abs(steps) < STRONG).sum()) > MOST_FLAT,
        signature=int.from_bytes(np.packbits(steps > 0).tobytes()),
        miniature=shades.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes(),
    )


def on_white(image: Image.Image) -> Image.Image:
    """An RGBA picture laid on white, as RGB."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def boxed(pixels: Bytes, shades: Bytes) -> bool:
    """Whether a picture (height, width, channels) has bars of one colour along two opposite sides, or all four.

    A dark background is no bar: beyond a bar something else begins, along all of a straight line.

    Args:
        shades: the same picture in grey, (height, width).
    """
    if min(shades.shape) < SMALLEST:
        return False
    return _barred(pixels, shades) or _barred(pixels.transpose(1, 0, 2), shades.T)


def _barred(pixels: Bytes, shades: Bytes) -> bool:
    """Whether there are bars at the top and the bottom."""
    height, width = shades.shape
    if max(np.ptp(shades[0]), np.ptp(shades[-1])) > SAME:
        return False
    # colours bleed further into bars than shades do, where a JPEG has fewer of them
    others = (np.abs(shades - np.int16(shades[0].mean())) > SAME).mean(axis=1)
    inside = np.flatnonzero(others > STRAY)
    if not len(inside):
        return False
    top, bottom = int(inside[0]), height - 1 - int(inside[-1])
    if min(top, bottom) + 1 < THINNEST * height or min(top, bottom) == 0 or top + bottom > THICKEST * height:
        return False  # the line between a bar and the rest may be a mixture, hence the one
    away = np.abs(pixels - pixels[0].mean(axis=0).astype(np.int16)).max(axis=2) > OTHER
    across = np.flatnonzero(away[top : height - bottom].mean(axis=0) > STRAY)
    if not len(across) or across[-1] + 1 - across[0] < (1 - THICKEST) * width:
        return False
    columns = slice(across[0], across[-1] + 1)
    corner = max(1, round(0.1 * (across[-1] + 1 - across[0])))
    depth = 1 if height < 3 * SMALLEST else 1 + max(1, round(SHARP * height))
    for rows in (slice(top, top + depth), slice(height - bottom - depth, height - bottom)):
        begins = away[rows, columns].any(axis=0)
        if begins.mean() < 0.75 or begins[:corner].mean() < 0.5 or begins[-corner:].mean() < 0.5:
            return False
    return True
