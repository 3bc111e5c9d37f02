"""Small things remembered in the cache: a file of arrays and JSON that is there and whole, or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from zerosum import files
from zerosum.data.source import DIGEST, Looks
from zerosum.errors import Stopped, UserError

FORMAT = 1
TABLE = "table"
Arrays = Mapping[str, npt.NDArray[Any]]
Known = TypeVar("Known")


def hashed(text: str) -> str:
    """A file's name for any text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def remember(path: Path, table: Mapping[str, object], arrays: Arrays) -> None:
    """Write down what is dear to find out; a cache that cannot be written costs time, nothing else."""
    text = json.dumps({"format": FORMAT, **table}).encode()
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{TABLE: np.frombuffer(text, dtype=np.uint8), **arrays})
    with contextlib.suppress(OSError, UserError, Stopped):
        files.write(path, stream.getvalue())


def recall(path: Path, understand: Callable[[dict[str, Any], Arrays], Known]) -> Known | None:
    """What was remembered, or None where it is not there or not whole.

    Args:
        understand: (table, arrays) -> what it means; whatever it raises means that it is not whole.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        table = json.loads(arrays.pop(TABLE).tobytes())
        if table["format"] != FORMAT:
            return None
        return understand(table, arrays)
    except Exception:  # nothing there, or nothing that helps: a damaged archive fails in every way there is
        return None


def looks_of(arrays: Arrays, count: int, broken: Mapping[str, str]) -> Looks:
    """Looks at ``count`` pictures from arrays.

    Raises:
        ValueError: they are of another kind.
    """
    return Looks(
        checked(arrays["sizes"], np.int64, (count, 2)),
        checked(arrays["channels"], np.uint8, (count,)),
        checked(arrays["digests"], np.uint8, (count, DIGEST)),
        {int(index): str(why) for index, why in broken.items()},
    )


def checked(array: npt.NDArray[Any], kind: type[np.generic], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The array, if it is of this kind and shape.

    Raises:
        ValueError: it is not.
    """
    if array.dtype != kind or array.shape != shape:
        raise ValueError(f"{array.dtype} {array.shape}")
    return array
