"""The built-in digits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from zerosum.data.prepare import prepare
from zerosum.data.source import find


@pytest.fixture(scope="module")
def source():
    return find("digits")


@pytest.fixture(scope="module")
def at_12(source):
    return prepare(source, 12, 12, 1)


def test_they_are_scikit_learns_digits(source):
    from sklearn.datasets import load_digits

    known = load_digits()
    assert len(source) == 1797
    assert source.channels == 1
    assert source.classes == tuple("0123456789")
    np.testing.assert_array_equal(source.labels, known.target)
    np.testing.assert_array_equal(source.sizes, np.full((1797, 2), 12))
    pictures = np.stack([source.read(index) for index in range(len(source))])
    assert pictures.shape == (1797, 12, 12, 1)
    assert pictures.dtype == np.uint8
    inner = pictures[:, 2:10, 2:10, 0]
    np.testing.assert_array_equal(inner, np.floor(known.images * 255 / 16 + 0.5))
    assert pictures.astype(int).sum() == inner.astype(int).sum()  # the margin is empty
    assert inner.max() == 255


def test_a_tenth_is_held_out_of_each_class(at_12):
    assert at_12.held_out.sum() == 180
    np.testing.assert_array_equal(np.bincount(at_12.part("held-out")[1], minlength=10), 18)
    assert len(at_12.part("train")[0]) == 1617
    assert at_12.source_size == (12, 12)
    assert at_12.name == "digits"


@pytest.mark.parametrize("size", [16, 32])
def test_the_split_does_not_depend_on_the_resolution(source, at_12, size):
    other = prepare(source, size, size, 1)
    assert other.pixels.shape == (1797, 1, size, size)
    np.testing.assert_array_equal(other.held_out, at_12.held_out)
    assert other.identity != at_12.identity
    assert other.source_size == (12, 12)


def test_the_split_has_not_changed(at_12):
    """Numbers of the documentation were measured on this split."""
    assert np.flatnonzero(at_12.held_out)[:12].tolist() == [1, 4, 5, 29, 33, 34, 38, 45, 46, 49, 64, 65]
    assert at_12.identity == "283f0e81ad93084bb9226cf323a6564c89bc9dad6895f17efb5ad50b34575923"


def test_no_picture_is_on_both_sides(at_12):
    train, held_out = ({picture.tobytes() for picture in at_12.part(part)[0]} for part in ("train", "held-out"))
    assert not train & held_out


def test_scikit_learn_is_not_imported():
    code = (
        "import sys; from zerosum.data.source import find; assert len(find('digits')) == 1797; "
        "print([name for name in sys.modules if name.split('.')[0] in ('sklearn', 'scipy', 'pandas')])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
