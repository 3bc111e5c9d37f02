"""Layers that let a critic compare the samples of a batch, so that a generator without variety is found out."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Minibatch = Literal["none", "deviation", "discrimination"]

GROUP = 4
KERNELS, SIZE = 100, 5  # B and C
_SMALLEST = 1e-8  # under the square root, whose derivative is infinite at zero


class Deviation(nn.Module):
    """Minibatch standard deviation (Karras et al. 2018): one more channel, the same number at each place.

    It is the mean over channels and places of the standard deviation within a group of four samples (of the largest
    divisor of N below, where four does not divide N): (N, C, ...) -> (N, C + 1, ...).
    """

    def forward(self, x: Tensor) -> Tensor:
        group = next(size for size in range(min(GROUP, len(x)), 0, -1) if len(x) % size == 0)
        groups = x.to(torch.promote_types(x.dtype, torch.float32)).view(group, len(x) // group, *x.shape[1:])
        deviation = (groups.var(dim=0, correction=0) + _SMALLEST).sqrt().flatten(1).mean(dim=1)
        channel = deviation.to(x.dtype).repeat(group).view(len(x), *[1] * (x.ndim - 1))
        return torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], dim=1)


class Discrimination(nn.Module):
    """Minibatch discrimination (Salimans et al. 2016, section 3.2): (N, ...) -> (N, A + B), A numbers of each sample.

    M_i = f(x_i) T with T in R^(A x B x C); o(x_i)_b = sum over j of exp(-|M_ib - M_jb|_1), j = i included.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.tensor = nn.Parameter(torch.empty(features, KERNELS, SIZE))
        nn.init.normal_(self.tensor, std=1 / math.sqrt(features))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        rows = (flat @ self.tensor.flatten(1)).view(len(x), KERNELS, SIZE)
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        distances = (rows[:, None] - rows).abs().sum(dim=3)
        return torch.cat([flat, (-distances).exp().sum(dim=1).to(flat.dtype)], dim=1)


def minibatch_layer(kind: Minibatch, shape: tuple[int, ...]) -> tuple[nn.Module | None, tuple[int, ...]]:
    """The layer that ``kind`` asks for behind features of ``shape`` (C, ...), and the shape of what it returns."""
    if kind == "deviation":
        return Deviation(), (shape[0] + 1, *shape[1:])
    if kind == "discrimination":
        features = math.prod(shape)
        return Discrimination(features), (features + KERNELS,)
    return None, shape
