"""Normalisation layers, and what of them a network's ``norm`` and ``labels`` fields ask for."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.networks.labels import GeneratorLabels, needed

GeneratorNorm = Literal["none", "batch"]
CriticNorm = Literal["none", "batch", "layer", "spectral"]


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm with a gain (1 at the start) and a bias (0) for each class and channel (Dumoulin et al. 2017).

    Maps (N, ``features``, height, width), or numbers (N, ``features``); the statistics are of the whole batch.
    """

    takes_labels = True

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.gain = nn.Parameter(torch.ones(classes, features))
        self.bias = nn.Parameter(torch.zeros(classes, features))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        labels = needed(labels)
        maps = x.view(*x.shape, *[1] * (4 - x.ndim))
        normed = self.norm(maps)
        gain, bias = (F.embedding(labels, table)[:, :, None, None].to(x.dtype) for table in (self.gain, self.bias))
        return torch.addcmul(bias, gain, normed).view(x.shape)


def layer_norm(channels: int) -> nn.GroupNorm:
    """Layer norm over (C, H, W), or over (C,), with one gain and bias per channel (as Gulrajani et al. 2017)."""
    return nn.GroupNorm(1, channels)


def critic_norm(kind: CriticNorm, channels: int) -> list[nn.Module]:
    """The layer between a convolution and its activation; none where the weights themselves are normalised."""
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [layer_norm(channels)] if kind == "layer" else []


def generator_norm(kind: GeneratorNorm, channels: int, classes: int = 0, labels: str = "concat") -> list[nn.Module]:
    """The layer between a convolution and its activation, conditional where labels enter by it."""
    if kind == "none":
        return []
    if classes and labels == "norm":
        return [ConditionalBatchNorm2d(channels, classes)]
    return [nn.BatchNorm2d(channels)]


def check_labels(kind: GeneratorNorm, classes: int, labels: GeneratorLabels) -> None:
    """Refuse labels that enter by a batch norm that is not there.

    Raises:
        ValueError: it is not there.
    """
    if classes and labels == "norm" and kind != "batch":
        raise ValueError(f"labels=norm changes the gains of batch norm, so it needs norm=batch, not norm={kind}")
