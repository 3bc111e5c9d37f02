"""Parquet and Arrow tables of pictures, whole and damaged."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

pa = pytest.importorskip("pyarrow", reason="tables need pyarrow")
import pyarrow.parquet as pq  # noqa: E402

from zerosum.data.readers import groups, rows  # noqa: E402
from zerosum.data.readers.parts import choose, configurations, is_whole, parts  # noqa: E402
from zerosum.data.readers.tables import is_table, tables  # noqa: E402
from zerosum.data.source import Unreadable  # noqa: E402
from zerosum.errors import UserError  # noqa: E402


def png(value):
    file = io.BytesIO()
    Image.new("L", (3, 2), int(value) % 256).save(file, "PNG")
    return file.getvalue()


def table(count=6, first=0, names=("cat", "dog"), column="image", label="label", features=True, labels=None):
    """As ``datasets`` writes it: a struct of bytes and path, class numbers, and features in the metadata."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = [{"bytes": png(first + row), "path": f"{row}.png"} for row in range(count)]
    labels = [row % 2 for row in range(count)] if labels is None else labels
    made = pa.table({column: pa.array(pictures, kind), label: pa.array(labels, pa.int64())})
    if features:
        described = {column: {"_type": "Image"}, label: {"names": list(names), "_type": "ClassLabel"}}
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": described}})})
    return made


def put(path, made, rows_in_group=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=rows_in_group)


def stream(path, made, rows_in_batch=2, options=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, made.schema, options=options) as writer:
        writer.write_table(made, max_chunksize=rows_in_batch)


def everything(source):
    return [source.read(index) for index in range(len(source))]


def expect(path, *words):
    with pytest.raises(UserError) as caught:
        everything(tables(path))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_parquet_file(tmp_path):
    put(tmp_path / "animals.parquet", table())
    assert is_table(tmp_path / "animals.parquet")
    source = tables(tmp_path / "animals.parquet")
    assert source.name == "animals"
    assert everything(source) == [png(row) for row in range(6)]
    assert source.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert source.labels.dtype == np.int64
    assert source.classes == ("cat", "dog")
    assert source.test is None
    assert source.files[4] == "animals.parquet:4"
    assert len(set(source.stamps)) == len(set(source.files)) == 6
    assert source.place == str((tmp_path / "animals.parquet").resolve())


def test_stamps_change_with_the_file(tmp_path):
    put(tmp_path / "a.parquet", table())
    before = tables(tmp_path / "a.parquet").stamps
    assert tables(tmp_path / "a.parquet").stamps == before
    put(tmp_path / "a.parquet", table(first=100, count=7))
    assert not set(tables(tmp_path / "a.parquet").stamps) & set(before)


def test_the_layout_of_the_hub(tmp_path):
    folder = tmp_path / "my set"
    put(folder / "data" / "train-00000-of-00002.parquet", table(4))
    put(folder / "data" / "train-00001-of-00002-0123456789abcdef.parquet", table(3, first=10))
    put(folder / "data" / "test-00000-of-00001.parquet", table(2, first=20))
    put(folder / "data" / "validation-00000-of-00001.parquet", table(1, first=30))
    (folder / "README.md").write_text("about")
    assert is_table(folder)
    source = tables(folder)
    assert source.name == "my set"
    numbers = [*range(4), *range(10, 13), 20, 21, 30]
    assert everything(source) == [png(number) for number in numbers]
    assert source.test.tolist() == [7, 8, 9]
    assert source.blocks.tolist() == [2, 2, 2, 1, 2, 1]  # groups of rows
    assert source.files[7] == "data/test-00000-of-00001.parquet:0"
    assert source.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 0, 1, 0]
    assert source.notes == ("the data's own test part: test, validation",)


