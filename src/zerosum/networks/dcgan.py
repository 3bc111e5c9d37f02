"""The two networks of DCGAN (Radford et al. 2015), in the forms that are in circulation.

Strided convolutions instead of pooling, batch norm in both (not at the generator's output nor the discriminator's
input), ReLU in the generator, leaky ReLU in the discriminator, tanh at the end. Other norms and labels are dials.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.networks.convolution import Conv2d, ConvTranspose2d
from zerosum.networks.critics import Critic
from zerosum.networks.generators import ConvGenerator, FirstNorm, first_maps
from zerosum.networks.labels import CriticLabels, GeneratorLabels, appended
from zerosum.networks.layers import Layers
from zerosum.networks.minibatch import Minibatch
from zerosum.networks.norms import CriticNorm, GeneratorNorm, check_labels, critic_norm, generator_norm
from zerosum.networks.sizes import check, stages

LEAK = 0.2
STD = 0.02  # of the initial weights
MOST = 8  # channels grow to at most this many times ``width``
PADDING = (1, 2, 1, 2)  # TensorFlow's SAME for kernel 5 and stride 2

_normal = functools.partial(nn.init.normal_, std=STD)


@dataclass(frozen=True)
class DCGANGenerator:
    """Latents (N, ``latent``) -> pictures (N, ``channels``, ``image_height``, ``image_width``) in [-1, 1].

    ``width`` is the number of maps at half the picture's size, doubled at each smaller size up to eight times.
    ``kernel`` 4 is the usual padded transposed convolution, 5 TensorFlow's SAME. ``first_norm`` normalises the first
    layer per channel, or per feature (position and channel) as the authors' own code does.
    """

    image_width: int
    image_height: int
    channels: int = 3
    latent: int = 100
    width: int = 64
    kernel: Literal[4, 5] = 4
    bias: bool = True
    first_norm: FirstNorm = "channel"
    norm: GeneratorNorm = "batch"
    classes: int = 0
    labels: GeneratorLabels = "concat"

    def __post_init__(self) -> None:
        check(self)
        check_labels(self.norm, self.classes, self.labels)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        count, base_width, base_height = stages(self.image_width, self.image_height)
        widths = _widths(self.width, count)[::-1]
        shape = (widths[0], base_height, base_width)
        more = appended(self.classes, self.labels)
        first = Layers(_normal).linear(self.latent + more, math.prod(shape), self.bias)
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            norm = generator_norm(self.norm, narrow, self.classes, self.labels)
            layers += [Up(wide, narrow, self.kernel, self.bias), *norm, nn.ReLU(inplace=True)]
        layers += [Up(widths[-1], self.channels, self.kernel, self.bias)]
        start = first_maps(shape, self.first_norm, self.norm, self.classes, self.labels)
        return ConvGenerator(first, start, nn.Sequential(*layers), more)


@dataclass(frozen=True)
class DCGANDiscriminator:
    """Pictures (N, ``channels``, ``image_height``, ``image_width``) -> ``Output``, scores (N,) being logits.

    Fields as in ``DCGANGenerator``; ``norm`` stands behind each convolution but the first, spectral is on all layers.
    """

    image_width: int
    image_height: int
    channels: int = 3
    width: int = 64
    kernel: Literal[4, 5] = 4
    bias: bool = True
    norm: CriticNorm = "batch"
    minibatch: Minibatch = "none"
    classes: int = 0
    labels: CriticLabels = "concat"

    def __post_init__(self) -> None:
        check(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        count, base_width, base_height = stages(self.image_width, self.image_height)
        widths = _widths(self.width, count)
        layers = _down(self, self.channels + appended(self.classes, self.labels), widths[0])
        layers += [nn.LeakyReLU(LEAK, inplace=True)]
        for narrow, wide in itertools.pairwise(widths):
            layers += [*_down(self, narrow, wide), *critic_norm(self.norm, wide), nn.LeakyReLU(LEAK, inplace=True)]
        return Critic(
            nn.Sequential(*layers),
            (widths[-1], base_height, base_width),
            Layers(_normal, self.norm == "spectral"),
            classes=self.classes,
            labels=self.labels,
            minibatch=self.minibatch,
            bias=self.bias,
        )


class Down(Conv2d):
    """Stride-2 convolution that halves even sides; kernel 5 pads 1 before and 2 after, as TensorFlow's SAME."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel, stride=2, padding=1 if kernel == 4 else 0, bias=bias)
        truncated_normal(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.kernel_size[0] == 4 else F.pad(x, PADDING))


class Up(ConvTranspose2d):
    """Stride-2 transposed convolution that doubles each side, kernel 3, 4 or 5: the gradient of TensorFlow's SAME."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel, stride=2, padding=(kernel - 2) // 2, bias=bias)
        nn.init.normal_(self.weight, std=STD)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        x = super().forward(x)
        return x if self.kernel_size[0] % 2 == 0 else x[:, :, :-1, :-1]  # SAME leaves one line too many


def truncated_normal(weight: Tensor) -> Tensor:
    """TensorFlow's truncated normal, in place: drawn again beyond two deviations."""
    return nn.init.trunc_normal_(weight, std=STD, a=-2 * STD, b=2 * STD)


def _down(spec: DCGANDiscriminator, channels_in: int, channels_out: int) -> list[nn.Module]:
    if spec.norm != "spectral":
        return [Down(channels_in, channels_out, spec.kernel, spec.bias)]
    pad: list[nn.Module] = [nn.ZeroPad2d(PADDING)] if spec.kernel == 5 else []
    layers = Layers(truncated_normal, spectral=True)
    return [*pad, layers.conv(channels_in, channels_out, spec.kernel, 2, 1 if spec.kernel == 4 else 0, spec.bias)]


def _widths(width: int, count: int) -> list[int]:
    """Channels after each halving of the picture."""
    return [width * min(2**index, MOST) for index in range(count)]
