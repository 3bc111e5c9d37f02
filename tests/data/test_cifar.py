"""CIFAR's batches, whole, damaged and hostile."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import lzma
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.data.readers.cifar import cifar, is_cifar
from zerosum.data.survey import survey
from zerosum.errors import UserError

RANDOM = np.random.default_rng(0)
CLASSES = ["plane", "car", "bird"]
BATCHES = {f"data_batch_{n}": 4 for n in range(1, 6)} | {"test_batch": 3}


def batch(count, key="labels", protocol=2, text=True, **changes):
    content = {
        "data": RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8),
        key: RANDOM.integers(0, 3, count).tolist(),
        "filenames": [f"{index}.png" for index in range(count)],
        **changes,
    }
    return content, pickle.dumps(
        content if text else {name.encode(): value for name, value in content.items()}, protocol
    )


def ten(folder, protocol=2, text=True, pack=bytes, suffix="", batches=BATCHES):
    """A small CIFAR-10; returns what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = []
    for name, count in batches.items():
        content, raw = batch(count, protocol=protocol, text=text)
        contents.append(content)
        (folder / f"{name}{suffix}").write_bytes(pack(raw))
    names = CLASSES if text else [name.encode() for name in CLASSES]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names" if text else b"label_names": names}, protocol))
    return contents


def hundred(folder):
    folder.mkdir(parents=True, exist_ok=True)
    contents = []
    for name, count in (("train", 6), ("test", 2)):
        content, raw = batch(count, "fine_labels", coarse_labels=[0] * count)
        contents.append(content)
        (folder / name).write_bytes(raw)
    meta = {"fine_label_names": CLASSES, "coarse_label_names": ["all"]}
    (folder / "meta").write_bytes(pickle.dumps(meta, 2))
    return contents


def pictures_of(source):
    return np.stack([source.read(index) for index in range(len(source))])


def check(source, contents, labels="labels"):
    data = np.concatenate([content["data"] for content in contents])
    np.testing.assert_array_equal(pictures_of(source), data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    assert source.labels.tolist() == [label for content in contents for label in content[labels]]
    assert source.labels.dtype == np.int64
    assert source.classes == tuple(CLASSES)


def refused(path, *words):
    with pytest.raises(UserError) as caught:
        cifar(path)
    assert path.name in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("text", [True, False])
def test_the_ten(tmp_path, protocol, text):
    contents = ten(tmp_path / "my cifar", protocol, text)
    assert is_cifar(tmp_path / "my cifar")
    source = cifar(tmp_path / "my cifar")
    check(source, contents)
    assert source.name == "my cifar"
    assert source.test.tolist() == [20, 21, 22]
    assert source.notes == ()
    assert (survey(source).sizes == 32).all()


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (lzma.compress, ".xz")])
def test_packed_batches(tmp_path, pack, suffix):
    contents = ten(tmp_path, pack=pack, suffix=suffix)
    assert is_cifar(tmp_path)
    check(cifar(tmp_path), contents)


def test_the_hundred(tmp_path):
    contents = hundred(tmp_path / "cifar-100-python")
    assert is_cifar(tmp_path / "cifar-100-python")
    source = cifar(tmp_path / "cifar-100-python")
    check(source, contents, "fine_labels")
    assert source.test.tolist() == [6, 7]
    assert "fine" in source.notes[0]


def test_the_folder_around_it(tmp_path):
    contents = ten(tmp_path / "cifar-10-batches-py")
    assert is_cifar(tmp_path)
    check(cifar(tmp_path), contents)
    hundred(tmp_path / "cifar-100-python")
    assert not is_cifar(tmp_path)  # which of the two?


@pytest.mark.parametrize("suffix", ["tar.gz", "tar", "tar.xz"])
@pytest.mark.parametrize("make", [ten, hundred])
def test_the_archive(tmp_path, suffix, make):
    number = 10 if make is ten else 100
    contents = make(tmp_path / "in")
    path = tmp_path / f"cifar-{number}-python.{suffix}"
    with tarfile.open(path, f"w:{suffix[4:]}") as file:
        for name in sorted(os.listdir(tmp_path / "in"), reverse=True):
            file.add(tmp_path / "in" / name, f"cifar-{number}/{name}")
    assert is_cifar(path)
    source = cifar(path)
    assert source.name == f"cifar-{number}-python"
    check(source, contents, "labels" if make is ten else "fine_labels")
    path.write_bytes(path.read_bytes()[:-9000])
    refused(path)


def test_some_batches_only(tmp_path):
    contents = ten(tmp_path, batches={"data_batch_2": 3, "data_batch_5": 2})
    source = cifar(tmp_path)
    check(source, contents)
    assert source.test is None
    assert "2 of 5 batches: data_batch_2, data_batch_5" in source.notes
    assert "no test_batch" in source.notes[1]


def test_no_names_of_classes(tmp_path):
    ten(tmp_path, batches={"data_batch_1": 50})
    (tmp_path / "batches.meta").unlink()
    assert cifar(tmp_path).classes == ("0", "1", "2")


def test_what_is_not_cifar(tmp_path):
    for name in ("train", "test", "meta"):
        (tmp_path / "folders" / name).mkdir(parents=True)
    assert not is_cifar(tmp_path / "folders")
    assert not is_cifar(tmp_path)
    assert not is_cifar(tmp_path / "missing")
    (tmp_path / "train").write_bytes(b"")
    (tmp_path / "cifar-10-python.zip").write_bytes(b"")
    assert not is_cifar(tmp_path)
    assert not is_cifar(tmp_path / "cifar-10-python.zip")
    refused(tmp_path / "folders", "data_batch_1")
    refused(tmp_path / "cifar-10-python.zip", "data_batch_1")
    refused(tmp_path / "missing", "data_batch_1")


