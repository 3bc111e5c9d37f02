"""Streams of pictures: a generator's steps through its latent spaces, output that is not finite, and what is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from zerosum.data.pictures import Pictures
from zerosum.data.source import from_array
from zerosum.data.survey import survey
from zerosum.errors import UserError
from zerosum.metrics.detectors import detector
from zerosum.metrics.paths import path_length_of, step_distances
from zerosum.metrics.samples import of_generator, of_pictures, of_source
from zerosum.networks.latent import Latent

SIDE = 4


class Linear(nn.Module):
    """A generator whose picture is a product of its latent; the label shifts it."""

    def __init__(self, width):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(width, 3 * SIDE * SIDE, generator=generator, dtype=torch.float64))
        self.seen = []

    def forward(self, latents, labels=None):
        self.seen.append(labels)
        shift = 0 if labels is None else labels[:, None].double()
        return (latents.double() @ self.matrix + shift).view(-1, 3, SIDE, SIDE)


class Curved(Linear):
    """The same with a mapping that doubles and rotates: W is four times as wide, in squares, as Z."""

    def mapping(self, latents, labels=None):
        self.mapped = labels
        return 2 * latents.double().flip(1)

    def synthesis(self, points):
        return self(points)


class Stub:
    def __init__(self, net, distribution="uniform", classes=()):
        self.net, self.latent, self.classes = net, Latent(6, distribution), classes

    device = torch.device("cpu")

    def pixels(self, seeds):
        pictures = self.net(self.latent.draw(0, "sample", seeds[0], len(seeds)))
        yield np.zeros(pictures.shape, np.uint8)

    def labels(self, seeds):
        return torch.tensor([seed % 3 for seed in seeds]) if self.classes else None


def squared(a, b):
    return (a - b).square().sum(dim=(1, 2, 3))


def length(samples, space, count, epsilon=1e-4):
    blocks = [step_distances(a, b, squared) for a, b in samples.steps(space, 5, count, epsilon)]
    assert max(map(len, blocks)) <= 16
    return path_length_of(torch.cat(blocks), epsilon, discard=0)


def ends(latent, count):
    return (latent.draw(0, f"path {side}", 5, count).double() for side in ("start", "end"))


def test_steps_in_z_of_uniform_latents_are_straight():
    """A linear generator has the squared length of its ways."""
    stub = Stub(Linear(6))
    start, end = ends(stub.latent, 40)
    wanted = ((end - start) @ stub.net.matrix).square().sum(dim=1).mean().item()
    assert length(of_generator(stub, "g", "ema"), "z", 40) == pytest.approx(wanted, rel=1e-3)


def test_steps_in_z_of_normal_latents_are_on_the_sphere():
    """The identity's step is the arc, and the change of the radius: |angle r|^2 + |dr|^2 in squares."""
    stub = Stub(Linear(6), "normal")
    stub.net.matrix.data = torch.eye(6, 3 * SIDE * SIDE, dtype=torch.float64)
    start, end = ends(stub.latent, 40)
    angle = torch.acos(torch.cosine_similarity(start, end))
    radius, other = start.norm(dim=1), end.norm(dim=1)
    wanted = ((angle * radius) ** 2 + (other - radius) ** 2).mean().item()
    assert length(of_generator(stub, "g", "ema"), "z", 40) == pytest.approx(wanted, rel=1e-3)
    straight = (end - start).square().sum(dim=1).mean().item()
    assert abs(wanted - straight) > 0.05 * straight


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_steps_in_w_are_straight(distribution):
    stub = Stub(Curved(6), distribution)
    start, end = ends(stub.latent, 40)
    wanted = 4 * ((end - start).flip(1) @ stub.net.matrix).square().sum(dim=1).mean().item()
    samples = of_generator(stub, "g", "ema")
    assert samples.spaces == ("z", "w")
    assert length(samples, "w", 40) == pytest.approx(wanted, rel=1e-3)


