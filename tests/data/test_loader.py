"""Batches are functions of (seed, position)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.data.loader import Loader
from zerosum.data.pixels import to_bytes
from zerosum.data.prepare import Pictures

CPU = torch.device("cpu")
COUNT, HELD = 30, 7


def make(channels=3, labels=True):
    """Pictures that are all different, also from every mirror image."""
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, channels, 4, 6), dtype=np.uint8)
    held_out = np.zeros(COUNT, dtype=bool)
    held_out[np.random.default_rng(1).permutation(COUNT)[:HELD]] = True
    values = np.arange(COUNT, dtype=np.int64) if labels else None
    names = tuple(map(str, range(COUNT))) if labels else ()
    return Pictures("x", pixels, values, names, held_out, (6, 4), "identity")


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
    train = set(np.flatnonzero(~pictures.held_out).tolist())
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
    assert np.ptp(np.bincount(labels.numpy(), minlength=COUNT)[~make().held_out]) <= 2


def test_the_data_stay_as_they_are():
    pictures = make()
    before = pictures.pixels.copy()
    loader = Loader(pictures, 0, CPU, mirror=True, labels=True)
    x, _ = loader.batch(0, 23)
    x.zero_()
    np.testing.assert_array_equal(pictures.pixels, before)
    assert loader.batch(0, 23)[0].abs().sum() > 0
