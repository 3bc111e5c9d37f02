"""Layers with their initial weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from zerosum.networks.convolution import Conv2d
from zerosum.networks.spectral import Draw, SpectralConv2d, SpectralEmbedding, SpectralLinear

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Layers:
    """Makes layers: ``draw`` draws their weights, biases start at zero, ``spectral`` normalises the weights."""

    draw: Draw
    spectral: bool = False

    def conv(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> nn.Conv2d:
        """A convolution."""
        if self.spectral:
            return _unbiased(SpectralConv2d(channels_in, channels_out, kernel, stride, padding, bias, self.draw))
        layer = Conv2d(channels_in, channels_out, kernel, stride, padding, bias=bias)
        self.draw(layer.weight)
        return _unbiased(layer)

    def linear(self, features_in: int, features_out: int, bias: bool = True) -> nn.Linear:
        """A linear layer."""
        if self.spectral:
            return _unbiased(SpectralLinear(features_in, features_out, bias, self.draw))
        layer = nn.Linear(features_in, features_out, bias=bias)
        self.draw(layer.weight)
        return _unbiased(layer)

    def embedding(self, classes: int, features: int) -> nn.Embedding:
        """A vector for each class."""
        if self.spectral:
            return SpectralEmbedding(classes, features, self.draw)
        layer = nn.Embedding(classes, features)
        self.draw(layer.weight)
        return layer


def _unbiased(layer: Layer) -> Layer:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
