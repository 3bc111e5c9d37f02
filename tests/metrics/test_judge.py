"""The judgement at the end of a run."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import torch

from zerosum.data import prepare as room
from zerosum.data.fit import Shape
from zerosum.data.readers.digits import digits as find_digits
from zerosum.data.source import from_array
from zerosum.data.survey import survey
from zerosum.metrics import judge as module
from zerosum.metrics.detectors.detector import classifier
from zerosum.metrics.detectors.own import small
from zerosum.metrics.judge import Judge, floats
from zerosum.metrics.samples import Block, Samples
from zerosum.metrics.value import Value

DRAWN = ("precision", "recall", "density", "coverage")


@pytest.fixture(scope="module")
def digits():
    source = find_digits()
    return room.prepare(source, survey(source), Shape(16, 16, 1))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def judge(digits, cache):
    return Judge(digits, cache)


def measure(judge, pixels):
    samples = Samples("x", len(pixels), lambda start, count: iter([Block(pixels[start : start + count])]))
    values = list(judge.measure(samples._replace(size=pixels.shape[1:], weights="ema")))
    json.dumps([value._asdict() for value in values], allow_nan=False)
    assert len({(value.metric, features(value)) for value in values}) == len(values)
    return values


def features(value):
    found = value.protocol.split("-")[1]
    assert value.detector.startswith(found)
    return found


def pick(values, metric, wanted="pixels"):
    (found,) = [value for value in values if (value.metric, features(value)) == (metric, wanted)]
    return found


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def of_training_pictures(judge, digits):
    train = digits.take("train")[0]
    order = np.random.default_rng(5).permutation(np.tile(np.arange(len(train)), 3))[: judge.samples]
    return measure(judge, train[order])


@pytest.fixture(scope="module")
def of_noise(judge):
    return measure(judge, noise(judge.samples, 1, 16, 16))


def test_the_digits_judge(judge, digits):
    padded = torch.nn.functional.pad(
        small(digits, "held-out", np.arange(len(digits.held_out)), (12, 12)).float() / 255, (1, 1, 1, 1)
    )
    truth = torch.from_numpy(digits.labels[digits.held_out])
    accuracy = {
        (row, column): (judge.own.net.judge(padded[..., row : row + 12, column : column + 12])[1].argmax(1) == truth)
        .double()
        .mean()
        .item()
        for row in range(3)
        for column in range(3)
    }
    assert judge.own.accuracy == accuracy[1, 1]
    # one of 180 is .0056 and the order of sums decides three: all of them in nine places
    assert sum(accuracy.values()) / len(accuracy) >= 0.97
    assert (judge.size, judge.draws, judge.samples) == (180, 20, 3600)
    assert judge.train.shape == (1617, 1, 12, 12)  # at the source's own size, whatever the training's
    assert judge.held_out.shape == (180, 1, 12, 12)
    assert judge.train.dtype == torch.uint8
    assert judge.view == (12, 12)


def test_what_is_measured(of_training_pictures):
    names = [(value.metric, features(value)) for value in of_training_pictures]
    classified = [*DRAWN, "confident", *(f"share.{index}" for index in range(10))]
    pixels = [*DRAWN, "nearest", "near_copies"]
    assert names == [(name, "classifier") for name in classified] + [(name, "pixels") for name in pixels]
    for value in of_training_pictures:
        assert math.isfinite(value.value)
        assert math.isfinite(value.baseline)
        for part in ("judgement", features(value), "k5", "180x20"):
            assert part in value.protocol.split("-")
        assert (value.real, value.fake, value.draws) == (180 if value.metric in DRAWN else 1617, 180, 20)
        assert value.low <= value.value <= value.high
        assert value.high - value.low < 0.05


@pytest.mark.parametrize("space", ["classifier", "pixels"])
@pytest.mark.parametrize("name", DRAWN)
def test_real_pictures_are_as_good_as_real_ones(of_training_pictures, name, space):
    value = pick(of_training_pictures, name, space)
    assert value.value == pytest.approx(value.baseline, abs=0.03)
    assert value.baseline > 0.8


def test_real_pictures_are_classified_as_real_ones_are(of_training_pictures):
    for name in ("confident", *(f"share.{index}" for index in range(10))):
        value = pick(of_training_pictures, name, "classifier")
        assert value.value == pytest.approx(value.baseline, abs=0.02)
    assert pick(of_training_pictures, "confident", "classifier").baseline > 0.97
    shares = [pick(of_training_pictures, f"share.{index}", "classifier").value for index in range(10)]
    assert sum(shares) == pytest.approx(1)


def test_copies_are_noticed(of_training_pictures):
    nearest, copies = pick(of_training_pictures, "nearest"), pick(of_training_pictures, "near_copies")
    assert nearest.value < 0.15
    assert nearest.baseline == 1
    assert copies.value > 0.99
    assert copies.baseline < 0.1


def test_noise_is_not_taken_for_pictures(of_noise):
    for name in ("precision", "density", "coverage"):
        assert pick(of_noise, name, "pixels").value == 0
        assert pick(of_noise, name, "classifier").value < 0.1
    assert pick(of_noise, "nearest").value > 1.5
    assert pick(of_noise, "near_copies").value == 0


def test_one_digit_alone_has_no_recall(judge, digits):
    pixels, labels = digits.take("train")
    ones = pixels[labels == 1]
    values = measure(judge, ones[np.arange(judge.samples) % len(ones)])
    assert pick(values, "precision", "classifier").value > 0.8
    assert pick(values, "recall", "classifier").value < 0.2
    assert pick(values, "coverage", "classifier").value < 0.2
    assert pick(values, "share.1", "classifier").value > 0.97
    assert pick(values, "share.1", "classifier").baseline == pytest.approx(0.1, abs=0.02)


def test_held_out_pictures_are_new(judge, digits):
    held = digits.take("held-out")[0]
    values = measure(judge, held[np.arange(judge.samples) % len(held)])
    nearest, copies = pick(values, "nearest"), pick(values, "near_copies")
    assert nearest.value == pytest.approx(1, abs=0.01)
    assert copies.value == pytest.approx(copies.baseline, abs=0.01)


def test_judging_is_repeatable(judge, of_noise):
    again = measure(judge, noise(judge.samples, 1, 16, 16))
    assert [value._replace(seconds=0) for value in again] == [value._replace(seconds=0) for value in of_noise]


def test_every_value_says_what_it_was_made_with(judge, digits, cache, of_noise):
    """As a line of ``zerosum evaluate`` does, in the same fields and with the same names."""
    detector = classifier(digits, cache)
    for value in of_noise:
        record = value.record()
        assert set(record) <= set(Value._fields)
        judged = features(value) == "classifier"
        assert record["detector"] == (f"{detector.name}@{detector.sha256[:12]}" if judged else "pixels")
        assert record.get("accuracy") == (judge.own.accuracy if judged else None)
        assert record["resizer"] == "Pillow box, 8 bits, to 12x12"
        assert (record["data"], record["identity"]) == ("digits", digits.identity)
        assert record["draws"] == 20
        assert record["weights"] == "ema"
        copied = value.metric in ("nearest", "near_copies")
        assert record["beside"] == ("held-out pictures" if copied else "real training pictures")
        assert (record["real"], record["fake"]) == (value.real, value.fake)
    assert sum({value.seconds for value in of_noise}) > 0


def test_the_nearest_is_the_nearest(judge, digits):
    """In whatever blocks the training pictures are looked at."""
    points = floats(judge.held_out[:20]).flatten(1)
    train = judge.train.flatten(1)
    wanted = torch.cdist(points.double(), floats(train).double()).min(dim=1).values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 100)
        torch.testing.assert_close(module._nearest(train, points), wanted, rtol=1e-5, atol=1e-5)
    some = floats(train[:30])
    others = torch.cdist(some.double(), some.double()).fill_diagonal_(torch.inf).min(dim=1).values
    torch.testing.assert_close(module._nearest_other(some), others, rtol=1e-5, atol=1e-5)


# ---- other data ----


def pictures_of(count, width, height, channels=1, labels=None, size=(16, 16)):
    pixels = np.random.default_rng(1).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    source = from_array("x", pixels, labels)
    return room.prepare(source, survey(source), Shape(*size, channels))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_without_labels(channels, tmp_path):
    pictures = pictures_of(130, 9, 6, channels)
    judge = Judge(pictures, tmp_path)
    assert judge.own is None
    assert judge.train.shape == (117, channels, 6, 9)
    values = measure(judge, noise(judge.samples, channels, 16, 16))
    assert [value.metric for value in values] == [*DRAWN, "nearest", "near_copies"]


def test_one_class_needs_no_classifier(tmp_path):
    judge = Judge(pictures_of(120, 6, 6, labels=np.zeros(120, dtype=np.int64)), tmp_path)
    assert judge.own is None


def test_large_pictures_are_looked_at_small(tmp_path):
    judge = Judge(pictures_of(6, 100, 50, size=(64, 32)), tmp_path)
    assert judge.train.shape == (6, 1, 16, 32)


@pytest.mark.parametrize("count", [12, 60, 99])
@pytest.mark.parametrize("labelled", [True, False])
def test_under_a_hundred_pictures_the_training_pictures_stand_in(count, labelled, tmp_path):
    labels = np.arange(count) % 2 if labelled else None
    pictures = pictures_of(count, 8, 8, labels=labels)
    judge = Judge(pictures, tmp_path)
    assert judge.size == count
    values = measure(judge, noise(judge.samples, 1, 16, 16))
    assert (len(values) == 6) == (not labelled)
    assert all(math.isfinite(value.value) for value in values)
    assert pick(values, "near_copies").value == 0
    assert 0.3 < pick(values, "nearest").value < 3  # noise among noise
    copied = measure(judge, pictures.pixels[np.arange(judge.samples) % count])
    assert pick(copied, "near_copies").value == 1
    assert pick(copied, "nearest").value < 0.3


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_pictures_does_not_end_in_a_traceback(count, tmp_path):
    judge = Judge(pictures_of(count, 8, 8), tmp_path)
    assert all(math.isfinite(value.value) for value in measure(judge, noise(judge.samples, 1, 16, 16)))


def test_without_time_for_the_classifier_pixels_are_compared(digits, tmp_path):
    judge = Judge(digits, tmp_path, deadline=time.monotonic())
    assert judge.own is None
    assert {features(value) for value in measure(judge, noise(judge.samples, 1, 16, 16))} == {"pixels"}
