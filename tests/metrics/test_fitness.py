"""What is refused before anything is measured, and classes by their names."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.metrics.detectors.detector import random_features
from zerosum.metrics.draws import interval
from zerosum.metrics.fitness import by_name, check_each, check_reals, check_samples
from zerosum.metrics.lookers import Looker, Lookers
from zerosum.metrics.protocols import CATALOGUE
from zerosum.metrics.reals import Reals
from zerosum.metrics.samples import Samples, of_pictures
from zerosum.metrics.session import Session

NAMES = ("ant", "bee", "cat")


def pictures(name, classes, count=300, order=None, size=16):
    """Classes differ in brightness, by name: the brightness of "bee" is that of "bee" everywhere."""
    numbers = np.arange(count) % len(classes)
    levels = np.array([60 * sorted(classes).index(own) for own in classes])[numbers]
    noise = np.random.default_rng(len(name)).integers(0, 40, (count, 1, size, size))
    pixels = (levels[:, None, None, None] + noise).astype(np.uint8)
    rows = np.arange(count)
    return Pictures(name, pixels, numbers, classes, rows[30:], rows[:30], (size, size), name)


def stream(classes, name="s"):
    own = pictures(name, classes)
    return of_pictures(own, np.arange(300), name)


def reals(classes=NAMES, count=300):
    own = pictures("data", classes, count)
    return Reals("data", lambda: own)


def measured(samples, tmp_path):
    """The distances within the classes, in random features."""
    eye = dataclasses.replace(CATALOGUE["class_fd10k"], detector="random", fake=300)
    own = reals()
    lookers = Lookers(own.pictures, own.pictures, (), tmp_path, "cpu", print)
    (value,) = Session(samples, own, lookers, tmp_path).measure([eye])
    return value.value


def test_classes_are_compared_by_name(tmp_path):
    """The same pictures with the classes in another order have the same value, and not another class's."""
    same, turned = (measured(stream(classes), tmp_path) for classes in (NAMES, ("cat", "ant", "bee")))
    assert turned == pytest.approx(same, rel=0.05)
    wrong = measured(stream(("bee", "cat", "ant"))._replace(classes=NAMES), tmp_path)
    assert wrong > 10 * same


def test_numbers_of_classes():
    assert by_name(stream(("cat", "ant", "bee")), reals()).tolist() == [2, 0, 1]
    assert by_name(stream(("0", "1", "2")), reals()).tolist() == [0, 1, 2]  # numbers say no more than their order
    assert by_name(stream(("3", "7", "9")), reals(("9", "7", "3"))).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("ant", "bee", "dog"), "the classes differ: s has ant, bee, dog, data has ant, bee, cat: give both"),
        (("ant", "bee"), "the classes differ: s has ant, bee, data has"),
        ((), "s has no labels"),
    ],
)
def test_other_classes_are_refused(classes, words):
    samples = stream(classes or NAMES)._replace(classes=classes)
    with pytest.raises(UserError, match=words):
        check_reals(reals(), samples, CATALOGUE["class_fd10k"])


def test_classes_that_are_too_small_are_named():
    protocol = CATALOGUE["class_fd10k"]
    check_each(torch.tensor([0, 0, 1, 1, 2, 2]), NAMES, protocol, "x")
    with pytest.raises(
        UserError,
        match=r"at least 2 pictures of each class, and among the 4 of x there are fewer of "
        r"bee \(1\), cat \(0\)",
    ):
        check_each(torch.tensor([0, 0, 0, 1]), NAMES, protocol, "x")


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("fd_random10k", 90, "needs 100 training pictures, and data has 60"),
        ("kid50k_full", 900, "needs 1,000 pictures, and data has 900: take a smaller"),
        ("prdc1k_random", 1200, "needs 1,000 held-out pictures, and data has 30"),
        ("kd_random2k", 1000, "needs 1,000 training pictures, and data has 970"),
        ("swd2k", 2000, "needs 2,048 training pictures, and data has 1,970"),
        ("copies2k_random", 3000, "needs 2,000 held-out pictures, and data has 30"),
        ("dc10k", 4000, "needs 10,000 training pictures, and data has 3,970"),
    ],
)
def test_too_few_real_pictures_are_refused(name, count, words):
    with pytest.raises(UserError, match=words):
        check_reals(reals(count=count), stream(NAMES), CATALOGUE[name])


def test_enough_real_pictures_are_enough():
    for name, count in (("fd_random10k", 130), ("kid50k_full", 1000), ("kd_random2k", 1030), ("is50k", 31)):
        check_reals(reals(count=count), stream(NAMES), CATALOGUE[name])


