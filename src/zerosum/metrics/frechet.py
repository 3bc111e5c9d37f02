"""The Fréchet distance between Gaussians fitted to features: FID and its kin, by the network that makes the features.

It is FID only on the pool3 features of TensorFlow's Inception of 2015; on other features it is called FD and the
network's name. Covariances are divided by N - 1. Everything is computed in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum.metrics.checks import check_features, check_sides, spans

_BLOCK = 4096  # points that are turned to float64 at once
_EPS = torch.finfo(torch.float64).eps
_SETTLED = 1e-8  # a trace that might be off by more than this at worst, relative to the whole, is computed again
_ROUNDING = 1e-8  # a distance below zero by more than this, relative to the traces, would be a mistake and is shown


@dataclass(frozen=True)
class Gaussian:
    """Mean (d,) and covariance (d, d), float64, of ``count`` points."""

    mean: Tensor
    covariance: Tensor
    count: int


@dataclass(frozen=True)
class Moments:
    """Count, mean (d,) and scatter (d, d), float64, of the points seen so far.

    The scatter is the sum of (x - mean)(x - mean)^T. Blocks may be added in any order and size, and parts that were
    counted apart merged; only rounding differs (Chan, Golub and LeVeque 1983).
    """

    count: int
    mean: Tensor
    scatter: Tensor

    def add(self, features: Tensor) -> Moments:
        """Count further points (N, d), N >= 1."""
        return self.merge(moments_of(features))

    def merge(self, other: Moments) -> Moments:
        """The moments of both parts together.

        Raises:
            ValueError: the widths differ.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"features of width {len(self.mean)} and {len(other.mean)} cannot be counted together")
        count = self.count + other.count
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter.addr_(shift, shift, alpha=self.count * other.count / count)
        return Moments(count, self.mean + shift * (other.count / count), scatter)

    def gaussian(self) -> Gaussian:
        """The Gaussian with this mean and the covariance scatter / (count - 1).

        Raises:
            ValueError: fewer than two points.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 points, not {self.count}")
        return Gaussian(self.mean, self.scatter / (self.count - 1), self.count)


class ClassDistances(NamedTuple):
    """Mean over the classes of their Fréchet distances, and the smallest count of a class on either side."""

    value: float
    least: int


def moments_of(features: Tensor) -> Moments:
    """The moments of features (N, d), N >= 1, read in blocks.

    Raises:
        ValueError: no points, or features that are not finite.
    """
    check_features(features, "the block's", 1)
    mean = torch.stack([features[part].double().sum(dim=0) for part in spans(len(features), _BLOCK)]).sum(dim=0)
    mean = mean / len(features)
    scatter = mean.new_zeros(len(mean), len(mean))
    for part in spans(len(features), _BLOCK):
        centred = features[part].double() - mean
        scatter.addmm_(centred.T, centred)
    return Moments(len(features), mean, scatter)


def gaussian_of(features: Tensor) -> Gaussian:
    """The Gaussian fitted to features (N, d), N >= 2."""
    return moments_of(features).gaussian()


def frechet_distance(*, real: Tensor, fake: Tensor) -> float:
    """|m_r - m_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)) of features (N, d) and (M, d) (Heusel et al. 2017, eq. 6).

    Zero or more; biased upwards by about c (1/N + 1/M), so that only equal counts compare. With no more points than
    dimensions on a side, or ill-conditioned covariances, the trace is taken from the singular values of the product of
    the centred features, which loses no digits (and needs both sets once more in float64).

    Raises:
        ValueError: fewer than two points on a side, different widths, or features that are not finite.
    """
    check_sides({"real": real, "fake": fake}, 2)
    a, b = gaussian_of(real), gaussian_of(fake)
    root = _root_by_cholesky(a, b)
    if root is None:
        root = _nuclear_norm(_factor_of_features(real, a), _factor_of_features(fake, b))
    return _assemble(a, b, root)


def frechet_between(a: Gaussian, b: Gaussian) -> float:
    """The Fréchet distance between two Gaussians, in either order.

    Covariances that are singular or ill-conditioned are factored by their eigenvalues (no more of them than
    ``count`` - 1, none below zero); the features themselves would give a few digits more.

    Raises:
        ValueError: different widths, or numbers that are not finite.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"Gaussians of {len(a.mean)} and {len(b.mean)} dimensions cannot be compared")
    for side in (a, b):
        if not (side.mean.isfinite().all() and side.covariance.isfinite().all()):
            raise ValueError(f"the Gaussian of {side.count} points has a mean or a covariance that is not finite")
    root = _root_by_cholesky(a, b)
    if root is None:
        root = _nuclear_norm(_factor_of_covariance(a), _factor_of_covariance(b))
    return _assemble(a, b, root)


