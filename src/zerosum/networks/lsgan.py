"""The generator of LSGAN for 112x112 (Mao et al. 2017): more layers than DCGAN's at the small sizes.

Its critic is ``DCGANDiscriminator`` with kernel 5.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from torch import nn

from zerosum.networks.dcgan import STD, Up
from zerosum.networks.generators import ConvGenerator, first_maps
from zerosum.networks.labels import GeneratorLabels, appended
from zerosum.networks.layers import Layers
from zerosum.networks.norms import GeneratorNorm, check_labels, generator_norm
from zerosum.networks.sizes import check, stages

MOST = 4  # channels at the base, in multiples of ``width``


@dataclass(frozen=True)
class LSGANGenerator:
    """Latents (N, ``latent``) -> pictures (N, ``channels``, ``image_height``, ``image_width``) in [-1, 1].

    All kernels are 3x3. The last doubling leads to ``width`` maps, the one before to twice as many, each earlier one to
    four times as many and is followed by a convolution that keeps the size.
    """

    image_width: int
    image_height: int
    channels: int = 3
    latent: int = 1024
    width: int = 64
    norm: GeneratorNorm = "batch"
    classes: int = 0
    labels: GeneratorLabels = "concat"

    def __post_init__(self) -> None:
        check(self)
        check_labels(self.norm, self.classes, self.labels)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        count, base_width, base_height = stages(self.image_width, self.image_height)
        channels = MOST * self.width
        shape = (channels, base_height, base_width)
        make, more = Layers(functools.partial(nn.init.normal_, std=STD)), appended(self.classes, self.labels)
        first = make.linear(self.latent + more, math.prod(shape))
        layers: list[nn.Module] = []
        for left in reversed(range(count)):
            wanted = self.width * min(2**left, MOST)
            layers += [Up(channels, wanted, 3, bias=True), *self._normed(wanted)]
            if left > 1:
                layers += [make.conv(wanted, wanted, 3, 1, 1), *self._normed(wanted)]
            channels = wanted
        layers += [make.conv(channels, self.channels, 3, 1, 1)]
        start = first_maps(shape, "channel", self.norm, self.classes, self.labels)
        return ConvGenerator(first, start, nn.Sequential(*layers), more)

    def _normed(self, channels: int) -> list[nn.Module]:
        return [*generator_norm(self.norm, channels, self.classes, self.labels), nn.ReLU(inplace=True)]
