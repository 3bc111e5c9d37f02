"""Sets that fit on no disk: the same pictures, the same split, an order that is a function of (seed, position)."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.data import prepare as room
from zerosum.data.fit import Shape
from zerosum.data.loader import Loader
from zerosum.data.pixels import to_bytes
from zerosum.data.source import Source, Unreadable
from zerosum.data.streamed import Streamed, Windows
from zerosum.data.survey import survey
from zerosum.errors import Stopped, UserError

CPU = torch.device("cpu")
SHAPE = Shape(4, 4, 3)
COUNT = 150


class Shards:
    """Pictures that can only be read forwards from the start of their block; counts the steps back."""

    def __init__(self, blocks):
        random = np.random.default_rng(0)
        self.raws = []
        for _ in range(COUNT):
            file = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(file, "PNG")
            self.raws.append(file.getvalue())
        self.source = Source(
            "shards",
            COUNT,
            lambda index: self.raws[index],
            files=[f"{index}" for index in range(COUNT)],
            labels=np.arange(COUNT) % 3,
            classes=("a", "b", "c"),
            blocks=np.array(blocks),
        )


@pytest.fixture
def both(tmp_path, monkeypatch):
    """The same pictures streamed and in memory."""
    source = Shards([40, 0, 50, 60]).source
    seen = survey(source)
    plain = room.prepare(source, seen, SHAPE)
    monkeypatch.setattr(room, "IN_MEMORY", 0)
    monkeypatch.setattr(room, "_free", lambda folder: 0)
    streamed = room.prepare(source, seen, SHAPE, cache=tmp_path)
    assert not list(tmp_path.iterdir())
    return streamed, plain


def test_streamed_pictures_are_the_same_data(both):
    streamed, plain = both
    assert isinstance(streamed.pixels, Streamed)
    assert streamed.notes
    assert streamed.identity == plain.identity
    for part in ("train", "held-out"):
        np.testing.assert_array_equal(streamed.take(part)[0], plain.take(part)[0])
    assert set(streamed.pixels.kept) == set(plain.held_out.tolist())


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_each_pass_shows_every_training_picture_once(both, size):
    streamed, _ = both
    windows = Windows(streamed.pixels, streamed.train, seed=3, size=size)
    count = len(streamed.train)
    passes = [windows.batch(epoch * count, count)[1] for epoch in range(3)]
    for rows in passes:
        np.testing.assert_array_equal(np.sort(rows), np.sort(streamed.train))
    assert size == 1 or len({rows.tobytes() for rows in passes}) == 3


def test_content_does_not_depend_on_the_batches_or_on_where_one_starts(both):
    streamed, _ = both
    whole = Windows(streamed.pixels, streamed.train, seed=1, size=32).batch(0, 400)
    for start, counts in ((0, [64] * 6), (130, [1, 31, 32, 33, 100]), (399, [1])):
        windows = Windows(streamed.pixels, streamed.train, seed=1, size=32)
        for count in counts:
            pixels, rows = windows.batch(start, count)
            np.testing.assert_array_equal(rows, whole[1][start : start + count])
            np.testing.assert_array_equal(pixels, whole[0][start : start + count])
            start += count


def test_a_window_mixes_and_blocks_change_places(both):
    streamed, _ = both
    windows = Windows(streamed.pixels, streamed.train, seed=0, size=30)
    assert len({windows.rows(epoch, 0)[0].item() for epoch in range(12)}) == 3  # each block comes first at times
    order = windows.batch(0, 30)[1]
    assert (np.diff(order) < 0).any()


def test_the_loader_streams(both):
    streamed, plain = both
    x, labels = Loader(streamed, 0, CPU, mirror=False, labels=True).batch(0, len(streamed.train))
    known = {picture.tobytes(): label for picture, label in zip(*plain.take("train"), strict=True)}
    assert [known[picture.tobytes()] for picture in to_bytes(x)] == labels.tolist()
    with pytest.raises(UserError, match="balanced"):
        Loader(streamed, 0, CPU, mirror=False, labels=True, balanced=True)


def test_only_two_windows_are_held(both):
    streamed, _ = both
    windows = Windows(streamed.pixels, streamed.train, seed=0, size=10)
    for start in range(0, 200, 5):
        windows.batch(start, 5)
        assert len(windows._held) <= 2


def test_a_reading_error_reaches_the_trainer(both):
    streamed, _ = both

    def fail(index):
        raise Unreadable("the network is gone")

    gone = dataclasses.replace(streamed.pixels, source=dataclasses.replace(streamed.pixels.source, read=fail))
    with pytest.raises(Stopped, match=r"cannot be read any more \(the network is gone\)"):
        Windows(gone, streamed.train, seed=0, size=10).batch(0, 5)