def test_pixels_need_one_size_that_is_large_enough():
    endless = Samples("g", None, lambda start, count: iter(()), size=(3, 8, 9))
    for name, size, words in (
        ("lpips1k", (3, 8, 9), "at least 16 pixels a side, not 9x8"),
        ("msssim1k", (3, 10, 10), "at least 11 pixels"),
        ("swd2k", (1, 6, 6), "at least 7 pixels"),
        ("swd2k", None, "has pictures of several sizes: bring them to one"),
        ("swd2k", (4, 32, 32), "without transparency"),
    ):
        with pytest.raises(UserError, match=words):
            check_samples(endless._replace(size=size), CATALOGUE[name], 1)
    check_samples(endless._replace(size=None), CATALOGUE["fd_random10k"], 1)


def test_what_is_kept_has_a_key_of_its_own(tmp_path):
    """Other data, part, count, weights or resizer: another file."""
    detector = random_features()
    looker = Looker("random@x", detector.sha256, detector.resizer, detector=detector)
    protocol = CATALOGUE["fd_random10k"]

    def file(looker=looker, real=None, part="train", most=None):
        own = real or reals()
        session = Session(stream(NAMES), own, Lookers(own.pictures, own.pictures, (), tmp_path, "cpu", print), tmp_path)
        return session._file(protocol, looker, (part, most))[0]

    other = dataclasses.replace(pictures("data", NAMES), identity="other")
    found = [
        file(),
        file(part="all"),
        file(part="held-out"),
        file(most=50),
        file(real=Reals("data", lambda: other)),
        file(looker._replace(sha256="0" * 64)),
        file(looker._replace(resizer="another")),
        file(looker._replace(name="another@x")),
    ]
    assert len(set(found)) == len(found)
    assert file() == found[0]


def test_the_other_part_is_the_other_part(tmp_path):
    """Copies are sought in the training pictures, and held-out ones are what is not copied."""
    protocol = dataclasses.replace(CATALOGUE["copies2k_random"], fake=300, real=200, other=30, least=200)
    own = reals()
    lookers = Lookers(own.pictures, own.pictures, (), tmp_path, "cpu", print)
    copied = of_pictures(own.pictures(), own.pictures().train, "copies")
    taken = of_pictures(own.pictures(), np.tile(own.pictures().held_out, 10), "held out")
    scores = {}
    for name, samples in (("copies", copied._replace(count=None)), ("held out", taken)):
        few = dataclasses.replace(protocol, fake=270, real=None, least=200)
        found = {v.metric: v for v in Session(samples, own, lookers, tmp_path).measure([few])}
        scores[name] = found["copying"].value
        assert (found["copying"].real, found["copying"].other, found["copying"].fake) == (270, 30, 270)
    assert scores["copies"] < -5
    assert scores["held out"] > -3


@pytest.mark.parametrize("draws", [1, 2])
def test_several_counts_share_the_first_draw(tmp_path, draws):
    """With the values that each has alone, in whatever order they are named, and no sample is looked at twice."""
    counts = {"class_fd10k": 150, "fd_random10k": 100, "kd_random2k": 60, "prdc1k_random": 60}
    protocols = [
        dataclasses.replace(CATALOGUE[name], detector="random", fake=count, real=30, least=30)
        for name, count in counts.items()
    ]
    own, samples, looks = reals(), stream(("cat", "ant", "bee")), []

    def blocks(start, count):
        looks.append((start, count))
        return samples.blocks(start, count)

    def measured(protocols):
        lookers = Lookers(own.pictures, own.pictures, (), tmp_path, "cpu", print)
        found = Session(samples._replace(blocks=blocks), own, lookers, tmp_path).measure(protocols, draws)
        return [(value.protocol, value.metric, value.fake, value.value, value.low or 0.0) for value in found]

    alone = [value for protocol in protocols for value in measured([protocol])]
    looks.clear()
    together = measured(protocols)
    assert looks == (
        [(0, 60), (60, 40), (100, 50)]
        if draws == 1
        else [(0, 60), (60, 60), (60, 40), (100, 100), (100, 50), (150, 150)]
    )
    assert [value[0] for value in together if value[1] == "kernel"] == ["kd_random2k"]
    for one, other in zip(sorted(alone), sorted(together), strict=True):
        assert one[:3] == other[:3]
        assert one[3:] == pytest.approx(other[3:], rel=1e-9)


def test_an_interval_is_that_of_the_draws(tmp_path):
    protocol = dataclasses.replace(CATALOGUE["kd_random2k"], fake=100, real=60, least=60)
    own = reals()
    lookers = Lookers(own.pictures, own.pictures, (), tmp_path, "cpu", print)
    samples = stream(NAMES)
    (value,) = Session(samples, own, lookers, tmp_path).measure([protocol], draws=3)

    def later(draw):
        return samples._replace(blocks=lambda start, count: samples.blocks(start + 100 * draw, count))

    each = [next(Session(later(draw), own, lookers, tmp_path).measure([protocol])).value for draw in range(3)]
    assert len(set(each)) == 3
    assert (value.value, value.low, value.high) == pytest.approx(interval(each))
