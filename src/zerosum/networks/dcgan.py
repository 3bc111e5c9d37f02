"""The two networks of DCGAN (Radford et al. 2015), in the forms that are in circulation.

Strided convolutions instead of pooling, batch norm in both (not at the generator's output nor the discriminator's
input), ReLU in the generator, leaky ReLU in the discriminator, tanh at the end.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.networks.sizes import check, stages

LEAK = 0.2
STD = 0.02  # of the initial weights
MOST = 8  # channels grow to at most this many times ``width``

FirstNorm = Literal["channel", "feature"]


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

    def __post_init__(self) -> None:
        check(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _Generator(self)


@dataclass(frozen=True)
class DCGANDiscriminator:
    """Pictures (N, ``channels``, ``image_height``, ``image_width``) -> logits (N,). Fields as in ``DCGANGenerator``."""

    image_width: int
    image_height: int
    channels: int = 3
    width: int = 64
    kernel: Literal[4, 5] = 4
    bias: bool = True

    def __post_init__(self) -> None:
        check(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _Discriminator(self)


class Down(nn.Conv2d):
    """Stride-2 convolution that halves even sides; kernel 5 pads 1 before and 2 after, as TensorFlow's SAME."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel, stride=2, padding=1 if kernel == 4 else 0, bias=bias)
        nn.init.trunc_normal_(self.weight, std=STD, a=-2 * STD, b=2 * STD)  # TF redraws beyond two deviations
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.kernel_size[0] == 4 else F.pad(x, (1, 2, 1, 2)))


class Up(nn.ConvTranspose2d):
    """Stride-2 transposed convolution that doubles each side: the gradient of ``Down`` with the same kernel."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel, stride=2, padding=1, bias=bias)
        nn.init.normal_(self.weight, std=STD)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        x = super().forward(x)
        return x if self.kernel_size[0] == 4 else x[:, :, :-1, :-1]  # SAME leaves one line too many


class _Generator(nn.Module):
    def __init__(self, spec: DCGANGenerator) -> None:
        super().__init__()
        count, base_width, base_height = stages(spec.image_width, spec.image_height)
        widths = _widths(spec.width, count)[::-1]
        self.shape = (widths[0], base_height, base_width)
        self.first = nn.Linear(spec.latent, widths[0] * base_height * base_width, bias=spec.bias)
        nn.init.normal_(self.first.weight, std=STD)
        if spec.bias:
            nn.init.zeros_(self.first.bias)
        norm: nn.Module
        if spec.first_norm == "feature":
            norm = nn.Sequential(nn.BatchNorm1d(self.first.out_features), nn.Unflatten(1, self.shape))
        else:
            norm = nn.Sequential(nn.Unflatten(1, self.shape), nn.BatchNorm2d(widths[0]))
        self.start = nn.Sequential(norm, nn.ReLU(inplace=True))
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            layers += [Up(wide, narrow, spec.kernel, spec.bias), nn.BatchNorm2d(narrow), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, Up(widths[-1], spec.channels, spec.kernel, spec.bias))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.tanh(self.body(self.start(self.first(latents))))


class _Discriminator(nn.Module):
    def __init__(self, spec: DCGANDiscriminator) -> None:
        super().__init__()
        count, base_width, base_height = stages(spec.image_width, spec.image_height)
        widths = _widths(spec.width, count)
        layers: list[nn.Module] = [
            Down(spec.channels, widths[0], spec.kernel, spec.bias),
            nn.LeakyReLU(LEAK, inplace=True),
        ]
        for narrow, wide in itertools.pairwise(widths):
            layers += [
                Down(narrow, wide, spec.kernel, spec.bias),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(LEAK, inplace=True),
            ]
        self.body = nn.Sequential(*layers)
        self.last = nn.Linear(widths[-1] * base_height * base_width, 1, bias=spec.bias)
        nn.init.normal_(self.last.weight, std=STD)
        if spec.bias:
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.body(x)
        # a product over whole pictures as a convolution: flattening would turn the layout, forward and backward
        return F.conv2d(x, self.last.weight.view(1, *x.shape[1:]), self.last.bias).flatten()


def _widths(width: int, count: int) -> list[int]:
    """Channels after each halving of the picture."""
    return [width * min(2**index, MOST) for index in range(count)]
