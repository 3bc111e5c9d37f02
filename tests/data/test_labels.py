"""What the places of files say: classes, test parts, and StyleGAN's dataset.json."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.data.readers.labels import from_places, is_picture, read_json
from zerosum.data.source import numbered
from zerosum.errors import UserError


def classes_of(*names, listed=None):
    """The class name of every picture, or None."""
    found = from_places(names, listed)
    if found.labels is None:
        assert found.classes == ()
        return None
    assert found.labels.dtype == "int64"
    return [found.classes[label] for label in found.labels]


# ---- pictures ----


@pytest.mark.parametrize(
    "name", ["a.png", "b/A.JPG", "c.jpeg", "d.GIF", "e.webp", "f.bmp", "g.tif", "h.TIFF", "x/i.avif"]
)
def test_these_are_pictures(name):
    assert is_picture(name)


@pytest.mark.parametrize(
    "name", ["a.txt", "png", "a.png.zip", "._a.png", "x/._a.png", "__MACOSX/a.png", "x/__MACOSX/y.png", ""]
)
def test_these_are_none(name):
    assert not is_picture(name)


# ---- class folders ----


def test_the_first_folder_names_the_class():
    found = from_places(["cat/1.png", "ant/2.png", "cat/3.png"])
    assert found.classes == ("ant", "cat")
    assert found.labels.tolist() == [1, 0, 1]
    assert found.test is None
    assert found.notes == ()
    assert classes_of("a/x/1.png", "b/x/2.png", "a/y/3.png") == ["a", "b", "a"]


@pytest.mark.parametrize("around", ["pets/", "pets/by kind/", "/far/away/", "train/", "./pets/"])
def test_folders_around_everything_mean_nothing(around):
    assert classes_of(*(around + name for name in ("a/1.png", "b/1.png", "b/2.png"))) == ["a", "b", "b"]
    assert classes_of(*(around + name for name in ("1.png", "2.png"))) is None


@pytest.mark.parametrize(
    "names",
    [
        ("1.png", "2.png"),
        ("1.png",),
        ("a/1.png",),
        ("a/1.png", "a/2.png"),
        ("a/1.png", "2.png"),
        ("a/b/1.png", "a/2.png"),
    ],
)
def test_no_labels_without_a_folder_for_each(names):
    found = from_places(names)
    assert found.labels is None
    assert found.test is None
    assert "no labels" in found.notes[0]


def test_no_pictures_have_no_labels():
    assert from_places([]) == (None, (), None, ())
    assert from_places([], {"labels": [["a.png", 0]]}) == (None, (), None, ())


def test_class_names_can_be_printed():
    found = from_places(["\udcff/1.png", "b/1.png"])
    assert sorted(found.classes) == ["\\udcff", "b"]
    assert [found.classes[label] for label in found.labels] == ["\\udcff", "b"]


# ---- parts of the data ----


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training", "VAL"), ("train", "validation"), ("TRAIN", "Test")]
)
@pytest.mark.parametrize("around", ["", "pets/"])
def test_train_and_test_are_parts(train, test, around):
    names = [
        f"{around}{train}/a/1.png",
        f"{around}{test}/b/1.png",
        f"{around}{train}/b/2.png",
        f"{around}{test}/a/2.png",
    ]
    found = from_places(names)
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert found.test.tolist() == [1, 3]
    assert found.notes == (f"the data's own test part: {test.lower()}",)


def test_parts_may_come_without_classes_and_in_three():
    found = from_places(["train/1.png", "test/1.png", "val/1.png", "train/2.png"])
    assert found.labels is None
    assert found.test.tolist() == [1, 2]
    assert "test, val" in found.notes[0]
    assert "no labels" in found.notes[1]


def test_a_folder_in_each_part_means_nothing_either():
    found = from_places(["train/images/a/1.png", "train/images/b/1.png", "test/images/a/1.png"])
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "names", [("train/1.png", "extra/1.png"), ("test/1.png", "val/1.png"), ("train/1.png", "training/1.png")]
)
def test_other_folders_are_classes(names):
    found = from_places(names)
    assert found.test is None
    assert found.classes == tuple(sorted(name.split("/")[0] for name in names))


# ---- dataset.json ----


def test_listed_labels_go_before_folders():
    found = from_places(["00000/a.png", "00001/b.png"], {"labels": [["00001/b.png", 0], ["00000\\a.png", 2]]})
    assert found.labels.tolist() == [1, 0]
    assert found.classes == ("0", "2")
    assert found.notes == (
        "labels from dataset.json",
        "the numbers of the classes have gaps (0, 2): 2 classes, called by their numbers",
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 99), max_size=40))
def test_classes_are_called_by_their_numbers(values):
    labels, classes, notes = numbered(np.array(values, dtype=np.int64))
    assert [classes[label] for label in labels.tolist()] == [str(value) for value in values]
    assert labels.dtype == np.int64
    assert len(set(labels.tolist())) == len(classes)  # none is empty
    assert [int(name) for name in classes] == sorted(set(values))  # their order stays
    whole = sorted(set(values)) == list(range(len(set(values))))
    assert bool(notes) == (not whole)
    if whole:
        assert labels.tolist() == values


@pytest.mark.parametrize("around", ["", "pets/", "x/y/"])
@pytest.mark.parametrize("start", ["", "00000/"])
def test_listed_names_may_leave_out_folders_around(around, start):
    listed = {"labels": [[f"{start}a.png", 1], [f"{start}b.png", 0]]}
    assert classes_of(f"{around}{start}a.png", f"{around}{start}b.png", listed=listed) == ["1", "0"]


def test_listed_labels_and_parts_go_together():
    listed = {"labels": [["train/a.png", 1], ["test/b.png", 0]]}
    found = from_places(["train/a.png", "test/b.png"], listed)
    assert found.labels.tolist() == [1, 0]
    assert found.test.tolist() == [1]


@pytest.mark.parametrize("listed", [{}, {"other": [1]}])
def test_a_file_that_says_nothing_leaves_the_folders(listed):
    assert classes_of("a/1.png", "b/1.png", listed=listed) == ["a", "b"]


@pytest.mark.parametrize("labels", [None, [["00000/1.png", [0, 1]], ["00001/1.png", [1, 1]]]])
def test_a_file_that_says_there_are_no_labels_is_believed(labels):
    """The folders of such a set only number its pictures; several numbers are attributes and no class."""
    found = from_places(["00000/1.png", "00001/1.png"], {"labels": labels})
    assert found.labels is None
    assert found.classes == ()
    assert "dataset.json" in found.notes[-1]


def test_a_stray_file_is_counted():
    found = from_places(["a/1.png", "b/1.png", "2.png"])
    assert found.labels is None
    assert "1 of 3 pictures lie outside" in found.notes[-1]


@pytest.mark.parametrize(
    "labels",
    [
        {"a.png": 1},
        "a.png",
        7,
        ["a.png"],
        [["a.png"]],
        [["a.png", 1, 2]],
        [["a.png", "cat"]],
        [["a.png", 1.5]],
        [["a.png", True]],
        [["a.png", -1]],
        [["a.png", None]],
        [[1, 1]],
        [[["a.png"], 1]],
    ],
)
def test_other_forms_are_refused(labels):
    with pytest.raises(UserError, match=r"dataset.json has labels in another form than \[\[file, number\]"):
        from_places(["a.png"], {"labels": labels})


def test_every_picture_needs_a_label():
    with pytest.raises(UserError, match=r"no label for 2 of 3 pictures, b\.png for one"):
        from_places(["a.png", "b.png", "\udcff.png"], {"labels": [["a.png", 1]]})
    with pytest.raises(UserError, match=r"no label for 1 of 1 pictures, \\udcff\.png for one"):
        from_places(["\udcff.png"], {"labels": []})


def test_numbers_are_classes():
    with pytest.raises(UserError, match="has the label 100000: classes are numbered from 0 on"):
        from_places(["a.png"], {"labels": [["a.png", 100_000]]})
    with pytest.raises(UserError, match="classes are numbered"):
        from_places(["a.png"], {"labels": [["a.png", 10**30]]})


def test_json_is_read():
    assert read_json(b'{"labels": [["a.png", 1]]}', "x.zip") == {"labels": [["a.png", 1]]}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"nonsense", b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_damaged_json_is_refused(text):
    with pytest.raises(UserError, match=r"^x/dataset.json is no JSON .*: repair it or take it away\.$"):
        read_json(text, "x/dataset.json")


@pytest.mark.parametrize("text", [b"[]", b"3", b"null", b'"labels"'])
def test_json_is_an_object(text):
    with pytest.raises(UserError, match="holds no JSON object"):
        read_json(text, "dataset.json")


# ---- anything ----

NAMES = st.lists(st.lists(st.sampled_from(["a", "b", "train", "test", "..", "Ä"]), min_size=1, max_size=4), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.sampled_from(["a/a", "b", "labels"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["labels", "x"]), inner, max_size=2),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(NAMES, st.none() | st.dictionaries(st.just("labels"), VALUES))
def test_any_places_are_understood_or_refused_in_words(names, listed):
    names = ["/".join(name) for name in names]
    try:
        found = from_places(names, listed)
    except UserError:
        assert listed is not None
        return
    if found.labels is not None:
        assert found.labels.shape == (len(names),)
        assert 0 <= found.labels.min() <= found.labels.max() < len(found.classes)
    if found.test is not None:
        assert 0 < len(found.test) < len(names)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_json_or_refused_in_words(text):
    try:
        assert isinstance(read_json(text, "dataset.json"), dict)
    except UserError as error:
        assert "dataset.json" in str(error)  # noqa: PT017 - either is well
