"""A few samples in the terminal: two pixels in each character, the upper half a letter's colour, the lower the paper's.

The colours are 24 bits; rich makes 256 of them where the terminal knows no more.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from zerosum.training.saving import ROWS

SAMPLES = 8
SMALLEST, LARGEST = 12, 20  # characters that a sample is wide; where there is room for fewer than 8, there are fewer
TALLEST = 20  # pixels, two to a line
GAP = 2  # pixels between the samples of a grid
UPPER_HALF = "▀"


def possible(console: Console) -> bool:
    """Whether pictures can be shown there: a terminal with enough colours that has not been asked for none."""
    return (
        console.is_terminal
        and not console.is_dumb_terminal
        and not console.no_color
        and console.color_system in ("truecolor", "256")
        and console.encoding.startswith("utf")
    )


def preview(grid: Path, width: int, height: int, columns: int) -> Text | None:
    """The first samples of a grid beside each other, as wide as ``columns`` characters allow, at most ten lines.

    Args:
        grid: PNG of ``training.saving.write_grids``.
        width: of a sample, in its own pixels; ``height`` too.

    Returns:
        None if the grid is not there, damaged, or none of such samples.
    """
    try:
        with Image.open(io.BytesIO(grid.read_bytes()), formats=("PNG",)) as image:
            tile_height = (image.height - GAP) // ROWS - GAP
            tile_width = round(tile_height * width / height)
            among = (image.width - GAP) // (tile_width + GAP)
            row = image.convert("RGBA").crop((0, 0, image.width, tile_height + 2 * GAP))
    except (OSError, ValueError, SyntaxError, ZeroDivisionError, Image.DecompressionBombError):
        return None
    across, down = _size(width, height, columns)
    count = min(SAMPLES, among, (columns + 1) // (across + 1))
    if tile_height < 1 or tile_width < 1 or count < 1:
        return None
    paper = Image.new("RGBA", row.size, (0, 0, 0, 255))
    row = Image.alpha_composite(paper, row).convert("RGB")
    boxes = [(GAP + index * (tile_width + GAP), GAP) for index in range(count)]
    tiles = [
        row.crop((left, top, left + tile_width, top + tile_height)).resize((across, down), Image.Resampling.BOX)
        for left, top in boxes
    ]
    text = Text(no_wrap=True)
    for y in range(0, down, 2):
        for index, tile in enumerate(tiles):
            text.append(" " if index else "")
            for x in range(across):
                text.append(UPPER_HALF, Style(color=_colour(tile, x, y), bgcolor=_colour(tile, x, y + 1)))
        text.append("\n" if y + 2 < down else "")
    return text


def _size(width: int, height: int, columns: int) -> tuple[int, int]:
    """Characters across and pixels down of a sample: as large as eight of them can be, and no larger than it is."""
    across = min(max(SMALLEST, (columns + 1) // SAMPLES - 1), LARGEST, width)
    across = max(1, min(across, round(TALLEST * width / height)))
    down = min(TALLEST, round(across * height / width))
    return across, max(2, down + down % 2)


def _colour(tile: Image.Image, x: int, y: int) -> Color:
    found = tile.getpixel((x, y))
    if not isinstance(found, tuple):
        raise ValueError("a picture in colours has three numbers a pixel")
    return Color.from_rgb(*found[:3])
