"""What a detector saw of a stream of pictures: moments, and features where a metric needs them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from zerosum.data.source import Bytes
from zerosum.metrics.detectors.detector import Detector
from zerosum.metrics.frechet import Gaussian, Moments, moments_of

Kind = Literal["features", "spatial"]


@dataclass
class Looked:
    """Everything that was kept; asking for what was not is a mistake of the program."""

    wants: frozenset[str]
    count: int = 0
    moments: dict[str, Moments] = field(default_factory=dict)
    kept: dict[str, list[Tensor]] = field(default_factory=dict)
    labels: Tensor | None = None

    def features(self) -> Tensor:
        """(N, d)."""
        return torch.cat(self.kept["features"])

    def logits(self) -> Tensor:
        """(N, classes)."""
        return torch.cat(self.kept["logits"])

    def pixels(self) -> Tensor:
        """uint8 (N, C, H, W)."""
        return torch.cat(self.kept["pixels"])

    def gaussian(self, kind: Kind = "features") -> Gaussian:
        """The Gaussian fitted to the features."""
        return self.moments[kind].gaussian()

    def _count(self, kind: Kind, values: Tensor) -> None:
        own = moments_of(values)
        self.moments[kind] = self.moments[kind].merge(own) if kind in self.moments else own

    def add(self, pixels: Tensor, detector: Detector | None) -> None:
        """Look at a block of pictures."""
        self.count += len(pixels)
        if "pixels" in self.wants:
            self.kept.setdefault("pixels", []).append(pixels)
        if detector is None:
            return
        seen = detector.look(pixels)
        if "moments" in self.wants:
            self._count("features", seen.features)
        if "features" in self.wants:
            self.kept.setdefault("features", []).append(seen.features)
        if "logits" in self.wants and seen.logits is not None:
            self.kept.setdefault("logits", []).append(seen.logits)
        if "spatial" in self.wants and seen.spatial is not None:
            self._count("spatial", seen.spatial)


def look_at(
    blocks: Iterator[Bytes], detector: Detector | None, wants: frozenset[str], labels: Tensor | None = None
) -> Looked:
    """Look at a stream, block by block; only what is wanted is kept, so memory is bounded by it."""
    looked = Looked(wants, labels=labels)
    for block in blocks:
        looked.add(torch.from_numpy(block), detector)
    return looked
