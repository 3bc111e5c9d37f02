"""Distances between two sets of pictures as pure functions of their features.

``real`` and ``fake`` are keyword-only everywhere: swapped arguments are the classic mistake (precision and recall
exchange their meaning). Features are float tensors of shape (N, d).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Coverage(NamedTuple):
    """The four k-nearest-neighbour measures of one comparison, each a share in [0, 1] except ``density`` (>= 0)."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_measures(*, real: Tensor, fake: Tensor, k: int = 5) -> Coverage:
    """Improved precision and recall, density and coverage.

    A ball around each point reaches to its k-th nearest neighbour in its own set, itself excluded. Precision is the
    share of fakes inside at least one real ball, recall the share of reals inside at least one fake ball (``<=``,
    Kynkäänniemi et al. 2019, eq. 1-2). Density counts, per fake, the real balls it lies in, divided by k; coverage is
    the share of reals with at least one fake in their ball (``<``, Naeem et al. 2020, eq. 4-5). For two samples of one
    distribution coverage tends to 1 - 2^-k.

    Raises:
        ValueError: fewer than k + 1 points on a side, or features of different width.
    """
    if min(len(real), len(fake)) <= k or real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"real {tuple(real.shape)} and fake {tuple(fake.shape)} must have the same width and more than k={k} points"
        )
    real, fake = real.double(), fake.double()
    real_radius, fake_radius = _radii(real, k), _radii(fake, k)
    distance = torch.cdist(real, fake)  # (real, fake)
    inside_real = distance < real_radius[:, None]
    return Coverage(
        precision=(distance <= real_radius[:, None]).any(dim=0).double().mean().item(),
        recall=(distance <= fake_radius[None, :]).any(dim=1).double().mean().item(),
        density=inside_real.double().sum().item() / (k * len(fake)),
        coverage=inside_real.any(dim=1).double().mean().item(),
    )


def nearest(*, to: Tensor, points: Tensor, block: int = 1024) -> Tensor:
    """Distance from each of ``points`` (N, d) to the nearest of ``to`` (M, d); shape (N,)."""
    return torch.cat([torch.cdist(part, to).min(dim=1).values for part in points.split(block)])


def _radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest neighbour, itself excluded; shape (N,)."""
    distances = torch.cdist(points, points).fill_diagonal_(0.0)  # cdist leaves rounding noise there
    return distances.topk(k + 1, largest=False).values[:, -1]
