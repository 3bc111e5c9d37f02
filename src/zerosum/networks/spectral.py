"""Spectral normalisation (Miyato et al. 2018): layers whose weight is divided by its largest singular value.

sigma = u^T W v with singular vectors u and v that are kept as buffers. The forward pass reads them and never changes
them; ``advance``, one power iteration, is a step of its own that whoever moves the weights takes afterwards. So a
pass can be repeated, frozen or differentiated twice, and gives the same number each time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.networks.convolution import Conv2d

Draw = Callable[[Tensor], object]  # draws initial weights in place

_SQUARINGS = 9  # 2^9 power iterations at once: right to 1 % however close the second singular value is


class SpectralConv2d(Conv2d):
    """``nn.Conv2d`` with weight / sigma, the weight seen as a matrix (out, in * height * width).

    ``draw`` draws the initial weights (torch's own way without it). Whoever changes them by hand afterwards calls
    ``settle``.
    """

    u: Tensor
    v: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        draw: Draw | None = None,
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride=stride, padding=padding, bias=bias)
        _begin(self, self.weight, draw)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.normalised(), self.bias)

    def normalised(self) -> Tensor:
        """weight / sigma."""
        return normalised(self.weight, self.u, self.v)

    def advance(self) -> None:
        """One power iteration, in place."""
        advance(self.weight, self.u, self.v)

    def settle(self) -> None:
        """Draw u and v anew and bring them to the weight's largest singular value."""
        settle(self.weight, self.u, self.v)


class SpectralLinear(nn.Linear):
    """``nn.Linear`` with weight / sigma; as ``SpectralConv2d``."""

    u: Tensor
    v: Tensor

    def __init__(self, features_in: int, features_out: int, bias: bool = True, draw: Draw | None = None) -> None:
        super().__init__(features_in, features_out, bias=bias)
        _begin(self, self.weight, draw)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normalised(), self.bias)

    def normalised(self) -> Tensor:
        """weight / sigma."""
        return normalised(self.weight, self.u, self.v)

    def advance(self) -> None:
        """One power iteration, in place."""
        advance(self.weight, self.u, self.v)

    def settle(self) -> None:
        """Draw u and v anew and bring them to the weight's largest singular value."""
        settle(self.weight, self.u, self.v)


class SpectralEmbedding(nn.Embedding):
    """``nn.Embedding`` with weight / sigma, the weight being (classes, features); as ``SpectralConv2d``."""

    u: Tensor
    v: Tensor

    def __init__(self, classes: int, features: int, draw: Draw | None = None) -> None:
        super().__init__(classes, features)
        _begin(self, self.weight, draw)

    def forward(self, labels: Tensor) -> Tensor:
        return F.embedding(labels, self.normalised())

    def normalised(self) -> Tensor:
        """weight / sigma."""
        return normalised(self.weight, self.u, self.v)

    def advance(self) -> None:
        """One power iteration, in place."""
        advance(self.weight, self.u, self.v)

    def settle(self) -> None:
        """Draw u and v anew and bring them to the weight's largest singular value."""
        settle(self.weight, self.u, self.v)


def normalised(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """weight / (u^T W v); differentiable in the weight any number of times, u (rows,) and v (columns,) constant.

    The product u v^T is a tensor of its own, so an ``advance`` before the backward pass does no harm; and it is
    elementwise, so autocast leaves sigma in full precision.
    """
    pattern = (u[:, None] * v).view_as(weight)
    return weight * (weight * pattern).sum().reciprocal()  # a division has three more passes backward


@torch.no_grad()
def advance(weight: Tensor, u: Tensor, v: Tensor) -> None:
    """One power iteration in place: v <- W^T u / |W^T u|, u <- W v / |W v|."""
    matrix = weight.flatten(1)
    v.copy_(F.normalize(matrix.t().mv(u), dim=0))
    u.copy_(F.normalize(matrix.mv(v), dim=0))


@torch.no_grad()
def settle(weight: Tensor, u: Tensor, v: Tensor) -> None:
    """Draw a vector from torch's global generator and iterate it, in place, until sigma is right to 1 %.

    Instead of one product after the other the smaller Gram matrix is squared again and again.
    """
    if weight.is_meta:  # there is nothing to find
        return
    matrix = weight.flatten(1)
    tall = matrix.shape[0] > matrix.shape[1]
    gram = matrix.t() @ matrix if tall else matrix @ matrix.t()
    for _ in range(_SQUARINGS):
        gram = gram / gram.norm()
        gram = gram @ gram
    found = gram.mv(torch.randn(len(gram), dtype=gram.dtype, device=gram.device))
    if tall:
        found = matrix.mv(F.normalize(found, dim=0))
    u.copy_(F.normalize(found, dim=0))
    v.copy_(F.normalize(matrix.t().mv(u), dim=0))


@torch.no_grad()
def _begin(layer: nn.Module, weight: Tensor, draw: Draw | None) -> None:
    if draw is not None:
        draw(weight)
    layer.register_buffer("u", weight.new_empty(weight.shape[0]))
    layer.register_buffer("v", weight.new_empty(weight.shape[1:].numel()))
    settle(weight, layer.get_buffer("u"), layer.get_buffer("v"))