def test_a_saved_data_set_with_parts(tmp_path):
    for part, first in (("train", 0), ("test", 10)):
        stream(tmp_path / part / "data-00000-of-00001.arrow", table(5, first=first))
        (tmp_path / part / "dataset_info.json").write_text("{}")
        state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
        (tmp_path / part / "state.json").write_text(json.dumps(state))
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    stream(tmp_path / "train" / "cache-0123.arrow", table(1))  # what map() left there
    assert is_table(tmp_path)
    source = tables(tmp_path)
    assert everything(source) == [png(number) for number in (*range(5), *range(10, 15))]
    assert source.test.tolist() == [5, 6, 7, 8, 9]
    assert source.classes == ("cat", "dog")
    (tmp_path / "test" / "data-00000-of-00001.arrow").rename(tmp_path / "test" / "data-00001-of-00002.arrow")
    expect(tmp_path, "data-00000-of-00001.arrow", "missing")


def test_a_saved_data_set_without_parts(tmp_path):
    stream(tmp_path / "data-00000-of-00002.arrow", table(5))
    stream(tmp_path / "data-00001-of-00002.arrow", table(2, first=5))
    source = tables(tmp_path)
    assert everything(source) == [png(number) for number in range(7)]
    assert source.test is None
    (tmp_path / "state.json").write_text("[")
    expect(tmp_path, "state.json")


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (["test.parquet"], ["test.parquet"], []),
        (["a.parquet", "b.parquet"], ["a.parquet", "b.parquet"], []),
        (["fold-0-of-1.parquet"], ["fold-0-of-1.parquet"], []),
        (["x/train/0000.parquet", "x/test/0000.parquet"], ["x/train/0000.parquet"], ["x/test/0000.parquet"]),
        (["year=1/part-0.parquet", "year=2/part-0.parquet"], ["year=1/part-0.parquet", "year=2/part-0.parquet"], []),
        (["train.parquet", "extra.parquet", "val.parquet"], ["train.parquet"], ["val.parquet"]),
        (["data.parquet", "test.parquet"], ["data.parquet"], ["test.parquet"]),
        (["latest.parquet", "trainer.parquet"], ["latest.parquet", "trainer.parquet"], []),
        (["my-Training-set.parquet"], ["my-Training-set.parquet"], []),
        (["test/train-0-of-1.parquet", "test/dev-0-of-1.parquet"],) * 1
        + (["test/train-0-of-1.parquet"], ["test/dev-0-of-1.parquet"]),
    ],
)
def test_parts(names, train, test):
    found = parts(names, "here")
    assert list(found.train) == train
    assert list(found.test) == test


def test_parts_that_cannot_be_guessed():
    with pytest.raises(UserError, match="labeled, unlabeled"):
        parts(["labeled-00000-of-00001.parquet", "unlabeled-00000-of-00001.parquet"], "here")
    left = parts(["train-0-of-1.parquet", "unlabeled-0-of-1.parquet"], "here")
    assert left.notes == ("left out: unlabeled",)
    half = parts(["default/partial-train/0000.parquet"], "here")
    assert "only the first part" in half.notes[0]


def test_one_of_several_tables(tmp_path):
    assert set(configurations(["data/train-0.parquet", "b/c/test/0000.parquet", "x.parquet"])) == {"", "b/c"}
    names = ["big/train-0-of-1.parquet", "small/train-0-of-1.parquet"]
    assert choose(names, "small", "here", "choose") == names[1:]
    assert choose([*names, "default/train-0-of-1.parquet"], None, "here", "choose") == ["default/train-0-of-1.parquet"]
    with pytest.raises(UserError, match="big, small"):
        choose(names, None, "here", "choose")
    with pytest.raises(UserError, match="did you mean small"):
        choose(names, "smal", "here", "choose")
    for name in names:
        put(tmp_path / name, table())
    expect(tmp_path, "big, small", "folder")


def test_whole_series():
    assert is_whole(["train-0-of-2.parquet", "train-1-of-2.parquet", "test-0-of-1.parquet"])
    assert not is_whole(["train-0-of-2.parquet", "test-0-of-1.parquet"])
    assert not is_whole(["train.parquet"])


