"""What a protocol is: everything about a way to measure, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zerosum.metrics.reals import Which
from zerosum.metrics.samples import Space
from zerosum.metrics.sides import Compute

LEAST = 100  # real pictures of a protocol that takes all: as many as the smallest sets with published numbers have
Eye = Literal["inception", "dinov2", "clip", "lpips", "random", "classifier", "student", "stacked", "pixels"]
"""What looks: a published network, the fixed random one, the data's own classifier, a classifier that is trained on the
samples, one of single digits in each colour, or nothing."""


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    Attributes:
        detector: what looks at the pictures; "pixels" nothing.
        fake: number of samples (of ways, where it walks through a latent space).
        part: which real pictures.
        real: how many of them; None: all.
        least: so many of them are enough.
        compute: the values by metric, from what was seen.
        about: one line for people.
        wants: what must be kept of what is seen.
        other: so many pictures of the other real part.
        baseline: what stands beside the values, by metric.
        beside: what the baseline is, in words.
        by_class: samples and real pictures need labels of the same classes.
        each: and so many pictures of each class on either side.
        side: it compares pictures of so many pixels a side or more.
        space: the latent space that it walks through.
    """

    name: str
    detector: Eye
    fake: int
    compute: Compute
    about: str
    part: Which = "train"
    real: int | None = None
    wants: frozenset[str] = frozenset({"features"})
    other: int = 0
    baseline: Compute | None = None
    beside: str = ""
    by_class: bool = False
    each: int = 0
    side: int = 0
    space: Space | None = None
    least: int = 0

    @property
    def needs(self) -> int:
        """The least number of real pictures."""
        return self.least or (LEAST if self.real is None else self.real)

    @property
    def one_size(self) -> bool:
        """Whether pictures are compared with each other as they are, and not by a detector that resizes them."""
        return self.detector in ("pixels", "lpips")
