"""Dropout with numbered random numbers, and maxout: what the discriminators of 2014 were made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zerosum.game.critic import Noise


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014): each number is kept with probability ``keep`` and divided by it.

    Random numbers come from ``noise``, which whoever plays a turn sets before it; from torch's global generator where
    it is None. The identity in eval mode.
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        if not 0 < keep <= 1:
            raise ValueError(f"the share that dropout keeps is in (0, 1], not {keep}")
        self.keep = keep
        self.noise: Noise | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.keep == 1:
            return x
        unit = torch.rand(x.shape, device=x.device) if self.noise is None else self.noise.uniform(*x.shape)
        return x * ((unit < self.keep).to(x.dtype) / self.keep)


class Maxout(nn.Module):
    """The largest of each ``pieces`` neighbouring channels: (N, C * pieces, ...) -> (N, C, ...).

    Goodfellow et al. 2013.
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(dim=2)
