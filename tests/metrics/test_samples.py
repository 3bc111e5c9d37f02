"""Streams of pictures: a generator's steps through its latent spaces, output that is not finite, and what is drawn."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from zerosum.data.pictures import Pictures
from zerosum.data.source import Source, Unreadable, from_array
from zerosum.data.survey import survey
from zerosum.errors import UserError
from zerosum.metrics.detectors import detector
from zerosum.metrics.paths import path_length_of, step_distances
from zerosum.metrics.reals import Loose, Reals
from zerosum.metrics.samples import in_colour, of_generator, of_pictures, of_source
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
        self.size = (3, SIDE, SIDE)

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
    list(samples.blocks(0, 3))
    stub.net.matrix.data[2, 5] = value
    expected = r"The generator of runs/7 makes pictures that are not finite \(raw weights\)"
    with pytest.raises(UserError, match=expected):
        list(samples.blocks(0, 3))
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


def seen(samples, start, count):
    """First pixels and labels of a stretch."""
    pixels, labels = zip(*samples.blocks(start, count), strict=True)
    return np.concatenate(pixels)[:, 0, 0, 0].tolist(), torch.cat(labels)


def test_some_of_a_sorted_set_have_all_its_classes():
    rows = np.arange(600)
    samples = of_pictures(sorted_pictures(), rows, "x", 120)
    pixels, labels = seen(samples, 0, 120)
    assert samples.count == len(labels) == 120
    assert 10 <= labels.bincount(minlength=6).min() <= labels.bincount(minlength=6).max() <= 30
    assert pixels == labels.tolist()
    assert seen(of_pictures(sorted_pictures(), rows, "x", 120), 0, 120)[0] == pixels
    whole = of_pictures(sorted_pictures(), rows, "x", 600)
    assert seen(whole, 0, 600)[1].tolist() == sorted_pictures().labels.tolist()


def test_samples_from_a_sorted_file_have_all_its_classes_and_draws_share_none():
    pictures = sorted_pictures()
    source = from_array("x", pictures.pixels[:, 0], pictures.labels)
    samples = of_source(source, np.arange(600), 1)
    found = [seen(samples, start, 200) for start in (0, 200, 400)]
    assert torch.cat([labels for _, labels in found]).bincount().tolist() == [100] * 6
    for pixels, labels in found:
        assert labels.bincount(minlength=6).min() >= 15
        assert pixels == labels.tolist()


def numbered(count, broken=()):
    """A source whose picture n is of colour n and class n; those that are ``broken`` cannot be decoded."""

    def read(index):
        if index in broken:
            raise Unreadable("it is cut off")
        return np.full((SIDE, SIDE, 1), index, np.uint8)

    return Source("x", count, read, labels=np.arange(count), classes=tuple(map(str, range(count))))


def test_another_picture_takes_the_place_of_one_that_cannot_be_read():
    """Draws still share none, labels stay with their pictures, and what was left out is known by name."""
    samples = of_source(numbered(100, broken={3, 50, 51}), np.arange(100), 1)
    one, two = (seen(samples, start, 40) for start in (0, 40))
    assert len({*one[0], *two[0]}) == 80
    for pixels, labels in (one, two):
        assert pixels == labels.tolist()
    rest = seen(samples, 80, 40)[0]
    assert sorted([*one[0], *two[0], *rest]) == [index for index in range(100) if index not in (3, 50, 51)]
    assert samples.lost == {f"picture {index}": "it is cut off" for index in (3, 50, 51)}


def test_grey_becomes_colour():
    samples = in_colour(of_source(numbered(5), np.arange(5), 1, (SIDE, SIDE)))
    assert samples.size == (3, SIDE, SIDE)
    (pixels, labels), *_ = samples.blocks(0, 5)
    assert pixels.shape == (5, 3, SIDE, SIDE)
    assert (pixels == labels.numpy()[:, None, None, None]).all()


def test_transparency_is_laid_on_white():
    """Half clear black is grey, wholly clear is white whatever its colour; by hand."""
    pixels = np.array([[[0, 0, 0, 128], [10, 20, 30, 0]], [[10, 20, 30, 255], [255, 0, 0, 51]]], np.uint8)
    samples = of_source(Source("x", 1, lambda index: pixels), np.arange(1), 3)
    ((found, _),) = samples.blocks(0, 1)
    wanted = [[[127, 127, 127], [255, 255, 255]], [[10, 20, 30], [255, 204, 204]]]
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), wanted)


def test_labels_of_a_draw_are_those_of_its_pictures():
    """Picture n of a generator has the label of seed n, in the second draw too, block by block."""
    stub = Stub(Linear(6), classes=("a", "b", "c"))
    stub.pixels = lambda seeds: (np.zeros((len(seeds[part : part + 16]), 3, 4, 4), np.uint8) for part in (0, 16, 32))
    labels = torch.cat([labels for _, labels in of_generator(stub, "g", "ema").blocks(40, 40)])
    assert labels.tolist() == [seed % 3 for seed in range(40, 80)]


def real(tested=False):
    rows = np.arange(600)
    pictures = dataclasses.replace(sorted_pictures(), train=rows[60:], held_out=rows[:60])
    return Reals("x", lambda: pictures, tested)


def test_full_is_everything_but_a_test_part():
    assert real().part("full") == "all"
    assert real(tested=True).part("full") == "train"
    assert [real().count(part, True) for part in ("all", "train", "held-out")] == [600, 540, 60]
    assert real().samples("all", None, True).count == 600


def test_pictures_of_several_sizes_keep_their_size_and_their_split():
    pixels = [np.full((8 + index % 2, 8, 1), index, np.uint8) for index in range(200)]
    source = Source("x", 200, pixels.__getitem__, labels=np.arange(200) % 2, classes=("a", "b"))
    found = survey(source)

    def never():
        raise AssertionError("nothing is prepared for a detector")

    reals = Reals("x", never, loose=Loose(source, found, 3))
    assert [reals.count(part, False) for part in ("all", "train", "held-out")] == [200, 180, 20]
    samples = reals.samples("held-out", None, False)
    blocks = list(samples.blocks(0, samples.count))
    assert {block.pixels.shape[1:] for block in blocks} == {(3, 8, 8), (3, 9, 8)}
    assert sum(len(block.pixels) for block in blocks) == 20
    other = Reals("x", never, loose=Loose(source, found, 1))
    assert len({reals.identity(False), other.identity(False)}) == 2
