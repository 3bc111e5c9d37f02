"""The 1,000 modes of stacked digits, through the public door: a perfect generator, a collapsed one, and half of it."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch
from small_data import write_idx

from zerosum.data.find import find
from zerosum.data.fit import Shape
from zerosum.data.prepare import prepare
from zerosum.data.readers.download import IDX
from zerosum.data.readers.stacked import NAME, chosen, stacked
from zerosum.data.survey import survey
from zerosum.errors import UserError
from zerosum.evaluate import evaluate
from zerosum.metrics import classifier
from zerosum.metrics.detectors import own
from zerosum.metrics.detectors.colours import LEAST, of_colours
from zerosum.metrics.value import line

COUNT = 26_000
FLOOR = 999 / (2 * COUNT)
SPREAD = math.sqrt(2 * 999) / (2 * COUNT)  # of the divergence: half a chi-squared of 999 degrees over N


def figures(count, seed):
    """8x8 pictures of ten classes: which of the ten places on a grid is bright."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    pixels = random.integers(0, 40, (count, 8, 8), dtype=np.uint8)
    for picture, label in zip(pixels, labels.tolist(), strict=True):
        row, column = divmod(label, 4)
        picture[3 * row : 3 * row + 2, 2 * column : 2 * column + 2] = 220
    return pixels, labels.astype(np.uint8)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of data with figures in the place of MNIST's digits."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    for name, values in zip(IDX, (*figures(1_000, 0), *figures(200, 1)), strict=True):
        write_idx(folder / "mnist" / name, values)
    return folder


@pytest.fixture(autouse=True)
def _briefly(monkeypatch):
    """The figures are learned in a few steps."""
    monkeypatch.setattr(classifier, "_PASSES", 6)


