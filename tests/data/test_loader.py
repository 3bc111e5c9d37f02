"""Batches are functions of (seed, position)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.data.loader import Loader
from zerosum.data.pictures import Mapped, Pictures
from zerosum.data.pixels import to_bytes

CPU = torch.device("cpu")
COUNT, HELD = 30, 7


def make(channels=3, labels=True):
    """Pictures that are all different, also from every mirror image."""
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, channels, 4, 6), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(COUNT)
    values = np.arange(COUNT, dtype=np.int64) if labels else None
    names = tuple(map(str, range(COUNT))) if labels else ()
    return Pictures("x", pixels, values, names, np.sort(order[HELD:]), order[:HELD], (6, 4), "identity")


@settings(deadline=None, max_examples=60)
@given(
    start=st.integers(0, 10_000),
    batches=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    mirror=st.booleans(),
    seed=st.integers(0, 5),
)
def test_content_does_not_depend_on_the_batches(start, batches, mirror, seed):
    pictures = make()
    loader = Loader(pictures, seed, CPU, mirror=mirror, labels=True)
    x, labels = loader.batch(start, sum(batches))
    again = Loader(pictures, seed, CPU, mirror=mirror, labels=True)
    pieces, at = [], start
    for count in batches:
        pieces.append(again.batch(at, count))
        at += count
    assert torch.equal(torch.cat([piece[0] for piece in pieces]), x)
    assert torch.equal(torch.cat([piece[1] for piece in pieces]), labels)


def test_each_pass_shows_every_training_picture_once():
    pictures = make()
    loader = Loader(pictures, 3, CPU, mirror=False, labels=True)
    size = COUNT - HELD
    train = set(pictures.train.tolist())
    orders = []
    for index in range(4):
        x, labels = loader.batch(index * size, size)
        assert set(labels.tolist()) == train
        np.testing.assert_array_equal(to_bytes(x), pictures.pixels[labels.numpy()])
        orders.append(tuple(labels.tolist()))
    assert len(set(orders)) == 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_a_batch_is(channels):
    x, labels = Loader(make(channels), 0, CPU, mirror=True, labels=True).batch(5, 8)
    assert x.shape == (8, channels, 4, 6)
    assert x.dtype == torch.float32
    assert x.min() >= -1
    assert x.max() <= 1
    assert labels.shape == (8,)
    assert labels.dtype == torch.int64


def test_labels_only_where_wanted_and_there():
    assert Loader(make(), 0, CPU, mirror=False, labels=False).batch(0, 4)[1] is None
    assert Loader(make(labels=False), 0, CPU, mirror=False, labels=True).batch(0, 4)[1] is None


def test_seeds_walk_in_different_orders():
    pictures = make()
    orders = {
        tuple(Loader(pictures, seed, CPU, mirror=False, labels=True).batch(0, 20)[1].tolist()) for seed in range(6)
    }
    assert len(orders) == 6


def test_half_of_the_pictures_are_mirrored_left_to_right():
    pictures = make()
    loader = Loader(pictures, 0, CPU, mirror=True, labels=True)
    count = 2000
    x, labels = loader.batch(0, count)
    found, own = to_bytes(x), pictures.pixels[labels.numpy()]
    plain = (found == own).all(axis=(1, 2, 3))
    flipped = (found == own[:, :, :, ::-1]).all(axis=(1, 2, 3))
    assert (plain ^ flipped).all()
    assert abs(flipped.mean() - 0.5) < 4 * 0.5 / count**0.5
    for label in labels.unique():  # each picture is shown both ways
        assert 0 < flipped[labels.numpy() == label.item()].mean() < 1


def test_without_mirror_nothing_is_mirrored():
    pictures = make()
    x, labels = Loader(pictures, 0, CPU, mirror=False, labels=True).batch(0, 200)
    np.testing.assert_array_equal(to_bytes(x), pictures.pixels[labels.numpy()])


def test_a_batch_may_be_larger_than_the_data():
    x, labels = Loader(make(), 0, CPU, mirror=False, labels=True).batch(11, 200)
    assert x.shape[0] == 200
    assert np.ptp(np.bincount(labels.numpy(), minlength=COUNT)[make().train]) <= 2


def test_the_data_stay_as_they_are():
    pictures = make()
    before = pictures.pixels.copy()
    loader = Loader(pictures, 0, CPU, mirror=True, labels=True)
    x, _ = loader.batch(0, 23)
    x.zero_()
    np.testing.assert_array_equal(pictures.pixels, before)
    assert loader.batch(0, 23)[0].abs().sum() > 0


# ---- classes in turn ----


def uneven():
    """Thirty pictures of one class, five of another, two of a third, and a class without pictures."""
    labels = np.array([0] * 30 + [1] * 5 + [3] * 2)
    pixels = np.random.default_rng(3).integers(0, 256, (37, 1, 4, 4), dtype=np.uint8)
    rows = np.arange(37)
    return Pictures("x", pixels, labels, ("a", "b", "c", "d"), rows, rows[:0], (4, 4), "identity")


def test_balanced_classes_are_shown_equally_often():
    loader = Loader(uneven(), 0, CPU, mirror=False, labels=True, balanced=True)
    labels = loader.batch(0, 300)[1].numpy()
    assert np.bincount(labels, minlength=4).tolist() == [100, 100, 0, 100]
    assert all(sorted(part) == [0, 1, 3] for part in labels.reshape(-1, 3).tolist())
    plain = Loader(uneven(), 0, CPU, mirror=False, labels=True).batch(0, 370)[1].numpy()
    assert np.bincount(plain, minlength=4).tolist() == [300, 50, 0, 20]


def test_balanced_classes_show_each_picture_once_a_pass():
    pictures = uneven()
    loader = Loader(pictures, 0, CPU, mirror=False, labels=True, balanced=True)
    x, labels = loader.batch(0, 90)
    own = to_bytes(x)[labels.numpy() == 0]
    assert {picture.tobytes() for picture in own} == {picture.tobytes() for picture in pictures.pixels[:30]}


@settings(deadline=None, max_examples=30)
@given(start=st.integers(0, 10_000), cut=st.integers(1, 40))
def test_balanced_content_does_not_depend_on_the_batches(start, cut):
    whole = Loader(uneven(), 1, CPU, mirror=True, labels=True, balanced=True).batch(start, 41)
    loader = Loader(uneven(), 1, CPU, mirror=True, labels=True, balanced=True)
    parts = [loader.batch(start, cut), loader.batch(start + cut, 41 - cut)]
    assert torch.equal(torch.cat([part[0] for part in parts]), whole[0])
    assert torch.equal(torch.cat([part[1] for part in parts]), whole[1])


# ---- where the pictures lie does not matter ----


def test_mapped_pictures_give_the_same_batches(tmp_path):
    pictures = make()
    path = tmp_path / "pixels"
    pictures.pixels.tofile(path)
    halves = np.memmap(path, np.uint8, "r", shape=pictures.pixels.shape)
    mapped = dataclasses.replace(pictures, pixels=Mapped([halves[:16], halves[16:]]), resident=False)
    ahead = Loader(mapped, 2, CPU, mirror=True, labels=True)
    plain = Loader(pictures, 2, CPU, mirror=True, labels=True)
    for start, count in ((0, 8), (8, 8), (16, 8), (24, 8), (3, 8), (11, 8), (19, 5), (24, 30)):
        for mine, theirs in zip(ahead.batch(start, count), plain.batch(start, count), strict=True):
            assert torch.equal(mine, theirs)
