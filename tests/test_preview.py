"""Pictures of letters: the right colours at the right places, in no more room than there is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from zerosum.data.pixels import grid
from zerosum.preview import possible, preview


def cells(text: Text) -> list[list[tuple[tuple[int, ...], tuple[int, ...]] | None]]:
    """The colours of upper and lower half of each character of each line; None for a gap."""
    found: list[list[tuple[tuple[int, ...], tuple[int, ...]] | None]] = [[]]
    styles = {span.start: span.style for span in text.spans}
    for place, letter in enumerate(text.plain):
        if letter == "\n":
            found.append([])
            continue
        style = styles.get(place)
        found[-1].append(None if letter == " " else (tuple(style.color.triplet), tuple(style.bgcolor.triplet)))
    return found


FLAT = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]  # rows and columns away from the edge in the middle


def write(path: Path, pixels: np.ndarray, columns: int = 8) -> Path:
    path.write_bytes(grid(pixels, columns))
    return path


def test_small_pictures_are_shown_pixel_by_pixel(tmp_path: Path) -> None:
    """The grid shows them enlarged; each pixel comes back as it was, but for the smoothing between its neighbours."""
    pixels = np.zeros((64, 1, 12, 12), dtype=np.uint8)
    pixels[:8, 0, :6, :6] = np.arange(100, 260, 20)[:, None, None]
    lines = cells(preview(write(tmp_path / "grid.png", pixels), 12, 12, 120))
    assert (len(lines), {len(line) for line in lines}) == (6, {8 * 12 + 7})
    for index in range(8):
        tile = [line[13 * index : 13 * index + 12] for line in lines]
        seen = np.array([[cell[half][0] for cell in line] for line in tile for half in (0, 1)])
        assert abs(seen - pixels[index, 0])[np.ix_(FLAT, FLAT)].max() <= 10
        assert [line[13 * index + 12] for line in lines if index < 7] == [None] * (6 if index < 7 else 0)


@pytest.mark.parametrize("channels", [3, 4])
def test_large_pictures_are_made_smaller(tmp_path: Path, channels: int) -> None:
    pixels = np.zeros((64, channels, 64, 64), dtype=np.uint8)
    pixels[:, 0, :32], pixels[:, 2, 32:] = 200, 100
    pixels[:, 3:] = 255
    (top, *_, bottom) = cells(preview(write(tmp_path / "grid.png", pixels), 64, 64, 160))
    assert set(top) == {((200, 0, 0), (200, 0, 0)), None}
    assert set(bottom) == {((0, 0, 100), (0, 0, 100)), None}


@pytest.mark.parametrize(
    ("width", "height", "columns", "lines", "across", "count"),
    [
        (12, 12, 100, 6, 12, 7),
        (12, 12, 40, 6, 12, 3),
        (64, 64, 80, 6, 12, 6),
        (64, 64, 160, 10, 19, 8),
        (64, 64, 400, 10, 20, 8),
        (16, 64, 160, 10, 5, 8),
        (64, 16, 160, 3, 19, 8),
        (8, 8, 160, 4, 8, 8),
    ],
)
def test_its_size(tmp_path: Path, width: int, height: int, columns: int, lines: int, across: int, count: int) -> None:
    path = write(tmp_path / "grid.png", np.zeros((64, 1, height, width), dtype=np.uint8))
    found = preview(path, width, height, columns)
    assert found is not None
    assert [len(line) for line in found.plain.splitlines()] == [count * across + count - 1] * lines
    assert len(found.plain.splitlines()[0]) <= columns


def test_a_grid_of_two_classes_has_two_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.png", np.zeros((16, 1, 12, 12), dtype=np.uint8), 2)
    assert {len(line) for line in preview(path, 12, 12, 100).plain.splitlines()} == {25}


def test_no_picture_where_there_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.png", np.zeros((64, 1, 12, 12), dtype=np.uint8))
    assert preview(tmp_path / "none.png", 12, 12, 100) is None
    assert preview(path, 12, 12, 11) is None  # no room
    assert preview(path, 0, 0, 100) is None
    assert preview(path, 10**6, 1, 100) is None  # no grid of such pictures
    whole = path.read_bytes()
    for content in (b"", whole[:100], b"GIF89a" + whole):
        path.write_bytes(content)
        assert preview(path, 12, 12, 100) is None


@pytest.mark.parametrize(
    ("known", "colours", "terminal", "expected"),
    [
        ({}, "truecolor", True, True),
        ({}, "256", True, True),
        ({}, "standard", True, False),
        ({}, None, True, False),
        ({}, "truecolor", False, False),
        ({"TERM": "dumb"}, "truecolor", True, False),
        ({"NO_COLOR": "1"}, "truecolor", True, False),
    ],
)
def test_where_pictures_are_possible(
    known: dict[str, str], colours: str | None, terminal: bool, expected: bool
) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, color_system=colours, _environ=known)
    assert possible(console) == expected


def test_not_where_letters_are_bytes() -> None:
    console = Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding="latin-1"),
        force_terminal=True,
        color_system="truecolor",
        _environ={},
    )
    assert not possible(console)
