"""Between pixels (uint8, 0..255) and pictures (float, -1..1), one formula each way; and grids to look at."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zerosum.data.source import Bytes

READABLE = 56  # a tile of a grid is shown at least this large, in pixels


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Send numbers made on the CPU to the device without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def to_float(pixels: Tensor) -> Tensor:
    """uint8 -> float in [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1.0)


def to_bytes(pictures: Tensor) -> Bytes:
    """Float in [-1, 1] -> uint8 by clamp(127.5 x + 128): the quantisation of every metric and every file."""
    return (pictures.detach().float() * 127.5 + 128).clamp(0, 255).to(torch.uint8).cpu().contiguous().numpy()


def grid(pixels: Bytes, columns: int) -> bytes:
    """A PNG of pictures (N, C, H, W) in rows of ``columns``, with a thin gap, small ones enlarged smoothly."""
    count, channels, height, width = pixels.shape
    rows = -(-count // columns)
    scale = max(1, -(-READABLE // min(height, width)))
    gap = 2
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    paper = {1: 96, 3: (96, 96, 96), 4: (96, 96, 96, 255)}[channels]
    sheet = Image.new(mode, (columns * (width * scale + gap) + gap, rows * (height * scale + gap) + gap), color=paper)
    for index, picture in enumerate(pixels):
        tile = to_image(picture)
        if scale > 1:
            tile = tile.resize((width * scale, height * scale), Image.Resampling.BICUBIC)
        row, column = divmod(index, columns)
        sheet.paste(tile, (gap + column * (width * scale + gap), gap + row * (height * scale + gap)))
    file = io.BytesIO()
    sheet.save(file, format="PNG")  # to optimise takes up to seven times as long, for a thirtieth of the size at most
    return file.getvalue()


def to_image(picture: Bytes) -> Image.Image:
    """One picture (C, H, W) as a Pillow image."""
    return Image.fromarray(picture[0] if picture.shape[0] == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0)))
