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
from zerosum.metrics.judge import floats, make_judge
from zerosum.metrics.session import Value

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
    return make_judge(digits, cache)


def measure(judge, samples):
    figures = judge.measure(samples)
    json.dumps([figure._asdict() for figure in figures], allow_nan=False)
    assert len({(figure.metric, figure.features) for figure in figures}) == len(figures)
    return figures


def pick(figures, metric, features="pixels"):
    (found,) = [figure for figure in figures if (figure.metric, figure.features) == (metric, features)]
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
    assert judge.accuracy >= 0.97
    assert (judge.size, judge.draws, judge.samples) == (180, 20, 3600)
    assert judge.train.shape == (1617, 1, 12, 12)  # at the source's own size, whatever the training's
    assert judge.held_out.shape == (180, 1, 12, 12)
    assert judge.train.dtype == torch.uint8
    assert judge.view(digits.pixels[:5]).shape == (5, 1, 12, 12)


def test_what_is_measured(of_training_pictures):
    names = [(figure.metric, figure.features) for figure in of_training_pictures]
    classified = [*DRAWN, "confident", *(f"share.{index}" for index in range(10))]
    pixels = [*DRAWN, "nearest", "near_copies"]
    assert names == [(name, "classifier") for name in classified] + [(name, "pixels") for name in pixels]
    for figure in of_training_pictures:
        assert math.isfinite(figure.value)
        assert math.isfinite(figure.real)
        for part in ("digits", figure.features, "k5", "180x20"):
            assert part in figure.protocol.split("-")
        if figure.metric in DRAWN:
            assert (figure.real_count, figure.fake_count) == (180, 180)
        else:
            assert (figure.real_count, figure.fake_count) == (1617, 3600)


@pytest.mark.parametrize("space", ["classifier", "pixels"])
@pytest.mark.parametrize("name", DRAWN)
def test_real_pictures_are_as_good_as_real_ones(of_training_pictures, name, space):
    figure = pick(of_training_pictures, name, space)
    assert figure.value == pytest.approx(figure.real, abs=0.03)
    assert figure.real > 0.8


def test_real_pictures_are_classified_as_real_ones_are(of_training_pictures):
    for name in ("confident", *(f"share.{index}" for index in range(10))):
        figure = pick(of_training_pictures, name, "classifier")
        assert figure.value == pytest.approx(figure.real, abs=0.02)
    assert pick(of_training_pictures, "confident", "classifier").real > 0.97
    shares = [pick(of_training_pictures, f"share.{index}", "classifier").value for index in range(10)]
    assert sum(shares) == pytest.approx(1)


def test_copies_are_noticed(of_training_pictures):
    nearest, copies = pick(of_training_pictures, "nearest"), pick(of_training_pictures, "near_copies")
    assert nearest.value < 0.15
    assert nearest.real == 1
    assert copies.value > 0.99
    assert copies.real < 0.1


def test_noise_is_not_taken_for_pictures(of_noise):
    for name in ("precision", "density", "coverage"):
        assert pick(of_noise, name, "pixels").value == 0
        assert pick(of_noise, name, "classifier").value < 0.1
    assert pick(of_noise, "nearest").value > 1.5
    assert pick(of_noise, "near_copies").value == 0


def test_one_digit_alone_has_no_recall(judge, digits):
    pixels, labels = digits.take("train")
    ones = pixels[labels == 1]
    figures = measure(judge, ones[np.arange(judge.samples) % len(ones)])
    assert pick(figures, "precision", "classifier").value > 0.8
    assert pick(figures, "recall", "classifier").value < 0.2
    assert pick(figures, "coverage", "classifier").value < 0.2
    assert pick(figures, "share.1", "classifier").value > 0.97
    assert pick(figures, "share.1", "classifier").real == pytest.approx(0.1, abs=0.02)


def test_held_out_pictures_are_new(judge, digits):
    held = digits.take("held-out")[0]
    figures = measure(judge, held[np.arange(judge.samples) % len(held)])
    nearest, copies = pick(figures, "nearest"), pick(figures, "near_copies")
    assert nearest.value == pytest.approx(1, abs=0.01)
    assert copies.value == pytest.approx(copies.real, abs=0.01)


