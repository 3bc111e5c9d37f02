"""The residual networks: blocks against the papers' order of operations, widths, initial weights, pooling."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.networks.resnet import DownBlock, ResNetCritic, ResNetGenerator, UpBlock
from zerosum.networks.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear


def stirred(net: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    net = net.double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def maps(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def conv(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)


def normed(x: Tensor) -> Tensor:
    return (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()


def of(block: nn.Module, x: Tensor, *rest: None) -> Tensor:
    """What a block makes of ``x``, which it leaves as it was."""
    given = x.clone()
    found = block(given, *rest)
    assert torch.equal(given, x)
    return found


def twice(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def half(x: Tensor) -> Tensor:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def downs(spec: ResNetCritic) -> list[tuple[int, int, bool]]:
    """Channels in and out of each block, and whether it halves."""
    with torch.device("meta"):
        found = [module for module in spec.build().modules() if isinstance(module, DownBlock)]
    return [(block.first.in_channels, block.second.out_channels, block.halve) for block in found]


def ups(spec: ResNetGenerator) -> list[int]:
    with torch.device("meta"):
        net = spec.build()
    channels = [net.blocks[0].first.in_channels, *(block.first.out_channels for block in net.blocks)]
    return [net.shape[1] * 1000 + net.shape[2], *channels]


# --- blocks ---


def test_up_block_as_published() -> None:
    """Both branches upsample before they convolve."""
    block = stirred(UpBlock(3, 5, ResNetGenerator(32, 32)))
    x = maps(4, 3, 4, 6)
    inner = conv(twice(F.relu(block.first_norm(x))), block.first)
    inner = conv(F.relu(block.second_norm(inner)), block.second)
    torch.testing.assert_close(of(block, x, None), inner + conv(twice(x), block.shortcut))
    torch.testing.assert_close(
        block.first_norm(x),
        normed(x) * block.first_norm[0].weight.view(-1, 1, 1) + block.first_norm[0].bias.view(-1, 1, 1),
    )
    of(stirred(UpBlock(3, 5, ResNetGenerator(32, 32, norm="none"))), x, None)


@pytest.mark.parametrize("halve", [True, False])
def test_down_block_as_published(halve: bool) -> None:
    """Both branches convolve before they take means; hidden maps are as many as come in."""
    block = stirred(DownBlock(3, 5, "none", halve, first=False))
    x = maps(4, 3, 4, 6)
    resample = half if halve else lambda maps: maps
    inner = conv(F.relu(conv(F.relu(x), block.first)), block.second)
    torch.testing.assert_close(of(block, x), resample(inner) + resample(conv(x, block.shortcut)))
    assert block.first.out_channels == 3


def test_first_block_as_published() -> None:
    """No ReLU before it, hidden maps as many as go out, and no norm in it."""
    block = stirred(DownBlock(3, 5, "batch", True, first=True))
    x = maps(4, 3, 4, 6)
    inner = half(conv(F.relu(conv(x, block.first)), block.second))
    torch.testing.assert_close(of(block, x), inner + conv(half(x), block.shortcut))
    assert block.first.out_channels == 5


def test_a_block_that_changes_no_size_has_the_identity_beside_it() -> None:
    block = stirred(DownBlock(4, 4, "none", False, first=False))
    x = maps(2, 4, 4, 4)
    assert block.shortcut is None
    torch.testing.assert_close(of(block, x), x + conv(F.relu(conv(F.relu(x), block.first)), block.second))
    assert DownBlock(4, 4, "none", True, first=False).shortcut is not None
    assert DownBlock(4, 8, "none", False, first=False).shortcut is not None


def test_layer_norm_stands_before_each_relu_of_later_blocks() -> None:
    block = stirred(DownBlock(3, 5, "layer", True, first=False, bias=False))
    x = maps(4, 3, 4, 6)
    inner = conv(F.relu(block.second_norm(conv(F.relu(block.first_norm(x)), block.first))), block.second)
    torch.testing.assert_close(of(block, x), half(inner) + half(conv(x, block.shortcut)))
    assert (block.first.bias, block.second.bias is None) == (None, False)
    assert len(block.first_norm) == len(block.second_norm) == 1


# --- the networks ---


def test_widths_of_the_published_generators() -> None:
    assert ups(ResNetGenerator(32, 32)) == [4004, 256, 256, 256, 256]
    assert ups(ResNetGenerator(48, 48, width=64, most=8)) == [6006, 512, 256, 128, 64]
    assert ups(ResNetGenerator(64, 64, width=64, most=16)) == [4004, 1024, 512, 256, 128, 64]
    assert ups(ResNetGenerator(128, 128, width=64, most=16)) == [4004, 1024, 1024, 512, 256, 128, 64]
    assert ups(ResNetGenerator(64, 64, width=64, most=8)) == [4004, 512, 512, 256, 128, 64]


def test_blocks_of_the_published_critics() -> None:
    assert downs(ResNetCritic(32, 32)) == [(3, 128, True), (128, 128, True), (128, 128, False), (128, 128, False)]
    large = [(3, 64, True), (64, 128, True), (128, 256, True), (256, 512, True)]
    wide = {"width": 64, "most": 16}
    assert downs(ResNetCritic(48, 48, **wide, blocks=5, halvings=4)) == [*large, (512, 1024, False)]
    assert downs(ResNetCritic(64, 64, **wide, blocks=5, halvings=5)) == [*large, (512, 1024, True)]
    last = [(512, 1024, True), (1024, 1024, False)]
    assert downs(ResNetCritic(128, 128, **wide, blocks=6, halvings=5)) == [*large, *last]
    good = ResNetCritic(64, 64, width=64, most=8, first="conv", halvings=4, norm="layer", pool="flatten")
    assert downs(good) == [(64, 128, True), (128, 256, True), (256, 512, True), (512, 512, True)]


def test_halving_stops_where_a_side_is_odd() -> None:
    assert [halve for _, _, halve in downs(ResNetCritic(28, 28, blocks=4, halvings=4))] == [True, True, False, False]
    assert [halve for _, _, halve in downs(ResNetCritic(12, 8, blocks=4, halvings=4))] == [True, True, False, False]


@pytest.mark.parametrize("pool", ["sum", "mean", "flatten"])
def test_pooling(pool: str) -> None:
    critic = stirred(ResNetCritic(12, 8, width=3, norm="none", pool=pool, last_bias=True).build())
    x = maps(4, 3, 8, 12)
    inner = x
    for block in critic.body[:-1]:
        inner = block(inner)
    assert inner.shape == (4, 3, 2, 3)
    features = {"sum": F.relu(inner).sum((2, 3)), "mean": F.relu(inner).mean((2, 3)), "flatten": inner}[pool]
    output = critic(x)
    torch.testing.assert_close(output.features, features)
    torch.testing.assert_close(output.scores, critic.last(features.flatten(1))[:, 0])


def test_spectral_norm_is_on_every_layer() -> None:
    for labels, extra in (("projection", SpectralEmbedding), ("classifier", SpectralLinear)):
        critic = ResNetCritic(32, 32, width=4, classes=3, labels=labels).build()
        weighted = [m for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
        assert all(isinstance(m, SpectralConv2d | SpectralLinear | SpectralEmbedding) for m in weighted)
        assert isinstance(weighted[-1], extra)
        assert len(weighted) == 4 * 2 + 2 + 2  # two in each block, two shortcuts, the score, the labels


def test_initial_weights() -> None:
    """Uniform with deviation sqrt(4 / (in + out)) in a block, sqrt(2 / (in + out)) elsewhere."""
    torch.manual_seed(0)
    block = DownBlock(64, 96, "spectral", True, first=False)
    generator = ResNetGenerator(32, 32, width=64).build()
    for layer, gain in (
        (block.first, 4),
        (block.second, 4),
        (block.shortcut, 2),
        (generator.blocks[1].first, 4),
        (generator.blocks[1].second, 4),
        (generator.blocks[1].shortcut, 2),
        (generator.first, 2),
        (generator.end[-1], 2),
    ):
        out, inside = layer.weight.shape[:2]
        places = layer.weight[0, 0].numel()
        deviation = math.sqrt(gain / ((out + inside) * places))
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.05)
        assert layer.weight.abs().max().item() == pytest.approx(math.sqrt(3) * deviation, rel=0.02)
        assert layer.bias.abs().max() == 0


def test_the_last_norm_of_the_generator_is_the_same_for_all_classes() -> None:
    generator = ResNetGenerator(32, 32, width=4, classes=3).build()
    gains = {name: tuple(p.shape) for name, p in generator.named_parameters() if name.endswith("gain")}
    assert len(gains) == 6
    assert set(gains.values()) == {(3, 4)}
    assert isinstance(generator.end[0], nn.BatchNorm2d)
