"""A user's own Python file with a function ``source()`` that hands over the pictures."""

from __future__ import annotations

import importlib.util
import operator
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Protocol, SupportsIndex, cast, runtime_checkable

import numpy as np
from PIL import Image, ImageOps

from zerosum.data.readers.arrays import class_numbers, from_arrays
from zerosum.data.readers.values import Numbers
from zerosum.data.source import Bytes, Labels, Raw, Source, Unreadable, numbered
from zerosum.errors import UserError

MODULE = "_zerosum_source"
EXPECTED = (
    "expected a zerosum Source, an array of pictures, (pictures, labels), or a list of Pillow images, uint8 arrays "
    "(height, width, channels), encoded bytes, or (picture, class number) pairs"
)


@runtime_checkable
class _Sequence(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> object: ...


@runtime_checkable
class _Arrayish(Protocol):
    """What turns into an array by itself, such as a tensor."""

    def __array__(self) -> Numbers: ...


def script(path: Path) -> Source:
    """Run a Python file and take the pictures that its function ``source()`` returns.

    It may return a ``Source``; an array of pictures or (pictures, labels), understood as those of a file are; or
    anything with a length and items, which are fetched when they are needed: Pillow images, uint8 arrays (H, W) or
    (H, W, 1|3|4), encoded bytes, or pairs of one of these and a class number.

    Exceptions of the file itself are not touched.

    Raises:
        UserError: there is no such function, or it returns something else.
    """
    made = _function(path)()
    where = f"what source() in {path} returned"
    name = path.resolve().stem
    if isinstance(made, Source):
        return made
    if isinstance(made, tuple) and len(made) == 2 and (pair := _pair_of_arrays(made[0], made[1])) is not None:
        return from_arrays(name, *pair, where)
    array = _array(made)
    if array is not None:
        return from_arrays(name, array, None, where)
    if made is None:
        raise UserError(f"source() in {path} returned nothing (is there a return?): {EXPECTED}.")
    if isinstance(made, (str, bytes, bytearray, Mapping, Set)) or not isinstance(made, _Sequence):
        raise UserError(f"source() in {path} returned a value of type {type(made).__name__}: {EXPECTED}.")
    return _lazy(name, made, path)


def _function(path: Path) -> Callable[[], object]:
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"{path} is no Python file: expected a .py file with a function source().")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses in the file look for it there
    spec.loader.exec_module(module)
    function = getattr(module, "source", None)
    if not callable(function):
        wrong = "has no function source()" if function is None else "has a 'source' that is no function"
        raise UserError(f"{path} {wrong}: define source() without arguments; {EXPECTED}.")
    return cast("Callable[[], object]", function)


def _array(value: object) -> Numbers | None:
    """An array, also where it lies in another library's clothes; None for anything else."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, _Arrayish) and hasattr(value, "shape") and not isinstance(value, type):
        return np.asarray(value)
    return None


def _pair_of_arrays(first: object, second: object) -> tuple[Numbers, Numbers | None] | None:
    """(pictures, labels) where the two can be that; labels may be None or a list of numbers."""
    pictures = _array(first)
    if pictures is None or pictures.ndim < 3:
        return None
    if second is None:
        return pictures, None
    labels = np.asarray(second) if isinstance(second, (list, tuple)) and _all_whole(second) else _array(second)
    return None if labels is None or labels.ndim > 2 else (pictures, labels)


def _all_whole(values: Iterable[object]) -> bool:
    return all(isinstance(value, int | np.integer) for value in values)


def _lazy(name: str, items: _Sequence, path: Path) -> Source:
    """A source whose pictures are fetched one by one; labels need one pass over pairs."""
    count = len(items)
    if not count:
        raise UserError(f"source() in {path} returned no pictures.")
    lock = threading.Lock()  # the items are the user's: nobody promised that threads may share them

    def item(index: int) -> object:
        with lock:
            return items[index]

    first = item(0)
    pairs = _is_pair(first)
    try:
        _raw(cast("tuple[object, object]", first)[0] if pairs else first)
    except Unreadable as error:
        raise UserError(f"source() in {path} returned items that are no pictures ({error}): {EXPECTED}.") from None
    labels, note = _labels(item, count, path) if pairs else (None, "")
    named = None if labels is None else numbered(labels)
    return Source(
        name=name,
        count=count,
        read=lambda index: _raw(cast("tuple[object, object]", item(index))[0] if pairs else item(index)),
        labels=None if named is None else named.labels,
        classes=() if named is None else named.classes,
        notes=(*([note] if note else []), *(() if named is None else named.notes)),
    )


def _is_pair(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def _labels(item: Callable[[int], object], count: int, path: Path) -> tuple[Labels | None, str]:
    labels = []
    for index in range(count):
        pair = item(index)
        try:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise TypeError
            labels.append(operator.index(cast("SupportsIndex", pair[1])))
        except TypeError:
            raise UserError(
                f"Item {index} of source() in {path} is no pair (picture, class number), but the first one is."
            ) from None
    try:
        values: Numbers = np.array(labels, dtype=np.int64)
    except OverflowError:
        raise UserError(f"The class numbers of source() in {path} are too large.") from None
    return class_numbers(values, count, f"the class numbers of source() in {path}")


def _raw(value: object) -> Raw:
    """One picture as a source hands it over.

    Raises:
        Unreadable: it is something else.
    """
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, Image.Image):
        return _of_image(value)
    array = _array(value)
    if array is None:
        raise Unreadable(f"it is of type {type(value).__name__}, no picture")
    if array.dtype != np.uint8:
        raise Unreadable(f"it is an array of {array.dtype.name}, expected uint8 (0 to 255)")
    pixels: Bytes = array.view(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise Unreadable(f"it has shape {array.shape}, expected (height, width) or (height, width, 1, 3 or 4)")
    return pixels


def _of_image(image: Image.Image) -> Bytes:
    """Pixels of a Pillow image, upright."""
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            return (np.asarray(image) >> 8).astype(np.uint8)[:, :, None]
        if image.mode in ("I", "F"):
            raise Unreadable(f"it is an image of mode {image.mode}, expected L, RGB or RGBA")
        if image.mode not in ("L", "RGB", "RGBA"):
            clear = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
            image = image.convert("L" if image.mode == "1" else "RGBA" if clear else "RGB")
        pixels = np.asarray(image)
    except Unreadable:
        raise
    except Exception as error:  # a file behind the image may be damaged
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