def test_both_ends_of_a_way_have_the_label_of_their_number():
    stub = Stub(Curved(6), classes=("a", "b", "c"))
    samples = of_generator(stub, "g", "ema")
    list(samples.steps("z", 20, 30, 1e-4))
    wanted = [seed % 3 for seed in range(20, 50)]
    assert torch.cat(stub.net.seen[::2]).tolist() == torch.cat(stub.net.seen[1::2]).tolist() == wanted
    list(samples.steps("w", 20, 10, 1e-4))
    assert stub.net.mapped.tolist() == wanted[:10]


def test_a_step_does_not_depend_on_its_company():
    samples = of_generator(Stub(Linear(6), "normal"), "g", "ema")
    whole = torch.cat([a for a, _ in samples.steps("z", 0, 37, 1e-4)])
    assert len(whole) == 37
    torch.testing.assert_close(next(samples.steps("z", 20, 1, 1e-4))[0], whole[20:21])
    assert samples.spaces == ("z",)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_output_that_is_not_finite_is_refused(value):
    stub = Stub(Linear(6))
    samples = of_generator(stub, "runs/7", "raw")
    list(samples.pixels(0, 3))
    stub.net.matrix.data[2, 5] = value
    expected = r"The generator of runs/7 makes pictures that are not finite \(raw weights\)"
    with pytest.raises(UserError, match=expected):
        list(samples.pixels(0, 3))
    with pytest.raises(UserError, match=expected):
        list(samples.steps("z", 0, 3, 1e-4))


def test_steps_are_taken_in_full_precision(monkeypatch):
    inside = []

    class Exactly:
        def __enter__(self):
            inside.append("in")

        def __exit__(self, *error):
            inside.append("out")

    monkeypatch.setattr("zerosum.metrics.samples.exactly", Exactly)
    stub = Stub(Linear(6))
    stub.net.register_forward_hook(lambda *given: inside.append("made"))
    list(of_generator(stub, "g", "ema").steps("z", 0, 3, 1e-4))
    assert inside == ["in", "made", "made", "out"]
    assert detector.exactly is not Exactly


def sorted_pictures(count=600):
    """Six classes, one after the other."""
    labels = np.arange(count) * 6 // count
    pixels = np.repeat(labels.astype(np.uint8), SIDE * SIDE).reshape(count, 1, SIDE, SIDE)
    return Pictures("x", pixels, labels, tuple("abcdef"), np.arange(count), np.arange(0), (SIDE, SIDE), "identity")


def test_some_of_a_sorted_set_have_all_its_classes():
    samples = of_pictures(sorted_pictures(), "train", 120)
    labels = samples.labels(0, 120)
    assert samples.count == 120
    assert 10 <= labels.bincount(minlength=6).min() <= labels.bincount(minlength=6).max() <= 30
    pixels = np.concatenate(list(samples.pixels(0, 120)))
    assert pixels[:, 0, 0, 0].tolist() == labels.tolist()
    assert of_pictures(sorted_pictures(), "train", 120).labels(0, 120).tolist() == labels.tolist()
    whole = of_pictures(sorted_pictures(), "train", 600)
    assert whole.labels(0, 600).tolist() == sorted_pictures().labels.tolist()


def test_samples_from_a_sorted_file_have_all_its_classes_and_draws_share_none():
    pictures = sorted_pictures()
    source = from_array("x", pictures.pixels[:, 0], pictures.labels)
    samples = of_source(source, survey(source))
    parts = [samples.labels(start, 200) for start in (0, 200, 400)]
    assert torch.cat(parts).bincount().tolist() == [100] * 6
    for start, labels in zip((0, 200, 400), parts, strict=True):
        assert labels.bincount(minlength=6).min() >= 15
        pixels = np.concatenate(list(samples.pixels(start, 200)))
        assert pixels[:, 0, 0, 0].tolist() == labels.tolist()
