"""What convolutional generators have in common: where latents and labels come in, and the first maps."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from zerosum.networks.body import run
from zerosum.networks.labels import GeneratorLabels, append
from zerosum.networks.norms import ConditionalBatchNorm2d, GeneratorNorm, generator_norm

FirstNorm = Literal["channel", "feature"]


class ConvGenerator(nn.Module):
    """Latents (N, latent), and labels (N,) where there are classes -> pictures (N, C, H, W) in [-1, 1].

    One-hot labels are ``appended`` to the latents (0: none), ``first`` makes numbers of them, ``start`` the first maps,
    ``body`` the pictures, which end in tanh.
    """

    recompute = False

    def __init__(self, first: nn.Linear, start: nn.Sequential, body: nn.Sequential, appended: int) -> None:
        super().__init__()
        self.first, self.start, self.body = first, start, body
        self.appended = appended

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.first(append(latents, labels, self.appended))
        return torch.tanh(run(self.body, run(self.start, x, labels), labels, recompute=self.recompute))


def first_maps(
    shape: tuple[int, int, int], first_norm: FirstNorm, norm: GeneratorNorm, classes: int, labels: GeneratorLabels
) -> nn.Sequential:
    """What comes behind the first linear layer: numbers -> maps of ``shape`` (C, H, W), normalised, ReLU."""
    layers = [nn.Unflatten(1, shape), *generator_norm(norm, shape[0], classes, labels)]
    if first_norm == "feature" and norm == "batch":
        features = math.prod(shape)
        conditional = classes > 0 and labels == "norm"
        first = ConditionalBatchNorm2d(features, classes) if conditional else nn.BatchNorm1d(features)
        layers = [first, nn.Unflatten(1, shape)]
    return nn.Sequential(nn.Sequential(*layers), nn.ReLU(inplace=True))
