"""The residual networks of WGAN-GP (Gulrajani et al. 2017) and SNGAN (Miyato et al. 2018; Miyato and Koyama 2018).

Both papers share the blocks and their initial weights: uniform, sqrt(2) times Glorot's in a block, Glorot's elsewhere.
What differs is told by fields. 1x1 convolutions stand on the side of a resampling where the picture is small, which
changes no value: they commute with nearest-neighbour upsampling and with the mean of 2x2 pixels.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.networks.body import run
from zerosum.networks.critics import Critic
from zerosum.networks.labels import CriticLabels, GeneratorLabels, append, appended
from zerosum.networks.layers import Layers
from zerosum.networks.minibatch import Minibatch
from zerosum.networks.norms import CriticNorm, GeneratorNorm, check_labels, critic_norm, generator_norm
from zerosum.networks.sizes import Stages, check, stages

_block = functools.partial(nn.init.xavier_uniform_, gain=math.sqrt(2))
_glorot = nn.init.xavier_uniform_


@dataclass(frozen=True)
class ResNetGenerator:
    """Latents (N, ``latent``) -> pictures (N, ``channels``, ``image_height``, ``image_width``) in [-1, 1].

    ``width`` is the number of maps at the picture's size, doubled at each smaller size up to ``most`` times. The base
    is 4x4 where the sides are powers of two, 6x6 for 48. ``inner_bias`` is that of a block's first convolution.

    As it stands it is SNGAN's for 32x32; width=128 is WGAN-GP's. SNGAN's others have width=64 and most=8 (48), 16 (64
    and 128); WGAN-GP's for 64x64 has width=64, most=8, inner_bias=false.
    """

    image_width: int
    image_height: int
    channels: int = 3
    latent: int = 128
    width: int = 256
    most: int = 1
    inner_bias: bool = True
    norm: GeneratorNorm = "batch"
    classes: int = 0
    labels: GeneratorLabels = "norm"

    def __post_init__(self) -> None:
        check(self)
        check_labels(self.norm, self.classes, self.labels)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _Generator(self)


@dataclass(frozen=True)
class ResNetCritic:
    """Pictures (N, ``channels``, ``image_height``, ``image_width``) -> ``Output``.

    ``blocks`` residual blocks, of which the first ``halvings`` halve the picture as long as both sides are even;
    ``width`` maps behind the ``first`` one (which may be a convolution before the blocks), doubled at each block up to
    ``most`` times. Then ReLU and the ``pool`` over all places; with flatten neither.

    As it stands it is SNGAN's for 32x32 (last_bias=true where conditional); norm=none, pool=mean, last_bias=true is
    WGAN-GP's. SNGAN's others have width=64, most=16, last_bias=true and blocks=5, halvings=4 (48), 5 and 5 (64), 6 and
    5 (128). WGAN-GP's for 64x64 has width=64, most=8, first=conv, halvings=4, norm=layer, pool=flatten,
    inner_bias=false, last_bias=true.
    """

    image_width: int
    image_height: int
    channels: int = 3
    width: int = 128
    most: int = 1
    blocks: int = 4
    halvings: int = 2
    first: Literal["block", "conv"] = "block"
    pool: Literal["sum", "mean", "flatten"] = "sum"
    inner_bias: bool = True
    last_bias: bool = False
    norm: CriticNorm = "spectral"
    minibatch: Minibatch = "none"
    classes: int = 0
    labels: CriticLabels = "projection"

    def __post_init__(self) -> None:
        check(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        make = Layers(_glorot, self.norm == "spectral")
        channels = self.channels + appended(self.classes, self.labels)
        steps = self.blocks + (self.first == "conv")
        widths = [channels, *(self.width * min(2**index, self.most) for index in range(steps))]
        body: list[nn.Module] = []
        if self.first == "conv":
            body += [make.conv(channels, widths[1], 3, 1, 1)]
            widths = widths[1:]
        height, width = self.image_height, self.image_width
        for index, (before, after) in enumerate(itertools.pairwise(widths)):
            halve = index < self.halvings and height % 2 == width % 2 == 0
            height, width = (side // 2 if halve else side for side in (height, width))
            body += [DownBlock(before, after, self.norm, halve, first=not body, bias=self.inner_bias)]
        shape = (widths[-1],) if self.pool != "flatten" else (widths[-1], height, width)
        return Critic(
            nn.Sequential(*body, _Pool(self.pool)),
            shape,
            make,
            classes=self.classes,
            labels=self.labels,
            minibatch=self.minibatch,
            bias=self.last_bias,
        )


class UpBlock(nn.Module):
    """x -> conv3(relu(norm(conv3(up(relu(norm(x))))))) + up(conv1(x)), doubling each side."""

    takes_labels = True

    def __init__(self, channels_in: int, channels_out: int, spec: ResNetGenerator) -> None:
        super().__init__()
        make = Layers(_block)
        norm = functools.partial(generator_norm, spec.norm, classes=spec.classes, labels=spec.labels)
        self.first_norm = nn.Sequential(*norm(channels_in))
        self.first = make.conv(channels_in, channels_out, 3, 1, 1, bias=spec.inner_bias)
        self.second_norm = nn.Sequential(*norm(channels_out))
        self.second = make.conv(channels_out, channels_out, 3, 1, 1)
        self.shortcut = Layers(_glorot).conv(channels_in, channels_out, 1)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        inner = self.first(_twice(F.relu(run(self.first_norm, x, labels))))
        inner = self.second(F.relu(run(self.second_norm, inner, labels), inplace=True))
        return inner + _twice(self.shortcut(x))


class DownBlock(nn.Module):
    """x -> mean2x2(conv3(relu(norm(conv3(relu(norm(x))))))) + conv1(mean2x2(x)).

    The mean only where it is to ``halve``; the identity as its shortcut where nothing changes size. The ``first`` block
    sees the picture itself: no norm in it, no ReLU before it.
    """

    def __init__(
        self, channels_in: int, channels_out: int, norm: CriticNorm, halve: bool, *, first: bool, bias: bool = True
    ) -> None:
        super().__init__()
        make = Layers(_block, norm == "spectral")
        hidden = channels_out if first else channels_in
        self.halve, self.is_first = halve, first
        self.first_norm = nn.Sequential(*([] if first else critic_norm(norm, channels_in)))
        self.first = make.conv(channels_in, hidden, 3, 1, 1, bias=bias)
        self.second_norm = nn.Sequential(*([] if first else critic_norm(norm, hidden)))
        self.second = make.conv(hidden, channels_out, 3, 1, 1)
        same = channels_in == channels_out and not halve
        self.shortcut = None if same else Layers(_glorot, norm == "spectral").conv(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first(x if self.is_first else F.relu(self.first_norm(x)))
        inner = self.second(F.relu(self.second_norm(inner), inplace=True))
        if self.halve:
            inner, x = F.avg_pool2d(inner, 2), F.avg_pool2d(x, 2)
        return inner + (x if self.shortcut is None else self.shortcut(x))


class _Generator(nn.Module):
    recompute = False

    def __init__(self, spec: ResNetGenerator) -> None:
        super().__init__()
        count, base_width, base_height = _stages(spec.image_width, spec.image_height)
        widths = [spec.width * min(2**left, spec.most) for left in reversed(range(count + 1))]
        make = Layers(_glorot)
        self.shape = (widths[0], base_height, base_width)
        self.appended = appended(spec.classes, spec.labels)
        self.first = make.linear(spec.latent + self.appended, math.prod(self.shape))
        self.blocks = nn.ModuleList(UpBlock(*pair, spec) for pair in itertools.pairwise(widths))
        norm = generator_norm(spec.norm, widths[-1])  # the same for all classes
        self.end = nn.Sequential(*norm, nn.ReLU(), make.conv(widths[-1], spec.channels, 3, 1, 1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.first(append(latents, labels, self.appended)).unflatten(1, self.shape)
        return torch.tanh(run([*self.blocks, self.end], x, labels, recompute=self.recompute))


class _Pool(nn.Module):
    """ReLU and the sum or mean over all places, (N, C, H, W) -> (N, C); nothing for ``flatten``."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "flatten":
            return x
        x = F.relu(x)
        return x.sum(dim=(2, 3)) if self.kind == "sum" else x.mean(dim=(2, 3))


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _stages(width: int, height: int) -> Stages:
    """As ``stages``, with a base of at least 4 where that leaves a halving: 48 -> 6."""
    found = stages(width, height)
    if found.count > 1 and min(found.width, found.height) < 4:
        return Stages(found.count - 1, 2 * found.width, 2 * found.height)
    return found