BYTES = pa.array([png(0), png(1)], pa.binary())


@pytest.mark.parametrize(
    ("made", "labels", "classes"),
    [
        (table(2, features=False), [0, 1], ("0", "1")),
        (table(2, features=False, column="photo", label="Target"), [0, 1], ("0", "1")),
        (pa.table({"png": BYTES, "mask": BYTES, "class": ["b", "a"]}), [1, 0], ("a", "b")),
        (pa.table({"x": BYTES.cast(pa.large_binary()), "labels": pa.array([3, 0], pa.uint8())}), [1, 0], ("0", "3")),
        (pa.table({"x": BYTES, "label": pa.array(["q", "q"]).dictionary_encode()}), [0, 0], ("q",)),
        (pa.table({"x": BYTES, "label": ["u", "v"], "target": [1, 0]}), [1, 0], ("0", "1")),
        (pa.table({"x": BYTES, "caption": ["u", "v"], "width": [1, 0]}), None, ()),
        (pa.table({"x": BYTES, "label": pa.array([0, None], pa.int64())}), None, ()),
        (pa.table({"x": BYTES, "label": ["a", None]}), None, ()),
        (pa.table({"x": BYTES, "label": [0, -1]}), None, ()),
        (pa.table({"x": BYTES, "label": [0, 10**12]}), None, ()),
    ],
)
@pytest.mark.parametrize("write", [put, stream])
def test_columns(tmp_path, made, labels, classes, write):
    path = tmp_path / ("t.parquet" if write is put else "t.arrow")
    if write is stream and any(pa.types.is_dictionary(field.type) for field in made.schema):
        write(path, made)
        expect(path, "categories")
        return
    write(path, made, 1)
    source = tables(path)
    assert everything(source) == [png(0), png(1)]
    assert (None if source.labels is None else source.labels.tolist()) == labels
    assert source.classes == classes
    assert any("no labels" in note for note in source.notes) == (labels is None)


def test_gaps_between_numbers_are_closed_and_named_classes_stay(tmp_path):
    made = pa.table({"image": BYTES, "label": [5, 2]})
    put(tmp_path / "t.parquet", made)
    source = tables(tmp_path / "t.parquet")
    assert (source.labels.tolist(), source.classes) == ([1, 0], ("2", "5"))
    assert any("the numbers of the classes have gaps (2, 5)" in note for note in source.notes)
    described = {"label": {"_type": "ClassLabel", "names": list("abcdef")}}
    put(
        tmp_path / "t.parquet",
        made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": described}})}),
    )
    source = tables(tmp_path / "t.parquet")
    assert (source.labels.tolist(), source.classes) == ([5, 2], tuple("abcdef"))


def test_features_go_before_names(tmp_path):
    made = pa.table({"image": BYTES, "photo": BYTES, "label": [0, 1], "coarse": [1, 0]})
    described = {"photo": {"_type": "Image"}, "coarse": {"_type": "ClassLabel", "names": ["n", "y"]}}
    made = made.set_column(0, "image", pa.array([b"no", b"no"]))
    made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": described}})})
    put(tmp_path / "t.parquet", made)
    source = tables(tmp_path / "t.parquet")
    assert everything(source) == [png(0), png(1)]
    assert source.labels.tolist() == [1, 0]
    assert source.classes == ("n", "y")


@pytest.mark.parametrize("metadata", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"image": 1}}}', b"\xff"])
def test_features_that_cannot_be_understood(tmp_path, metadata):
    put(tmp_path / "t.parquet", table(features=False).replace_schema_metadata({"huggingface": metadata}))
    assert tables(tmp_path / "t.parquet").classes == ("0", "1")


