"""The smaller files: SNDCGAN, LSGAN's generator, and perceptrons for points, layer by layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zerosum.networks.lsgan import LSGANGenerator
from zerosum.networks.points import PointsCritic, PointsGenerator
from zerosum.networks.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator


def names(net: nn.Module) -> list[str]:
    """The layers that act, in order."""
    return [type(module).__name__ for module in net.modules() if not list(module.children())]


def convolutions(net: nn.Module) -> list[tuple[int, int, int, int]]:
    """Channels in and out, kernel and stride of each convolution."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    found = [module for module in net.modules() if isinstance(module, kinds)]
    return [(conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0]) for conv in found]


# --- SNDCGAN ---


def test_sndcgan_as_in_compare_gan() -> None:
    with torch.device("meta"):
        generator, critic = SNDCGANGenerator(32, 32).build(), SNDCGANDiscriminator(32, 32).build()
    assert convolutions(generator) == [(512, 256, 4, 2), (256, 128, 4, 2), (128, 64, 4, 2), (64, 3, 3, 1)]
    pairs = [(64, 128, 4, 2), (128, 128, 3, 1), (128, 256, 4, 2), (256, 256, 3, 1), (256, 512, 4, 2), (512, 512, 3, 1)]
    assert convolutions(critic) == [(3, 64, 3, 1), *pairs]
    start = ["Linear", "BatchNorm1d", "Unflatten", "ReLU"]
    assert names(generator) == [*start, *["Up", "BatchNorm2d", "ReLU"] * 3, "Conv2d"]
    assert names(critic) == [*["SpectralConv2d", "LeakyReLU"] * 7, "SpectralLinear"]
    assert {module.negative_slope for module in critic.modules() if isinstance(module, nn.LeakyReLU)} == {0.1}


@pytest.mark.parametrize(
    ("size", "base"),
    [((32, 32), (4, 4)), ((48, 48), (6, 6)), ((64, 96), (12, 8)), ((28, 28), (7, 7)), ((12, 8), (4, 6))],
)
def test_sndcgan_halves_three_times_where_it_can(size: tuple[int, int], base: tuple[int, int]) -> None:
    with torch.device("meta"):
        critic = SNDCGANDiscriminator(*size, width=2).build()
        assert critic(torch.empty(2, 3, size[1], size[0])).features.shape[2:] == base


def test_initial_weights_of_sndcgan() -> None:
    torch.manual_seed(0)
    for net in (SNDCGANGenerator(16, 16, width=32).build(), SNDCGANDiscriminator(16, 16, width=32).build()):
        for name, parameter in net.named_parameters():
            if parameter.ndim > 1 and parameter.numel() > 3000:
                assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name


# --- LSGAN ---


def test_lsgans_generator_for_112() -> None:
    with torch.device("meta"):
        generator = LSGANGenerator(112, 112).build()
    assert generator.first.in_features == 1024
    assert generator.first.out_features == 7 * 7 * 256
    assert convolutions(generator) == [
        *[(256, 256, 3, 2), (256, 256, 3, 1)] * 2,
        *[(256, 128, 3, 2), (128, 64, 3, 2), (64, 3, 3, 1)],
    ]
    assert names(generator)[1:4] == ["Unflatten", "BatchNorm2d", "ReLU"]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in generator.modules()) == 7


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (8, [(256, 64, 3, 2), (64, 3, 3, 1)]),
        (28, [(256, 128, 3, 2), (128, 64, 3, 2), (64, 3, 3, 1)]),
        (32, [(256, 256, 3, 2), (256, 256, 3, 1), (256, 128, 3, 2), (128, 64, 3, 2), (64, 3, 3, 1)]),
    ],
)
def test_lsgans_generator_at_other_sizes(side: int, expected: list[tuple[int, int, int, int]]) -> None:
    with torch.device("meta"):
        assert convolutions(LSGANGenerator(side, side).build()) == expected


# --- points ---


def test_pacgans_pair() -> None:
    torch.manual_seed(0)
    generator, critic = PointsGenerator().build(), PointsCritic().build()
    assert names(generator) == [*["Linear", "BatchNorm1d", "ReLU"] * 4, "Linear"]
    assert names(critic) == [*["Linear", "Maxout"] * 3, "Linear"]
    linear = [module for module in generator.modules() if isinstance(module, nn.Linear)]
    assert [layer.bias is not None for layer in linear] == [False] * 4 + [True]
    for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        if parameter.ndim > 1 and parameter.numel() > 3000:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name


def test_wgan_gps_pair() -> None:
    torch.manual_seed(0)
    generator = PointsGenerator(width=512, layers=3, norm="none", initial="he").build()
    critic = PointsCritic(width=512, activation="relu", initial="he").build()
    for net in (generator, critic):
        assert names(net) == [*["Linear", "ReLU"] * 3, "Linear"]
        linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
        for layer in linear[:-1]:  # He: uniform with deviation sqrt(2 / in)
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / layer.in_features), rel=0.05)
            assert layer.weight.abs().max().item() == pytest.approx(math.sqrt(6 / layer.in_features), rel=0.02)
        last = linear[-1]  # Glorot
        bound = math.sqrt(6 / (last.in_features + last.out_features))
        assert last.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
        assert all(layer.bias.abs().max() == 0 for layer in linear)


def test_a_packed_critic_differs_in_its_first_layer_alone() -> None:
    shapes = [[tuple(p.shape) for p in PointsCritic(dims=dims).build().parameters()] for dims in (2, 6)]
    assert shapes[0][0] == (1000, 2)
    assert shapes[1][0] == (1000, 6)
    assert shapes[0][1:] == shapes[1][1:]


def test_points_are_not_bounded() -> None:
    torch.manual_seed(0)
    assert PointsGenerator(initial="he", norm="none").build()(30 * torch.randn(64, 2)).abs().max() > 1
