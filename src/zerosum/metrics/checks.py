"""What every distance asks of its features before it computes anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

_BLOCK = 4096


def check_features(features: Tensor, name: str, least: int) -> None:
    """Ask for finite floating-point features (N, d) with N >= ``least`` and d >= 1.

    Raises:
        ValueError: another shape or type, too few points, or NaN or infinity among them.
    """
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"{name} features must have the shape (points, width), not {tuple(features.shape)}")
    if not features.is_floating_point():
        raise ValueError(f"{name} features must be floating-point numbers, not {features.dtype}")
    if len(features) < least:
        raise ValueError(f"{name} has {len(features)} points; at least {least} are needed")
    bad = torch.cat([~part.isfinite().all(dim=1) for part in features.split(_BLOCK)])
    if bad.any():
        first = int(bad.int().argmax())
        raise ValueError(f"{int(bad.sum())} of the {len(bad)} {name} points are not finite; the first is point {first}")


def check_sides(sides: Mapping[str, Tensor], least: int) -> None:
    """Ask the same of each of the named sets, and that they have the same width.

    Raises:
        ValueError: as ``check_features``, or features of different width.
    """
    if len({side.shape[1:] for side in sides.values()}) > 1:
        shapes = " and ".join(f"{name} {tuple(side.shape)}" for name, side in sides.items())
        raise ValueError(f"{shapes} features must have the same width: were they made by one network?")
    for name, side in sides.items():
        check_features(side, name, least)


def spans(count: int, size: int) -> Iterator[slice]:
    """Cut ``count`` items into slices of at most ``size``."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
