"""Pictures of a run inside the page: opened with care, made small enough to be mailed, as data addresses."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from zerosum.errors import UserError

PIXELS = 64_000_000  # of a picture that is opened
BYTES = 128 << 20
TRIES = ((1200, 86), (1200, 72), (900, 68), (700, 60), (520, 50), (360, 40))  # longest side, quality
TRIED = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Embedded:
    """A picture file as a WebP data address of at most ``most`` bytes (before base64) if that is possible.

    Raises:
        UserError: when called with a file that is no PNG, is damaged, or is too large to be opened.
    """

    most: int

    def __call__(self, path: Path) -> str:
        try:
            if path.stat().st_size > BYTES:
                raise UserError(f"{path.name} has more than {BYTES >> 20} MB and is not opened.")
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path, formats=["PNG"]) as image:
                    if image.width * image.height > PIXELS:
                        raise UserError(f"{path.name} has {image.width:,} x {image.height:,} pixels and is not opened.")
                    image.load()
                    return address(
                        _small(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB"), self.most)
                    )
        except UserError:
            raise
        except TRIED as error:
            raise UserError(f"{path.name} cannot be shown: it is damaged or no PNG ({type(error).__name__}).") from None


def address(content: bytes) -> str:
    """A WebP file's data address."""
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


def webp(png: bytes, most: int) -> str:
    """A picture of our own making (PNG) as a WebP data address, of the same size if possible."""
    with Image.open(io.BytesIO(png)) as image:
        return address(_small(image.convert("RGB"), most))


def _small(image: Image.Image, most: int) -> bytes:
    content = b""
    for side, quality in TRIES:
        content = _encoded(image, side, quality)
        if len(content) <= most:
            break
    return content


def _encoded(image: Image.Image, side: int, quality: int) -> bytes:
    scale = side / max(image.size)
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="WEBP", quality=quality, method=4)
    return file.getvalue()
