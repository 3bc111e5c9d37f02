"""Small data of our own making, and runs that take a second."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores: each takes one, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no process is left with them at the end."""
    items.sort(key=lambda item: "test_killing" not in item.nodeid)


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


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's own cache, processes that tests start included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEROSUM_CACHE", str(tmp_path_factory.mktemp("zerosum-cache")))
        yield


@pytest.fixture
def plain_data(tmp_path: Path) -> Path:
    """300 pictures of 12x12 without labels, as an IDX file."""
    folder = tmp_path / "plain"
    folder.mkdir()
    write_idx(folder / "train-images-idx3-ubyte", shapes(300)[0])
    return folder


@pytest.fixture
def labelled_data(tmp_path: Path) -> Path:
    """300 pictures of 12x12 in three classes, as IDX files."""
    folder = tmp_path / "labelled"
    folder.mkdir()
    pixels, labels = shapes(300)
    write_idx(folder / "train-images-idx3-ubyte", pixels)
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    return folder