def pictures_of(root, modes):
    """Pictures (N, 8, 8, 3) with the given modes (N,)."""
    digits = find("mnist", root)
    pixels = np.stack([digits.read(index)[:, :, 0] for index in range(10)])  # one of each class
    columns = np.stack([modes // 100, modes // 10 % 10, modes % 10], axis=1)
    return pixels[columns].transpose(0, 2, 3, 1)


def measured(root, tmp_path, pixels, **options):
    np.save(tmp_path / "generated.npy", pixels)
    values = evaluate(tmp_path / "generated.npy", NAME, ["modes26k"], data_root=str(root), **options)
    assert [value.metric for value in values] == ["modes", "mode_divergence"]
    return values


def test_a_perfect_generator_has_all_modes_and_the_divergence_of_chance(root, tmp_path):
    """The stacked pictures themselves."""
    real = stacked(find("mnist", root))
    pixels = np.stack([real.read(index) for index in range(COUNT)])
    said = []
    modes, divergence = measured(root, tmp_path, pixels, say=said.append)
    assert (modes.value, modes.baseline) == (1000, 1000)
    assert divergence.value == pytest.approx(FLOOR, abs=4 * SPREAD)
    assert divergence.baseline == pytest.approx(FLOOR) == pytest.approx(0.0192, abs=5e-5)
    assert modes.accuracy == 1
    assert modes.detector.startswith("classifier-mnist-long@")
    assert "classifier-mnist-long: names 100.00% of the held-out pictures rightly." in said
    lines = [line(modes), line(divergence)]
    assert "a perfect generator: 1000 " in lines[0]
    assert "a perfect generator: 0.01921 " in lines[1]
    assert all("100.00% right" in text and modes.detector in text for text in lines)
    assert divergence.record()["baseline"] == pytest.approx(FLOOR)
    # the classifier was right everywhere, so that the modes are those of the labels
    labels = find("mnist", root).labels[chosen(find("mnist", root), COUNT, "train")] @ [100, 10, 1]
    shares = np.bincount(labels, minlength=1000) / COUNT
    assert divergence.value == pytest.approx((shares * np.log(shares * 1000)).sum(), rel=1e-9)


@pytest.mark.parametrize("hit", [1, 500])
def test_modes_that_are_lost_are_seen(root, tmp_path, hit):
    """KL is log(1000 / hit) where the hit ones are equally frequent."""
    modes, divergence = measured(root, tmp_path, pictures_of(root, 473 + np.arange(COUNT) % hit))
    assert modes.value == hit
    assert divergence.value == pytest.approx(math.log(1000 / hit), rel=1e-9)


def test_half_of_the_modes_by_chance(root, tmp_path):
    random = np.random.default_rng(0)
    modes, divergence = measured(root, tmp_path, pictures_of(root, random.integers(0, 500, COUNT)))
    assert modes.value == 500
    assert divergence.value == pytest.approx(math.log(2) + 499 / (2 * COUNT), abs=4 * SPREAD)


def test_which_mode_is_which(root, tmp_path):
    """Red counts hundreds, green tens, blue ones; so does what the detector says."""
    source = find("mnist", root)
    digits = prepare(source, survey(source), Shape(8, 8, 1))
    found = of_colours(digits, tmp_path)
    numbers = np.array([0, 7, 120, 473, 999])
    pixels = np.ascontiguousarray(pictures_of(root, numbers).transpose(0, 3, 1, 2))
    seen = found.look(pixels)
    assert (seen.features.shape, seen.logits.shape) == ((5, 192), (5, 1000))
    assert seen.logits.argmax(dim=1).tolist() == numbers.tolist()
    assert (found.width, found.accuracy, found.resizer) == (192, 1.0, "Pillow box, 8 bits, to 8x8")
    joint = seen.logits[3].double().softmax(dim=0).view(10, 10, 10)
    single = own.own_classifier(digits, tmp_path, training=classifier.LONG).net
    for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
        alone = single.judge(own.view(torch.from_numpy(pixels[3:4, axis : axis + 1]), (8, 8))).probabilities[0]
        torch.testing.assert_close(joint.sum(dim=others).float(), alone, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="three colours, not 1 channels"):
        found.look(pixels[:, :1])


def test_the_classifier_is_kept_apart_from_the_usual_one(root, tmp_path):
    source = find("mnist", root)
    digits = prepare(source, survey(source), Shape(8, 8, 1))
    of_colours(digits, tmp_path)
    own.own_classifier(digits, tmp_path)
    names = sorted(path.name for path in (tmp_path / "classifiers").iterdir())
    assert names == sorted(
        f"{digits.identity[:16]}-{training.sha256[:8]}.safetensors" for training in (classifier.USUAL, classifier.LONG)
    )
    kept = [own.load(tmp_path / "classifiers" / name).training for name in names]
    assert set(kept) == {classifier.USUAL, classifier.LONG}


def test_a_poor_classifier_is_said(root, tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
    monkeypatch.setattr(classifier, "_STEPS", 1)
    monkeypatch.setattr(classifier, "_PASSES", 0)
    said = []
    measured(root, tmp_path, pictures_of(root, np.zeros(COUNT, np.int64)), say=said.append)
    told = next(text for text in said if text.startswith("classifier-"))
    assert told.endswith(f"published numbers have at least {LEAST:.1%}: some modes may be mistakes.")


def test_what_has_no_modes_to_count(root, tmp_path, labelled_data):
    np.save(tmp_path / "few.npy", np.zeros((9, 8, 8, 3), np.uint8))
    np.save(tmp_path / "grey.npy", np.zeros((COUNT, 8, 8), np.uint8))
    for target, against, words in (
        ("few.npy", NAME, "modes26k needs 26,000 pictures, and few has 9"),
        ("grey.npy", NAME, "modes26k looks at the colours of pictures, and these have 1 channels: expected 3"),
        ("grey.npy", labelled_data, "modes26k counts the 1,000 modes of stacked-mnist: give --against stacked-mnist"),
    ):
        with pytest.raises(UserError, match=words):
            evaluate(tmp_path / target, against, ["modes26k"], data_root=str(root))


@pytest.mark.slow
@pytest.mark.skipif("ZEROSUM_DATA" not in os.environ, reason="ZEROSUM_DATA names no folder of data")
def test_the_real_digits_are_named_as_well_as_in_publications(monkeypatch):
    """At least 99.2 % of MNIST's test pictures; minutes of training."""
    monkeypatch.setattr(classifier, "_PASSES", 40)
    classifier._PASSES = 40
    source = find("mnist")
    digits = prepare(source, survey(source), Shape(28, 28, 1))
    found = own.train(digits, training=classifier.LONG)
    assert found.accuracy >= LEAST
