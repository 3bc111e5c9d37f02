"""Kernel distances between features: the kernel distance (KID) and the maximum mean discrepancy of CLIP's (CMMD).

Kernels are computed in the features' own precision (half precision: in float32), their sums in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum import streams
from zerosum.metrics.checks import check_sides, spans

Kernel = Callable[[Tensor, Tensor], Tensor]  # points (A, d) and (B, d) -> (A, B)
_BLOCK = 1024


class KernelDistance(NamedTuple):
    """The mean over the subsets, and the standard deviation among them (which is no confidence interval)."""

    value: float
    error: float


def kernel_distance(
    *, real: Tensor, fake: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """KID: unbiased squared MMD with the kernel (x.y/d + 1)^3, mean over random subsets (Binkowski et al. 2018).

    Each subset is drawn without replacement from both sides, with ``subset_size`` points or as many as the smaller side
    has. The value may be below zero; tables usually show 1000 times as much.

    Raises:
        ValueError: fewer than two points on a side, different widths, features that are not finite, ``subsets`` < 1 or
            ``subset_size`` < 2.
    """
    check_sides({"real": real, "fake": fake}, 2)
    if subsets < 1 or subset_size < 2:
        raise ValueError(f"subsets={subsets} must be 1 or more, and subset_size={subset_size} 2 or more")
    size = min(subset_size, len(real), len(fake))
    values = []
    for subset in range(subsets):
        chosen = [
            torch.from_numpy(streams.permutation(seed, f"kernel distance {name}", subset, len(features))[:size].copy())
            for name, features in (("real", real), ("fake", fake))
        ]
        values.append(_unbiased(real[chosen[0].to(real.device)], fake[chosen[1].to(fake.device)]))
    found = torch.tensor(values, dtype=torch.float64)
    return KernelDistance(found.mean().item(), found.std(correction=0).item())


def full_kernel_distance(*, real: Tensor, fake: Tensor) -> float:
    """The same unbiased squared MMD on all points at once, in blocks: no subsets, no randomness.

    Raises:
        ValueError: fewer than two points on a side, different widths, or features that are not finite.
    """
    check_sides({"real": real, "fake": fake}, 2)
    return _unbiased(real, fake)


def maximum_mean_discrepancy(
    *, real: Tensor, fake: Tensor, sigma: float = 10.0, scale: float = 1000.0, unit: bool = True
) -> float:
    """CMMD: ``scale`` times the biased squared MMD with exp(-|x - y|^2 / (2 sigma^2)) (Jayasumana et al. 2024).

    The mean over all pairs, a point with itself among them: zero or more, a little above zero for two samples of one
    distribution. With ``unit``, as in CMMD, every point is brought to length 1 first.

    Raises:
        ValueError: an empty side, different widths, features that are not finite, a point of length 0 under ``unit``,
            or ``sigma`` <= 0.
    """
    check_sides({"real": real, "fake": fake}, 1)
    if sigma <= 0:
        raise ValueError(f"sigma={sigma} must be above 0")
    real, fake = _precise(real), _precise(fake)
    for name, side in (("real", real), ("fake", fake)):
        nothing = sum(int((_lengths(part) == 0).sum()) for part in side.split(_BLOCK))
        if unit and nothing:
            raise ValueError(f"{nothing} of the {len(side)} {name} points have no length")

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        if unit:
            a, b = a / _lengths(a), b / _lengths(b)
        lengths = _squares(a)[:, None] + _squares(b)
        # one less than the kernel: the ones cancel in the sum below, and the digits stay
        return (a @ b.T).mul_(-2).add_(lengths).clamp_min_(0).div_(-2 * sigma**2).expm1_()

    n, m = len(real), len(fake)
    within = _sum_of_others(real, kernel) / n**2 + _sum_of_others(fake, kernel) / m**2  # a point with itself adds 0
    return scale * (within - 2 * _sum(real, fake, kernel) / (n * m))


def _unbiased(real: Tensor, fake: Tensor) -> float:
    """Squared MMD without the terms of a point with itself (Gretton et al. 2012, eq. 3)."""
    width, n, m = real.shape[1], len(real), len(fake)
    real, fake = _precise(real), _precise(fake)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T).div_(width).add_(1).pow_(3)

    within = _sum_of_others(real, kernel) / (n * (n - 1)) + _sum_of_others(fake, kernel) / (m * (m - 1))
    return within - 2 * _sum(real, fake, kernel) / (n * m)


def _sum(a: Tensor, b: Tensor, kernel: Kernel) -> float:
    tiles = ((rows, columns) for rows in spans(len(a), _BLOCK) for columns in spans(len(b), _BLOCK))
    return sum(kernel(a[rows], b[columns]).sum(dtype=torch.float64).item() for rows, columns in tiles)


def _sum_of_others(a: Tensor, kernel: Kernel) -> float:
    """Sum over the ordered pairs of different points; the kernel is symmetric, and each pair is computed once."""
    total = 0.0
    for rows in spans(len(a), _BLOCK):
        own = kernel(a[rows], a[rows]).double()
        total += (own.sum() - own.diagonal().sum()).item()
        total += 2 * sum(
            kernel(a[rows], a[before]).sum(dtype=torch.float64).item() for before in spans(rows.start, _BLOCK)
        )
    return total


def _precise(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()


def _lengths(points: Tensor) -> Tensor:
    return torch.linalg.vector_norm(points, dim=1, keepdim=True)


def _squares(points: Tensor) -> Tensor:
    return points.square().sum(dim=1)
