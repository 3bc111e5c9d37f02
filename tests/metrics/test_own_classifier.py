"""The data's own classifier: trained once, kept with its accuracy and hash, and no damaged file is believed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.files import read_tensors, write_tensors
from zerosum.metrics.classifier import SPEC_SHA256, Classifier
from zerosum.metrics.detectors import detector, own


def squares(count=104, classes=3, name="squares"):
    """Bright squares whose row tells the class; 40 pictures held out."""
    random = np.random.default_rng(3)
    labels = np.arange(count) % classes
    pixels = random.integers(0, 60, (count, 3, 12, 12), dtype=np.uint8)
    for index, label in enumerate(labels):
        column = random.integers(0, 9)
        pixels[index, :, 4 * label : 4 * label + 3, column : column + 3] = 230
    rows = np.arange(count)
    return Pictures(name, pixels, labels, tuple("abc"[:classes]), rows[:-40], rows[-40:], (12, 12), "f" * 64)


def some(count=5, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (count, 3, 12, 12), dtype=np.uint8)
    return torch.from_numpy(values)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(cache):
    return detector.classifier(squares(), cache)


def test_it_describes_itself(trained):
    assert (trained.name, trained.width, len(trained.sha256)) == ("classifier-squares", 64, 64)
    assert trained.resizer == "Pillow box, 8 bits, to 12x12"
    assert trained.accuracy > 0.9
    seen = trained.look(some())
    assert (seen.features.shape, seen.logits.shape, seen.spatial) == ((5, 64), (5, 3), None)


def test_other_channels_are_refused(trained):
    with pytest.raises(ValueError, match="the classifier of squares looks at 3 channels, not 1"):
        trained.look(some()[:, :1])


def test_what_it_says_is_what_the_classifier_says(trained, cache):
    """Features and logits of the detector are those of the network that was trained."""
    net = own.own_classifier(squares(), cache).net
    x = some().float() / 255
    seen = trained.look(some())
    torch.testing.assert_close(seen.logits, net(x))
    torch.testing.assert_close(seen.features, net.judge(x).features)


def test_features_do_not_depend_on_the_batch(trained):
    whole, apart = trained.look(some()), dataclasses.replace(trained, block=2).look(some())
    for one, other in zip(whole[:2], apart[:2], strict=True):
        assert (one - other).norm() < 1e-6 * one.norm()


def test_it_is_trained_once_and_kept(trained, cache, monkeypatch):
    [path] = (cache / "classifiers").iterdir()
    monkeypatch.setattr(own, "train", None)
    again = detector.classifier(squares(), cache)
    assert dataclasses.replace(again, see=None) == dataclasses.replace(trained, see=None)
    x = some()
    for one, other in zip(again.look(x)[:2], trained.look(x)[:2], strict=True):
        assert torch.equal(one, other)
    kept = own.load(path)
    assert (kept.data, kept.identity, kept.size, kept.classes) == ("squares", "f" * 64, (12, 12), ("a", "b", "c"))
    assert kept.net.judge(own.view(x, kept.size)).features.equal(trained.features(x))
    seen = trained.look(x)
    torch.testing.assert_close(seen.logits, kept.net(own.view(x, kept.size)))
    torch.testing.assert_close(seen.logits.softmax(1), kept.net.judge(own.view(x, kept.size)).probabilities)


def test_other_pictures_have_another_classifier(trained, cache, monkeypatch):
    names = []
    monkeypatch.setattr(own, "train", lambda pictures, *more: names.append(pictures.name) or own.Own(
        Classifier(3, 3), pictures.name, pictures.identity, (12, 12), pictures.classes, None))  # fmt: skip
    other = dataclasses.replace(squares(name="others"), identity="f" * 16 + "0" * 48)
    assert detector.classifier(other, cache).name == "classifier-others"
    assert names == ["others"]


def test_without_labels_there_is_no_classifier(tmp_path):
    plain = dataclasses.replace(squares(), labels=None, classes=())
    with pytest.raises(UserError, match="squares has no labels, so it has no classifier"):
        detector.classifier(plain, tmp_path)


def test_with_one_class_there_is_no_classifier(tmp_path):
    single = dataclasses.replace(squares(), labels=np.zeros(104, np.int64), classes=("square",))
    with pytest.raises(UserError, match=r"squares has a single class \(square\), so it has no classifier"):
        detector.classifier(single, tmp_path)


def test_without_held_out_pictures_there_is_no_accuracy(monkeypatch):
    with torch.random.fork_rng():
        net = Classifier(3, 3).eval()
    monkeypatch.setattr(own, "train_classifier", lambda *arguments: net)
    small = dataclasses.replace(squares(), held_out=np.arange(0))
    assert own.train(small).accuracy is None


def test_the_view_is_at_most_32_pixels_wide(monkeypatch):
    sizes = []
    monkeypatch.setattr(own, "train_classifier", lambda x, *more: sizes.append(tuple(x.shape[2:])) or Classifier(3, 3))
    for source, size in (((12, 12), (12, 12)), ((64, 48), (24, 32)), ((32, 100), (32, 10))):
        own.train(dataclasses.replace(squares(), source_size=source))
        assert sizes.pop() == size


def test_a_damaged_classifier_is_said(tmp_path):
    with torch.random.fork_rng():
        net = Classifier(3, 3).eval().requires_grad_(False)
    good = own.Own(net, "x", "y", (12, 12), ("a", "b", "c"), 0.5)
    path = tmp_path / "net.safetensors"

    def refused(words, **change):
        own.save(path, good._replace(**change))
        with pytest.raises(UserError, match=words):
            own.load(path)

    own.save(path, good)
    assert own.load(path).accuracy == 0.5
    refused("no classifier of this version", size=(12, 33))
    refused("no classifier of this version", size=(12, 0))
    refused("no classifier of this version", size=(12,))
    refused("other tensors", classes=("a", "b"))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="damaged"):
        own.load(path)


@pytest.mark.parametrize("damage", ["cut", "header", "empty"])
def test_a_damaged_classifier_in_the_cache_is_trained_anew(damage, trained, cache, tmp_path):
    """With the same bits, and said in one line; the next one finds a whole file."""
    (kept,) = (cache / "classifiers").iterdir()
    path = tmp_path / "classifiers" / kept.name
    path.parent.mkdir()
    if damage == "header":
        tensors, header = read_tensors(kept)
        write_tensors(path, tensors, {**header, "sha256": "0" * 64})
    else:
        path.write_bytes(kept.read_bytes()[:-4] if damage == "cut" else b"")
    said = []
    again = detector.classifier(squares(), tmp_path, said.append)
    assert said == [f"{path} is damaged or of another version: the classifier of squares is trained anew."]
    assert again.sha256 == trained.sha256
    assert detector.classifier(squares(), tmp_path, said.append).sha256 == trained.sha256
    assert len(said) == 1


@pytest.mark.parametrize(("key", "value"), [("kind", "x"), ("spec", "0"), ("sha256", "0" * 64), ("accuracy", "high")])
def test_a_header_that_lies_is_refused(tmp_path, key, value):
    with torch.random.fork_rng():
        net = Classifier(3, 2).eval().requires_grad_(False)
    path = own.save(tmp_path / "net.safetensors", own.Own(net, "x", "y", (12, 12), ("a", "b"), None))
    tensors, header = read_tensors(path)
    assert header["spec"] == SPEC_SHA256
    write_tensors(path, tensors, {**header, key: value})
    with pytest.raises(UserError):
        own.load(path)
    if key == "kind":
        write_tensors(path, {"a": torch.zeros(1)}, header)
        with pytest.raises(UserError, match="other tensors"):
            own.load(path)
