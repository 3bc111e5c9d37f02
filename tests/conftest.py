"""What all tests share: their processes, a cache of their own, small data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores: each takes one, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from small_data import shapes, write_idx


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no process is left with them at the end."""
    items.sort(key=lambda item: "test_killing" not in item.nodeid)


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
