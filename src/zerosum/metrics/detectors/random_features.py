"""Random features: a fixed network that nobody trained, for a Fréchet distance (``fd-random``) without a download.

Banks of random filters see texture and coarse layout, not meaning. The numbers compare only with each other. Weights
are whole numbers divided by their norm, so that they are the same bits on every machine.
"""

from __future__ import annotations

import functools
import hashlib
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zerosum import streams
from zerosum.metrics.resize import colour, pillow_floats

SPEC = (
    "red, green, blue on white in [-1,1] and transparency in [0,2] at 32x32 (Pillow bilinear, antialiased, floats); "
    "three banks of 3x3 filters 4->32->64->64, edges repeated, leaky ReLU 0.2 times 1.4, each bank's mean and standard "
    "deviation over the picture, 2x2 averages between banks; then a bank 64->12 on 4x4 as it is, times 1/2; filters "
    "uniform in -127..127 from seed 20140610, each divided by its norm; the first 16 filters have mean 0 in each "
    "channel, and their features are doubled"
)
WIDTH = 512
SIZE = 32
SEED = 20140610
RESIZER = "Pillow bilinear, antialiased, floats, to 32x32"
SHA256 = "3b09d5d3598c3609e52eb4b2f219f3f21804f85ebd9b6f43f85fc531781a293e"  # of the banks
_BANKS = ((4, 32), (32, 64), (64, 64), (64, 12))
_LEVEL = 16  # filters of the first bank without a mean
_SLOPE, _GAIN, _LAST = 0.2, 1.4, 0.5


class Bank(NamedTuple):
    """The four banks, each (outputs, inputs, 3, 3) float32, and the SHA-256 of their bytes."""

    filters: tuple[Tensor, ...]
    sha256: str


@functools.cache
def banks() -> Bank:
    """Draw the filters of ``SPEC``. Shared: not to be changed."""
    filters: list[Tensor] = []
    digest = hashlib.sha256()
    for number, (inputs, outputs) in enumerate(_BANKS):
        drawn = streams.uniforms(SEED, f"random features {number}", 0, outputs, inputs * 9)
        whole = np.floor(drawn.astype(np.float64) * 255).reshape(outputs, inputs, 9) - 127
        if number == 0:
            whole[:_LEVEL] = 9 * whole[:_LEVEL] - whole[:_LEVEL].sum(axis=2, keepdims=True)
        # sums of whole numbers are exact in any order, and so is the rounding of one root and one division
        bank = (whole / np.sqrt(np.square(whole).sum(axis=(1, 2), keepdims=True))).astype("<f4")
        digest.update(bank.tobytes())
        filters.append(torch.from_numpy(bank.astype(np.float32)).unflatten(2, (3, 3)))
    return Bank(tuple(filters), digest.hexdigest())


def random_features(pictures: Tensor) -> Tensor:
    """uint8 (N, 1|3|4, H, W) of any size -> (N, 512) float32, by ``SPEC``."""
    shown = pillow_floats(colour(pictures), (SIZE, SIZE), "bilinear") / 127.5 - 1
    clear = torch.zeros_like(shown[:, :1])
    if pictures.shape[1] == 4:
        clear = 2 - pillow_floats(pictures[:, 3:], (SIZE, SIZE), "bilinear") / 127.5
    x = torch.cat([shown, clear], dim=1)
    *middle, last = (bank.to(x.device) for bank in banks().filters)
    found: list[Tensor] = []
    for number, bank in enumerate(middle):
        x = F.leaky_relu_(_filtered(x, bank), _SLOPE).mul_(_GAIN)
        mean = x.mean(dim=(2, 3), keepdim=True)
        deviation = (x - mean).square_().mean(dim=(2, 3)).sqrt()  # faster than var
        for pooled in (mean[..., 0, 0], deviation):
            found += [2 * pooled[:, :_LEVEL], pooled[:, _LEVEL:]] if number == 0 else [pooled]
        x = F.avg_pool2d(x, 2)
    return torch.cat([*found, _LAST * _filtered(x, last).flatten(1)], dim=1)


def _filtered(x: Tensor, bank: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), bank)