def test_test_labels_that_are_kept_secret(tmp_path):
    put(tmp_path / "train.parquet", table(4))
    put(tmp_path / "validation.parquet", table(2))
    put(tmp_path / "test.parquet", table(2, labels=[-1, -1]))
    source = tables(tmp_path)
    assert source.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert source.test.tolist() == [4, 5]
    assert any("left out" in note and "test.parquet" in note for note in source.notes)


def test_rows_without_a_picture(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [{"bytes": png(0), "path": None}, None, {"bytes": None, "path": "x.png"}, {"bytes": None, "path": None}]
    put(tmp_path / "t.parquet", pa.table({"image": pa.array(values, kind)}))
    source = tables(tmp_path / "t.parquet")
    assert source.read(0) == png(0)
    for index, words in ((1, "no picture"), (2, "only a path"), (3, "no picture")):
        with pytest.raises(Unreadable, match=words):
            source.read(index)


def test_tables_without_pictures(tmp_path):
    put(tmp_path / "t.parquet", pa.table({"a": [1], "b": ["x"]}))
    expect(tmp_path / "t.parquet", "no column of pictures", "a int64")
    put(tmp_path / "t.parquet", pa.table({"left": BYTES, "right": BYTES}))
    expect(tmp_path / "t.parquet", "left, right")
    put(tmp_path / "t.parquet", pa.table({"image": [[1, 2], [3, 4]]}))
    expect(tmp_path / "t.parquet", "no column of pictures")
    put(tmp_path / "t.parquet", table(0))
    expect(tmp_path / "t.parquet", "no rows")
    described = json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})
    put(tmp_path / "t.parquet", pa.table({"image": ["x.png"]}).replace_schema_metadata({"huggingface": described}))
    expect(tmp_path / "t.parquet", "string", "bytes")
    (tmp_path / "empty").mkdir()
    expect(tmp_path / "empty", "holds no table")


def test_files_that_do_not_belong_together(tmp_path):
    put(tmp_path / "train.parquet", table())
    put(tmp_path / "test.parquet", table(names=("cat", "dog", "cow")))
    expect(tmp_path, "train.parquet", "test.parquet", "belong together")
    put(tmp_path / "test.parquet", table(column="photo"))
    expect(tmp_path, "'photo'", "'image'")


def test_a_class_without_a_name(tmp_path):
    put(tmp_path / "t.parquet", table(3, labels=[0, 1, 2]))
    expect(tmp_path / "t.parquet", "class 2", "2 classes")


def test_what_is_a_table(tmp_path):
    assert not is_table(tmp_path)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "banner.png").write_bytes(png(0))
    assert not is_table(tmp_path)
    put(tmp_path / "deep" / "er" / "x.parquet", table())
    assert is_table(tmp_path)
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    assert not is_table(tmp_path)  # a folder of pictures with a table about them
    assert not is_table(tmp_path / "README.md")
    put(tmp_path / "shards" / "00000.parquet", table())
    (tmp_path / "shards" / "00000.tar").write_bytes(b"")
    assert not is_table(tmp_path / "shards")


@pytest.mark.parametrize("write", [put, stream])
def test_every_group_is_loaded_once_in_order(tmp_path, monkeypatch, write):
    path = tmp_path / ("t.parquet" if write is put else "t.arrow")
    write(path, table(50), 5)
    loaded = []
    opened = groups.open_table

    def counting(path):
        found = opened(path)
        return found._replace(load=lambda number: loaded.append(number) or found.load(number))

    monkeypatch.setattr(rows, "open_table", counting)
    source = tables(path)
    assert loaded == []
    assert everything(source) == [png(number) for number in range(50)]
    assert loaded == list(range(10))
    with ThreadPoolExecutor(4) as pool:
        order = np.random.default_rng(0).permutation(50).tolist()
        assert list(pool.map(source.read, order)) == [png(number) for number in order]


