"""SNDCGAN: the plain convolutional pair of the spectral normalisation paper (Miyato et al. 2018, table 3).

As in compare_gan (Kurach et al. 2019): 4x4 transposed convolutions in the generator, 3x3 and strided 4x4 convolutions
in turn in the discriminator. Three halvings at any size, fewer where the sides are not divisible by eight.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

from torch import nn

from zerosum.networks.critics import Critic
from zerosum.networks.dcgan import Up
from zerosum.networks.generators import ConvGenerator, first_maps
from zerosum.networks.labels import CriticLabels, GeneratorLabels, appended
from zerosum.networks.layers import Layers
from zerosum.networks.minibatch import Minibatch
from zerosum.networks.norms import CriticNorm, GeneratorNorm, check_labels, critic_norm, generator_norm
from zerosum.networks.sizes import Stages, check, stages

LEAK = 0.1
HALVINGS = 3

_normal = functools.partial(nn.init.normal_, std=0.02)


@dataclass(frozen=True)
class SNDCGANGenerator:
    """Latents (N, ``latent``) -> pictures (N, ``channels``, ``image_height``, ``image_width``) in [-1, 1].

    ``width`` is the number of maps at the picture's size, doubled at each halving. The first layer is normalised per
    feature (position and channel), the others per channel.
    """

    image_width: int
    image_height: int
    channels: int = 3
    latent: int = 128
    width: int = 64
    norm: GeneratorNorm = "batch"
    classes: int = 0
    labels: GeneratorLabels = "concat"

    def __post_init__(self) -> None:
        check(self)
        check_labels(self.norm, self.classes, self.labels)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        count, base_width, base_height = _stages(self.image_width, self.image_height)
        widths = _widths(self.width, count)[::-1]
        shape = (widths[0], base_height, base_width)
        make, more = Layers(_normal), appended(self.classes, self.labels)
        first = make.linear(self.latent + more, math.prod(shape))
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            norm = generator_norm(self.norm, narrow, self.classes, self.labels)
            layers += [Up(wide, narrow, 4, bias=True), *norm, nn.ReLU(inplace=True)]
        layers += [make.conv(widths[-1], self.channels, 3, 1, 1)]
        start = first_maps(shape, "feature", self.norm, self.classes, self.labels)
        return ConvGenerator(first, start, nn.Sequential(*layers), more)


@dataclass(frozen=True)
class SNDCGANDiscriminator:
    """Pictures (N, ``channels``, ``image_height``, ``image_width``) -> ``Output``. Fields as in ``SNDCGANGenerator``.

    ``norm`` batch or layer stands behind each convolution but the first, spectral is on all layers.
    """

    image_width: int
    image_height: int
    channels: int = 3
    width: int = 64
    norm: CriticNorm = "spectral"
    minibatch: Minibatch = "none"
    classes: int = 0
    labels: CriticLabels = "concat"

    def __post_init__(self) -> None:
        check(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        count, base_width, base_height = _stages(self.image_width, self.image_height)
        make = Layers(_normal, self.norm == "spectral")
        channels = self.channels + appended(self.classes, self.labels)
        layers: list[nn.Module] = [make.conv(channels, self.width, 3, 1, 1), nn.LeakyReLU(LEAK, inplace=True)]
        for narrow, wide in itertools.pairwise(_widths(self.width, count)):
            for conv in (make.conv(narrow, wide, 4, 2, 1), make.conv(wide, wide, 3, 1, 1)):
                layers += [conv, *critic_norm(self.norm, wide), nn.LeakyReLU(LEAK, inplace=True)]
        return Critic(
            nn.Sequential(*layers),
            (self.width * 2**count, base_height, base_width),
            make,
            classes=self.classes,
            labels=self.labels,
            minibatch=self.minibatch,
        )


def _stages(width: int, height: int) -> Stages:
    count = min(HALVINGS, stages(width, height).count)
    return Stages(count, width // 2**count, height // 2**count)


def _widths(width: int, count: int) -> list[int]:
    """Channels at each size, from the picture's down to the base."""
    return [width * 2**index for index in range(count + 1)]
