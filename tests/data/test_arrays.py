"""Arrays of pictures: .npy and .npz of any layout and range, whole and damaged."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zerosum.data.readers import npy, values
from zerosum.data.readers.arrays import MOST_CLASSES, arrays, class_numbers, from_arrays
from zerosum.errors import UserError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (7, 6, 5), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
LABELS = np.array([0, 2, 1, 2, 0, 0, 1])


def pictures_of(source):
    return np.stack([source.read(index) for index in range(len(source))])


def npy_of(path, array):
    np.save(path, array, allow_pickle=array.dtype.hasobject)
    return path


def npz_of(path, packed=True, **named):
    (np.savez_compressed if packed else np.savez)(path, **named)
    return path


def refused(path, *words):
    with pytest.raises(UserError) as caught:
        pictures_of(arrays(path))
    assert path.name in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# ---- layouts ----


@pytest.mark.parametrize(
    ("array", "expected", "note"),
    [
        (GREY, GREY[..., None], "(N, 6, 5): grey pictures"),
        (GREY[..., None], GREY[..., None], "(N, 6, 5, 1): channels last"),
        (COLOUR, COLOUR, "(N, 6, 5, 3): channels last"),
        (COLOUR[..., [0, 1, 2, 0]], COLOUR[..., [0, 1, 2, 0]], "(N, 6, 5, 4): channels last"),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR, "(N, 3, 6, 5): channels first, because the second size is 3"),
        (GREY[:, None], GREY[..., None], "(N, 1, 6, 5): channels first, because the second size is 1"),
        (COLOUR[:, :3], COLOUR[:, :3], "channels last is assumed"),
        (GREY[:, :, :3], GREY[:, :, :3, None], "if it is one colour picture"),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_layouts(tmp_path, array, expected, note, suffix, order):
    array = np.asarray(array, order=order)
    path = tmp_path / f"my set.v1.{suffix}"
    source = arrays(npy_of(path, array) if suffix == "npy" else npz_of(path, x=array))
    assert source.name == "my set.v1"
    np.testing.assert_array_equal(pictures_of(source), expected)
    assert pictures_of(source).dtype == np.uint8
    assert source.labels is None
    assert note in source.notes[0]
    if "assumed" in note:
        assert "transpose" in source.notes[0]


def test_the_note_on_channels_first(tmp_path):
    source = arrays(npy_of(tmp_path / "x.npy", RANDOM.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)))
    assert source.notes[0] == (
        "(N, 3, 32, 32): channels first, because the second size is 3 and the last is not 1, 3 or 4"
    )


@pytest.mark.parametrize("shape", [(7, 6, 5, 2), (7, 2, 6, 5), (7, 6), (7,), (), (7, 6, 5, 3, 1), (1, 7, 6, 5, 3)])
def test_shapes_that_are_no_pictures(tmp_path, shape):
    refused(npy_of(tmp_path / "x.npy", np.zeros(shape, dtype=np.uint8)), str(shape))
    refused(npz_of(tmp_path / "x.npz", x=np.zeros(shape, dtype=np.uint8)), str(shape))


@pytest.mark.parametrize("shape", [(0, 6, 5), (7, 0, 5), (7, 6, 0, 3), (0, 3, 6, 5)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_empty_arrays(tmp_path, shape, kind):
    refused(npy_of(tmp_path / "x.npy", np.zeros(shape, dtype=kind)), "no pictures")
    refused(npz_of(tmp_path / "x.npz", x=np.zeros(shape, dtype=kind)), "no pictures")


# ---- values ----


@pytest.mark.parametrize(
    ("array", "expected", "note"),
    [
        (GREY.astype(np.int64), GREY, None),
        (GREY.astype(">u2"), GREY, None),
        (GREY.astype(np.uint64), GREY, None),
        ((GREY > 99), (GREY > 99) * 255, "bool: taken as black and white"),
        ((GREY > 99).astype(np.uint8), (GREY > 99) * 255, "0/1"),
        ((GREY > 99).astype(np.int32), (GREY > 99) * 255, "0/1"),
        (np.zeros_like(GREY), np.zeros_like(GREY), None),
        (np.zeros_like(GREY, dtype=np.float32), np.zeros_like(GREY), "float32 in [0, 1]: taken x 255"),
        (GREY / 255, GREY, "float64 in [0, 1]: taken x 255"),
        ((GREY / 255).astype(np.float32), GREY, "float32 in [0, 1]: taken x 255"),
        ((GREY / 255).astype(">f8"), GREY, "float64 in [0, 1]"),
        (GREY.astype(np.float32) / 127.5 - 1, GREY, "float32 in [-1, 1]: taken (x + 1) x 127.5"),
        (GREY + 0.4 * (GREY < 255), GREY, "float64 in [0, 255]: rounded"),
        (GREY.astype(np.float16), GREY, "float16 in [0, 255]: rounded"),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_values(tmp_path, array, expected, note, suffix):
    path = tmp_path / f"x.{suffix}"
    source = arrays(npy_of(path, array) if suffix == "npy" else npz_of(path, x=array))
    np.testing.assert_array_equal(pictures_of(source)[..., 0], expected)
    assert [text for text in source.notes[1:] if "no labels" not in text and "no label" not in text] == [
        text for text in source.notes if note and note in text
    ]


def test_half_floats_in_zero_to_one(tmp_path):
    source = arrays(npy_of(tmp_path / "x.npy", (GREY / 255).astype(np.float16)))
    assert np.abs(pictures_of(source)[..., 0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (GREY.astype(np.int16) - 1, "-1 to"),
        (GREY.astype(np.uint16) * 200, "0 to"),
        (GREY * 2.0, "float64 from 0"),
        (GREY / 255 - 2, "from -2"),
        (np.where(GREY > 200, np.nan, GREY), "NaN"),
        (np.where(GREY > 200, -np.inf, GREY), "NaN or infinity"),
        (GREY.astype(np.complex64), "complex64"),
        (GREY.astype("U3"), "expected uint8"),
        (GREY.astype("datetime64[s]"), "expected uint8"),
        (np.zeros((3, 4, 4), dtype=[("r", "u1"), ("g", "u1")]), "expected uint8"),
        (GREY.astype(object), "unpickled"),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_values_that_are_no_pixels(tmp_path, array, words, suffix):
    path = tmp_path / f"x.{suffix}"
    refused(npy_of(path, array) if suffix == "npy" else npz_of(path, x=array), words)


def test_the_meaning_of_values_is_decided_over_all_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(values, "PIECE", 16)
    array = GREY / 255
    array[-1, 0, 0] = -1
    path = npz_of(tmp_path / "x.npz", x=array)
    expected = np.rint((array + 1) * 127.5)
    np.testing.assert_array_equal(pictures_of(arrays(path))[..., 0], expected)
    np.testing.assert_array_equal(pictures_of(arrays(npy_of(tmp_path / "x.npy", array)))[..., 0], expected)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_whole_numbers_in_many_pieces(tmp_path, monkeypatch, order, suffix):
    monkeypatch.setattr(values, "PIECE", 16)
    path = tmp_path / f"x.{suffix}"
    array = np.asarray(GREY.astype(np.int16), order=order)
    source = arrays(npy_of(path, array) if suffix == "npy" else npz_of(path, x=array))
    np.testing.assert_array_equal(pictures_of(source)[..., 0], GREY)
    for place, value, words in ((0, -3, "-3 to"), (3, 999, "to 999")):
        wrong = array.copy(order="K")
        wrong[place, 1, 1] = value
        refused(npy_of(path, wrong) if suffix == "npy" else npz_of(path, x=wrong), words)


def test_bytes_stay_on_the_disk(tmp_path):
    big = np.zeros((4000, 50, 50, 3), dtype=np.uint8)
    big[:, 0] = 7
    path = npy_of(tmp_path / "x.npy", big.transpose(0, 3, 1, 2))
    tracemalloc.start()
    source = arrays(path)
    assert source.read(3).shape == (50, 50, 3)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_floats_take_no_more_than_the_result_and_a_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(values, "PIECE", 2**16)
    path = npz_of(tmp_path / "x.npz", x=np.full((2000, 40, 40), 0.5))
    tracemalloc.start()
    source = arrays(path)
    assert tracemalloc.get_traced_memory()[1] < 2000 * 40 * 40 + 2**22
    tracemalloc.stop()
    assert (source.read(1999) == 128).all()


# ---- what is in an .npz ----


@pytest.mark.parametrize("name", ["x", "images", "x_train", "train_images", "X", "data", "pixels", "whatever"])
@pytest.mark.parametrize("label", ["y", "labels", "y_train", "targets", "target", "label"])
@pytest.mark.parametrize("packed", [True, False])
def test_names(tmp_path, name, label, packed):
    source = arrays(npz_of(tmp_path / "x.npz", packed, **{label: LABELS, name: COLOUR, "mu": np.zeros((3, 3))}))
    np.testing.assert_array_equal(pictures_of(source), COLOUR)
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.labels.dtype == np.int64
    assert source.classes == ("0", "1", "2")
    assert "not used: mu" in source.notes
    assert source.test is None


def test_arrays_without_names(tmp_path):
    np.savez(tmp_path / "x.npz", COLOUR, LABELS)
    np.testing.assert_array_equal(arrays(tmp_path / "x.npz").labels, LABELS)
    np.savez(tmp_path / "y.npz", COLOUR, GREY)
    source = arrays(tmp_path / "y.npz")
    assert source.labels is None
    assert "not used: arr_1" in source.notes


def test_the_layout_of_keras(tmp_path):
    named = {"x_test": 255 - GREY[:2], "x_train": GREY, "y_train": LABELS, "y_test": LABELS[:2]}
    source = arrays(npz_of(tmp_path / "mnist.npz", **named))
    np.testing.assert_array_equal(pictures_of(source)[..., 0], np.concatenate([GREY, 255 - GREY[:2]]))
    np.testing.assert_array_equal(source.labels, [*LABELS, 0, 2])
    assert source.test.tolist() == [7, 8]
    del named["y_test"]
    source = arrays(npz_of(tmp_path / "x.npz", **named))
    assert source.labels is None
    assert source.test.tolist() == [7, 8]


def test_the_layout_of_medmnist(tmp_path):
    rows = LABELS[:, None].astype(np.uint8)
    source = arrays(
        npz_of(
            tmp_path / "pathmnist.npz",
            train_images=COLOUR,
            val_images=COLOUR[:2],
            test_images=COLOUR[2:5],
            train_labels=rows,
            val_labels=rows[:2],
            test_labels=rows[2:5],
        )
    )
    assert len(source) == 12
    assert source.test.tolist() == [7, 8, 9, 10, 11]
    np.testing.assert_array_equal(source.labels, np.concatenate([LABELS, LABELS[:5]]))
    assert "the data's own test part: val_images, test_images" in source.notes


def test_parts_are_understood_alike(tmp_path):
    path = npz_of(tmp_path / "x.npz", x_train=np.zeros((3, 4, 4)), x_test=np.full((2, 4, 4), -1.0))
    assert [int(source[0, 0, 0]) for source in pictures_of(arrays(path))] == [128, 128, 128, 0, 0]
    refused(npz_of(tmp_path / "y.npz", x_train=np.zeros((3, 4, 4)), x_test=np.zeros((3, 4, 5))), "belong together")
    refused(npz_of(tmp_path / "z.npz", x_train=GREY, x_test=GREY / 255), "float64, uint8")


def test_nothing_to_choose(tmp_path):
    refused(npz_of(tmp_path / "x.npz", a=GREY, b=GREY), "a (7, 6, 5), b (7, 6, 5)", "'x'")
    refused(npz_of(tmp_path / "y.npz", mu=np.zeros(3)), "mu (3,)")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as file:
        file.writestr("readme.txt", "text")
    refused(tmp_path / "z.npz", "no arrays")


def test_an_array_of_objects_that_nobody_needs(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    source = arrays(npz_of(tmp_path / "x.npz", x=GREY, meta=objects))
    assert len(source) == 7
    assert "not used: meta" in source.notes
    refused(npz_of(tmp_path / "y.npz", x=GREY, y=LABELS.astype(object)), "unpickled")


# ---- labels ----


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.astype(np.uint8),
        LABELS.astype(">i4")[:, None],
        np.eye(3)[LABELS],
        np.eye(3, dtype=bool)[LABELS],
        np.eye(3, dtype=np.int8)[LABELS],
    ],
)
def test_labels_of_any_form(tmp_path, labels):
    source = arrays(npz_of(tmp_path / "x.npz", x=GREY, y=labels))
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.classes == ("0", "1", "2")
    assert not any("gaps" in note for note in source.notes)


@pytest.mark.parametrize("written", [lambda values: values, lambda values: np.eye(9)[values]])
def test_numbers_of_classes_with_gaps(tmp_path, written):
    numbers = np.array([0, 2, 5])[LABELS]
    source = arrays(npz_of(tmp_path / "x.npz", x=GREY, y=written(numbers)))
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.classes == ("0", "2", "5")
    assert "the numbers of the classes have gaps (0, 2, 5): 3 classes, called by their numbers" in source.notes


def test_gaps_that_the_test_part_fills_are_none(tmp_path):
    known = {
        "x_train": GREY,
        "y_train": np.array([0, 2])[LABELS % 2],
        "x_test": GREY,
        "y_test": np.ones(len(GREY), int),
    }
    source = arrays(npz_of(tmp_path / "x.npz", **known))
    assert source.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS[:6], "one for each of the 7"),
        (np.append(LABELS, 0), "one for each of the 7"),
        (LABELS[None], "one for each of the 7"),
        (LABELS[:, None, None], "one for each of the 7"),
        (np.int64(3), "one for each of the 7"),
        (LABELS - 1, "-1 to 1"),
        (LABELS + MOST_CLASSES, str(MOST_CLASSES)),
        (LABELS.astype(np.uint64) + np.uint64(2**63), "numbered from 0 on"),
        (LABELS / 2, "whole numbers"),
        (LABELS.astype(str), "whole numbers"),
    ],
)
def test_labels_that_are_none(tmp_path, labels, words):
    refused(npz_of(tmp_path / "x.npz", x=GREY, y=labels), "'y'", words)


def test_several_classes_at_once_are_no_labels(tmp_path):
    source = arrays(npz_of(tmp_path / "x.npz", x=GREY, y=np.ones((7, 4), dtype=int)))
    assert source.labels is None
    assert "labels of shape (7, 4) are not one class for each picture: not used" in source.notes


def test_arrays_in_memory():
    source = from_arrays("name", GREY / 255, LABELS, "what was given")
    np.testing.assert_array_equal(pictures_of(source)[..., 0], GREY)
    np.testing.assert_array_equal(source.labels, LABELS)
    with pytest.raises(UserError, match="what was given"):
        from_arrays("name", GREY[0], None, "what was given")
    assert class_numbers(np.ones((2, 2)), 2, "them").labels is None


# ---- damaged files ----


def test_damaged_files(tmp_path):
    whole = npy_of(tmp_path / "whole.npy", GREY).read_bytes()
    for broken in (b"", b"\x93NUMPY", b"PK", whole[:50], whole[:-1], whole + b"\0", whole[1:]):
        (tmp_path / "x.npy").write_bytes(broken)
        refused(tmp_path / "x.npy")
    whole = npz_of(tmp_path / "whole.npz", x=GREY, y=LABELS).read_bytes()
    for broken in (b"", b"PK", whole[:200], whole[:-1], whole[5:]):
        (tmp_path / "x.npz").write_bytes(broken)
        refused(tmp_path / "x.npz")
    refused(tmp_path / "missing.npy")
    refused(tmp_path / "missing.npz")


def header_of(shape, kind="|u1", extra=""):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}{extra}}}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    "start",
    [
        header_of((2**40, 2**10, 2**10)),
        header_of((-1, 6, 5)),
        header_of((-7, -6, 5)),
        header_of((True, 6, 5)),
        header_of("(7, 6, 5"),
        header_of("[" * 900),
        header_of((7, 6, 5), "|V0"),
        header_of((7, 6, 5), "no such kind"),
        header_of((7, 6, 5), extra=", 'more': 1"),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        b"\x93NUMPY\x03\x00\x00\x00\x00\x00",
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_are_not_true(tmp_path, start, suffix):
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        path.write_bytes(start + bytes(210))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("x.npy", start + bytes(210))
    refused(path)


def test_a_member_that_claims_more_than_it_can_hold(tmp_path):
    path = npz_of(tmp_path / "x.npz", x=GREY)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, 2**31)
    path.write_bytes(raw)
    refused(path, "cannot unpack to 2147483648 bytes")


def test_a_wrong_checksum(tmp_path):
    path = npz_of(tmp_path / "x.npz", packed=False, x=GREY)
    raw = bytearray(path.read_bytes())
    raw[raw.index(GREY.tobytes()) + 3] ^= 1
    path.write_bytes(raw)
    refused(path, "CRC")


def test_a_locked_or_oddly_packed_file(tmp_path):
    path = npz_of(tmp_path / "x.npz", x=GREY)
    whole = path.read_bytes()
    for place, value, words in ((8, 1, "password"), (10, 12, "savez_compressed")):
        raw = bytearray(whole)
        raw[raw.index(b"PK\x01\x02") + place] = value
        path.write_bytes(raw)
        refused(path, words)


def test_too_many_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(npy, "MOST", 2)
    refused(npz_of(tmp_path / "x.npz", a=GREY, b=GREY, c=GREY), "3 arrays")


def bytes_of(save, *given_arrays, **named):
    stream = io.BytesIO()
    save(stream, *given_arrays, **named)
    return stream.getvalue()


WHOLE = {
    "npy": bytes_of(np.save, GREY),
    "npz": bytes_of(np.savez, x=GREY, y=LABELS),
    "packed.npz": bytes_of(np.savez_compressed, x=GREY / 255, y=LABELS),
}


def settle(path):
    with contextlib.suppress(UserError):
        assert pictures_of(arrays(path)).dtype == np.uint8


@pytest.mark.parametrize("suffix", WHOLE)
@settings(deadline=None, max_examples=200)
@given(st.data())
def test_mutations_end_in_words(tmp_path_factory, suffix, data):
    raw = bytearray(WHOLE[suffix])
    places = st.one_of(st.integers(0, 140), st.integers(0, len(raw) - 1))
    for _ in range(data.draw(st.integers(0, 5))):
        raw[data.draw(places)] = data.draw(
            st.one_of(st.integers(0, 255), st.sampled_from(list(b"0123456789()[]'|<>uifOV")))
        )
    path = tmp_path_factory.getbasetemp() / f"fuzz.{suffix}"
    path.write_bytes(raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))])
    settle(path)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(max_codepoint=127), max_size=60), st.sampled_from([1, 2, 3]))
@example("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 1)}", 1)
@example("{'descr': [('a', 'O')], 'fortran_order': True, 'shape': (1, 2, 1)}", 2)
@example("{'descr': '|u1', 'fortran_order': False, 'shape': (1L, 2L, 1L)}", 1)
@example("\n\t {'\\q'", 1)
@example("-" * 60, 2)
def test_any_header_ends_in_words(tmp_path_factory, text, version):
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    path = tmp_path_factory.getbasetemp() / "header.npy"
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + b"ab")
    settle(path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@settings(deadline=None, max_examples=50)
@given(raw=st.binary(max_size=400))
def test_any_bytes_end_in_words(tmp_path_factory, suffix, raw):
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    path.write_bytes(raw)
    settle(path)
