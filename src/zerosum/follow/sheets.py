"""The sheets of pictures in a run's folder: grids by images, and others by name."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image

from zerosum.run import Run

OTHERS = ("real", "nearest")
MOST_BYTES, MOST_PIXELS = 64 << 20, 64_000_000


class Damaged(ValueError):
    """Why a sheet cannot be shown."""


def grids(run: Run, after: int) -> list[tuple[int, Path]]:
    """The grids of more than ``after`` images with those images, the oldest first."""
    named = ((path, re.fullmatch(r"(\d{12})\.png", path.name)) for path in run.folder.glob("samples/*.png"))
    found = sorted((int(match[1]), path) for path, match in named if match)
    return [(images, path) for images, path in found if images > after]


def png(path: Path, folder: Path) -> bytes:
    """The content of a PNG below ``folder`` that can be shown.

    Raises:
        Damaged: it is no whole PNG, too large, or leads out of the folder.
        FileNotFoundError: there is none (a rewind has removed it, say).
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Damaged("it leads out of the run's folder")
    if path.exists() and not path.is_file():
        raise Damaged("it is no file")
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Damaged(f"it has more than {MOST_BYTES:,} bytes")
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Damaged(f"it has {image.width} x {image.height} pixels")
            image.load()
    except Damaged:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file leads it to, warnings of its own included
        raise Damaged(f"it is no whole PNG ({type(error).__name__})") from None
    return content


def opened(content: bytes) -> Image.Image:
    """A PNG as a Pillow image."""
    return Image.open(io.BytesIO(content))
