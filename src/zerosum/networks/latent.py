"""What a generator starts from: latents and labels as functions of (seed, stream, position)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zerosum import streams


@dataclass(frozen=True)
class Latent:
    """``size`` independent numbers: uniform in [-1, 1), standard normal, or uniform with variance 1."""

    size: int = 100
    distribution: Literal["uniform", "normal", "unit-uniform"] = "uniform"

    def draw(self, seed: int, stream: str, start: int, count: int) -> Tensor:
        """Latents (count, size) float32 on the CPU for positions ``start`` to ``start + count``."""
        if self.distribution == "normal":
            return torch.from_numpy(streams.normals(seed, stream, start, count, self.size))
        centred = torch.from_numpy(streams.uniforms(seed, stream, start, count, self.size)).mul_(2).sub_(1)
        return centred.mul_(math.sqrt(3)) if self.distribution == "unit-uniform" else centred


def draw_labels(shares: npt.NDArray[np.float64], seed: int, stream: str, start: int, count: int) -> Tensor:
    """Labels (count,) int64 drawn with the given shares of the classes."""
    unit = streams.uniforms(seed, stream, start, count, 1)[:, 0]
    edges = np.cumsum(shares / shares.sum())
    return torch.from_numpy(np.minimum(np.searchsorted(edges, unit, side="right"), len(shares) - 1).astype(np.int64))
