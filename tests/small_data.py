"""Small data of our own making, which tests write in users' formats."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_idx(file: Path, values: np.ndarray) -> None:
    """One IDX file of bytes."""
    file.write_bytes(
        b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    )


def shapes(count: int, size: int = 12, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Bright squares at places that depend on the class: learnable, and every one different."""
    random = np.random.default_rng(5)
    pixels = random.integers(0, 30, (count, size, size), dtype=np.uint8)
    labels = np.arange(count, dtype=np.uint8) % classes
    for index, label in enumerate(labels):
        row, column = 1 + 3 * int(label), random.integers(1, size - 5)
        pixels[index, row : row + 3, column : column + 4] = random.integers(180, 255)
    return pixels, labels