def class_frechet_distance(*, real: Tensor, fake: Tensor, real_labels: Tensor, fake_labels: Tensor) -> ClassDistances:
    """Mean over classes of the Fréchet distance within the class (intra-FID, Miyato and Koyama 2018).

    Labels are integers (N,) and (M,). Its bias is that of the small counts: compare only with equal counts per class.

    Raises:
        ValueError: labels that do not fit the features, or a class with fewer than two points on a side.
    """
    check_sides({"real": real, "fake": fake}, 2)
    for name, features, labels in (("real", real, real_labels), ("fake", fake, fake_labels)):
        if labels.shape != features.shape[:1] or labels.is_floating_point():
            shape = f"{tuple(labels.shape)} {labels.dtype}"
            raise ValueError(f"{name} labels must be {len(features)} integers, one per point, not {shape}")
    classes = torch.cat([real_labels, fake_labels]).unique().tolist()
    counts = {c: (int((real_labels == c).sum()), int((fake_labels == c).sum())) for c in classes}
    few = [f"{c} ({r} real, {f} fake)" for c, (r, f) in counts.items() if min(r, f) < 2]
    if few:
        raise ValueError(f"classes with fewer than 2 points on a side: {', '.join(few)}")
    values = [frechet_distance(real=real[real_labels == c], fake=fake[fake_labels == c]) for c in classes]
    return ClassDistances(sum(values) / len(values), min(min(pair) for pair in counts.values()))


def _assemble(a: Gaussian, b: Gaussian, root: float) -> float:
    traces = (a.covariance.trace() + b.covariance.trace()).item()
    shift = (a.mean - b.mean).square().sum().item()
    value = shift + traces - 2 * root
    return 0.0 if -_ROUNDING * traces <= value < 0 else value


def _root_by_cholesky(a: Gaussian, b: Gaussian) -> float | None:
    """Trace of (S_a S_b)^(1/2): sum of the roots of the eigenvalues of L^T S_b L, where L L^T = S_a.

    None where a covariance is singular, or where rounding could reach the digits that matter.
    """
    # a dimension that is constant on one side adds nothing to the trace
    alive = int(((a.covariance.diagonal() > 0) & (b.covariance.diagonal() > 0)).sum())
    if alive == 0:
        return 0.0
    if min(a.count, b.count) <= alive:
        return None
    # largest variances first: a graded matrix keeps the digits of its small eigenvalues
    order = torch.where(b.covariance.diagonal() > 0, a.covariance.diagonal(), 0).argsort(descending=True)[:alive]
    one, two = (side.covariance[order][:, order] for side in (a, b))
    lower, failed = torch.linalg.cholesky_ex(one)
    if failed:
        return None
    squares = torch.linalg.eigvalsh(lower.T @ two @ lower)
    # at worst an eigenvalue is off by about this much, and its root by less where it is large
    unsure = _EPS * torch.linalg.matrix_norm(one) * torch.linalg.matrix_norm(two)
    doubt = ((squares.clamp_min(0) + unsure).sqrt() - (squares - unsure).clamp_min(0).sqrt()).sum()
    if doubt > _SETTLED * (one.trace() + two.trace()):
        return None
    return squares.clamp_min(0).sqrt().sum().item()


def _factor_of_features(features: Tensor, gaussian: Gaussian) -> Tensor:
    """F (r, d) with F^T F the covariance: centred features, or the triangle of their QR decomposition."""
    centred = (features.double() - gaussian.mean).div_((gaussian.count - 1) ** 0.5)
    return centred if len(centred) <= centred.shape[1] else torch.linalg.qr(centred, mode="r").R


def _factor_of_covariance(gaussian: Gaussian) -> Tensor:
    """F (r, d) with F^T F the covariance, by eigenvalues; r is the rank that ``count`` points can have."""
    values, vectors = torch.linalg.eigh(gaussian.covariance)  # ascending
    rank = min(len(values), gaussian.count - 1)
    return vectors[:, -rank:].T * values[-rank:].clamp_min(0).sqrt()[:, None]


def _nuclear_norm(a: Tensor, b: Tensor) -> float:
    """Sum of the singular values of A B^T: the trace of (A^T A B^T B)^(1/2)."""
    return torch.linalg.svdvals(a @ b.T).sum().item()
