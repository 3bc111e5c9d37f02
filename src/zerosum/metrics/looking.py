"""What a detector saw of a stream of pictures: moments, and features where a metric needs them all."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zerosum import files
from zerosum.metrics.detectors.detector import Detector
from zerosum.metrics.detectors.own import shrunk
from zerosum.metrics.frechet import Gaussian, Moments, moments_of
from zerosum.metrics.resize import Size
from zerosum.metrics.samples import BLOCK, Block

Kind = Literal["features", "spatial"]
_BYTES = 2**26


class Shelf:
    """Pictures on the disk, in a nameless file that goes when they do: memory holds those that are being read."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self.shapes: dict[tuple[int, ...], int] = {}  # how many of each
        weakref.finalize(self, self.file.close)

    def put(self, pixels: Tensor) -> None:
        """Add uint8 (n, C, H, W).

        Raises:
            Stopped: the disk is full.
        """
        with files.in_words(Path(tempfile.gettempdir()), "TMPDIR names another folder"):
            self.file.write(pixels.contiguous().numpy().data)
            self.file.flush()
        shape = tuple(pixels.shape[1:])
        self.shapes[shape] = self.shapes.get(shape, 0) + len(pixels)

    def pictures(self) -> Tensor:
        """All of them, mapped.

        Raises:
            ValueError: they have several sizes.
        """
        if len(self.shapes) > 1:
            raise ValueError("the pictures have several sizes, and pixels are compared as they are: bring them to one")
        ((shape, count),) = self.shapes.items()
        return torch.from_numpy(np.memmap(self.file, np.uint8, "c", shape=(count, *shape)))  # "c": nothing is written


@dataclass
class Looked:
    """Everything that was kept; asking for what was not is a mistake of the program.

    In memory are features (4 bytes a number: 410 MB for 50,000 pictures in Inception, so many for KID too, whose 100
    subsets of 1,000 take 87 % of them), logits and small views. Pixels are on the disk.

    Attributes:
        size: (height, width) of what is kept as views.
        classes: how many the detector tells apart, where names are kept.
        seconds: of looking.
    """

    wants: frozenset[str]
    count: int = 0
    moments: dict[str, Moments] = field(default_factory=dict)
    kept: dict[str, list[Tensor]] = field(default_factory=dict)
    size: Size | None = None
    classes: int = 0
    shelf: Shelf | None = None
    seconds: float = 0.0

    def features(self) -> Tensor:
        """(N, d)."""
        return self._all("features")

    def logits(self) -> Tensor:
        """(N, classes)."""
        return self._all("logits")

    def labels(self) -> Tensor:
        """(N,) int64."""
        return self._all("labels")

    def names(self) -> Tensor:
        """The likeliest class of each picture, (N,) int64."""
        return self._all("names")

    def pixels(self) -> Tensor:
        """uint8 (N, C, H, W), mapped from the disk.

        Raises:
            ValueError: pictures of several sizes.
        """
        assert self.shelf is not None
        return self.shelf.pictures()

    def views(self) -> Tensor:
        """Pictures as the data's own classifier sees them: float (N, C, *size) in [0, 1]."""
        return self._all("views").float() / 255

    def distances(self) -> Tensor:
        """(N,), of steps through a latent space."""
        return self._all("distances")

    def gaussian(self, kind: Kind = "features") -> Gaussian:
        """The Gaussian fitted to the features."""
        return self.moments[kind].gaussian()

    def _all(self, kind: str) -> Tensor:
        """In one piece, from then on."""
        blocks = self.kept[kind]
        if len(blocks) > 1:
            blocks[:] = [torch.cat(blocks)]
        return blocks[0]

    def _count(self, kind: Kind, values: Tensor) -> None:
        own = moments_of(values)
        self.moments[kind] = self.moments[kind].merge(own) if kind in self.moments else own

    def _keep(self, kind: str, values: Tensor) -> None:
        self.kept.setdefault(kind, []).append(values)

    def add(self, pixels: Tensor, labels: Tensor | None, detector: Detector | None) -> None:
        """Look at a block of pictures."""
        self.count += len(pixels)
        if labels is not None:
            self._keep("labels", labels)
        if "pixels" in self.wants:
            self.shelf = self.shelf or Shelf()
            self.shelf.put(pixels)
        if "views" in self.wants and self.size is not None:
            self._keep("views", shrunk(pixels, self.size))
        if detector is None:
            return
        seen = detector.look(pixels)
        if "moments" in self.wants:
            self._count("features", seen.features)
        if "features" in self.wants:
            self._keep("features", seen.features)
        if "logits" in self.wants and seen.logits is not None:
            self._keep("logits", seen.logits)
        if "names" in self.wants and seen.logits is not None:
            self._keep("names", seen.logits.argmax(dim=1))
            self.classes = seen.logits.shape[1]
        if "spatial" in self.wants and seen.spatial is not None:
            self._count("spatial", seen.spatial)

    def want(self, wants: frozenset[str]) -> None:
        """From now on keep this, and forget what else was kept."""
        self.wants = wants
        self.kept = {kind: blocks for kind, blocks in self.kept.items() if kind in (*wants, "labels")}

    def step(self, distances: Tensor) -> None:
        """Keep the distances (n,) of a block of steps."""
        self.count += len(distances)
        self._keep("distances", distances)


def look_at(
    blocks: Iterator[Block],
    detector: Detector | None,
    looked: Looked,
    progress: Callable[[int], object] = lambda done: None,
) -> Looked:
    """Look at a stream and add it to ``looked``; only what is wanted is kept, so memory is bounded by it.

    Small blocks are looked at together: a detector is quicker with many, and moments are merged less often.

    Args:
        progress: is told how many pictures are done.
    """
    for pixels, labels in _together(blocks):
        looked.add(torch.from_numpy(pixels), labels, detector)
        progress(looked.count)
    return looked


def _together(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same pictures in blocks of ``BLOCK`` or more, of fewer where the sizes change or a block is large."""
    waiting: list[Block] = []
    for block in blocks:
        if waiting and waiting[0].pixels.shape[1:] != block.pixels.shape[1:]:
            yield _joined(waiting)
            waiting = []
        waiting.append(block)
        if sum(len(own.pixels) for own in waiting) >= BLOCK or sum(own.pixels.nbytes for own in waiting) >= _BYTES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[Block]) -> Block:
    labels = [block.labels for block in blocks if block.labels is not None]
    return Block(np.concatenate([block.pixels for block in blocks]), torch.cat(labels) if labels else None)
