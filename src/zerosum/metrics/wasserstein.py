"""The sliced Wasserstein distance between local patches of pictures, scale by scale: needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zerosum import streams
from zerosum.metrics.checks import spans

PATCH = 7
SMALLEST = 16
_REPEATS, _DIRECTIONS = 4, 128
_TOGETHER = 16  # directions projected and sorted at once
_BLOCK = 256  # pictures


class SlicedWasserstein(NamedTuple):
    """The smaller side in pixels of each level, 1000 times the distance there, and the mean of those."""

    sizes: tuple[int, ...]
    levels: tuple[float, ...]
    mean: float


def sliced_wasserstein(
    *, real: Tensor, fake: Tensor, pictures: int | None = None, patches: int = 128, seed: int = 0
) -> SlicedWasserstein:
    """1000 times the sliced Wasserstein distance of 7x7 patches of Laplacian pyramids (Karras et al. 2018, section 5).

    uint8 pictures (N, 3, H, W), or (N, 1, H, W), which are taken for grey ones. From each level, down to the last whose
    smaller side is 16 or more (the plain small picture), ``patches`` patches per picture are drawn; each channel of
    each set is brought to mean 0 and deviation 1, so the distance is blind to a shift or a scale of a whole channel;
    4 x 128 random directions. The paper takes 16,384 pictures of each set, its code 8,192. ``pictures`` takes the first
    so many of each; memory is two sets of 147 float32 numbers per patch, those of one level (1.2 GB each with 16,384
    pictures), and a bounded block: the pictures may be mapped from a disk. The patches of picture i lie at the same
    places in both sets, so that equal sets have the distance 0.

    Raises:
        ValueError: not uint8, other shapes, sides under 7 pixels, different counts (or fewer than ``pictures``).
    """
    for name, side in (("real", real), ("fake", fake)):
        if side.dtype != torch.uint8 or side.ndim != 4 or side.shape[1] not in (1, 3) or min(side.shape[2:]) < PATCH:
            raise ValueError(
                f"{name} must be uint8 pictures (N, 1 or 3, H, W) of at least {PATCH}x{PATCH} pixels, "
                f"not {side.dtype} {tuple(side.shape)}"
            )
    if real.shape[2:] != fake.shape[2:]:
        raise ValueError(f"pictures of {tuple(real.shape[2:])} and {tuple(fake.shape[2:])} pixels cannot be compared")
    if pictures is None and len(real) != len(fake):
        raise ValueError(f"{len(real)} real and {len(fake)} fake pictures: give equal numbers, or pictures=")
    count = len(real) if pictures is None else pictures
    if not 1 <= count <= min(len(real), len(fake)) or patches < 1:
        raise ValueError(
            f"{len(real)} real and {len(fake)} fake pictures: neither pictures={count} nor patches={patches} may be "
            "below 1, nor pictures above what there is"
        )
    sizes = _sizes(min(real.shape[2:]))
    levels: list[float] = []
    for level in range(len(sizes)):
        a, b = (_descriptors(side[:count], level, len(sizes), patches, seed) for side in (real, fake))
        levels.append(1e3 * _distance(a, b, seed))
    return SlicedWasserstein(tuple(sizes), tuple(levels), sum(levels) / len(levels))


def laplacian_pyramid(pictures: Tensor, levels: int) -> list[Tensor]:
    """Float pictures (N, C, H, W) as differences between scales, the finest first; the last is the small picture.

    Smoothing by the binomial 5x5 kernel, edges mirrored (Burt and Adelson 1983).
    """
    pyramid = [pictures]
    for _ in range(levels - 1):
        small = _smooth(pyramid[-1])[:, :, ::2, ::2]
        pyramid[-1] = pyramid[-1] - _enlarge(small, pyramid[-1])
        pyramid.append(small)
    return pyramid


def _sizes(side: int) -> list[int]:
    sizes = [side]
    while (sizes[-1] + 1) // 2 >= SMALLEST:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def _smooth(x: Tensor) -> Tensor:
    """Weighted by 1 4 6 4 1 along both axes; sums of views, which are faster on a CPU than so small a convolution."""
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    for axis in (2, 3):
        a, b, c, d, e = (x.narrow(axis, start, x.shape[axis] - 4) for start in range(5))
        x = (a + e).add_(b + d, alpha=4).add_(c, alpha=6).div_(16)
    return x


def _enlarge(small: Tensor, like: Tensor) -> Tensor:
    """Twice as large: zeros in between, smoothed, times 4."""
    large = torch.zeros_like(like)
    large[:, :, ::2, ::2] = small
    return _smooth(large).mul_(4)


def _descriptors(pictures: Tensor, level: int, levels: int, patches: int, seed: int) -> Tensor:
    """Patches of one level of all pictures, normalised per channel: (N * patches, 147) float32."""
    found = torch.empty(len(pictures), patches, 3, PATCH * PATCH, device=pictures.device)
    for part in spans(len(pictures), _BLOCK):
        x = laplacian_pyramid(pictures[part].float(), levels)[level]
        places = streams.uniforms(seed, f"sliced wasserstein {level}", part.start, len(x), 2 * patches)
        corners = torch.from_numpy(places).to(x.device).view(len(x), patches, 2)
        room = torch.tensor([x.shape[2] - PATCH + 1, x.shape[3] - PATCH + 1], device=x.device)
        found[part] = _cut(x, (corners * room).long())
    blocks = list(spans(len(found), _BLOCK))
    each = found.numel() // 3
    mean = torch.stack([found[part].double().sum(dim=(0, 1, 3)) for part in blocks]).sum(dim=0) / each
    found -= mean.float()[:, None]
    squares = torch.stack([found[part].double().square().sum(dim=(0, 1, 3)) for part in blocks]).sum(dim=0)
    deviation = (squares / each).sqrt().float()
    found /= torch.where(deviation > 0, deviation, 1)[:, None]  # a flat channel stays 0
    return found.flatten(2).flatten(0, 1)


def _cut(x: Tensor, corners: Tensor) -> Tensor:
    """7x7 patches of x (N, C, H, W) at upper left corners (N, P, 2): (N, P, 3, 49); grey is repeated."""
    offset = torch.arange(PATCH, device=x.device)
    rows = (corners[:, :, :1] + offset)[:, :, :, None]
    columns = (corners[:, :, 1:] + offset)[:, :, None, :]
    places = (rows * x.shape[3] + columns).flatten(1)  # (N, P * 49)
    flat = x.flatten(2)
    cut = flat.gather(2, places[:, None].expand(-1, x.shape[1], -1))
    return cut.view(len(x), x.shape[1], -1, PATCH * PATCH).transpose(1, 2).expand(-1, -1, 3, -1)


def _distance(a: Tensor, b: Tensor, seed: int) -> float:
    """Mean over the directions of the Wasserstein-1 distance of the projections of (P, 147) and (P, 147)."""
    total, directions = 0.0, 0
    for chosen in _directions(a.shape[1], seed):
        gap = _sorted(chosen.to(a.device) @ a.T).sub_(_sorted(chosen.to(b.device) @ b.T)).abs_()
        total += gap.mean(dim=1).double().sum().item()
        directions += len(chosen)
    return total / directions


def _directions(width: int, seed: int) -> Iterator[Tensor]:
    """Unit vectors, uniform on the sphere, a few rows at a time."""
    for start in range(0, _REPEATS * _DIRECTIONS, _TOGETHER):
        normals = torch.from_numpy(streams.normals(seed, "sliced wasserstein directions", start, _TOGETHER, width))
        yield normals / torch.linalg.vector_norm(normals, dim=1, keepdim=True)


def _sorted(rows: Tensor) -> Tensor:
    """Each row in ascending order; in place on a CPU, where numpy is many times as fast as torch."""
    if rows.device.type != "cpu":
        return rows.sort(dim=1).values
    rows.numpy().sort(axis=1)
    return rows