def test_threads_at_the_same_time(tmp_path):
    put(tmp_path / "t.parquet", table(64), 4)
    source = tables(tmp_path / "t.parquet")
    start, wrong = threading.Barrier(4), []

    def all_of_it(first):
        start.wait()
        for index in [*range(first, 64), *range(first)]:
            if source.read(index) != png(index):
                wrong.append(index)

    workers = [threading.Thread(target=all_of_it, args=(first,)) for first in (0, 1, 2, 60)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_groups_that_are_too_large(tmp_path, monkeypatch):
    made = pa.table({"image": pa.array([bytes(1000)] * 600)})
    monkeypatch.setattr(groups, "LARGEST", 100_000)
    pq.write_table(made, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    expect(tmp_path / "a.parquet", "group of rows 0")
    pq.write_table(made, tmp_path / "b.parquet", compression="zstd")  # one picture, repeated: found while inflating
    expect(tmp_path / "b.parquet", "group of rows 0")
    pq.write_table(made, tmp_path / "c.parquet", compression="zstd", row_group_size=50)
    assert len(everything(tables(tmp_path / "c.parquet"))) == 600


def test_arrow_files_of_other_kinds(tmp_path):
    stream(tmp_path / "a.arrow", table(), options=pa.ipc.IpcWriteOptions(compression="zstd"))
    expect(tmp_path / "a.arrow", "compressed")
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as file, pa.ipc.new_file(file, table().schema) as writer:
        writer.write_table(table())
    expect(tmp_path / "b.arrow", "Feather")
    (tmp_path / "c.arrow").write_bytes(b"")
    expect(tmp_path / "c.arrow", "damaged")
    (tmp_path / "d.parquet").mkdir()
    expect(tmp_path / "d.parquet", "no table")


def test_without_pyarrow(tmp_path, monkeypatch):
    put(tmp_path / "t.parquet", table())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    expect(tmp_path / "t.parquet", "pip install 'zerosum[data]'")


@pytest.mark.parametrize("value", [0, 3, 0x80])
def test_an_arrow_file_whose_first_message_is_damaged(tmp_path, value):
    stream(tmp_path / "t.arrow", table())
    content = (tmp_path / "t.arrow").read_bytes()
    for at in range(8, 64):
        (tmp_path / "t.arrow").write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
        reads_or_says_so(tmp_path / "t.arrow")
    (tmp_path / "t.arrow").write_bytes(content[content.rindex(b"\xff\xff\xff\xff", 0, len(content) - 8) :])
    expect(tmp_path / "t.arrow", "does not begin with a schema")


def test_an_arrow_file_that_was_cut_between_batches(tmp_path):
    stream(tmp_path / "t.arrow", table())
    content = (tmp_path / "t.arrow").read_bytes()
    last = content.rindex(b"\xff\xff\xff\xff", 0, len(content) - 8)
    (tmp_path / "t.arrow").write_bytes(content[:last])
    expect(tmp_path / "t.arrow", "its end is missing")


def bytes_of(write, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / name
    write(path, table(6))
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {name: bytes_of(write, name, tmp_path_factory) for name, write in (("t.parquet", put), ("t.arrow", stream))}


def reads_or_says_so(path):
    try:
        source = tables(path)
    except UserError:
        return
    assert 0 < len(source) < 10_000
    for index in range(len(source)):
        with contextlib.suppress(UserError, Unreadable):
            assert isinstance(source.read(index), bytes)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=5), st.integers(0, 2**16))
@example([(0, 0)], 0)
def test_mutations(tmp_path, whole, name, changes, end):
    content = bytearray(whole[name])
    for at, value in changes:
        content[at % len(content)] = value
    if end < len(content):
        del content[end:]
    (tmp_path / name).write_bytes(content)
    reads_or_says_so(tmp_path / name)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
@example(b"PAR1")
@example(b"PAR1" + bytes(8) + b"PAR1")
@example(b"\xff\xff\xff\xff\xff\xff\xff\x7f")
def test_random_bytes(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    reads_or_says_so(tmp_path / name)
