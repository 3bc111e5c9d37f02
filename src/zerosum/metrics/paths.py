"""Perceptual path length: how much the picture changes per step in the latent space."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from zerosum.metrics.checks import check_features, check_sides, spans

EPSILON = 1e-4  # the published step
_LARGEST = 256

Path = Callable[[Tensor, Tensor, float], Tensor]  # starts (N, d), ends (N, d), t -> (N, d)


def straight(start: Tensor, end: Tensor, t: float) -> Tensor:
    """The point at t of the straight way, (N, d)."""
    return start + (end - start) * t


def sphere(start: Tensor, end: Tensor, t: float) -> Tensor:
    """The point at t of the way along the great circle, (N, d); the length goes evenly from one to the other.

    Computed in float64. Between opposite points the way is not defined.
    """
    a, b = start.double(), end.double()
    a_length, b_length = (torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in (a, b))
    a, b = a / a_length, b / b_length
    cosine = (a * b).sum(dim=1, keepdim=True)
    across = b - cosine * a
    sine = torch.linalg.vector_norm(across, dim=1, keepdim=True)
    angle = t * torch.atan2(sine, cosine)
    across = across / torch.where(sine > 0, sine, 1)
    point = a * angle.cos() + across * angle.sin()
    return (point * (a_length + (b_length - a_length) * t)).to(start.dtype)


def path_length(
    *,
    pictures: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    epsilon: float = EPSILON,
    path: Path = straight,
    discard: float = 0.01,
    block: int = 32,
) -> float:
    """Mean of distance(g(0), g(epsilon)) / epsilon^2 along paths g from ``starts`` to ``ends`` (Karras et al. 2020).

    The published ``ppl2_wend`` has 50,000 paths in W, ``straight`` (``sphere`` is for normal latents), both pictures of
    a pair with the same noise inputs, LPIPS of VGG on uncropped pictures, and leaves out the pairs below the 1st and
    above the 99th percentile. ``pictures`` maps latents (N, d) to float pictures (N, C, H, W), never rounded to uint8:
    rounding is far larger than one step. Pictures with sides of 512 or more are brought to about 256 by means of whole
    blocks of pixels.

    Raises:
        ValueError: starts and ends that differ in shape, ``epsilon`` <= 0, ``discard`` outside [0, 0.5), pictures that
            are not floats, or a distance that does not give one finite number per pair.
    """
    check_sides({"starts": starts, "ends": ends}, 1)
    if starts.shape != ends.shape or epsilon <= 0:
        raise ValueError(f"{len(starts)} starts and {len(ends)} ends must be as many, and epsilon={epsilon} above 0")
    found = []
    for part in spans(len(starts), block):
        here = pictures(path(starts[part], ends[part], 0.0))
        there = pictures(path(starts[part], ends[part], epsilon))
        found.append(step_distances(here, there, distance))
    return path_length_of(torch.cat(found), epsilon, discard)


def step_distances(here: Tensor, there: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Distances (N,) of float pictures (N, C, H, W) one step apart, large ones brought to about 256 pixels a side.

    Raises:
        ValueError: pictures that are not floats, or a distance that does not give one number per pair.
    """
    if not (here.is_floating_point() and there.is_floating_point()):
        raise ValueError(f"a path length needs float pictures, not {here.dtype}: rounding would be all one sees")
    distances = distance(_small(here), _small(there))
    if distances.shape != here.shape[:1]:
        raise ValueError(f"the distance of {len(here)} pairs has the shape {tuple(distances.shape)}")
    return distances


def path_length_of(distances: Tensor, epsilon: float = EPSILON, discard: float = 0.01) -> float:
    """The same from the distances (N,) of the pairs: divided by epsilon^2, without the share ``discard`` at either end.

    The lower bound is the order statistic at or below its percentile, the upper one that at or above; both stay in.

    Raises:
        ValueError: no distances, numbers that are not finite, ``epsilon`` <= 0 or ``discard`` outside [0, 0.5).
    """
    check_features(distances[:, None], "path", 1)
    if epsilon <= 0 or not 0 <= discard < 0.5:
        raise ValueError(f"epsilon={epsilon} must be above 0 and discard={discard} in [0, 0.5)")
    ordered = (distances.double() / epsilon**2).sort().values
    last = len(ordered) - 1
    low, high = ordered[math.floor(discard * last)], ordered[math.ceil((1 - discard) * last)]
    return ordered[(ordered >= low) & (ordered <= high)].mean().item()


def _small(x: Tensor) -> Tensor:
    factor = min(x.shape[2:]) // _LARGEST
    return F.avg_pool2d(x, factor) if factor > 1 else x
