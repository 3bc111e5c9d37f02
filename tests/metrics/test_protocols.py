"""Every protocol of the catalogue, with small counts and detectors that are quick."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.metrics.detectors.detector import Detector, Seen
from zerosum.metrics.looking import look_at
from zerosum.metrics.protocols import CATALOGUE, Sides
from zerosum.metrics.samples import Samples, of_pictures

COUNT = 240
BETTER_LOW = {"frechet", "kernel", "mmd", "sliced_wasserstein", "mode_divergence", "class_frechet"}
BETTER_HIGH = {"precision", "recall", "density", "coverage", "inception_score", "modes"}


def noise(count, seed, mean=128, spread=40):
    values = np.random.default_rng(seed).normal(mean, spread, (count, 3, 16, 16))
    return values.clip(0, 255).astype(np.uint8)


def see(pictures):
    x = pictures.float() / 255
    coarse = torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)
    return Seen(coarse, 8 * (coarse - coarse.mean(1, keepdim=True)) + coarse, x[:, 0].flatten(1)[:, ::37])


DETECTOR = Detector("stub", 12, "0" * 64, "none", see, block=50)


def looked(protocol, pixels, labels=None):
    detector = None if protocol.detector == "pixels" else DETECTOR
    return look_at(iter(np.array_split(pixels, 3)), detector, protocol.wants, labels)


def values(protocol, fake):
    labels = torch.arange(COUNT) % 4
    real = looked(protocol, noise(COUNT, 1), labels)
    other = looked(protocol, noise(COUNT, 2), labels)
    return protocol.compute(Sides(real, looked(protocol, fake, labels), other, 4))


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_protocol_gives_finite_numbers_and_repeats(name):
    protocol = CATALOGUE[name]
    assert protocol.name == name
    assert protocol.about
    found = values(protocol, noise(COUNT, 3))
    assert found
    assert all(math.isfinite(value) for value in found.values())
    assert values(protocol, noise(COUNT, 3)) == found


@pytest.mark.parametrize("name", CATALOGUE)
def test_worse_pictures_get_worse_numbers(name):
    """Shifted pictures are farther off; a collapsed set loses recall and diversity. Nothing is the wrong way round."""
    protocol = CATALOGUE[name]
    red = noise(COUNT, 3, spread=10)
    red[:, 0] += 60
    good, off = values(protocol, noise(COUNT, 3)), values(protocol, red)
    for metric in good.keys() & BETTER_LOW - {"mode_divergence", "sliced_wasserstein"}:
        assert off[metric] > good[metric], metric
    for metric in good.keys() & {"precision", "coverage", "recall"}:
        assert off[metric] < good[metric], metric
    one = np.repeat(noise(1, 3), COUNT, axis=0)
    one[:, :, 0, 0] = np.arange(COUNT)[:, None] % 256  # not quite equal
    collapsed = values(protocol, one)
    for metric in good.keys() & {"recall", "modes", "inception_score"}:
        assert collapsed[metric] < good[metric], metric
    for metric in good.keys() & {"ms_ssim", "mode_divergence", "frechet"}:
        assert collapsed[metric] > good[metric], metric


def test_names_say_what_is_done():
    for name, protocol in CATALOGUE.items():
        digits = "".join(letter for letter in name.split("_")[0] if letter.isdigit() or letter == "k")
        if name.startswith(("fid", "kid")):
            assert protocol.detector == "inception"
        if "k" in digits and digits.strip("k").isdigit() and name != "pr50k3_full":
            thousands = int(digits.strip("k"))
            assert protocol.fake in (thousands * 1000, thousands * 1024)
        assert ("full" not in name) or protocol.part == "train"
        assert ("test" not in name) or protocol.part == "held-out"


def test_moments_do_not_keep_features():
    found = look_at(iter([noise(50, 0)] * 4), DETECTOR, frozenset({"moments"}))
    assert found.count == 200
    assert found.kept == {}
    assert found.gaussian().count == 200


def test_blocks_of_any_size_are_the_same():
    pixels = noise(100, 0)
    whole, parts = (
        look_at(iter(blocks), DETECTOR, frozenset({"features", "moments", "spatial"}))
        for blocks in ([pixels], np.array_split(pixels, 7))
    )
    assert torch.equal(whole.features(), parts.features())
    torch.testing.assert_close(whole.gaussian().covariance, parts.gaussian().covariance)
    torch.testing.assert_close(whole.gaussian("spatial").mean, parts.gaussian("spatial").mean)


def test_samples_of_pictures():
    rows = np.arange(30)
    pictures = Pictures("x", noise(30, 0), rows % 3, ("a", "b", "c"), rows[5:], rows[:5], (16, 16), "identity")
    samples = of_pictures(pictures, "train")
    assert samples.count == 25
    np.testing.assert_array_equal(np.concatenate(list(samples.pixels(3, 10))), pictures.pixels[8:18])
    assert samples.labels(3, 10).tolist() == (rows[8:18] % 3).tolist()
    samples.need(25, "p")
    with pytest.raises(UserError, match="p needs 26 pictures, and training pictures of x has 25"):
        samples.need(26, "p")


def test_a_stream_without_end_is_never_short():
    endless = Samples("g", None, lambda start, count: iter(()), lambda start, count: None)
    endless.need(10**9, "p")
