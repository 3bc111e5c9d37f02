"""Batches whose content is a function of (seed, global position), from pictures that lie whole on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from zerosum import streams
from zerosum.data.pixels import to_device, to_float
from zerosum.data.prepare import Pictures


class Loader:
    """The training part of the pictures as uint8 on the device; no workers, no host traffic but the indices."""

    def __init__(self, pictures: Pictures, seed: int, device: torch.device, *, mirror: bool, labels: bool) -> None:
        pixels, values = pictures.part("train")
        self.pixels = torch.from_numpy(pixels).to(device)
        self.labels = torch.from_numpy(values).to(device) if labels and values is not None else None
        self.seed, self.mirror = seed, mirror

    def batch(self, start: int, count: int) -> tuple[Tensor, Tensor | None]:
        """Pictures (count, C, H, W) float in [-1, 1] and labels for global positions ``start`` and on."""
        order = streams.positions(self.seed, "data order", start, count, len(self.pixels))
        chosen = to_device(torch.from_numpy(order), self.pixels.device)
        x = to_float(self.pixels[chosen])
        if self.mirror:
            flip = torch.from_numpy(streams.uniforms(self.seed, "mirror", start, count, 1) < 0.5)
            x = torch.where(to_device(flip, x.device)[:, :, None, None], x.flip(3), x)
        return x, None if self.labels is None else self.labels[chosen]
