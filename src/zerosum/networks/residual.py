"""A small residual pair without normalisation, mirrored: generator up, critic down.

After R3GAN (Huang et al. 2024): no norm layer, initial weights scaled so that a deep stack of residual blocks starts
as the identity (Fixup, Zhang et al. 2019), everything else plain. Dense 3x3 convolutions instead of grouped ones, which
are slow everywhere. The generator ends without tanh: a saturated tanh passes no gradient, and against a critic that is
ahead early on such a generator dies for good. In eval mode its pictures are clamped to [-1, 1].
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.game.critic import Output, full
from zerosum.networks.body import run
from zerosum.networks.convolution import Conv2d
from zerosum.networks.labels import needed
from zerosum.networks.precision import full_precision
from zerosum.networks.sizes import check, stages

LEAK = 0.2
MOST = 4  # channels grow to at most this many times ``width``
LABEL_WIDTH = 32

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class ResidualGenerator:
    """Latents (N, ``latent``), labels (N,) where ``classes`` > 0 -> pictures (N, channels, height, width).

    In eval mode they are clamped to [-1, 1]; in training nothing bounds them but the critic. ``width`` is the number of
    maps at the picture's size, doubled at each smaller size up to four times; ``blocks`` residual blocks at each size.
    """

    image_width: int
    image_height: int
    channels: int = 3
    latent: int = 64
    width: int = 32
    blocks: int = 1
    classes: int = 0

    def __post_init__(self) -> None:
        check(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _Generator(self)


@dataclass(frozen=True)
class ResidualCritic:
    """Pictures (N, channels, height, width), labels (N,) where ``classes`` > 0 -> ``Output``.

    Labels enter as a projection: the score is the features' product with the label's own vector.
    """

    image_width: int
    image_height: int
    channels: int = 3
    width: int = 32
    blocks: int = 1
    classes: int = 0

    def __post_init__(self) -> None:
        check(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _Critic(self)


class Block(nn.Module):
    """x + conv3(lrelu(conv3(lrelu(x)))), starting as the identity."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels, gain=math.sqrt(2 / (1 + LEAK**2)) * depth**-0.5)
        self.second = _conv(channels, channels, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(F.leaky_relu(x, LEAK)), LEAK))


class _Generator(nn.Module):
    recompute = False

    def __init__(self, spec: ResidualGenerator) -> None:
        super().__init__()
        count, base_width, base_height = stages(spec.image_width, spec.image_height)
        widths = _widths(spec.width, count)[::-1]
        depth = spec.blocks * len(widths)
        self.shape = (widths[0], base_height, base_width)
        self.label = _embedding(spec.classes, LABEL_WIDTH) if spec.classes else None
        self.first = _linear(spec.latent + (LABEL_WIDTH if spec.classes else 0), math.prod(self.shape))
        layers: list[nn.Module] = [Block(widths[0], depth) for _ in range(spec.blocks)]
        for wide, narrow in itertools.pairwise(widths):
            layers += [_conv(wide, narrow, kernel=1), nn.Upsample(scale_factor=2, mode="nearest")]
            layers += [Block(narrow, depth) for _ in range(spec.blocks)]
        self.body = nn.Sequential(*layers, nn.LeakyReLU(LEAK), _conv(widths[-1], spec.channels))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.label is not None:
            latents = torch.cat([latents, self.label(needed(labels))], dim=1)
        pictures = run(self.body, self.first(latents).unflatten(1, self.shape), recompute=self.recompute)
        return pictures if self.training else pictures.clamp(-1, 1)


class _Critic(nn.Module):
    recompute = False

    def __init__(self, spec: ResidualCritic) -> None:
        super().__init__()
        count, base_width, base_height = stages(spec.image_width, spec.image_height)
        widths = _widths(spec.width, count)
        depth = spec.blocks * len(widths)
        layers: list[nn.Module] = [_conv(spec.channels, widths[0])]
        for narrow, wide in itertools.pairwise(widths):
            layers += [Block(narrow, depth) for _ in range(spec.blocks)]
            layers += [nn.AvgPool2d(2), _conv(narrow, wide, kernel=1)]
        layers += [Block(widths[-1], depth) for _ in range(spec.blocks)]
        self.body = nn.Sequential(*layers, nn.LeakyReLU(LEAK))
        self.features = _linear(widths[-1] * base_width * base_height, widths[-1])
        self.last = _linear(widths[-1], 1, bias=False)  # a relativistic game does not see a constant
        self.label = _embedding(spec.classes, widths[-1]) if spec.classes else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        features = run(self.body, x, recompute=self.recompute)
        features = F.leaky_relu(self.features(features.flatten(1)), LEAK)
        with full_precision(x):
            features = full(features)
            scores = self.last(features).squeeze(1)
            if self.label is not None:
                scores = scores + (features * self.label(needed(labels))).sum(dim=1) / math.sqrt(features.shape[1])
            return Output(scores, features)


def _widths(width: int, count: int) -> list[int]:
    """Channels at each size, from the picture's down to the base."""
    return [width * min(2**index, MOST) for index in range(count + 1)]


def _conv(channels_in: int, channels_out: int, kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    layer = Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
    return _initialised(layer, gain, channels_in * kernel**2)


def _linear(features_in: int, features_out: int, bias: bool = True) -> nn.Linear:
    return _initialised(nn.Linear(features_in, features_out, bias=bias), 1.0, features_in)


def _initialised(layer: Layer, gain: float, fan_in: int) -> Layer:
    nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _embedding(classes: int, width: int) -> nn.Embedding:
    layer = nn.Embedding(classes, width)
    nn.init.normal_(layer.weight)
    return layer
