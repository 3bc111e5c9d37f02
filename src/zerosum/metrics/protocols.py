"""Metrics by name: the name is the protocol, and nothing about it is an option.

A protocol says which detector looks, how many samples are made, which real pictures they are compared with, and what is
computed. Counts in names are samples; ``full`` means all training pictures, ``test`` the held-out ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from zerosum.data.pictures import Part
from zerosum.metrics import sides
from zerosum.metrics.samples import Space
from zerosum.metrics.sides import Compute

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
        real: how many of them at most; None: all.
        compute: the values by metric, from what was seen.
        about: one line for people.
        wants: what must be kept of what is seen.
        other: so many pictures of the other real part at most.
        baseline: what stands beside the values, by metric.
        beside: what the baseline is, in words.
        by_class: samples and real pictures need labels of the same classes.
        as_many: it is refused where there are fewer of the other part than that.
        space: the latent space that it walks through.
    """

    name: str
    detector: Eye
    fake: int
    part: Part
    real: int | None
    compute: Compute
    about: str
    wants: frozenset[str] = frozenset({"features"})
    other: int = 0
    baseline: Compute | None = None
    beside: str = ""
    by_class: bool = False
    as_many: bool = False
    space: Space | None = None


_MOMENTS, _LOGITS, _PIXELS = frozenset({"moments"}), frozenset({"logits"}), frozenset({"pixels"})
_NAMES, _VIEWS, _DISTANCES = frozenset({"names"}), frozenset({"views"}), frozenset({"distances"})
_FULL, _TEST = "FID against all training pictures", "FID against held-out pictures"
_REAL, _PERFECT = "real pictures", "a perfect generator"

