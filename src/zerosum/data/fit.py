"""From a picture of any size to one of the wanted size, and which pictures are held out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from zerosum.data.decode import MODES
from zerosum.data.source import Bytes, Labels

Fit = Literal["crop", "pad", "stretch"]
SMALLEST_WITH_HOLD_OUT = 100
MOST_HELD_OUT = 10_000
PAPER = {"L": 255, "RGB": (255, 255, 255), "RGBA": (255, 255, 255, 0)}


@dataclass(frozen=True)
class Shape:
    """The wanted size in pixels, channels (1, 3 or 4), and what happens to other proportions.

    ``crop`` keeps the centre, ``pad`` keeps everything on a white (with four channels: clear) ground, ``stretch``
    changes the proportions.
    """

    width: int
    height: int
    channels: int
    fit: Fit = "crop"

    @property
    def size(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    def scales(self, width: int, height: int) -> tuple[float, float]:
        """How many source pixels become one, in either direction."""
        across, down = width / self.width, height / self.height
        if self.fit == "stretch":
            return across, down
        both = max(across, down) if self.fit == "pad" else min(across, down)
        return both, both

    def least(self, width: int, height: int) -> tuple[int, int]:
        """The size to which a picture may be decoded roughly: twice what the filter makes of it, on either side."""
        across, down = self.scales(width, height)
        return math.ceil(2 * width / across), math.ceil(2 * height / down)


def fit(image: Image.Image, shape: Shape) -> Bytes:
    """A picture (L, RGB or RGBA) -> (channels, height, width), uint8, by Pillow's antialiased bicubic filter.

    Transparency is laid on white unless four channels are kept.
    """
    mode = MODES[shape.channels]
    if image.mode == "RGBA" and shape.channels != 4:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (shape.width, shape.height):
        image = _resized(image, shape)
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _resized(image: Image.Image, shape: Shape) -> Image.Image:
    across, down = shape.scales(image.width, image.height)
    if shape.fit == "pad":
        width, height = max(1, round(image.width / across)), max(1, round(image.height / down))
        sheet = Image.new(image.mode, (shape.width, shape.height), PAPER[image.mode])
        small = image.resize((width, height), Image.Resampling.BICUBIC)
        sheet.paste(small, ((shape.width - width) // 2, (shape.height - height) // 2))
        return sheet
    crop_width, crop_height = min(shape.width * across, image.width), min(shape.height * down, image.height)
    left, top = (image.width - crop_width) / 2, (image.height - crop_height) / 2
    box = (left, top, left + crop_width, top + crop_height)
    return image.resize((shape.width, shape.height), Image.Resampling.BICUBIC, box=box)


def ranks(digests: Bytes) -> Labels:
    """The place of each digest (N, 16) among the distinct ones in ascending order: equal for twins; (N,)."""
    words = digests.view(">u8").astype(np.uint64)
    order = np.lexsort((words[:, 1], words[:, 0]))
    ordered = words[order]
    new = np.ones(len(words), dtype=np.int64)
    new[0] = 0
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    found = np.empty(len(words), dtype=np.int64)
    found[order] = np.cumsum(new)
    return found


def hold_out(contents: Labels, labels: Labels | None) -> Labels:
    """Places of the pictures to hold out: a tenth, at most 10,000, none under 100 pictures.

    Within each class the pictures are ordered by content (``ranks``), so twins stay on one side and renaming changes
    nothing; a picture that also lies in another class stays in training. Classes share the tenth in proportion (largest
    remainders), so that its size is exact.
    """
    count = len(contents)
    if count < SMALLEST_WITH_HOLD_OUT:
        return np.empty(0, dtype=np.int64)
    total = min(round(count / 10), MOST_HELD_OUT)
    groups = np.zeros(count, dtype=np.int64) if labels is None else labels
    values, sizes = np.unique(groups, return_counts=True)
    exact = sizes * (total / count)
    shares = np.floor(exact).astype(np.int64)
    firsts = np.array([contents[groups == value].min() for value in values])
    largest = np.lexsort((firsts, shares - exact))[: total - shares.sum()]
    shares[largest] += 1
    torn = _torn(contents, groups)
    chosen: list[Labels] = []
    for value, share in zip(values, shares, strict=True):
        members = np.flatnonzero(groups == value)
        ordered = members[np.argsort(contents[members], kind="stable")]
        own, room = contents[ordered], int(share)
        for twins in np.split(ordered, np.flatnonzero(own[1:] != own[:-1]) + 1):
            if len(twins) <= room and not torn[twins[0]]:  # twins stay together; too many of them stay in training
                chosen.append(twins)
                room -= len(twins)
            if room == 0:
                break
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))


def _torn(contents: Labels, groups: Labels) -> npt.NDArray[np.bool_]:
    """Whether a picture's twins lie in several classes, (N,)."""
    pairs = np.unique(np.stack([contents, groups]), axis=1)
    values, counts = np.unique(pairs[0], return_counts=True)
    return np.isin(contents, values[counts > 1])
