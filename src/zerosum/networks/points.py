"""Perceptrons for points (N, d): the pairs that PacGAN and WGAN-GP play on mixtures of Gaussians in the plane."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from zerosum.networks.body import run
from zerosum.networks.critics import Critic
from zerosum.networks.dropout import Maxout
from zerosum.networks.labels import CriticLabels, GeneratorLabels, append, appended
from zerosum.networks.layers import Layers
from zerosum.networks.minibatch import Minibatch
from zerosum.networks.norms import ConditionalBatchNorm2d, CriticNorm, GeneratorNorm, check_labels, critic_norm
from zerosum.networks.sizes import check_values

PIECES = 5  # of a maxout unit
STD = 0.02

# Every weight normal with deviation .02 (PacGAN) | uniform, He's before a ReLU and Glorot's at the end (WGAN-GP).
Initial = Literal["normal", "he"]
Activation = Literal["relu", "maxout"]


@dataclass(frozen=True)
class PointsGenerator:
    """Latents (N, ``latent``) -> points (N, ``dims``), unbounded: ``layers`` times linear, norm, ReLU; then linear.

    As it stands it is PacGAN's (Lin et al. 2018); width=512, layers=3, norm=none, initial=he is WGAN-GP's.
    """

    dims: int = 2
    latent: int = 2
    width: int = 400
    layers: int = 4
    norm: GeneratorNorm = "batch"
    initial: Initial = "normal"
    classes: int = 0
    labels: GeneratorLabels = "concat"

    def __post_init__(self) -> None:
        check_values(self)
        check_labels(self.norm, self.classes, self.labels)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        return _Generator(self)


@dataclass(frozen=True)
class PointsCritic:
    """Points (N, ``dims``) -> ``Output``: ``layers`` times linear, norm, ReLU or maxout of five pieces; then linear.

    As it stands it is PacGAN's (Lin et al. 2018), which for packs of m takes m times as many ``dims``; width=512,
    activation=relu, initial=he is WGAN-GP's.
    """

    dims: int = 2
    width: int = 200
    layers: int = 3
    activation: Activation = "maxout"
    initial: Initial = "normal"
    norm: CriticNorm = "none"
    minibatch: Minibatch = "none"
    classes: int = 0
    labels: CriticLabels = "concat"

    def __post_init__(self) -> None:
        check_values(self)

    def build(self) -> nn.Module:
        """The network with its initial weights, drawn from torch's global generator."""
        hidden, end = (_layers(self.initial, last, self.norm == "spectral") for last in (False, True))
        features = self.dims + appended(self.classes, self.labels)
        body: list[nn.Module] = []
        for _ in range(self.layers):
            wide = self.width * (PIECES if self.activation == "maxout" else 1)
            norm = [nn.BatchNorm1d(wide)] if self.norm == "batch" else critic_norm(self.norm, wide)
            body += [hidden.linear(features, wide), *norm]
            body += [Maxout(PIECES) if self.activation == "maxout" else nn.ReLU(inplace=True)]
            features = self.width
        return Critic(
            nn.Sequential(*body),
            (self.width,),
            end,
            classes=self.classes,
            labels=self.labels,
            minibatch=self.minibatch,
            flat=True,
        )


class _Generator(nn.Module):
    recompute = False

    def __init__(self, spec: PointsGenerator) -> None:
        super().__init__()
        hidden, end = (_layers(spec.initial, last) for last in (False, True))
        self.appended = appended(spec.classes, spec.labels)
        features = spec.latent + self.appended
        layers: list[nn.Module] = []
        for _ in range(spec.layers):
            layers += [hidden.linear(features, spec.width, bias=spec.norm == "none"), *_norm(spec)]
            layers += [nn.ReLU(inplace=True)]
            features = spec.width
        self.body = nn.Sequential(*layers, end.linear(features, spec.dims))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return run(self.body, append(latents, labels, self.appended), labels, recompute=self.recompute)


def _norm(spec: PointsGenerator) -> list[nn.Module]:
    if spec.norm == "none":
        return []
    conditional = spec.classes > 0 and spec.labels == "norm"
    return [ConditionalBatchNorm2d(spec.width, spec.classes) if conditional else nn.BatchNorm1d(spec.width)]


def _layers(initial: Initial, last: bool, spectral: bool = False) -> Layers:
    if initial == "normal":
        return Layers(functools.partial(nn.init.normal_, std=STD), spectral)
    he = functools.partial(nn.init.kaiming_uniform_, nonlinearity="relu")
    return Layers(nn.init.xavier_uniform_ if last else he, spectral)