CATALOGUE: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("fid50k_full", "inception", 50_000, "train", None, sides.frechet, _FULL, _MOMENTS),
            Protocol("fid10k_test", "inception", 10_000, "held-out", 10_000, sides.frechet, _TEST, _MOMENTS),
            Protocol("kid50k_full", "inception", 50_000, "train", None, sides.kernel, "KID: 100 subsets of 1,000"),
            Protocol(
                "is50k", "inception", 50_000, "train", 0, sides.inception_score, "Inception score, 10 splits", _LOGITS
            ),
            Protocol(
                "pr50k3_full", "inception", 50_000, "train", 50_000, sides.precision, "precision and recall, k = 3"
            ),
            Protocol("dc10k", "inception", 10_000, "train", 10_000, sides.coverage, "density and coverage, k = 5"),
            Protocol(
                name="sfid50k",
                detector="inception",
                fake=50_000,
                part="train",
                real=None,
                compute=sides.spatial,
                about="sFID: Fréchet distance of spatial features",
                wants=frozenset({"spatial"}),
            ),
            Protocol(
                name="fd_dinov2_50k",
                detector="dinov2",
                fake=50_000,
                part="train",
                real=None,
                compute=sides.frechet,
                about="Fréchet distance in DINOv2",
                wants=_MOMENTS,
            ),
            Protocol("cmmd10k", "clip", 10_000, "train", 10_000, sides.cmmd, "CMMD: maximum mean discrepancy in CLIP"),
            Protocol(
                name="ppl2_wend",
                detector="lpips",
                fake=50_000,
                part="train",
                real=0,
                compute=sides.path_length,
                about="perceptual path length in W, at the ends of 50,000 ways",
                wants=_DISTANCES,
                space="w",
            ),
            Protocol(
                name="ppl2_zend",
                detector="lpips",
                fake=50_000,
                part="train",
                real=0,
                compute=sides.path_length,
                about="the same in Z, of any generator",
                wants=_DISTANCES,
                space="z",
            ),
            Protocol(
                name="lpips1k",
                detector="lpips",
                fake=1_000,
                part="train",
                real=1_000,
                compute=sides.perceptual,
                about="LPIPS between 1,000 random pairs: diversity",
                wants=_PIXELS,
                baseline=sides.real_perceptual,
                beside=_REAL,
            ),
            Protocol(
                name="class_lpips1k",
                detector="lpips",
                fake=1_000,
                part="train",
                real=1_000,
                compute=sides.class_perceptual,
                about="the same within the classes, mean over them",
                wants=_PIXELS,
                baseline=sides.real_class_perceptual,
                beside=_REAL,
                by_class=True,
            ),
            Protocol(
                name="swd16k",
                detector="pixels",
                fake=16_384,
                part="train",
                real=16_384,
                compute=sides.wasserstein,
                about="sliced Wasserstein distance, x1000",
                wants=_PIXELS,
            ),
            Protocol(
                name="swd2k",
                detector="pixels",
                fake=2_048,
                part="train",
                real=2_048,
                compute=sides.wasserstein,
                about="the same with 2,048 pictures",
                wants=_PIXELS,
            ),
            Protocol(
                name="msssim1k",
                detector="pixels",
                fake=1_000,
                part="train",
                real=1_000,
                compute=sides.similarity,
                about="similarity of 1,000 random pairs",
                wants=_PIXELS,
                baseline=sides.real_similarity,
                beside=_REAL,
            ),
            Protocol(
                name="modes26k",
                detector="stacked",
                fake=26_000,
                part="train",
                real=0,
                compute=sides.stacked_modes,
                about="modes of stacked-mnist, and KL(samples || uniform)",
                wants=_NAMES,
                baseline=sides.perfect_modes,
                beside=_PERFECT,
            ),
            Protocol(
                name="classes10k",
                detector="classifier",
                fake=10_000,
                part="train",
                real=0,
                compute=sides.classes_hit,
                about="classes hit, and KL(samples || the data's shares)",
                wants=_NAMES,
                baseline=sides.perfect_modes,
                beside=_PERFECT,
            ),
            Protocol(
                name="cas10k",
                detector="student",
                fake=10_000,
                part="held-out",
                real=None,
                compute=sides.accuracy,
                about="accuracy on real pictures of a classifier trained on 10,000 samples",
                wants=_VIEWS,
                other=10_000,
                baseline=sides.real_accuracy,
                beside="trained on real pictures",
                by_class=True,
                as_many=True,
            ),
            Protocol(
                name="cas1k",
                detector="student",
                fake=1_000,
                part="held-out",
                real=None,
                compute=sides.accuracy,
                about="the same with 1,000 samples",
                wants=_VIEWS,
                other=1_000,
                baseline=sides.real_accuracy,
                beside="trained on real pictures",
                by_class=True,
                as_many=True,
            ),
            Protocol(
                name="fd_classifier10k",
                detector="classifier",
                fake=10_000,
                part="train",
                real=None,
                compute=sides.frechet,
                about="Fréchet distance in the data's own classifier",
                wants=_MOMENTS,
            ),
            Protocol(
                name="class_fd10k",
                detector="classifier",
                fake=10_000,
                part="train",
                real=None,
                compute=sides.class_frechet,
                about="mean Fréchet distance within the classes",
                by_class=True,
            ),
            Protocol(
                name="fd_random10k",
                detector="random",
                fake=10_000,
                part="train",
                real=None,
                compute=sides.frechet,
                about="Fréchet distance in a fixed random network",
                wants=_MOMENTS,
            ),
            Protocol(
                "kd_random2k", "random", 2_000, "train", 2_000, sides.kernel, "kernel distance in random features"
            ),
            Protocol(
                "prdc1k_classifier", "classifier", 1_000, "held-out", 1_000, sides.four, "the four k-NN measures, k = 5"
            ),
            Protocol(
                "prdc1k_random", "random", 1_000, "held-out", 1_000, sides.four, "the same in a fixed random network"
            ),
            Protocol(
                name="copies2k_classifier",
                detector="classifier",
                fake=2_000,
                part="train",
                real=10_000,
                compute=sides.copying,
                about="C_T (below 0: copies) and AuthPct; noise hides copies from both",
                other=10_000,
            ),
            Protocol(
                name="copies2k_random",
                detector="random",
                fake=2_000,
                part="train",
                real=10_000,
                compute=sides.copying,
                about="the same in a fixed random network",
                other=10_000,
            ),
        )
    }
)
