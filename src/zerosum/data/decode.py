"""From the bytes of one picture to its pixels: every kind of file that Pillow reads, upright and in sRGB."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image, ImageCms

from zerosum.data.source import Bytes, Raw, Unreadable

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")
LARGEST = 2**27  # pixels; more is a decompression bomb or no picture to train on
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTERS = (5, 6, 7, 8)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SILENCE = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


class Head(NamedTuple):
    """What a picture's header says: size when upright, and the channels that lose nothing (1, 3 or 4)."""

    width: int
    height: int
    channels: int


def head(raw: Raw) -> Head:
    """Look at a picture without decoding it.

    Raises:
        Unreadable: it is damaged, no picture, or too large.
    """
    if isinstance(raw, np.ndarray):
        return Head(raw.shape[1], raw.shape[0], raw.shape[2])
    with _opened(raw) as image:
        width, height = image.size
        if _orientation(image, raw) in QUARTERS:
            width, height = height, width
        return Head(width, height, _channels(image))


def decode(raw: Raw, least: tuple[int, int] | None = None) -> Bytes:
    """The pixels of a picture: uint8 (height, width, 1, 3 or 4), turned upright, in sRGB where it brings a profile.

    Args:
        raw: encoded bytes; pixels are returned as they are.
        least: (width, height) upright; a JPEG may be decoded at a half, quarter or eighth of its size, but at no less
            than this on either side.

    Raises:
        Unreadable: it is damaged, no picture, or too large.
    """
    if isinstance(raw, np.ndarray):
        return raw
    pixels = np.asarray(upright(raw, least))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def upright(raw: Raw, least: tuple[int, int] | None = None) -> Image.Image:
    """The same as a Pillow image of mode L, RGB or RGBA."""
    if isinstance(raw, np.ndarray):
        return Image.fromarray(raw[:, :, 0] if raw.shape[2] == 1 else raw)
    with _opened(raw) as image:
        orientation = _orientation(image, raw)
        if least is not None and image.format in ("JPEG", "MPO"):  # an MPO is a JPEG with more of them behind it
            own = least[::-1] if orientation in QUARTERS else least
            if image.width >= 2 * own[0] and image.height >= 2 * own[1]:  # a half is the least that draft can do
                image.draft(None, own)
        plain = _deep(image) if _is_deep(image) else _plain(image, MODES[_channels(image)])
        turn = TURNS.get(orientation)
        if turn is not None:
            return plain.transpose(turn)
        plain.load()  # while damage is still understood
        return plain


@contextlib.contextmanager
def _opened(raw: bytes) -> Iterator[Image.Image]:
    """Whatever Pillow raises about a damaged picture is the picture's fault; what it warns of is not worth a word."""
    try:
        with _silence(), Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise Unreadable(f"{image.width}x{image.height} pixels are too many")
            yield image
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("it does not fit into memory") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"it claims to have more than {LARGEST} pixels") from None
    except Image.UnidentifiedImageError:
        raise Unreadable("it is empty" if not raw else "it is no picture of a known kind, or damaged") from None
    except Exception as error:  # Pillow stumbles over damaged files in every way there is
        known = isinstance(error, (OSError, SyntaxError, ValueError)) and str(error)
        why = " ".join(str(error if known else repr(error)).split())
        raise Unreadable(f"it is damaged ({why})") from None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No warnings from Pillow. Not by ``warnings.catch_warnings``, which undoes what other threads change meanwhile."""
    filters = cast("list[Any]", warnings.filters)
    filters.insert(0, SILENCE)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            filters.remove(SILENCE)


def _orientation(image: Image.Image, raw: bytes) -> int:
    """How to turn the picture, 1 to 8; 1 where Pillow turns it (TIFF) or where nothing sensible is said."""
    if image.format == "TIFF" or (image.format in ("JPEG", "MPO") and "exif" not in image.info):
        return 1  # the second for speed: most have none
    try:
        if image.format == "PNG" and "exif" not in image.info and (late := _png_exif(raw)):
            image.info["exif"] = b"Exif\0\0" + late
        # not image.getexif(), which decodes a whole PNG in search of EXIF behind the pixels
        return int(Image.Image.getexif(image).get(ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to lose the picture
        return 1


def _png_exif(raw: bytes) -> bytes:
    """The eXIf chunk of a PNG, wherever it stands."""
    start = 8
    while start + 8 <= len(raw):
        length, kind = int.from_bytes(raw[start : start + 4]), raw[start + 4 : start + 8]
        if kind == b"eXIf":
            return raw[start + 8 : start + 8 + length]
        start += length + 12
    return b""


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def _channels(image: Image.Image) -> int:
    if _is_deep(image):
        return 1
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return 4
    return 1 if image.mode in ("1", "L") else 3


def _deep(image: Image.Image) -> Image.Image:
    """16-bit integers lose their low byte; floats in [0, 1] and integers in 0..255 keep their meaning."""
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values)
        values = values * np.float32(255) if values.max(initial=0) <= 1 else values
    elif image.mode != "I" or values.max(initial=0) > 255:
        values = values // 256
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """The picture as L, RGB or RGBA, in sRGB where it brings another profile that can be read; grey stays grey."""
    profile = image.info.get("icc_profile")
    if mode == "L" or not isinstance(profile, bytes) or not profile:
        return image if image.mode == mode else image.convert(mode)
    own = image if image.mode == "CMYK" and mode == "RGB" else image.convert(mode)
    transform = _to_srgb(profile, own.mode, mode)
    try:
        converted = None if transform is None else ImageCms.applyTransform(own, transform)
    except (ImageCms.PyCMSError, ValueError):
        converted = None
    return converted or own.convert(mode)


@functools.lru_cache(maxsize=32)
def _to_srgb(profile: bytes, own: str, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where the profile cannot be read (no reason to lose the picture), or is sRGB under whatever name."""
    try:
        known = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(known, ImageCms.createProfile("sRGB"), own, mode)
        if own == "CMYK":
            return transform
        colours = (17 * np.indices((16, 16, 16)).reshape(3, 1, -1).T).astype(np.uint8)
        converted = ImageCms.applyTransform(Image.fromarray(colours).convert(own), transform)
        moved = np.abs(np.asarray(converted)[:, :, :3].astype(int) - colours).max()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return transform if moved > 2 else None  # levels of 255