def test_judging_is_repeatable(judge, of_noise):
    again = judge.measure(noise(judge.samples, 1, 16, 16))
    assert [figure._replace(seconds=0) for figure in again] == [figure._replace(seconds=0) for figure in of_noise]


def test_every_figure_says_what_it_was_made_with(judge, digits, cache, of_noise):
    """As a line of ``zerosum evaluate`` does, in the same fields and with the same names."""
    detector = classifier(digits, cache)
    for figure in of_noise:
        record = figure.record()
        assert set(record) <= {*Value._fields, "data", "identity"}
        judged = figure.features == "classifier"
        assert record["detector"] == (f"{detector.name}@{detector.sha256[:12]}" if judged else "pixels")
        assert record.get("accuracy") == (judge.accuracy if judged else None)
        assert record["resizer"] == "Pillow box, 8 bits, to 12x12"
        assert (record["data"], record["identity"]) == ("digits", digits.identity)
        assert record["draws"] == (20 if figure.metric in DRAWN else 1)
        assert record["weights"] == "ema"
        assert (record["real"], record["fake"]) == (figure.real_count, figure.fake_count)
    assert sum({figure.seconds for figure in of_noise}) > 0


def test_the_nearest_is_the_nearest(judge, digits):
    """In whatever blocks the training pictures are looked at."""
    points = floats(judge.held_out[:20]).flatten(1)
    train = judge.train.flatten(1)
    wanted = torch.cdist(points.double(), floats(train).double()).min(dim=1).values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 100)
        torch.testing.assert_close(judge._nearest(train, points), wanted, rtol=1e-5, atol=1e-5)
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
    judge = make_judge(pictures, tmp_path)
    assert judge.classifier is None
    assert judge.accuracy is None
    assert judge.train.shape == (117, channels, 6, 9)
    figures = measure(judge, noise(judge.samples, channels, 16, 16))
    assert [figure.metric for figure in figures] == [*DRAWN, "nearest", "near_copies"]


def test_one_class_needs_no_classifier(tmp_path):
    judge = make_judge(pictures_of(120, 6, 6, labels=np.zeros(120, dtype=np.int64)), tmp_path)
    assert judge.classifier is None


def test_large_pictures_are_looked_at_small(tmp_path):
    judge = make_judge(pictures_of(6, 100, 50, size=(64, 32)), tmp_path)
    assert judge.train.shape == (6, 1, 16, 32)


@pytest.mark.parametrize("count", [12, 60, 99])
@pytest.mark.parametrize("labelled", [True, False])
def test_under_a_hundred_pictures_the_training_pictures_stand_in(count, labelled, tmp_path):
    labels = np.arange(count) % 2 if labelled else None
    pictures = pictures_of(count, 8, 8, labels=labels)
    judge = make_judge(pictures, tmp_path)
    assert judge.size == count
    figures = measure(judge, noise(judge.samples, 1, 16, 16))
    assert (len(figures) == 6) == (not labelled)
    assert all(math.isfinite(figure.value) for figure in figures)
    assert pick(figures, "near_copies").value == 0
    assert 0.3 < pick(figures, "nearest").value < 3  # noise among noise
    copied = measure(judge, pictures.pixels[np.arange(judge.samples) % count])
    assert pick(copied, "near_copies").value == 1
    assert pick(copied, "nearest").value < 0.3


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_pictures_does_not_end_in_a_traceback(count, tmp_path):
    judge = make_judge(pictures_of(count, 8, 8), tmp_path)
    assert all(math.isfinite(figure.value) for figure in judge.measure(noise(judge.samples, 1, 16, 16)))


def test_without_time_for_the_classifier_pixels_are_compared(digits, tmp_path):
    judge = make_judge(digits, tmp_path, deadline=time.monotonic())
    assert judge.classifier is None
    assert {figure.features for figure in judge.measure(digits.take("train")[0][: judge.samples])} == {"pixels"}
