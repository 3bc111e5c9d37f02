"""The built-in digits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from zerosum.data.fit import Shape
from zerosum.data.prepare import prepare
from zerosum.data.readers.digits import digits
from zerosum.data.survey import survey


@pytest.fixture(scope="module")
def source():
    return digits()


@pytest.fixture(scope="module")
def at_12(source):
    return prepare(source, survey(source), Shape(12, 12, 1))


def test_they_are_scikit_learns_digits(source):
    from sklearn.datasets import load_digits

    known = load_digits()
    assert len(source) == 1797
    assert source.classes == tuple("0123456789")
    np.testing.assert_array_equal(source.labels, known.target)
    pictures = np.stack([source.read(index) for index in range(len(source))])
    assert pictures.shape == (1797, 12, 12, 1)
    assert pictures.dtype == np.uint8
    inner = pictures[:, 2:10, 2:10, 0]
    np.testing.assert_array_equal(inner, np.floor(known.images * 255 / 16 + 0.5))
    assert pictures.astype(int).sum() == inner.astype(int).sum()  # the margin is empty
    assert inner.max() == 255


def test_a_tenth_is_held_out_of_each_class(at_12):
    assert len(at_12.held_out) == 180
    np.testing.assert_array_equal(np.bincount(at_12.labels[at_12.held_out], minlength=10), 18)
    assert len(at_12.train) == 1617
    assert at_12.source_size == (12, 12)
    assert at_12.name == "digits"


@pytest.mark.parametrize("size", [16, 32])
def test_the_split_does_not_depend_on_the_resolution(source, at_12, size):
    other = prepare(source, survey(source), Shape(size, size, 1))
    assert other.pixels.shape == (1797, 1, size, size)
    np.testing.assert_array_equal(other.held_out, at_12.held_out)
    assert other.identity != at_12.identity
    assert other.source_size == (12, 12)


def test_the_split_has_not_changed(at_12):
    """Numbers of the documentation were measured on this split."""
    assert at_12.held_out[:12].tolist() == [1, 4, 5, 29, 33, 34, 38, 45, 46, 49, 64, 65]
    assert at_12.identity == "e6b194488894cdaae4b01c2ba20b763ce186529561c03ff002c8a1c1f7bb7e84"


def test_no_picture_is_on_both_sides(at_12):
    train, held_out = ({row.tobytes() for row in at_12.pixels[rows]} for rows in (at_12.train, at_12.held_out))
    assert not train & held_out


def test_scikit_learn_is_not_imported():
    code = (
        "import sys; from zerosum.data.readers.digits import digits; assert len(digits()) == 1797; "
        "print([name for name in sys.modules if name.split('.')[0] in ('sklearn', 'scipy', 'pandas', 'torch')])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
