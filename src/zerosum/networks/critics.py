"""What all critics have in common: where labels come in, and the last layers from features to scores."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.game.critic import Output, full
from zerosum.networks.body import run
from zerosum.networks.labels import CriticLabels, append, appended, needed
from zerosum.networks.layers import Layers
from zerosum.networks.minibatch import Minibatch, minibatch_layer
from zerosum.networks.precision import full_precision
from zerosum.networks.spectral import SpectralLinear


class Critic(nn.Module):
    """Pictures (N, C, H, W) or points (N, d), and labels (N,) where ``classes`` > 0 -> ``Output``.

    ``body`` makes features of ``shape`` (C, ...) of each sample, to which one-hot planes are appended before (numbers,
    if samples are to be ``flat``); then a minibatch layer; then one linear layer for the score, with the label's own
    product added or an auxiliary classifier beside it. ``layers`` makes those last ones.
    """

    recompute = False

    def __init__(
        self,
        body: nn.Sequential,
        shape: tuple[int, ...],
        layers: Layers,
        *,
        classes: int = 0,
        labels: CriticLabels = "concat",
        minibatch: Minibatch = "none",
        bias: bool = True,
        flat: bool = False,
    ) -> None:
        super().__init__()
        self.flat = flat
        self.appended = appended(classes, labels)
        self.body = body
        self.minibatch, shape = minibatch_layer(minibatch, shape)
        features = math.prod(shape)
        self.last = layers.linear(features, 1, bias)
        self.label = layers.embedding(classes, features) if classes and labels == "projection" else None
        self.classifier = layers.linear(features, classes) if classes and labels == "classifier" else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        x = append(x.flatten(1) if self.flat else x, labels, self.appended)
        features = run(self.body, x, recompute=self.recompute)
        with full_precision(x):
            return self._judge(full(features), labels)

    def _judge(self, features: Tensor, labels: Tensor | None) -> Output:
        if self.minibatch is not None:
            features = self.minibatch(features)
        scores = product(features, self.last).squeeze(1)
        if self.label is not None:
            vectors = self.label(needed(labels)).view(features.shape)
            scores = scores + (features * vectors).flatten(1).sum(dim=1)
        return Output(scores, features, None if self.classifier is None else product(features, self.classifier))


def product(x: Tensor, layer: nn.Linear) -> Tensor:
    """A linear layer on all numbers of each sample: (N, ...) -> (N, out).

    Of maps (N, C, H, W) it is a convolution as large as they are: flattening would turn the layout, forward and
    backward.
    """
    weight = layer.normalised() if isinstance(layer, SpectralLinear) else layer.weight
    if x.ndim == 2:
        return F.linear(x, weight, layer.bias)
    return F.conv2d(x, weight.view(-1, *x.shape[1:]), layer.bias).flatten(1)