def one(folder, raw, name="data_batch_1"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(raw)
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": np.zeros((4, 3071), np.uint8)}, "(N, 3072)"),
        ({"data": np.zeros((0, 3072), np.uint8), "labels": []}, "(N, 3072)"),
        ({"data": np.zeros(3072, np.uint8)}, "(N, 3072)"),
        ({"data": np.zeros((4, 3072), np.int64)}, "uint8"),
        ({"data": None}, "found nothing"),
        ({"data": b"bytes"}, "type bytes"),
        ({"labels": [0, 1, 2]}, "no list of 4 'labels'"),
        ({"labels": None}, "no list of 4 'labels'"),
        ({"labels": [0, 1, 2, -1]}, "no numbers of classes"),
        ({"labels": [0, 1, 2, True]}, "no numbers of classes"),
        ({"labels": [0, 1, 2, "3"]}, "no numbers of classes"),
        ({"labels": [0, 1, 2, 10**6]}, "no numbers of classes"),
        ({"more": {1: 2}}, "no text"),
    ],
)
def test_wrong_batches(tmp_path, change, words):
    refused(one(tmp_path, batch(4, **change)[1]), "data_batch_1", words)


def test_wrong_names_of_classes(tmp_path):
    one(tmp_path, batch(2, labels=[0, 3])[1])
    for meta, words in (
        ({}, "no list of 'label_names'"),
        ({"label_names": [1, 2]}, "no list"),
        ({"label_names": CLASSES}, "names 3 classes, but there is a label 3"),
        ([], "not a dict"),
    ):
        (tmp_path / "batches.meta").write_bytes(pickle.dumps(meta))
        refused(tmp_path, "batches.meta", words)


@pytest.mark.parametrize("raw", [b"", b"no pickle", pickle.dumps([]), pickle.dumps({}), batch(4)[1][:-5000]])
def test_files_that_are_no_batches(tmp_path, raw):
    refused(one(tmp_path, raw), "data_batch_1")


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_damaged_packing(tmp_path, suffix):
    whole = (gzip.compress if suffix == ".gz" else lzma.compress)(batch(4)[1])
    for raw in (whole[:9], whole[:-300], batch(4)[1]):
        refused(one(tmp_path, raw, f"data_batch_1{suffix}"), "cannot be read")


class Attack:
    """What calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("key", ["data", "labels", "whole"])
def test_nothing_is_executed(tmp_path, protocol, key):
    target = tmp_path / "executed"
    attack = Attack(os.system, f"touch {target}")
    content = {**batch(4)[0], key: attack}
    refused(one(tmp_path / "set", pickle.dumps(attack if key == "whole" else content, protocol)), "data_batch_1")
    assert not target.exists()
    pickle.loads(pickle.dumps(attack, protocol))
    assert target.exists()  # the attack is none that fails by itself


SMALL = [batch(1, protocol=protocol)[1] for protocol in range(6)]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_mutations_end_in_words(tmp_path_factory, data):
    raw = bytearray(data.draw(st.sampled_from(SMALL)))
    places = st.one_of(st.integers(0, 200), st.integers(len(raw) - 120, len(raw) - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(places)] = data.draw(st.integers(0, 255))
    folder = one(tmp_path_factory.getbasetemp() / "fuzz-cifar", bytes(raw))
    with contextlib.suppress(UserError):
        assert pictures_of(cifar(folder)).shape == (1, 32, 32, 3)


@settings(deadline=None, max_examples=50)
@given(raw=st.binary(max_size=300))
def test_any_archive_ends_in_words(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "cifar-10-python.tar.gz"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        info = tarfile.TarInfo("data_batch_1")
        info.size = len(raw)
        file.addfile(info, io.BytesIO(raw))
    path.write_bytes(gzip.compress(stream.getvalue()))
    with contextlib.suppress(UserError):
        cifar(path)


# ---- the real files ----


@pytest.fixture(scope="module")
def folder():
    path = Path(os.environ.get("ZEROSUM_DATA", "")) / "cifar-10" / "cifar-10-batches-py"
    if "ZEROSUM_DATA" not in os.environ or not path.is_dir():
        pytest.skip("set ZEROSUM_DATA to a folder that holds cifar-10/cifar-10-batches-py")
    return path


@pytest.fixture(scope="module")
def real(folder):
    return cifar(folder)


def test_cifar_10(real):
    assert len(real) == 60_000
    assert real.name == "cifar-10-batches-py"
    assert " ".join(real.classes) == "airplane automobile bird cat deer dog frog horse ship truck"
    np.testing.assert_array_equal(real.test, np.arange(50_000, 60_000))
    assert np.bincount(real.labels[:50_000]).tolist() == [5000] * 10
    assert np.bincount(real.labels[50_000:]).tolist() == [1000] * 10
    assert real.labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert real.read(59_999).shape == (32, 32, 3)
    assert real.read(0)[0, 0].tolist() == [59, 62, 63]
    train = np.stack([real.read(index) for index in range(50_000)])
    assert train.mean((0, 1, 2)) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)  # as everyone knows them


def test_the_first_batch_is_the_original(folder):
    file = folder / "data_batch_1.xz"
    if not file.exists():
        pytest.skip("data_batch_1.xz is not there")
    assert hashlib.md5(lzma.decompress(file.read_bytes())).hexdigest() == "c99cafc152244af753f735de768cd75f"
