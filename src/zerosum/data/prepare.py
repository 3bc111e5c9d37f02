"""From pictures of any size to one array of one size, split into what is trained on and what is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from zerosum.data.source import Bytes, Labels, Source

SMALLEST_WITH_HOLD_OUT = 100
MOST_HELD_OUT = 10_000

Part = Literal["train", "held-out"]


@dataclass(frozen=True)
class Pictures:
    """Prepared pictures: what training, evaluation and reports see.

    Attributes:
        pixels: uint8, shape (N, channels, height, width).
        labels: class of every picture, or None.
        classes: names of the classes, empty without labels.
        held_out: True for pictures that never enter training, shape (N,).
        source_size: (width, height) that all pictures of the source have, else the prepared size.
        identity: SHA-256 over pixels, labels and split: the same data have the same identity wherever they lie.
    """

    name: str
    pixels: Bytes
    labels: Labels | None
    classes: tuple[str, ...]
    held_out: npt.NDArray[np.bool_]
    source_size: tuple[int, int]
    identity: str

    def part(self, which: Part) -> tuple[Bytes, Labels | None]:
        """The pictures and labels of one part."""
        mask = self.held_out if which == "held-out" else ~self.held_out
        return self.pixels[mask], None if self.labels is None else self.labels[mask]


def prepare(source: Source, width: int, height: int, channels: int) -> Pictures:
    """Bring every picture to one size: centre crop to the aspect ratio, then Pillow's antialiased bicubic filter.

    Transparency is laid on white unless four channels are kept. Raises ``UserError`` for an unreadable picture.
    """
    pixels = np.empty((len(source), channels, height, width), dtype=np.uint8)
    hashes = []
    for index in range(len(source)):
        picture = source.read(index)
        pixels[index] = fit(picture, width, height, channels)
        hashes.append(hashlib.blake2b(f"{picture.shape}".encode() + picture.tobytes(), digest_size=16).hexdigest())
    held_out = np.zeros(len(source), dtype=np.bool_)
    if source.test is not None:
        held_out[source.test] = True
    else:
        held_out[hold_out(np.array(hashes), source.labels)] = True
    sizes = np.unique(source.sizes, axis=0)
    return Pictures(
        name=source.name,
        pixels=pixels,
        labels=source.labels,
        classes=source.classes,
        held_out=held_out,
        source_size=(int(sizes[0, 0]), int(sizes[0, 1])) if len(sizes) == 1 else (width, height),
        identity=_identity(pixels, source.labels, held_out),
    )


def fit(picture: Bytes, width: int, height: int, channels: int) -> Bytes:
    """One picture (height, width, 1|3|4) -> (channels, height, width), uint8."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    if image.mode == "RGBA" and channels != 4:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != mode[channels]:
        image = image.convert(mode[channels])
    if image.size != (width, height):
        scale = min(image.width / width, image.height / height)
        crop_width, crop_height = min(width * scale, image.width), min(height * scale, image.height)
        left, top = (image.width - crop_width) / 2, (image.height - crop_height) / 2
        box = (left, top, left + crop_width, top + crop_height)
        image = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def hold_out(hashes: npt.NDArray[np.str_], labels: Labels | None) -> npt.NDArray[np.int64]:
    """Indices of the pictures to hold out: a tenth, at most 10,000, none under 100 pictures.

    Within each class the pictures are ordered by content, so twins stay on one side and renaming changes nothing.
    Classes share the tenth in proportion (largest remainders), so that its size is exact.
    """
    count = len(hashes)
    if count < SMALLEST_WITH_HOLD_OUT:
        return np.empty(0, dtype=np.int64)
    total = min(round(count / 10), MOST_HELD_OUT)
    groups = np.zeros(count, dtype=np.int64) if labels is None else labels
    values, sizes = np.unique(groups, return_counts=True)
    exact = sizes * (total / count)
    shares = np.floor(exact).astype(np.int64)
    firsts = np.array([np.sort(hashes[groups == value])[0] for value in values])
    largest = np.lexsort((firsts, shares - exact))[: total - shares.sum()]
    shares[largest] += 1
    chosen: list[npt.NDArray[np.int64]] = []
    for value, share in zip(values, shares, strict=True):
        members = np.flatnonzero(groups == value)
        ordered = members[np.argsort(hashes[members], kind="stable")]
        own, room = hashes[ordered], int(share)
        for twins in np.split(ordered, np.flatnonzero(own[1:] != own[:-1]) + 1):
            if len(twins) <= room:  # twins stay together; too many of them stay in training
                chosen.append(twins)
                room -= len(twins)
            if room == 0:
                break
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))


def _identity(pixels: Bytes, labels: Labels | None, held_out: npt.NDArray[np.bool_]) -> str:
    digest = hashlib.sha256(f"zerosum pictures 1 {pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    digest.update(b"no labels" if labels is None else labels.astype("<i8").tobytes())
    digest.update(held_out.tobytes())
    return digest.hexdigest()
