"""MNIST's IDX files, whole and damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zerosum.data.fit import Shape
from zerosum.data.prepare import prepare
from zerosum.data.readers.idx import has_idx, idx
from zerosum.data.survey import survey
from zerosum.errors import UserError

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (7, 5, 4), dtype=np.uint8)
LABELS = np.array([0, 3, 1, 2, 3, 0, 1], dtype=np.uint8)
IMAGES, NAMES = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def encode(array, kind=8):
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def put(folder, name, array_or_bytes):
    content = array_or_bytes if isinstance(array_or_bytes, bytes) else encode(array_or_bytes)
    folder.mkdir(exist_ok=True)
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}.get(Path(name).suffix, bytes)
    (folder / name).write_bytes(pack(content))


def pictures_of(source):
    return np.stack([source.read(index) for index in range(len(source))])


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".bz2"])
def test_pictures_and_labels(tmp_path, suffix):
    put(tmp_path / "my digits", IMAGES + suffix, PICTURES)
    put(tmp_path / "my digits", NAMES + suffix, LABELS)
    source = idx(tmp_path / "my digits")
    assert source.name == "my digits"
    np.testing.assert_array_equal(pictures_of(source)[:, :, :, 0], PICTURES)
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.labels.dtype == np.int64
    seen = survey(source)
    np.testing.assert_array_equal(seen.sizes, [(4, 5)] * 7)  # width, height
    assert (seen.channels == 1).all()
    assert source.classes == ("0", "1", "2", "3")
    assert source.test is None


def test_which_folders_hold_idx_files(tmp_path):
    assert not has_idx(tmp_path)
    put(tmp_path, NAMES, LABELS)
    put(tmp_path, f"{IMAGES}.txt", b"")
    assert not has_idx(tmp_path)
    put(tmp_path, f"{IMAGES}.xz", PICTURES)
    assert has_idx(tmp_path)


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz"])
def test_one_file_and_the_labels_beside_it(tmp_path, name):
    put(tmp_path, IMAGES, PICTURES)
    put(tmp_path, NAMES, LABELS)
    put(tmp_path, name, 255 - PICTURES[:3])
    put(tmp_path, "t10k-labels-idx1-ubyte", np.array([0, 2, 1], dtype=np.uint8))
    source = idx(tmp_path / name)
    assert source.name == name.removesuffix(".gz")
    np.testing.assert_array_equal(pictures_of(source)[:, :, :, 0], 255 - PICTURES[:3])
    assert source.labels.tolist() == [0, 2, 1]
    assert source.test is None
    assert len(idx(tmp_path / IMAGES)) == 7


def test_a_file_of_labels_alone(tmp_path):
    put(tmp_path, NAMES, LABELS)
    with pytest.raises(UserError, match="no IDX file of pictures"):
        idx(tmp_path / NAMES)


def test_several_sets_in_one_folder(tmp_path):
    for name, pictures in (("letters", 255 - PICTURES), ("digits", PICTURES)):
        put(tmp_path, f"emnist-{name}-train-images-idx3-ubyte", pictures)
        put(tmp_path, f"emnist-{name}-train-labels-idx1-ubyte", LABELS if name == "digits" else LABELS[::-1])
    source = idx(tmp_path)
    np.testing.assert_array_equal(pictures_of(source)[:, :, :, 0], PICTURES)
    np.testing.assert_array_equal(source.labels, LABELS)
    assert "emnist-letters-train-images-idx3-ubyte" in source.notes[0]


def test_no_label_file_no_labels(tmp_path):
    put(tmp_path, IMAGES, PICTURES)
    source = idx(tmp_path)
    assert source.labels is None
    assert source.classes == ()


def test_t10k_becomes_the_hold_out(tmp_path):
    put(tmp_path, IMAGES, PICTURES)
    put(tmp_path, NAMES, LABELS)
    put(tmp_path, "t10k-images-idx3-ubyte.gz", 255 - PICTURES[:3])
    put(tmp_path, "t10k-labels-idx1-ubyte.gz", LABELS[:3])
    source = idx(tmp_path)
    assert source.test.tolist() == [7, 8, 9]
    np.testing.assert_array_equal(pictures_of(source)[:, :, :, 0], np.concatenate([PICTURES, 255 - PICTURES[:3]]))
    np.testing.assert_array_equal(source.labels, np.concatenate([LABELS, LABELS[:3]]))
    found = prepare(source, survey(source), Shape(4, 5, 1))
    assert found.held_out.tolist() == [7, 8, 9]
    np.testing.assert_array_equal(found.pixels[found.held_out][:, 0], 255 - PICTURES[:3])


def test_labels_of_one_part_alone_are_no_labels(tmp_path):
    put(tmp_path, IMAGES, PICTURES)
    put(tmp_path, NAMES, LABELS)
    put(tmp_path, "t10k-images-idx3-ubyte", PICTURES)
    assert idx(tmp_path).labels is None


def test_emnists_training_part_is_not_its_test_part(tmp_path):
    put(tmp_path, "emnist-letters-train-images-idx3-ubyte.gz", PICTURES)
    put(tmp_path, "emnist-letters-train-labels-idx1-ubyte.gz", LABELS)
    put(tmp_path, "emnist-letters-test-images-idx3-ubyte.gz", 255 - PICTURES[:2])
    put(tmp_path, "emnist-letters-test-labels-idx1-ubyte.gz", LABELS[:2])
    source = idx(tmp_path)
    assert len(source) == 9
    assert source.test.tolist() == [7, 8]
    np.testing.assert_array_equal(pictures_of(source)[:7, :, :, 0], PICTURES)
    np.testing.assert_array_equal(source.labels, np.concatenate([LABELS, LABELS[:2]]))


def expect_damaged(folder, name, *words):
    with pytest.raises(UserError) as caught:
        idx(folder)
    assert name in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("end", [0, 1, 3, 4, 5, 8, 11, 15, 16, 17, 155])
def test_a_truncated_file(tmp_path, suffix, end):
    whole = encode(PICTURES)
    assert len(whole) == 156
    put(tmp_path, IMAGES + suffix, whole[:end])
    expect_damaged(tmp_path, IMAGES + suffix)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_longer_file(tmp_path, suffix):
    put(tmp_path, IMAGES + suffix, encode(PICTURES) + b"\0")
    expect_damaged(tmp_path, IMAGES + suffix, "140", "141")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" * 10, b"\0\0\x09" + encode(PICTURES)[3:], b"\0\0\x08\0x"])
def test_a_wrong_magic(tmp_path, content):
    put(tmp_path, IMAGES, content)
    expect_damaged(tmp_path, IMAGES, "not an IDX file")


def test_pictures_of_floats(tmp_path):
    put(tmp_path, IMAGES, encode(PICTURES.astype(">f4"), kind=0x0D))
    expect_damaged(tmp_path, IMAGES)


@pytest.mark.parametrize("shape", [(140,), (7, 20), (7, 5, 2, 2)])
def test_items_that_are_no_pictures(tmp_path, shape):
    put(tmp_path, IMAGES, PICTURES.reshape(shape))
    expect_damaged(tmp_path, IMAGES)


@pytest.mark.parametrize("shape", [(0, 5, 4), (7, 0, 4), (7, 5, 0)])
@pytest.mark.parametrize("labelled", [True, False])
def test_no_pictures_at_all(tmp_path, shape, labelled):
    put(tmp_path, IMAGES, np.zeros(shape, dtype=np.uint8))
    if labelled:
        put(tmp_path, NAMES, np.zeros(shape[0], dtype=np.uint8))
    expect_damaged(tmp_path, IMAGES)


@pytest.mark.parametrize("labels", [LABELS[:6], np.append(LABELS, LABELS), LABELS[:, None]])
def test_labels_that_do_not_match(tmp_path, labels):
    put(tmp_path, IMAGES, PICTURES)
    put(tmp_path, NAMES, labels)
    expect_damaged(tmp_path, NAMES, "7 pictures")


def test_parts_of_different_sizes(tmp_path):
    put(tmp_path, IMAGES, PICTURES)
    put(tmp_path, "t10k-images-idx3-ubyte", PICTURES.transpose(0, 2, 1))
    expect_damaged(tmp_path, tmp_path.name, "do not belong together")


def test_the_test_part_alone(tmp_path):
    put(tmp_path, "t10k-images-idx3-ubyte", PICTURES)
    expect_damaged(tmp_path, tmp_path.name, "train-images-idx3-ubyte")


def test_a_folder_named_as_a_file(tmp_path):
    (tmp_path / IMAGES).mkdir()
    expect_damaged(tmp_path, IMAGES)


@pytest.mark.parametrize("damage", ["cut", "flip", "plain", "empty", "trailer"])
def test_a_corrupt_gzip(tmp_path, damage):
    packed = bytearray(gzip.compress(encode(PICTURES)))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "flip":
        packed[len(packed) // 2] ^= 0xFF
    elif damage == "trailer":
        packed[-6] ^= 1  # the checksum
    elif damage == "plain":
        packed = bytearray(encode(PICTURES))
    else:
        packed = bytearray()
    (tmp_path / f"{IMAGES}.gz").write_bytes(packed)
    expect_damaged(tmp_path, f"{IMAGES}.gz")


def _loads_or_says_so(path):
    """Only success or words; a file that loads has pictures."""
    try:
        source = idx(path)
    except UserError as error:
        return str(error)
    assert len(source) > 0
    assert pictures_of(source).ndim == 4
    return ""


WHOLE = encode(PICTURES)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 156))
@example([(3, 4), *((place, value) for word in (4, 8, 12, 16) for place, value in [(word + 1, 1), (word + 3, 0)])], 16)
@example([(4, 127), (8, 127), (12, 127)], 156)
@example([(4, 255)], 156)
def test_any_header_loads_or_is_refused_in_words(tmp_path_factory, changes, end):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    content = bytearray(WHOLE + bytes(20))
    for place, value in changes:
        content[place] = value
    put(folder, IMAGES, bytes(content[:end]))
    answer = _loads_or_says_so(folder)
    assert not answer or IMAGES in answer


def test_sizes_whose_product_overflows(tmp_path):
    put(tmp_path, IMAGES, b"\0\0\x08\x04" + struct.pack(">4i", *[65536] * 4))
    expect_damaged(tmp_path, IMAGES)


PACKED = {".gz": gzip.compress(WHOLE, mtime=0), ".xz": lzma.compress(WHOLE), ".bz2": bz2.compress(WHOLE)}


@pytest.mark.parametrize("suffix", PACKED)
@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 255)), max_size=2), st.integers(0, 300))
def test_any_packed_file_loads_or_is_refused_in_words(tmp_path_factory, suffix, changes, end):
    folder = tmp_path_factory.getbasetemp() / f"fuzz-{suffix[1:]}"
    content = bytearray(PACKED[suffix])
    for place, value in changes:
        content[place % len(content)] ^= value
    folder.mkdir(exist_ok=True)
    (folder / f"{IMAGES}{suffix}").write_bytes(content[:end])
    answer = _loads_or_says_so(folder)
    assert not answer or f"{IMAGES}{suffix}" in answer
    if not answer:
        np.testing.assert_array_equal(pictures_of(idx(folder))[:, :, :, 0], PICTURES)  # there is a checksum


# ---- the real files ----


def real(name):
    root = os.environ.get("ZEROSUM_DATA")
    if not root or not (Path(root) / name).exists():
        pytest.skip(f"set ZEROSUM_DATA to a folder that holds {name}")
    return Path(root) / name


def test_mnist():
    source = idx(real("mnist"))
    assert len(source) == 70_000
    assert source.name == "mnist"
    assert source.classes == tuple("0123456789")
    assert source.read(69_999).shape == (28, 28, 1)
    np.testing.assert_array_equal(source.test, np.arange(60_000, 70_000))
    train = np.bincount(source.labels[:60_000])
    assert train.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(source.labels[60_000:]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert source.labels[:5].tolist() == [5, 0, 4, 1, 9]
    pixels = np.stack([source.read(index) for index in range(60_000)])
    assert pixels.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std() / 255 == pytest.approx(0.3081, abs=5e-5)


def test_fashion_mnist():
    source = idx(real("fashion-mnist"))
    assert len(source) == 70_000
    assert np.bincount(source.labels[source.test]).tolist() == [1000] * 10
    assert np.bincount(source.labels).tolist() == [7000] * 10
