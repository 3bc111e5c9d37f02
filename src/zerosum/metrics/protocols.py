"""Metrics by name: the name is the protocol, and nothing about it is an option.

A protocol says which detector looks, how many samples are made, which real pictures they are compared with, and what is
computed. Counts in names are samples; ``full`` means all real pictures (but for the data's own test part,
where there is one), ``test`` the held-out ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from zerosum.metrics import sides
from zerosum.metrics.protocol import Protocol

_MOMENTS, _LOGITS, _PIXELS = frozenset({"moments"}), frozenset({"logits"}), frozenset({"pixels"})
_NAMES, _VIEWS, _DISTANCES = frozenset({"names"}), frozenset({"views"}), frozenset({"distances"})
_FULL, _TEST = "FID against all real pictures", "FID against held-out pictures"
_REAL, _PERFECT = "real pictures", "a perfect generator"

_ALL = (
    Protocol("fid50k_full", "inception", 50_000, sides.frechet, _FULL, part="full", wants=_MOMENTS),
    Protocol("fid10k_test", "inception", 10_000, sides.frechet, _TEST, part="held-out", real=10_000, wants=_MOMENTS),
    Protocol("kid50k_full", "inception", 50_000, sides.kernel, "KID: 100 subsets of 1,000", part="full", least=1_000),
    Protocol("is50k", "inception", 50_000, sides.inception_score, "Inception score, 10 splits", real=0, wants=_LOGITS),
    Protocol("pr50k3_inception", "inception", 50_000, sides.precision, "precision and recall, k = 3", real=50_000),
    Protocol("dc10k", "inception", 10_000, sides.coverage, "density and coverage, k = 5", real=10_000),
    Protocol(
        "sfid50k",
        "inception",
        50_000,
        sides.spatial,
        "sFID: Fréchet distance of spatial features",
        part="full",
        wants=frozenset({"spatial"}),
    ),
    Protocol(
        "fd_dinov2_50k", "dinov2", 50_000, sides.frechet, "Fréchet distance in DINOv2", part="full", wants=_MOMENTS
    ),
    Protocol("cmmd10k", "clip", 10_000, sides.cmmd, "CMMD: maximum mean discrepancy in CLIP", real=10_000),
    Protocol(
        "ppl2_wend",
        "lpips",
        50_000,
        sides.path_length,
        "perceptual path length in W, at the ends of 50,000 ways",
        real=0,
        side=16,
        wants=_DISTANCES,
        space="w",
    ),
    Protocol(
        "ppl2_zend",
        "lpips",
        50_000,
        sides.path_length,
        "the same in Z, of any generator",
        real=0,
        side=16,
        wants=_DISTANCES,
        space="z",
    ),
    Protocol(
        "lpips1k",
        "lpips",
        1_000,
        sides.perceptual,
        "LPIPS between 1,000 random pairs: diversity",
        real=1_000,
        wants=_PIXELS,
        baseline=sides.real_perceptual,
        beside=_REAL,
        side=16,
    ),
    Protocol(
        "class_lpips1k",
        "lpips",
        1_000,
        sides.class_perceptual,
        "the same within the classes, mean over them",
        real=1_000,
        wants=_PIXELS,
        baseline=sides.real_class_perceptual,
        beside=_REAL,
        by_class=True,
        each=2,
        side=16,
    ),
    Protocol(
        "swd16k",
        "pixels",
        16_384,
        sides.wasserstein,
        "sliced Wasserstein distance, x1000",
        real=16_384,
        wants=_PIXELS,
        side=7,
    ),
    Protocol(
        "swd2k", "pixels", 2_048, sides.wasserstein, "the same with 2,048 pictures", real=2_048, wants=_PIXELS, side=7
    ),
    Protocol(
        "msssim1k",
        "pixels",
        1_000,
        sides.similarity,
        "similarity of 1,000 random pairs",
        real=1_000,
        wants=_PIXELS,
        baseline=sides.real_similarity,
        beside=_REAL,
        side=11,
    ),
    Protocol(
        "modes26k",
        "stacked",
        26_000,
        sides.stacked_modes,
        "modes of stacked-mnist, and KL(samples || uniform)",
        real=0,
        wants=_NAMES,
        baseline=sides.perfect_modes,
        beside=_PERFECT,
    ),
    Protocol(
        "classes10k",
        "classifier",
        10_000,
        sides.classes_hit,
        "classes hit, and KL(samples || the data's shares)",
        real=0,
        wants=_NAMES,
        baseline=sides.perfect_modes,
        beside=_PERFECT,
    ),
    Protocol(
        "cas10k",
        "student",
        10_000,
        sides.accuracy,
        "accuracy on real pictures of a classifier trained on 10,000 samples",
        part="held-out",
        wants=_VIEWS,
        other=10_000,
        baseline=sides.real_accuracy,
        beside="trained on real pictures",
        by_class=True,
    ),
    Protocol(
        "cas1k",
        "student",
        1_000,
        sides.accuracy,
        "the same with 1,000 samples",
        part="held-out",
        wants=_VIEWS,
        other=1_000,
        baseline=sides.real_accuracy,
        beside="trained on real pictures",
        by_class=True,
    ),
    Protocol(
        "fd_classifier10k",
        "classifier",
        10_000,
        sides.frechet,
        "Fréchet distance in the data's own classifier",
        wants=_MOMENTS,
    ),
    Protocol(
        "class_fd10k",
        "classifier",
        10_000,
        sides.class_frechet,
        "mean Fréchet distance within the classes",
        by_class=True,
        each=2,
    ),
    Protocol(
        "fd_random10k", "random", 10_000, sides.frechet, "Fréchet distance in a fixed random network", wants=_MOMENTS
    ),
    Protocol(
        "kd_random2k", "random", 2_000, sides.kernel, "kernel distance in random features", real=2_000, least=1_000
    ),
    Protocol(
        "prdc1k_classifier",
        "classifier",
        1_000,
        sides.four,
        "the four k-NN measures, k = 5",
        part="held-out",
        real=1_000,
    ),
    Protocol(
        "prdc1k_random", "random", 1_000, sides.four, "the same in a fixed random network", part="held-out", real=1_000
    ),
    Protocol(
        "prdc100_classifier",
        "classifier",
        100,
        sides.four,
        "the same as 1k with 100: coarse",
        part="held-out",
        real=100,
    ),
    Protocol(
        "prdc100_random", "random", 100, sides.four, "the same in a fixed random network", part="held-out", real=100
    ),
    Protocol(
        "copies2k_classifier",
        "classifier",
        2_000,
        sides.copying,
        "C_T (below 0: copies) and AuthPct; noise hides copies from both",
        real=10_000,
        other=2_000,
        least=2_000,
    ),
    Protocol(
        "copies2k_random",
        "random",
        2_000,
        sides.copying,
        "the same in a fixed random network",
        real=10_000,
        other=2_000,
        least=2_000,
    ),
)
CATALOGUE: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in _ALL})

ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "pr50k3_full": (
            "pr50k3_full looks with a VGG16 that is published as TorchScript, executed code, which is not loaded here: "
            "take pr50k3_inception, whose numbers are not comparable with it."
        )
    }
)
"""Published protocols that are not here, and what to take instead."""


def smaller(protocol: Protocol, real: int) -> str:
    """What to take where there are so few real pictures, in words."""
    for other in CATALOGUE.values():
        alike = (other.detector, other.compute, other.part) == (protocol.detector, protocol.compute, protocol.part)
        if alike and other.needs + other.other < protocol.needs + protocol.other and other.needs <= real:
            return f"take {other.name}, which needs {other.needs:,}"
    return "take a smaller protocol (zerosum evaluate list says what each needs)"
