"""Densities in the plane that a generator can be measured against exactly: the toy games' data.

Points are functions of (seed, stream, position). How many modes a generator found is counted by
``zerosum.metrics.mixture_quality(points, density.modes, density.deviation)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zerosum import streams

_POINTS = 4096  # at once
_PANELS, _ORDER = 96, 8  # of the quadrature along the roll: a panel is at most 6 deviations long, errors are below 1e-4


@dataclass(frozen=True)
class Gaussians:
    """A mixture of round Gaussians of equal weight: their ``centres`` and their one ``deviation``."""

    centres: tuple[tuple[float, float], ...]
    deviation: float

    def __post_init__(self) -> None:
        if not self.centres or self.deviation <= 0:
            raise ValueError(f"a mixture needs centres and deviation > 0, not {self.centres} and {self.deviation}")

    @property
    def modes(self) -> Tensor:
        """The centres, (M, 2) float64."""
        return torch.tensor(self.centres, dtype=torch.float64)

    def sample(self, seed: int, stream: str, start: int, count: int) -> Tensor:
        """Points (count, 2) float32 at positions ``start`` to ``start + count``."""
        unit = streams.uniforms(seed, f"{stream}/mode", start, count, 1)[:, 0].astype(np.float64)
        chosen = np.array(self.centres)[(unit * len(self.centres)).astype(np.int64)]
        noise = streams.normals(seed, f"{stream}/noise", start, count, 2)
        return torch.from_numpy((chosen + self.deviation * noise).astype(np.float32))

    def log_density(self, points: Tensor) -> Tensor:
        """log p of points (N, 2), as (N,) float64; differentiable."""
        return _log_density(points, self.modes, torch.ones(len(self.centres), dtype=torch.float64), self.deviation)


@dataclass(frozen=True)
class SwissRoll:
    """A spiral with noise: (t cos t, t sin t) + ``noise`` n, divided by ``scale``, t uniform in [1.5 pi, 4.5 pi).

    scikit-learn's ``make_swiss_roll`` seen from the side, with the noise and the scale of WGAN-GP's toy code.
    """

    noise: float = 0.25
    scale: float = 7.5

    def __post_init__(self) -> None:
        if self.noise <= 0 or self.scale <= 0:
            raise ValueError(f"a swiss roll needs noise > 0 and scale > 0, not {self.noise} and {self.scale}")

    def sample(self, seed: int, stream: str, start: int, count: int) -> Tensor:
        """Points (count, 2) float32 at positions ``start`` to ``start + count``."""
        unit = streams.uniforms(seed, f"{stream}/along", start, count, 1)[:, 0].astype(np.float64)
        noise = streams.normals(seed, f"{stream}/noise", start, count, 2)
        return torch.from_numpy(((_spiral(unit) + self.noise * noise) / self.scale).astype(np.float32))

    def log_density(self, points: Tensor) -> Tensor:
        """log p of points (N, 2), as (N,) float64, by Gauss-Legendre quadrature along the spiral; differentiable."""
        nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
        middles = (np.arange(_PANELS) + 0.5) / _PANELS
        along = (middles[:, None] + nodes / (2 * _PANELS)).ravel()
        centres = torch.from_numpy(_spiral(along) / self.scale)
        return _log_density(points, centres, torch.from_numpy(np.tile(weights, _PANELS)), self.noise / self.scale)


def _spiral(unit: np.ndarray) -> np.ndarray:
    """[0, 1) -> (N, 2)."""
    t = 1.5 * np.pi * (1 + 2 * unit)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)


def _log_density(points: Tensor, centres: Tensor, weights: Tensor, deviation: float) -> Tensor:
    """Of round Gaussians in the plane with weights that need not sum to one."""
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points in the plane have shape (N, 2), not {tuple(points.shape)}")
    logits = (weights / weights.sum()).log() - math.log(2 * math.pi * deviation**2)
    x, y = (centres / deviation).unbind(dim=1)
    parts = []
    for part in (points.double() / deviation).split(_POINTS):
        squared = (part[:, :1] - x).square() + (part[:, 1:] - y).square()
        parts.append(torch.logsumexp(logits - 0.5 * squared, dim=1))
    return torch.cat(parts)


_ANGLES = [2 * math.pi * index / 8 for index in range(8)]
_LATTICE = (-4.0, -2.0, 0.0, 2.0, 4.0)

# The 2D-ring (radius 1, variance 1e-4) and the 2D-grid of Lin et al. 2018 (PacGAN)
RING = Gaussians(tuple((math.cos(angle), math.sin(angle)) for angle in _ANGLES), deviation=0.01)
GRID = Gaussians(tuple((x, y) for x in _LATTICE for y in _LATTICE), deviation=0.05)
SWISS_ROLL = SwissRoll()  # Gulrajani et al. 2017 (WGAN-GP), figure 1
