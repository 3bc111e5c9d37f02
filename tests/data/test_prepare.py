"""What is held out, and what makes two data sets the same."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zerosum.data import prepare as room
from zerosum.data.fit import MOST_HELD_OUT, Shape, hold_out
from zerosum.data.readers.folder import folder
from zerosum.data.source import Source, from_array
from zerosum.data.survey import survey


def source_of(pictures, labels=None, name="x", test=None):
    """A source of grey pictures (N, H, W)."""
    return from_array(name, pictures, None if labels is None else np.asarray(labels, dtype=np.int64), test=test)


def prepare(source, width, height, channels, **options):
    return room.prepare(source, survey(source), Shape(width, height, channels), **options)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def hashes_of(count, seed=0):
    return np.random.default_rng(seed).permutation(2**20)[:count]


# ---- hold-out ----


@pytest.mark.parametrize(
    ("count", "held"), [(1, 0), (99, 0), (100, 10), (104, 10), (116, 12), (1000, 100), (99_999, 10_000)]
)
def test_a_tenth_and_none_under_a_hundred(count, held):
    chosen = hold_out(hashes_of(count), None)
    assert len(chosen) == held
    np.testing.assert_array_equal(chosen, np.unique(chosen))


def test_at_most_ten_thousand():
    labels = np.arange(150_000) % 7
    assert len(hold_out(hashes_of(150_000), labels)) == MOST_HELD_OUT == 10_000
    assert len(hold_out(hashes_of(150_000), None)) == 10_000


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=12), st.integers(0, 9))
def test_every_class_gives_its_share(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    count = len(labels)
    chosen = hold_out(hashes_of(count, seed), labels)
    if count < 100:
        assert len(chosen) == 0
        return
    assert len(chosen) == round(count / 10)
    taken = np.bincount(labels[chosen], minlength=len(sizes))
    assert (np.abs(taken - np.array(sizes) * len(chosen) / count) < 1).all()


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), min_size=100, max_size=250),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_twins_stay_on_one_side_in_any_order(pictures, labelled, shuffler):
    def split(pictures):
        hashes = np.array([content for content, _ in pictures])
        labels = np.array([label for _, label in pictures]) if labelled else None
        held = np.isin(np.arange(len(pictures)), hold_out(hashes, labels))
        keys = [picture if labelled else picture[0] for picture in pictures]
        sides = [{key for key, own in zip(keys, held, strict=True) if own == side} for side in (True, False)]
        assert not sides[0] & sides[1]
        return sides

    first = split(pictures)
    shuffler.shuffle(pictures)
    assert split(pictures) == first


def test_many_twins_do_not_empty_the_training_part():
    assert len(hold_out(np.zeros(200, dtype=np.int64), None)) < 200
    hashes = hashes_of(1000)
    hashes[:600] = -1  # six hundred blank pages, which come first
    assert 50 <= len(hold_out(hashes, None)) <= 200


def test_a_class_whose_pictures_are_all_the_same_can_be_trained_on():
    labels = np.repeat([0, 1], 100)
    hashes = hashes_of(200)
    hashes[:100] = 2**21
    held = np.isin(np.arange(200), hold_out(hashes, labels))
    assert set(labels[~held]) == {0, 1}


def test_twins_in_two_classes_are_trained_on():
    labels, hashes = np.repeat([0, 1], 100), hashes_of(200)
    hashes[:10] = hashes[100:110] = np.arange(-10, 0)  # they come first in either class
    held = hold_out(hashes, labels)
    assert len(held) == 20
    assert not set(held.tolist()) & {*range(10), *range(100, 110)}


def test_the_names_of_the_classes_do_not_decide():
    """Classes of one size share the odd ones by content, not by the order of their names."""
    hashes, labels = hashes_of(150), np.repeat(np.arange(10), 15)
    chosen = hold_out(hashes, labels)
    assert len(chosen) == 15
    for seed in range(3):
        renamed = np.random.default_rng(seed).permutation(10)[labels]
        np.testing.assert_array_equal(hold_out(hashes, renamed), chosen)


def write_folder(folder, pictures, names):
    for picture, name in zip(pictures, names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / name)


def contents(pictures, which):
    return [picture.tobytes() for picture in pictures.take(which)[0]]


def test_renaming_the_files_does_not_change_who_is_held_out(tmp_path):
    pictures = noise(130, 6, 6)
    write_folder(tmp_path / "a", pictures, [f"{index % 2}/{index:03d}.png" for index in range(130)])
    order = list(range(130))
    random.Random(0).shuffle(order)
    write_folder(tmp_path / "b", pictures, [f"{index % 2}/{order[index]:03d}.png" for index in range(130)])
    a, b = (prepare(folder(tmp_path / name), 6, 6, 1) for name in "ab")
    assert len(a.held_out) == len(b.held_out) == 13
    assert a.identity == b.identity
    assert contents(a, "held-out") == contents(b, "held-out")
    assert contents(a, "train") == contents(b, "train")


# ---- identity ----


def test_a_renamed_or_moved_folder_is_the_same_data(tmp_path):
    write_folder(tmp_path / "a", noise(110, 6, 6), [f"{index % 3}/{index}.png" for index in range(110)])
    first = prepare(folder(tmp_path / "a"), 6, 6, 1)
    shutil.move(tmp_path / "a", tmp_path / "elsewhere")
    second = prepare(folder(tmp_path / "elsewhere"), 6, 6, 1)
    assert (first.name, second.name) == ("a", "elsewhere")
    assert first.identity == second.identity
    np.testing.assert_array_equal(first.held_out, second.held_out)


def test_identity_is_of_content():
    pictures, labels = noise(120, 6, 6), np.arange(120) % 3

    def identity(pictures, labels, size=6):
        return prepare(source_of(pictures, labels), size, size, 1).identity

    base = identity(pictures, labels)
    assert base == identity(pictures.copy(), labels.copy())
    assert len(base) == 64
    changed = pictures.copy()
    changed[50, 3, 3] ^= 1
    relabelled = labels.copy()
    relabelled[50] = (labels[50] + 1) % 3
    others = [
        identity(changed, labels),
        identity(pictures, relabelled),
        identity(pictures, None),
        identity(pictures[:-1], labels[:-1]),
        identity(pictures[::-1], labels[::-1]),
        identity(pictures.reshape(120, 4, 9), labels),
        identity(pictures, labels, size=8),
    ]
    assert len({base, *others}) == len(others) + 1


def test_identity_knows_the_split():
    pictures = noise(120, 6, 6)
    source = source_of(pictures)
    own = prepare(source, 6, 6, 1)
    other = prepare(source_of(pictures, test=np.arange(12)), 6, 6, 1)
    assert other.held_out.tolist() == list(range(12))
    assert own.identity != other.identity


# ---- the rest ----


def test_parts():
    pictures, labels = noise(120, 6, 6), np.arange(120) % 3
    found = prepare(source_of(pictures, labels), 6, 6, 1)
    np.testing.assert_array_equal(found.pixels[:, 0], pictures)
    train, held = found.take("train"), found.take("held-out")
    assert (len(train[0]), len(held[0])) == (108, 12)
    np.testing.assert_array_equal(train[0][:, 0], pictures[found.train])
    np.testing.assert_array_equal(held[1], labels[found.held_out])
    assert prepare(source_of(pictures), 6, 6, 1).take("train")[1] is None


def test_the_sources_own_size():
    assert prepare(source_of(noise(3, 6, 9)), 4, 4, 1).source_size == (9, 6)
    mixed = Source("x", 2, lambda index: noise(6, 9 - 3 * index, 1))
    assert prepare(mixed, 8, 4, 1).source_size == (8, 4)
