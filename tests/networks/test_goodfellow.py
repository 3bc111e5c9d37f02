"""The networks of 2014: layers, ranges of the initial weights, dropout, and the sizes they can do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.networks.dropout import Dropout
from zerosum.networks.goodfellow import (
    GoodfellowConvDiscriminator,
    GoodfellowConvGenerator,
    GoodfellowDiscriminator,
    GoodfellowGenerator,
)

DISCRIMINATORS = [GoodfellowDiscriminator(12, 10, width=8), GoodfellowConvDiscriminator(14, 11, width=2, units=8)]
both_discriminators = pytest.mark.parametrize("spec", DISCRIMINATORS, ids=["plain", "conv"])


def test_the_generator_ends_in_a_sigmoid_mapped_to_the_range_of_pictures() -> None:
    torch.manual_seed(0)
    generator = GoodfellowGenerator(5, 4, channels=2, latent=7, width=6).build()
    latents = 20 * torch.randn(3, 7)
    before = generator.body[:-1](latents)
    expected = (2 * torch.sigmoid(before) - 1).view(3, 2, 4, 5)
    torch.testing.assert_close(generator(latents), expected)


@pytest.mark.parametrize(
    ("spec", "bound"),
    [
        (GoodfellowGenerator(12, 10, width=40), 0.05),
        (GoodfellowConvGenerator(14, 11, width=10), 0.05),
        (GoodfellowDiscriminator(12, 10, width=20), 0.005),
        (GoodfellowConvDiscriminator(14, 11, width=8, units=8), 0.005),
    ],
)
def test_initial_weights_are_uniform(spec, bound: float) -> None:
    torch.manual_seed(0)
    for name, parameter in spec.build().named_parameters():
        if name.endswith("bias"):
            assert parameter.abs().max() == 0, name
        else:
            assert parameter.abs().max() <= bound, name
            if parameter.numel() > 1000:
                assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.05), name


@both_discriminators
def test_dropout_before_each_layer(spec) -> None:
    shares = [module.keep for module in spec.build().modules() if isinstance(module, Dropout)]
    assert shares == [0.8, *[0.5] * (2 if isinstance(spec, GoodfellowDiscriminator) else 4)]


@both_discriminators
def test_without_dropout_training_and_evaluating_are_one(spec) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, spec.channels, spec.image_height, spec.image_width)
    net = spec.build()
    assert not torch.equal(net(x).scores, net(x).scores)
    plain = type(spec)(spec.image_width, spec.image_height, width=spec.width, dropout=0.0, input_dropout=0.0).build()
    assert torch.equal(plain(x).scores, plain.eval()(x).scores)


@pytest.mark.parametrize("field", ["dropout", "input_dropout"])
def test_impossible_shares(field: str) -> None:
    for kind in (GoodfellowDiscriminator, GoodfellowConvDiscriminator):
        with pytest.raises(ValueError, match="share in"):
            kind(28, 28, **{field: 1.0})


def test_sizes_inside_the_convolutional_discriminator() -> None:
    """33, 16; 15, 7; 9, 5: as its configuration says."""
    with torch.device("meta"):
        net = GoodfellowConvDiscriminator(32, 32).build()
        x, sides = torch.empty(2, 3, 32, 32), []
        for layer in net.body:
            x = layer(x)
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                sides.append(x.shape[-1])
    assert sides == [33, 16, 15, 7, 9, 5]
    assert x.shape == (2, 500)


def test_the_convolutional_generator_ends_in_a_convolution_with_a_bias_for_each_pixel() -> None:
    torch.manual_seed(0)
    generator = GoodfellowConvGenerator(14, 11, latent=7, width=2).build()
    nn.init.normal_(generator.bias, std=3)
    latents = torch.randn(3, 7)
    maps = generator.body(latents)
    assert maps.shape == (3, 2, 3, 4)
    expected = torch.zeros(3, 3, 11, 14)
    for row in range(3):
        for column in range(4):
            patch = torch.einsum("nm,mcij->ncij", maps[:, :, row, column], generator.up.weight)
            expected[:, :, 3 * row : 3 * row + 5, 3 * column : 3 * column + 5] += patch
    torch.testing.assert_close(generator(latents), expected + generator.bias)
    torch.testing.assert_close(generator.eval()(latents), (expected + generator.bias).clamp(-1, 1))


@pytest.mark.parametrize(
    ("size", "words"),
    [((28, 28), "Resolution 28 .* are 26, 29"), ((32, 28), "32x28 .* are 32x26, 32x29"), ((2, 2), "are 5 ")],
)
def test_sizes_of_the_convolutional_generator(size: tuple[int, int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        GoodfellowConvGenerator(*size)


def test_sizes_of_the_convolutional_discriminator() -> None:
    with pytest.raises(UserError, match=r"Resolution 9x32 .* at least 10"):
        GoodfellowConvDiscriminator(9, 32)
    with torch.device("meta"):
        for size in ((10, 10), (10, 31), (11, 12), (13, 40)):
            net = GoodfellowConvDiscriminator(*size, width=1, units=1).build()
            assert net(torch.empty(2, 3, size[1], size[0])).scores.shape == (2,)


def test_a_dropped_pixel_is_black_and_labels_are_not_dropped() -> None:
    """The discriminator for MNIST sees [0, 1]; what is dropped is black, what is kept is divided by the share."""
    torch.manual_seed(0)
    net = GoodfellowDiscriminator(6, 6, width=8, input_dropout=0.9, dropout=0.0, classes=3).build()
    seen = []
    net.body[1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].detach()))
    labels = torch.tensor([2, 0])
    net(torch.stack([torch.full((1, 6, 6), -1.0), torch.ones(1, 6, 6)]), labels)
    black, white = seen[0][:, :36]
    assert not black.any()
    assert sorted(white.unique().tolist()) == pytest.approx([0, 10], abs=1e-4)
    assert torch.equal(seen[0][:, 36:], torch.nn.functional.one_hot(labels, 3).float())
    net.eval()(torch.zeros(2, 1, 6, 6), labels)
    assert (seen[1][:, :36] == 0.5).all()


def test_the_convolutional_discriminator_drops_pixels_alone() -> None:
    torch.manual_seed(0)
    net = GoodfellowConvDiscriminator(14, 14, width=4, units=8, input_dropout=0.5, classes=2).build()
    seen = []
    net.body[1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].detach()))
    net(torch.full((2, 3, 14, 14), -1.0), torch.tensor([1, 0]))
    assert set(seen[0][:, :3].unique().tolist()) == {-2.0, 0.0}
    assert torch.equal(seen[0][:, 3:, 0, 0], torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert seen[0][:, 3:].std(dim=(2, 3)).max() == 0
