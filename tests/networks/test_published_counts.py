"""Parameter counts of the published networks, at their full widths."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from zerosum.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    GoodfellowConvDiscriminator,
    GoodfellowConvGenerator,
    GoodfellowDiscriminator,
    GoodfellowGenerator,
    LSGANGenerator,
    PointsCritic,
    PointsGenerator,
    ResNetCritic,
    ResNetGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
)


def linear(before: int, after: int) -> int:
    return before * after + after


def conv(before: int, after: int, kernel: int, bias: bool = True) -> int:
    return before * after * kernel**2 + (after if bias else 0)


def up(before: int, after: int, classes: int = 1, bias: bool = True) -> int:
    """A residual block that doubles: two norms, two 3x3 convolutions, a 1x1 shortcut."""
    norms = 2 * classes * (before + after)
    return norms + conv(before, after, 3, bias) + conv(after, after, 3) + conv(before, after, 1)


def down(before: int, after: int, hidden: int | None = None, shortcut: bool = True, bias: bool = True) -> int:
    """A residual block of a critic, without norms."""
    hidden = hidden or before
    return conv(before, hidden, 3, bias) + conv(hidden, after, 3) + (conv(before, after, 1) if shortcut else 0)


SN48 = {"width": 64, "most": 16, "blocks": 5, "halvings": 4, "last_bias": True}
SN64 = {"width": 64, "most": 16, "blocks": 5, "halvings": 5, "last_bias": True}
SN128 = {"width": 64, "most": 16, "blocks": 6, "halvings": 5, "last_bias": True, "classes": 1000}
GOOD: dict[str, Any] = {
    "width": 64,
    "most": 8,
    "first": "conv",
    "halvings": 4,
    "norm": "layer",
    "pool": "flatten",
    "inner_bias": False,
    "last_bias": True,
}
CRITIC_64 = down(3, 64, 64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + linear(1024, 1)

COUNTS = {
    # logged or published
    "WGAN-GP generator, 32": (ResNetGenerator(32, 32, width=128), 1_204_483),
    "WGAN-GP critic, 32": (ResNetCritic(32, 32, norm="none", pool="mean", last_bias=True), 1_053_825),
    "SNGAN generator, 32": (ResNetGenerator(32, 32), 4_276_739),
    "SNGAN critic, 32": (ResNetCritic(32, 32), 1_053_824),
    "SNGAN conditional generator, 32": (ResNetGenerator(32, 32, classes=10), 4_304_387),
    "SNGAN conditional critic, 32": (ResNetCritic(32, 32, classes=10, last_bias=True), 1_055_105),
    "DCGAN generator, 64": (DCGANGenerator(64, 64, kernel=5), 5_135_363),
    "DCGAN discriminator, 64": (DCGANDiscriminator(64, 64, kernel=5), 4_316_545),
    # counted by hand from the published layers
    "SNGAN generator, 48": (
        ResNetGenerator(48, 48, width=64, most=8),
        linear(128, 6 * 6 * 512) + up(512, 256) + up(256, 128) + up(128, 64) + 2 * 64 + conv(64, 3, 3),
    ),
    "SNGAN critic, 48": (ResNetCritic(48, 48, **SN48), CRITIC_64),
    "SNGAN generator, 64": (
        ResNetGenerator(64, 64, width=64, most=16),
        linear(128, 4 * 4 * 1024)
        + (up(1024, 512) + up(512, 256) + up(256, 128) + up(128, 64))
        + (2 * 64 + conv(64, 3, 3)),
    ),
    "SNGAN critic, 64": (ResNetCritic(64, 64, **SN64), CRITIC_64),
    "SNGAN conditional generator, 128": (
        ResNetGenerator(128, 128, width=64, most=16, classes=1000),
        linear(128, 4 * 4 * 1024)
        + sum(up(a, b, 1000) for a, b in [(1024, 1024), (1024, 512), (512, 256), (256, 128), (128, 64)])
        + (2 * 64 + conv(64, 3, 3)),
    ),
    "SNGAN projection critic, 128": (
        ResNetCritic(128, 128, **SN128),
        CRITIC_64 + down(1024, 1024, shortcut=False) + 1000 * 1024,
    ),
    "WGAN-GP generator, 64": (
        ResNetGenerator(64, 64, width=64, most=8, inner_bias=False),
        linear(128, 4 * 4 * 512)
        + sum(up(a, b, bias=False) for a, b in [(512, 512), (512, 256), (256, 128), (128, 64)])
        + (2 * 64 + conv(64, 3, 3)),
    ),
    "WGAN-GP critic, 64": (
        ResNetCritic(64, 64, **GOOD),
        conv(3, 64, 3)
        + sum(4 * a + down(a, b, bias=False) for a, b in [(64, 128), (128, 256), (256, 512), (512, 512)])
        + linear(4 * 4 * 512, 1),
    ),
    "WGAN-GP DCGAN generator, 32": (
        DCGANGenerator(32, 32, latent=128, width=128, kernel=5, first_norm="feature"),
        linear(128, 8192) + 2 * 8192 + conv(512, 256, 5) + 2 * 256 + conv(256, 128, 5) + 2 * 128 + conv(128, 3, 5),
    ),
    "WGAN-GP DCGAN critic, 32": (
        DCGANDiscriminator(32, 32, width=128, kernel=5, norm="none"),
        conv(3, 128, 5) + conv(128, 256, 5) + conv(256, 512, 5) + linear(8192, 1),
    ),
    "SNDCGAN generator, 32": (
        SNDCGANGenerator(32, 32),
        linear(128, 8192)
        + (2 * 8192 + conv(512, 256, 4) + 2 * 256 + conv(256, 128, 4) + 2 * 128)
        + (conv(128, 64, 4) + 2 * 64 + conv(64, 3, 3)),
    ),
    "SNDCGAN discriminator, 32": (
        SNDCGANDiscriminator(32, 32),
        conv(3, 64, 3)
        + (conv(64, 128, 4) + conv(128, 128, 3) + conv(128, 256, 4) + conv(256, 256, 3))
        + (conv(256, 512, 4) + conv(512, 512, 3) + linear(8192, 1)),
    ),
    "2014 generator, MNIST": (GoodfellowGenerator(28, 28), linear(100, 1200) + linear(1200, 1200) + linear(1200, 784)),
    "2014 discriminator, MNIST": (
        GoodfellowDiscriminator(28, 28),
        linear(784, 240 * 5) + linear(240, 240 * 5) + linear(240, 1),
    ),
    "2014 generator, CIFAR-10": (
        GoodfellowConvGenerator(32, 32),
        linear(100, 8000) + linear(8000, 8000) + conv(80, 3, 5, bias=False) + 3 * 32 * 32,
    ),
    "2014 discriminator, CIFAR-10": (
        GoodfellowConvDiscriminator(32, 32),
        conv(3, 2 * 32, 8) + conv(32, 2 * 32, 8) + conv(32, 2 * 192, 5) + linear(5 * 5 * 192, 500 * 5) + linear(500, 1),
    ),
    "LSGAN generator, 112": (
        LSGANGenerator(112, 112),
        linear(1024, 7 * 7 * 256)
        + (4 * conv(256, 256, 3) + 5 * 2 * 256)
        + (conv(256, 128, 3) + 2 * 128 + conv(128, 64, 3) + 2 * 64 + conv(64, 3, 3)),
    ),
    "LSGAN discriminator, 112": (
        DCGANDiscriminator(112, 112, kernel=5),
        conv(3, 64, 5)
        + sum(conv(a, b, 5) + 2 * b for a, b in [(64, 128), (128, 256), (256, 512)])
        + linear(7 * 7 * 512, 1),
    ),
    "PacGAN generator": (PointsGenerator(), 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + linear(400, 2)),
    "PacGAN discriminator": (PointsCritic(), linear(2, 1000) + 2 * linear(200, 1000) + linear(200, 1)),
    "PacGAN discriminator of pairs": (
        PointsCritic(dims=4),
        linear(4, 1000) + 2 * linear(200, 1000) + linear(200, 1),
    ),
    "WGAN-GP generator of points": (
        PointsGenerator(width=512, layers=3, norm="none", initial="he"),
        linear(2, 512) + 2 * linear(512, 512) + linear(512, 2),
    ),
    "WGAN-GP critic of points": (
        PointsCritic(width=512, activation="relu", initial="he"),
        linear(2, 512) + 2 * linear(512, 512) + linear(512, 1),
    ),
}


@pytest.mark.parametrize(("spec", "count"), COUNTS.values(), ids=COUNTS)
def test_parameter_counts(spec: Any, count: int) -> None:
    with torch.device("meta"):
        net = spec.build()
        assert sum(parameter.numel() for parameter in net.parameters()) == count
        generates = hasattr(spec, "latent")
        shape = (spec.dims,) if hasattr(spec, "dims") else (spec.channels, spec.image_height, spec.image_width)
        x = torch.empty(2, *((spec.latent,) if generates else shape))
        output = net(x, torch.zeros(2, dtype=torch.int64) if spec.classes else None)
        assert (output.shape == (2, *shape)) if generates else (output.scores.shape == (2,))
