"""What is said of pictures before a training: each flaw by its name, and nothing of what is whole."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from zerosum.data.pictures import Pictures
from zerosum.data.readers.digits import digits
from zerosum.data.source import Bytes, Labels
from zerosum.diagnose.data import BLOCK, of_pictures
from zerosum.diagnose.remedies import REMEDIES


def some(count: int = 300, channels: int = 3, side: int = 24) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def pictures(pixels: Bytes, labels: Labels | None = None, classes: tuple[str, ...] = ()) -> Pictures:
    rows = np.arange(len(pixels))
    return Pictures("x", pixels, labels, classes, rows, rows[:0], pixels.shape[:1:-1], "")


def named(pixels: Bytes, labels: Labels | None = None, classes: tuple[str, ...] = ()) -> dict[str, str]:
    found = of_pictures(pictures(pixels, labels, classes))
    assert {verdict.name for verdict in found} <= REMEDIES.keys()
    return {verdict.name: verdict.level for verdict in found}


def test_whole_pictures_are_silent() -> None:
    assert named(some()) == {}
    assert named(some(channels=1)) == {}
    assert named(some(channels=4)) == {}


def test_the_digits_are_silent() -> None:
    source = digits()
    pixels = np.stack([np.asarray(source.read(index)).transpose(2, 0, 1) for index in range(len(source))])
    assert named(pixels, source.labels, source.classes) == {}


def test_a_dark_ground_is_no_bar() -> None:
    pixels = np.zeros((300, 1, 28, 28), np.uint8)
    for number, (row, column) in enumerate(np.random.default_rng(0).integers(4, 16, (300, 2))):
        pixels[number, 0, row : row + 7, column + 2 : column + 5] = 255
        pixels[number, 0, row + number % 7, column : column + 7] = 200
    assert "bars" not in named(pixels)


def test_bars_in_many_pictures() -> None:
    pixels = some()
    pixels[:100, :, :4] = pixels[:100, :, -4:] = 0
    assert named(pixels) == {"bars": "warn"}
    pixels = some()
    pixels[:3, :, :, :4] = pixels[:3, :, :, -4:] = 255
    assert named(pixels) == {}


def test_colour_that_is_grey() -> None:
    grey = np.repeat(some(channels=1), 3, axis=1)
    grey[:, 1] = np.clip(grey[:, 1].astype(int) + 1, 0, 255)  # as a JPEG has it
    assert named(grey) == {"grey pictures": "note"}
    grey[7, 0, :5] ^= 128
    assert named(grey) == {}


def test_alpha_that_is_full_or_hides_all() -> None:
    pixels = some(channels=4)
    pixels[:, 3] = 255
    assert named(pixels) == {"full alpha": "note"}
    pixels[:30, 3] = 0
    assert named(pixels) == {"blank pictures": "warn"}
    pixels[:, :3] //= 8
    assert "dim pictures" in named(pixels), "alpha is no brightness"


@pytest.mark.parametrize(
    ("counts", "name"), [((100, 100, 100), None), ((290, 10, 0), "unequal classes"), ((300, 0, 0), "one class")]
)
def test_classes(counts: tuple[int, ...], name: str | None) -> None:
    labels = np.repeat(np.arange(3), counts)
    assert named(some(), labels, ("cat", "dog", "owl")) == ({} if name is None else {name: "note"})


def test_few_twins_blank_and_dim() -> None:
    assert named(some(150)) == {"few pictures": "warn"}
    assert named(np.concatenate([some(), some()[:50]])) == {"twins": "warn"}
    pixels = some()
    pixels[:10] = np.arange(10, dtype=np.uint8)[:, None, None, None]
    assert named(pixels) == {"blank pictures": "warn"}
    assert named(some() // 8) == {"dim pictures": "warn"}


def test_little_is_in_memory_at_a_time() -> None:
    found = pictures(some(120, 3, 512))
    tracemalloc.start()
    try:
        of_pictures(found)
        assert tracemalloc.get_traced_memory()[1] < 8 * BLOCK
    finally:
        tracemalloc.stop()
