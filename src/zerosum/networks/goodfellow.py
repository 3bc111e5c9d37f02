"""The networks of the first paper (Goodfellow et al. 2014), as its code has them: for MNIST and for CIFAR-10.

Rectifiers and sigmoids in the generators; maxout (Goodfellow et al. 2013) and dropout in the discriminators. The
generator's last bias starts at zero here, not at the data's marginals. Labels are not of that paper: they enter beside
the pixels, as conditional GANs have them (Mirza and Osindero 2014), in one layer with them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.networks.body import run
from zerosum.networks.convolution import ConvTranspose2d
from zerosum.networks.critics import Critic
from zerosum.networks.dropout import Dropout, Maxout
from zerosum.networks.labels import CriticLabels, append, appended
from zerosum.networks.layers import Layers
from zerosum.networks.sizes import check_values

PIECES, CONV_PIECES = 5, 2  # of a maxout unit
SMALLEST = 10  # side of a picture that the convolutional discriminator's poolings still fit in

_generator_layers = Layers(functools.partial(nn.init.uniform_, a=-0.05, b=0.05))
_critic_layers = Layers(functools.partial(nn.init.uniform_, a=-0.005, b=0.005))


@dataclass(frozen=True)
class GoodfellowGenerator:
    """Latents (N, ``latent``) -> pictures (N, channels, height, width) in [-1, 1], of any size.

    Two rectified layers of ``width`` and a sigmoid, mapped from [0, 1] to [-1, 1].
    """

    image_width: int
    image_height: int
    channels: int = 1
    latent: int = 100
    width: int = 1200
    classes: int = 0
    labels: Literal["concat"] = "concat"

    def __post_init__(self) -> None:
        check_values(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _Generator(self)


@dataclass(frozen=True)
class GoodfellowDiscriminator:
    """Pictures (N, channels, height, width) of any size -> ``Output``, scores (N,) being logits.

    Two maxout layers of ``width`` units with five pieces, on pixels in [0, 1]. Dropout drops shares of the pixels (they
    become black) and of what goes into each later layer.
    """

    image_width: int
    image_height: int
    channels: int = 1
    width: int = 240
    input_dropout: float = 0.2
    dropout: float = 0.5
    classes: int = 0
    labels: CriticLabels = "concat"

    def __post_init__(self) -> None:
        check_values(self)
        _check_dropout(self.input_dropout, self.dropout)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        make, keep = _critic_layers, 1 - self.dropout
        pixels = self.channels * self.image_height * self.image_width + appended(self.classes, self.labels)
        body = nn.Sequential(
            _Input(1 - self.input_dropout, appended(self.classes, self.labels), positive=True),
            make.linear(pixels, self.width * PIECES),
            Maxout(PIECES),
            Dropout(keep),
            make.linear(self.width, self.width * PIECES),
            Maxout(PIECES),
            Dropout(keep),
        )
        return Critic(body, (self.width,), make, classes=self.classes, labels=self.labels, flat=True)


@dataclass(frozen=True)
class GoodfellowConvGenerator:
    """Latents (N, ``latent``) -> pictures (N, channels, height, width); sides are 3 times a whole number plus 2.

    A rectified and a sigmoid layer, seen as ``width`` maps of a third of the picture's size, and one transposed
    convolution (5x5, stride 3) with a bias for each pixel. As published it ends there: pictures are clamped to [-1, 1]
    in eval mode, in training nothing but the discriminator bounds them.
    """

    image_width: int
    image_height: int
    channels: int = 3
    latent: int = 100
    width: int = 80
    classes: int = 0
    labels: Literal["concat"] = "concat"

    def __post_init__(self) -> None:
        check_values(self)
        sides = self.image_width, self.image_height
        if any(side < 5 or side % 3 != 2 for side in sides):
            near = dict.fromkeys(_name([_nearest(side, step) for side in sides]) for step in (0, 1))
            raise UserError(
                f"Resolution {_name(sides)} is not possible for the convolutional generator of 2014: each side must be "
                f"3 times a whole number plus 2; the nearest that work are {', '.join(near)} (--resolution)."
            )

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _ConvGenerator(self)


@dataclass(frozen=True)
class GoodfellowConvDiscriminator:
    """Pictures (N, channels, height, width) with sides of at least 10 -> ``Output``, scores (N,) being logits.

    Three convolutions, maxout of two pieces and pooled, of ``width``, ``width`` and six times as many maps; a maxout
    layer of ``units`` with five pieces. Dropout as in ``GoodfellowDiscriminator``, but on pixels in [-1, 1]: there the
    contrast of each picture was normalised, around zero.
    """

    image_width: int
    image_height: int
    channels: int = 3
    width: int = 32
    units: int = 500
    input_dropout: float = 0.2
    dropout: float = 0.5
    classes: int = 0
    labels: CriticLabels = "concat"

    def __post_init__(self) -> None:
        check_values(self)
        _check_dropout(self.input_dropout, self.dropout)
        if min(self.image_width, self.image_height) < SMALLEST:
            raise UserError(
                f"Resolution {_name((self.image_width, self.image_height))} is not possible for the convolutional "
                f"discriminator of 2014: each side must be at least {SMALLEST} (--resolution)."
            )

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        make, keep = _critic_layers, 1 - self.dropout
        body: list[nn.Module] = []
        labels = appended(self.classes, self.labels)
        channels, height, width = self.channels + labels, self.image_height, self.image_width
        for maps, kernel, padding, pool in (
            (self.width, 8, 4, 4),
            (self.width, 8, 3, 4),
            (6 * self.width, 5, 3, 2),
        ):
            body += [
                Dropout(keep) if body else _Input(1 - self.input_dropout, labels),
                make.conv(channels, maps * CONV_PIECES, kernel, 1, padding),
                Maxout(CONV_PIECES),
                nn.MaxPool2d(pool, stride=2, ceil_mode=True),
            ]
            channels = maps
            height, width = (-(-(side + 2 * padding - kernel + 1 - pool) // 2) + 1 for side in (height, width))
        body += [Dropout(keep), nn.Flatten(), make.linear(channels * height * width, self.units * PIECES)]
        body += [Maxout(PIECES), Dropout(keep)]
        return Critic(nn.Sequential(*body), (self.units,), make, classes=self.classes, labels=self.labels)


class _Input(nn.Module):
    """Dropout of pixels, of which the last ``labels`` channels are none; in [0, 1] if ``positive``, else in [-1, 1]."""

    def __init__(self, keep: float, labels: int, *, positive: bool = False) -> None:
        super().__init__()
        self.dropout, self.labels, self.positive = Dropout(keep), labels, positive

    def forward(self, x: Tensor) -> Tensor:
        pixels, labels = x.split([x.shape[1] - self.labels, self.labels], dim=1)
        pixels = self.dropout((pixels + 1) / 2 if self.positive else pixels)
        return torch.cat([pixels, labels], dim=1) if self.labels else pixels


class _Generator(nn.Module):
    recompute = False

    def __init__(self, spec: GoodfellowGenerator) -> None:
        super().__init__()
        make = _generator_layers
        shape = (spec.channels, spec.image_height, spec.image_width)
        self.appended = appended(spec.classes, spec.labels)
        self.body = nn.Sequential(
            make.linear(spec.latent + self.appended, spec.width),
            nn.ReLU(inplace=True),
            make.linear(spec.width, spec.width),
            nn.ReLU(inplace=True),
            make.linear(spec.width, shape[0] * shape[1] * shape[2]),
            nn.Unflatten(1, shape),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = append(latents, labels, self.appended)
        return torch.tanh(run(self.body, x, recompute=self.recompute) / 2)  # 2 sigmoid(x) - 1


class _ConvGenerator(nn.Module):
    recompute = False

    def __init__(self, spec: GoodfellowConvGenerator) -> None:
        super().__init__()
        make = _generator_layers
        height, width = ((side - 2) // 3 for side in (spec.image_height, spec.image_width))
        units = spec.width * height * width
        self.appended = appended(spec.classes, spec.labels)
        self.up = ConvTranspose2d(spec.width, spec.channels, 5, stride=3, bias=False)
        make.draw(self.up.weight)
        self.body = nn.Sequential(
            make.linear(spec.latent + self.appended, units),
            nn.ReLU(inplace=True),
            make.linear(units, units),
            nn.Sigmoid(),
            nn.Unflatten(1, (spec.width, height, width)),
        )
        self.bias = nn.Parameter(torch.zeros(spec.channels, spec.image_height, spec.image_width))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = append(latents, labels, self.appended)
        pictures = self.up(run(self.body, x, recompute=self.recompute)) + self.bias
        return pictures if self.training else pictures.clamp(-1, 1)


def _check_dropout(*shares: float) -> None:
    if not all(0 <= share < 1 for share in shares):
        raise ValueError(f"dropout drops a share in [0, 1), not {' and '.join(map(str, shares))}")


def _nearest(side: int, step: int) -> int:
    """The possible side at or below ``side`` (``step`` 0) or above it (1)."""
    return max(5, (side - 2) // 3 * 3 + 2 + (3 * step if side % 3 != 2 else 0))


def _name(sides: tuple[int, ...] | list[int]) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else "x".join(map(str, sides))
