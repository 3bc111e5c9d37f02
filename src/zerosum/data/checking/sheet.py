"""A sheet of some of the pictures, whole and with their classes, to see at a glance what was found."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from zerosum.data.decode import decode
from zerosum.data.source import Labels, Source, Unreadable
from zerosum.data.survey import Survey

TILE = 112
GAP = 4
COLUMNS = 12
TITLE = 22  # height of a class's name
MOST_NAMED = 12  # classes
PAPER, GROUND, INK = (64, 64, 64), (96, 96, 96), (255, 255, 255)
SQUARE, LIGHT, DARK = 8, 170, 120  # of the checkerboard behind transparency


def sheet_of(source: Source, seen: Survey, count: int = 48) -> bytes:
    """A PNG of ``count`` pictures, evenly from all classes and always the same ones; broken ones are left out.

    Up to twelve classes that have pictures have rows of their own with their names above.
    """
    drawn = _drawn(source, seen, count)
    everything = sorted(index for _, members in drawn for index in members.tolist())  # reading is quickest in order

    def work(index: int) -> Image.Image | None:
        try:
            return _tile(source, index)
        except Unreadable:
            return None

    tiles = {index: work(index) for index in everything}
    if source.labels is not None and len(np.unique(source.labels[seen.good])) > MOST_NAMED:
        drawn = [("", np.array(everything, dtype=np.int64))]
    groups = [
        (title, [tile for index in members.tolist() if (tile := tiles[index]) is not None]) for title, members in drawn
    ]
    return _laid_out([(title, shown) for title, shown in groups if shown])


def _drawn(source: Source, seen: Survey, count: int) -> list[tuple[str, Labels]]:
    """Pictures by class, evenly spaced; only some of the classes where there are more of them than pictures wanted."""
    if source.labels is None:
        return [("", _spaced(seen.good, count))]
    labels = source.labels[seen.good]
    numbers = _spaced(np.unique(labels), count)
    members = [seen.good[labels == number] for number in numbers]
    shares = _shares([len(own) for own in members], count)
    names = [source.classes[number] for number in numbers]
    return [(name, _spaced(own, share)) for name, own, share in zip(names, members, shares, strict=True)]


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """How many of each class: as evenly as their sizes allow, ``count`` of all where there are so many."""
    shares, left = [0] * len(sizes), count
    for rank, place in enumerate(sorted(range(len(sizes)), key=lambda place: sizes[place])):
        shares[place] = min(sizes[place], left // (len(sizes) - rank))
        left -= shares[place]
    return shares


def _spaced(values: Labels, count: int) -> Labels:
    """At most ``count`` of the values, evenly spaced."""
    if len(values) <= count:
        return values
    return values[np.arange(count) * len(values) // count]


def _tile(source: Source, index: int) -> Image.Image:
    """One whole picture on a grey square; a checkerboard shows through where it is transparent."""
    pixels = decode(source.read(index), (TILE, TILE))
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    scale = TILE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    if image.mode == "RGBA":
        rows, columns = np.indices((height, width)) // SQUARE
        board = np.where((rows + columns) % 2, DARK, LIGHT).astype(np.uint8)
        image = Image.alpha_composite(Image.fromarray(board).convert("RGBA"), image)
    tile = Image.new("RGB", (TILE, TILE), GROUND)
    tile.paste(image.convert("RGB"), ((TILE - width) // 2, (TILE - height) // 2))
    return tile


def _laid_out(groups: list[tuple[str, list[Image.Image]]]) -> bytes:
    """Rows of tiles below their titles, as a PNG."""
    most = max((len(tiles) for _, tiles in groups), default=1)
    columns = min(most, COLUMNS)
    step = TILE + GAP
    heights = [TITLE * bool(title) + step * -(-len(tiles) // columns) for title, tiles in groups]
    sheet = Image.new("RGB", (columns * step + GAP, max(step, sum(heights)) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14 if features.check("freetype2") else None)
    top = GAP
    for (title, tiles), height in zip(groups, heights, strict=True):
        below = top + TITLE * bool(title)
        if title:
            draw.text((2 * GAP, top + 2), title.encode("latin-1", "replace").decode("latin-1"), fill=INK, font=font)
        for place, tile in enumerate(tiles):
            row, column = divmod(place, columns)
            sheet.paste(tile, (GAP + column * step, below + row * step))
        top += height
    file = io.BytesIO()
    sheet.save(file, format="PNG", optimize=True)
    return file.getvalue()
