"""Structural similarity of pictures, at one scale and at several."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest scale first
WINDOW = 11
_DEVIATION = 1.5
_K1, _K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of pictures i of both (N, C, H, W): (N,), 1 for equal ones (Wang et al. 2004, eq. 13).

    uint8, or floats in [0, 1]. Gaussian window of 11x11 with deviation 1.5, only where it fits inside; the mean over
    positions and channels. Computed in float64 where the pictures are float64, else in float32.

    Raises:
        ValueError: different shapes, a side under 11 pixels, or floats outside [0, 1].
    """
    x, y = _prepared(a, b)
    return _maps(x, y)[0].mean(dim=1)


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Multi-scale structural similarity of pictures i of both (N, C, H, W): (N,) (Wang et al. 2003, eq. 7).

    uint8, or floats in [0, 1]. Up to five scales, each the mean of 2x2 pixels of the one before (an odd edge is
    repeated); a scale whose smaller side is under 11 pixels is left out, and the weights of the remaining ones are
    divided by their sum: five scales from 161 pixels on, three at 64, two at 32. The paper's pictures are grey; colours
    are compared channel by channel, then averaged. A negative contrast term counts as 0.

    Raises:
        ValueError: different shapes, a side under 11 pixels, or floats outside [0, 1].
    """
    x, y = _prepared(a, b)
    weights = torch.tensor(WEIGHTS[: scales(min(x.shape[2:]))], dtype=x.dtype, device=x.device)
    weights = weights / weights.sum()
    value = torch.ones(x.shape[:2], dtype=x.dtype, device=x.device)
    for scale, weight in enumerate(weights):
        whole, contrast = _maps(x, y)
        last = scale == len(weights) - 1
        value = value * (whole if last else contrast).clamp_min(0) ** weight
        if not last:
            x, y = _halved(x), _halved(y)
    return value.mean(dim=1)


def scales(side: int) -> int:
    """How many scales ``ms_ssim`` has for pictures whose smaller side is ``side`` pixels."""
    count = 1
    while count < len(WEIGHTS) and (side := (side + 1) // 2) >= WINDOW:
        count += 1
    return count


def _prepared(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both as floats in [0, 1]."""
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[2:]) < WINDOW or a.dtype != b.dtype:
        raise ValueError(
            f"two batches of pictures (N, C, H, W) of one type with sides of at least {WINDOW} pixels are needed, "
            f"not {tuple(a.shape)} {a.dtype} and {tuple(b.shape)} {b.dtype}"
        )
    if a.dtype == torch.uint8:
        return a.float() / 255, b.float() / 255
    for side in (a, b):
        if not side.is_floating_point() or (len(side) and not 0 <= side.min() <= side.max() <= 1):
            raise ValueError(f"pictures are uint8 or floats in [0, 1], not {side.dtype} outside of that")
    double = a.dtype == torch.float64
    return (a, b) if double else (a.float(), b.float())


def _maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over positions of the whole similarity and of its contrast and structure part: (N, C) each."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    # about the picture's mean, so that float32 does not lose the variance of bright, flat pictures
    x, y = x - x.mean(dim=(2, 3), keepdim=True), y - y.mean(dim=(2, 3), keepdim=True)
    low_x, low_y = _blurred(x), _blurred(y)
    variance_x, variance_y = _blurred(x * x) - low_x**2, _blurred(y * y) - low_y**2
    covariance = _blurred(x * y) - low_x * low_y
    contrast = (2 * covariance + _K2**2) / (variance_x + variance_y + _K2**2)
    luminance = (2 * mean_x * mean_y + _K1**2) / (mean_x**2 + mean_y**2 + _K1**2)
    return (luminance * contrast).mean(dim=(2, 3)), contrast.mean(dim=(2, 3))


def _blurred(x: Tensor) -> Tensor:
    """Gaussian means where the window fits inside: (N, C, H - 10, W - 10)."""
    offset = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = torch.exp(-(offset**2) / (2 * _DEVIATION**2))
    kernel = kernel / kernel.sum()
    flat = x.flatten(0, 1)[:, None]
    flat = F.conv2d(F.conv2d(flat, kernel.view(1, 1, 1, WINDOW)), kernel.view(1, 1, WINDOW, 1))
    return flat.view(*x.shape[:2], *flat.shape[2:])


def _halved(x: Tensor) -> Tensor:
    """Means of 2x2 pixels; an odd last row or column is repeated."""
    odd = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
    return F.avg_pool2d(F.pad(x, odd, mode="replicate") if any(odd) else x, 2)
