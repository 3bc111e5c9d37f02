"""Every protocol of the catalogue, with small counts and detectors that are quick."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.metrics import classifier
from zerosum.metrics import sides as sides_room
from zerosum.metrics.detectors.detector import Detector, Seen
from zerosum.metrics.looking import Looked, look_at
from zerosum.metrics.neighbours import neighbour_measures
from zerosum.metrics.protocols import CATALOGUE, smaller
from zerosum.metrics.samples import Block, Samples, of_pictures
from zerosum.metrics.sides import Sides

COUNT = 240
BETTER_LOW = {"frechet", "kernel", "mmd", "sliced_wasserstein", "mode_divergence", "class_frechet"}
DIVERSE = {"recall", "modes", "inception_score", "lpips", "class_lpips"}  # less of a collapsed set


@pytest.fixture(autouse=True)
def _briefly(monkeypatch):
    """Classifiers are trained for a few steps: what they learn is tested elsewhere."""
    monkeypatch.setattr(classifier, "_PASSES", 1)


def noise(count, seed, mean=128, spread=40):
    values = np.random.default_rng(seed).normal(mean, spread, (count, 3, 16, 16))
    return values.clip(0, 255).astype(np.uint8)


def see(pictures):
    x = pictures.float() / 255
    coarse = torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)
    return Seen(coarse, 8 * (coarse - coarse.mean(1, keepdim=True)) + coarse, x[:, 0].flatten(1)[:, ::37])


DETECTOR = Detector("stub", 12, "0" * 64, "none", see, block=50)


def apart(a, b):
    """A distance of pictures, in the place of LPIPS."""
    assert a.min() >= -1
    assert a.max() <= 1
    return (a - b).square().mean(dim=(1, 2, 3))


def looked(protocol, pixels, labels=None):
    detector = None if protocol.detector in ("pixels", "lpips", "student") else DETECTOR
    parts = [None] * 3 if labels is None else torch.tensor_split(labels, 3)
    return look_at(map(Block, np.array_split(pixels, 3), parts), detector, Looked(protocol.wants, size=(16, 16)))


def walked(protocol, pixels):
    found = Looked(protocol.wants)
    found.step(torch.from_numpy(pixels).double().std(dim=(1, 2, 3)) * 1e-8)
    return found


def sides(protocol, fake):
    """Samples against noise; every fourth picture is of the same class, and its first row says which."""
    labels = torch.arange(COUNT) % 4

    def marked(pixels):
        pixels[:, :, 0] = (labels.numpy() * 80).astype(np.uint8)[:, None, None]
        return pixels

    if protocol.space is not None:
        return Sides(Looked(protocol.wants), walked(protocol, fake))
    real = looked(protocol, marked(noise(COUNT, 1)), labels)
    other = looked(protocol, marked(noise(COUNT, 2)), labels)
    shares = torch.full((12,), 1 / 12) if protocol.detector == "classifier" else None
    return Sides(real, looked(protocol, marked(fake), labels), other, 4, shares, apart)


def values(protocol, fake):
    return protocol.compute(sides(protocol, fake))


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_protocol_gives_finite_numbers_and_repeats(name):
    protocol = CATALOGUE[name]
    assert protocol.name == name
    assert protocol.about
    found = values(protocol, noise(COUNT, 3))
    assert found
    assert all(math.isfinite(value) for value in found.values())
    assert values(protocol, noise(COUNT, 3)) == found


@pytest.mark.parametrize("name", [name for name in CATALOGUE if CATALOGUE[name].baseline])
def test_what_stands_beside_a_value_does_not_depend_on_the_samples(name):
    """It is of the same metrics, in words, and what real pictures in the place of the samples get."""
    protocol = CATALOGUE[name]
    own, other = (protocol.baseline(sides(protocol, noise(COUNT, seed))) for seed in (3, 4))
    assert own == other
    assert own.keys() == values(protocol, noise(COUNT, 3)).keys()
    assert all(math.isfinite(value) for value in own.values())
    assert protocol.beside
    if protocol.detector in ("student", "lpips", "pixels"):
        given = sides(protocol, noise(COUNT, 3))
        in_place = given.other if protocol.other else given.real
        assert protocol.compute(given._replace(fake=in_place)) == own


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
    if protocol.space is not None:
        return
    one = np.repeat(noise(1, 3), COUNT, axis=0)
    one[:, :, 0, 0] = np.arange(COUNT)[:, None] % 256  # not quite equal
    collapsed = values(protocol, one)
    for metric in good.keys() & DIVERSE:
        assert collapsed[metric] < good[metric], metric
    for metric in good.keys() & {"ms_ssim", "mode_divergence", "frechet"}:
        assert collapsed[metric] > good[metric], metric


K, M = 1_000, frozenset({"moments"})
FEATURES, PIXELS = frozenset({"features"}), frozenset({"pixels"})
TABLE = {  # what looks, samples, part, real pictures (None: all), the fewest of them, of the other part, what is kept
    "fid50k_full": ("inception", 50 * K, "full", None, 100, 0, M),
    "fid10k_test": ("inception", 10 * K, "held-out", 10 * K, 10 * K, 0, M),
    "kid50k_full": ("inception", 50 * K, "full", None, 1 * K, 0, FEATURES),
    "is50k": ("inception", 50 * K, "train", 0, 0, 0, frozenset({"logits"})),
    "pr50k3_inception": ("inception", 50 * K, "train", 50 * K, 50 * K, 0, FEATURES),
    "dc10k": ("inception", 10 * K, "train", 10 * K, 10 * K, 0, FEATURES),
    "sfid50k": ("inception", 50 * K, "full", None, 100, 0, frozenset({"spatial"})),
    "fd_dinov2_50k": ("dinov2", 50 * K, "full", None, 100, 0, M),
    "cmmd10k": ("clip", 10 * K, "train", 10 * K, 10 * K, 0, FEATURES),
    "ppl2_wend": ("lpips", 50 * K, "train", 0, 0, 0, frozenset({"distances"})),
    "ppl2_zend": ("lpips", 50 * K, "train", 0, 0, 0, frozenset({"distances"})),
    "lpips1k": ("lpips", K, "train", K, K, 0, PIXELS),
    "class_lpips1k": ("lpips", K, "train", K, K, 0, PIXELS),
    "swd16k": ("pixels", 16_384, "train", 16_384, 16_384, 0, PIXELS),
    "swd2k": ("pixels", 2_048, "train", 2_048, 2_048, 0, PIXELS),
    "msssim1k": ("pixels", K, "train", K, K, 0, PIXELS),
    "modes26k": ("stacked", 26 * K, "train", 0, 0, 0, frozenset({"names"})),
    "classes10k": ("classifier", 10 * K, "train", 0, 0, 0, frozenset({"names"})),
    "cas10k": ("student", 10 * K, "held-out", None, 100, 10 * K, frozenset({"views"})),
    "cas1k": ("student", K, "held-out", None, 100, K, frozenset({"views"})),
    "fd_classifier10k": ("classifier", 10 * K, "train", None, 100, 0, M),
    "class_fd10k": ("classifier", 10 * K, "train", None, 100, 0, FEATURES),
    "fd_random10k": ("random", 10 * K, "train", None, 100, 0, M),
    "kd_random2k": ("random", 2 * K, "train", 2 * K, K, 0, FEATURES),
    "prdc1k_classifier": ("classifier", K, "held-out", K, K, 0, FEATURES),
    "prdc1k_random": ("random", K, "held-out", K, K, 0, FEATURES),
    "prdc100_classifier": ("classifier", 100, "held-out", 100, 100, 0, FEATURES),
    "prdc100_random": ("random", 100, "held-out", 100, 100, 0, FEATURES),
    "copies2k_classifier": ("classifier", 2 * K, "train", 10 * K, 2 * K, 2 * K, FEATURES),
    "copies2k_random": ("random", 2 * K, "train", 10 * K, 2 * K, 2 * K, FEATURES),
}


def test_the_catalogue_is_this():
    """A change of a protocol under the same name would make old and new values look comparable."""
    assert {
        name: (p.detector, p.fake, p.part, p.real, p.needs, p.other, p.wants) for name, p in CATALOGUE.items()
    } == TABLE


def test_counts_are_equal_where_a_metric_needs_that():
    for name in ("swd16k", "swd2k", "prdc1k_random", "prdc100_random", "dc10k", "pr50k3_inception", "cmmd10k"):
        assert CATALOGUE[name].real == CATALOGUE[name].fake == CATALOGUE[name].needs
    for name in ("copies2k_random", "cas10k"):
        assert CATALOGUE[name].other == CATALOGUE[name].fake


@pytest.mark.parametrize(("name", "k"), [("pr50k3_inception", 3), ("dc10k", 5), ("prdc1k_random", 5)])
def test_neighbours_are_counted_as_the_name_says(name, k):
    generator = torch.Generator().manual_seed(1)
    real, fake = (torch.randn(60, 3, generator=generator) + shift for shift in (0, 0.5))
    found = CATALOGUE[name].compute(Sides(told("features", real), told("features", fake)))
    wanted = neighbour_measures(real=real, fake=fake, k=k)._asdict()
    assert found == {metric: wanted[metric] for metric in found}
    assert found != {m: neighbour_measures(real=real, fake=fake, k=8 - k)._asdict()[m] for m in found}


def test_copies_are_told_from_their_originals():
    """Fakes that are training pictures are copies; the same comparison with held-out ones says nothing of the kind."""
    generator = torch.Generator().manual_seed(0)
    train, held_out = (torch.randn(200, 4, generator=generator) for _ in range(2))
    near = train + 1e-3 * torch.randn(200, 4, generator=generator)
    sides = Sides(told("features", train), told("features", near), told("features", held_out))
    compute = CATALOGUE["copies2k_random"].compute
    assert compute(sides)["copying"] < -3
    swapped = sides._replace(real=sides.other, other=sides.real)
    assert compute(swapped)["copying"] > -1.5


def test_pairs_are_a_thousand(monkeypatch):
    asked = []
    monkeypatch.setattr(sides_room, "ms_ssim_diversity", lambda pictures, pairs: asked.append(pairs) or 0.5)
    protocol = CATALOGUE["msssim1k"]
    protocol.compute(Sides(Looked(protocol.wants), looked(protocol, noise(9, 1))))
    assert asked == [1000]


def test_small_blocks_are_looked_at_together():
    """The same pictures and labels, 256 at a time or until the size changes."""
    counts = []

    def counting(pictures):
        counts.append(len(pictures))
        return see(pictures)

    detector = dataclasses.replace(DETECTOR, see=counting, block=1000)
    pixels = noise(600, 0)
    blocks = [Block(part, torch.arange(len(part))) for part in np.split(pixels, range(16, 600, 16))]
    told = []
    last = Block(pixels[:5, :, :8], torch.zeros(5).long())
    found = look_at(iter([*blocks, last]), detector, Looked(FEATURES), told.append)
    assert counts == [256, 256, 88, 5]
    assert told == [256, 512, 600, 605]
    torch.testing.assert_close(found.features()[:600], see(torch.from_numpy(pixels)).features)
    assert found.labels()[:17].tolist() == [*range(16), 0]


def test_a_smaller_protocol_is_named():
    assert smaller(CATALOGUE["prdc1k_random"], 180) == "take prdc100_random, which needs 100"
    assert smaller(CATALOGUE["swd16k"], 3000) == "take swd2k, which needs 2,048"
    assert smaller(CATALOGUE["fd_random10k"], 12).startswith("take a smaller protocol")


def test_names_say_what_is_done():
    for name, protocol in CATALOGUE.items():
        digits = "".join(letter for letter in name.split("_")[0] if letter.isdigit() or letter == "k")
        if name.startswith(("fid", "kid")):
            assert protocol.detector == "inception"
        if "k" in digits and digits.strip("k").isdigit() and name != "pr50k3_inception":
            thousands = int(digits.strip("k"))
            assert protocol.fake in (thousands * 1000, thousands * 1024)
        assert ("full" not in name) or protocol.part == "full"
        assert ("test" not in name) or protocol.part == "held-out"


def test_moments_do_not_keep_features():
    found = look_at(map(Block, [noise(50, 0)] * 4), DETECTOR, Looked(frozenset({"moments"})))
    assert found.count == 200
    assert found.kept == {}
    assert found.gaussian().count == 200


def test_blocks_of_any_size_are_the_same():
    pixels = noise(100, 0)
    whole, parts = (
        look_at(map(Block, blocks), DETECTOR, Looked(frozenset({"features", "moments", "spatial"})))
        for blocks in ([pixels], np.array_split(pixels, 7))
    )
    assert torch.equal(whole.features(), parts.features())
    torch.testing.assert_close(whole.gaussian().covariance, parts.gaussian().covariance)
    torch.testing.assert_close(whole.gaussian("spatial").mean, parts.gaussian("spatial").mean)


def test_samples_of_pictures():
    rows = np.arange(30)
    pictures = Pictures("x", noise(30, 0), rows % 3, ("a", "b", "c"), rows[5:], rows[:5], (16, 16), "identity")
    samples = of_pictures(pictures, rows[5:], "training pictures of x")
    assert samples.count == 25
    ((pixels, labels),) = samples.blocks(3, 10)
    np.testing.assert_array_equal(pixels, pictures.pixels[8:18])
    assert labels.tolist() == (rows[8:18] % 3).tolist()
    samples.need(25, "p")
    with pytest.raises(UserError, match="p needs 26 pictures, and training pictures of x has 25"):
        samples.need(26, "p")


def test_a_stream_without_end_is_never_short():
    endless = Samples("g", None, lambda start, count: iter(()))
    endless.need(10**9, "p")


def told(kind, values):
    """Samples of which a detector said this."""
    found = Looked(frozenset({kind}), len(values), classes=3)
    found.kept[kind] = [values]
    return found


def test_classes_are_compared_with_the_shares_of_the_data():
    shares = torch.tensor([0.5, 0.25, 0.25])
    sides = Sides(Looked(frozenset()), told("names", torch.tensor([0, 1, 0, 2])), shares=shares)
    assert CATALOGUE["classes10k"].compute(sides) == pytest.approx({"modes": 3, "mode_divergence": 0}, abs=1e-12)
    uniform = CATALOGUE["modes26k"].compute(sides)
    assert uniform["mode_divergence"] == pytest.approx(0.5 * math.log(1.5) + 0.5 * math.log(0.75))
    assert CATALOGUE["classes10k"].baseline(sides) == {"modes": 3, "mode_divergence": 2 / 8}


def test_an_inception_score_does_not_depend_on_the_order_of_a_folder():
    """Sorted by class, each of the ten splits would hold one class and score 1."""
    logits = 100 * torch.eye(10).repeat_interleave(50, dim=0)
    found = CATALOGUE["is50k"].compute(Sides(Looked(frozenset()), told("logits", logits)))
    assert found["inception_score"] > 8
