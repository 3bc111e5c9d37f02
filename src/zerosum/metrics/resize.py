"""Resizing uint8 pictures for feature networks: each published way under its own name, because they differ."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

Filter = Literal["box", "bilinear", "bicubic", "lanczos"]
Size = tuple[int, int]
"""(height, width)."""

_FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def colour(pictures: Tensor) -> Tensor:
    """(N, 1|3|4, H, W) uint8 -> (N, 3, H, W) uint8: grey is repeated, transparency is laid on white."""
    if pictures.shape[1] == 4:
        alpha = pictures[:, 3:].float() / 255
        return (pictures[:, :3].float() * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return pictures.expand(-1, 3, -1, -1)


def legacy_bilinear(pictures: Tensor, size: Size) -> Tensor:
    """TensorFlow 1's ``resize_bilinear(align_corners=False)``: (N, C, H, W) uint8 -> (N, C, h, w) float32 in [0, 255].

    Target pixel i lies at source position i * source / target (no half pixel), between its two neighbours; there is no
    antialiasing, whatever the scale. Positions are float32, and rows are blended after columns, as there.
    """
    below, above, share = _legacy_places(pictures.shape[3], size[1], pictures.device)
    left, right = pictures[..., below].float(), pictures[..., above].float()
    rows = left + (right - left) * share
    below, above, share = _legacy_places(pictures.shape[2], size[0], pictures.device)
    top, bottom = rows[..., below, :], rows[..., above, :]
    return top + (bottom - top) * share[:, None]


def _legacy_places(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the neighbours of each target pixel on one axis, and the second one's share; each (target,)."""
    position = np.arange(target, dtype=np.float32) * (np.float32(source) / np.float32(target))
    below = np.floor(position)
    above = np.minimum(below + 1, source - 1)
    first, second = (torch.from_numpy(part.astype(np.int64)).to(device) for part in (below, above))
    return first, second, torch.from_numpy(position - below).to(device)


def pillow_bytes(pictures: Tensor, size: Size, kind: Filter) -> Tensor:
    """Pillow's antialiased filter on 8-bit pictures: (N, C, H, W) uint8 -> (N, C, h, w) uint8.

    What torchvision's ``Resize`` does with Pillow images: the result is rounded to bytes. Channels are independent
    (four are no transparency here).
    """
    if tuple(pictures.shape[2:]) == size:
        return pictures
    return _pillow(pictures, size, kind, np.uint8)


def pillow_floats(pictures: Tensor, size: Size, kind: Filter) -> Tensor:
    """Pillow's antialiased filter on float pictures: (N, C, H, W) uint8 -> (N, C, h, w) float32 in [0, 255].

    The way of clean-fid (Parmar et al. 2022): each channel as 32-bit floats, nothing rounded to bytes afterwards, what
    the filter overshoots cut off.
    """
    if tuple(pictures.shape[2:]) == size:
        return pictures.float()
    return _pillow(pictures, size, kind, np.float32).clamp_(0, 255)


def _pillow(pictures: Tensor, size: Size, kind: Filter, dtype: type[np.uint8] | type[np.float32]) -> Tensor:
    """Plane by plane in ``dtype``."""
    planes = pictures.cpu().flatten(0, 1).numpy().astype(dtype)
    resized: npt.NDArray[np.uint8 | np.float32] = np.empty((len(planes), *size), dtype=dtype)
    for index, plane in enumerate(planes):
        resized[index] = np.asarray(Image.fromarray(plane).resize(size[::-1], _FILTERS[kind]))
    return torch.from_numpy(resized).unflatten(0, tuple(pictures.shape[:2])).to(pictures.device)
