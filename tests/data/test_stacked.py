"""Stacked digits: which picture is made of what, that it is always the same, and how it is found."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from small_data import write_idx

from zerosum.data.find import digits_of, find
from zerosum.data.fit import Shape
from zerosum.data.prepare import prepare
from zerosum.data.readers.download import IDX
from zerosum.data.readers.stacked import COUNT, HELD_OUT, NAME, chosen, stacked
from zerosum.data.source import Source, Unreadable, from_array
from zerosum.data.survey import survey

PINNED = [[46, 7, 47], [39, 49, 32], [22, 9, 18]]


def numbered(count=70, test=20):
    """Grey pictures of 4x4 that hold their own number; the last ones are the test part."""
    pixels = np.repeat(np.arange(count, dtype=np.uint8), 16).reshape(count, 4, 4)
    held_out = np.arange(count - test, count) if test else None
    return from_array("numbers", pixels, np.arange(count) % 10, test=held_out)


def test_each_colour_is_a_digit():
    digits = numbered()
    found = stacked(digits, 200, 30)
    assert (found.name, len(found), found.labels, found.classes) == (NAME, 230, None, ())
    assert found.test.tolist() == list(range(200, 230))
    rows = np.concatenate([chosen(digits, 200, "train"), chosen(digits, 30, "test")])
    for index in range(230):
        picture = found.read(index)
        assert (picture.shape, picture.dtype) == ((4, 4, 3), np.uint8)
        assert (picture == rows[index]).all()
    assert rows[:200].max() < 50
    assert set(range(50)) == set(rows[:200].flatten().tolist())
    assert set(rows[200:].flatten().tolist()) <= set(range(50, 70))
    assert "1,000 modes" in found.notes[0]


def test_colours_are_drawn_apart_and_every_digit_as_often():
    rows = chosen(numbered(50, 0), 60_000, "train")
    counts = np.stack([np.bincount(column, minlength=50) for column in rows.T])
    assert abs(counts - 1200).max() < 6 * math.sqrt(1200)
    assert np.abs(np.corrcoef(rows.T) - np.eye(3)).max() < 0.02


def test_always_the_same():
    """The numbers follow from the seed, as those of every stream do; others would be other data under this name."""
    digits = numbered()
    assert chosen(digits, 3, "train").tolist() == PINNED
    assert (chosen(digits, 100, "train")[:3] == PINNED).all()
    whole = stacked(digits, 150, 20)
    again = stacked(numbered(), 150, 20)
    identities = set()
    for source in (whole, again):
        pictures = prepare(source, survey(source), Shape(4, 4, 3))
        identities.add(pictures.identity)
        assert (len(pictures.train), len(pictures.held_out), pictures.labels) == (150, 20, None)
    assert len(identities) == 1


def test_without_a_test_part_there_is_none():
    found = stacked(numbered(70, 0), 100)
    assert (len(found), found.test) == (100, None)


def test_what_is_no_grey_pixels_is_unreadable():
    encoded = Source("files", 5, lambda index: b"...")
    colours = from_array("colours", np.zeros((5, 4, 4, 3), np.uint8))
    for source in (encoded, colours):
        with pytest.raises(Unreadable, match="no grey pixels"):
            stacked(source, 5).read(0)


def test_found_by_name_where_mnist_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = numbered()
    (tmp_path / "mnist").mkdir()
    pixels = np.stack([digits.read(index)[:, :, 0] for index in range(70)])
    parts = (pixels[:50], digits.labels[:50], pixels[50:], digits.labels[50:])
    for name, values in zip(IDX, parts, strict=True):
        write_idx(tmp_path / "mnist" / name, values.astype(np.uint8))
    monkeypatch.delenv("ZEROSUM_DATA", raising=False)
    found = find(NAME, tmp_path)
    assert len(found) == COUNT + HELD_OUT == 138_000
    assert (found.read(COUNT - 1) == stacked(digits).read(COUNT - 1)).all()
    parts = digits_of(NAME, tmp_path)
    assert (parts.name, parts.labels.tolist()) == ("mnist", digits.labels.tolist())
    monkeypatch.setenv("ZEROSUM_DATA", str(tmp_path))
    assert len(find(NAME)) == COUNT + HELD_OUT
    assert digits_of("mnist") is None
    # a folder of that name is what it is
    np.save(tmp_path / "own.npy", np.zeros((3, 4, 4), np.uint8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.npy").rename(tmp_path / NAME)
    assert digits_of(NAME) is None
