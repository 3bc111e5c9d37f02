"""Metrics by name: the name is the protocol, and nothing about it is an option.

A protocol says which detector looks, how many samples are made, which real pictures they are compared with, and what is
computed. Counts in names are samples; ``full`` means all training pictures, ``test`` the held-out ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from zerosum.data.pictures import Part
from zerosum.errors import UserError
from zerosum.metrics.copying import authenticity, data_copying
from zerosum.metrics.diversity import ms_ssim_diversity
from zerosum.metrics.frechet import class_frechet_distance, frechet_between
from zerosum.metrics.kernels import kernel_distance, maximum_mean_discrepancy
from zerosum.metrics.looking import Looked
from zerosum.metrics.neighbours import neighbour_measures
from zerosum.metrics.scores import inception_score_of_logits, modes
from zerosum.metrics.wasserstein import sliced_wasserstein

Eye = Literal["inception", "dinov2", "clip", "random", "classifier", "pixels"]


class Sides(NamedTuple):
    """What a protocol compares. ``other`` is the part of the real pictures that ``real`` is not, where it is wanted."""

    real: Looked
    fake: Looked
    other: Looked | None = None
    classes: int = 0


Values = dict[str, float]


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    Attributes:
        detector: what looks at the pictures; "pixels" nothing.
        fake: number of samples.
        part: which real pictures.
        real: how many of them at most; None: all.
        compute: the values by metric, from what was seen.
        about: one line for people.
        wants: what must be kept of what is seen.
        other: the other real part is needed too.
    """

    name: str
    detector: Eye
    fake: int
    part: Part
    real: int | None
    compute: Callable[[Sides], Values]
    about: str
    wants: frozenset[str] = frozenset({"features"})
    other: bool = False


def _frechet(sides: Sides) -> Values:
    return {"frechet": frechet_between(sides.real.gaussian(), sides.fake.gaussian())}


def _spatial(sides: Sides) -> Values:
    return {"frechet": frechet_between(sides.real.gaussian("spatial"), sides.fake.gaussian("spatial"))}


def _kernel(sides: Sides) -> Values:
    return {"kernel": kernel_distance(real=sides.real.features(), fake=sides.fake.features()).value}


def _cmmd(sides: Sides) -> Values:
    return {"mmd": maximum_mean_discrepancy(real=sides.real.features(), fake=sides.fake.features())}


def _inception_score(sides: Sides) -> Values:
    return {"inception_score": inception_score_of_logits(sides.fake.logits()).value}


def _precision(sides: Sides) -> Values:
    found = neighbour_measures(real=sides.real.features(), fake=sides.fake.features(), k=3)
    return {"precision": found.precision, "recall": found.recall}


def _coverage(sides: Sides) -> Values:
    found = neighbour_measures(real=sides.real.features(), fake=sides.fake.features(), k=5)
    return {"density": found.density, "coverage": found.coverage}


def _four(sides: Sides) -> Values:
    return neighbour_measures(real=sides.real.features(), fake=sides.fake.features(), k=5)._asdict()


def _wasserstein(sides: Sides) -> Values:
    real, fake = sides.real.pixels(), sides.fake.pixels()
    count = min(len(real), len(fake))
    return {"sliced_wasserstein": sliced_wasserstein(real=real, fake=fake, pictures=count).mean}


def _modes(sides: Sides) -> Values:
    logits = sides.fake.logits()
    found = modes(logits.argmax(dim=1), logits.shape[1])
    return {"modes": float(found.covered), "mode_divergence": found.divergence}


def _similarity(sides: Sides) -> Values:
    return {"ms_ssim": ms_ssim_diversity(sides.fake.pixels(), pairs=1000)}


def _copying(sides: Sides) -> Values:
    assert sides.other is not None
    train, held_out, fake = sides.real.features(), sides.other.features(), sides.fake.features()
    return {
        "copying": data_copying(train=train, held_out=held_out, fake=fake[: len(held_out)]).score,
        "authenticity": authenticity(train=train, fake=fake),
    }


def _classes(sides: Sides) -> Values:
    real_labels, fake_labels = sides.real.labels, sides.fake.labels
    if real_labels is None or fake_labels is None:
        raise UserError("A distance by class needs labels on both sides: the samples or the pictures have none.")
    found = class_frechet_distance(
        real=sides.real.features(), fake=sides.fake.features(), real_labels=real_labels, fake_labels=fake_labels
    )
    return {"class_frechet": found.value}


_MOMENTS, _LOGITS, _PIXELS = frozenset({"moments"}), frozenset({"logits"}), frozenset({"pixels"})

CATALOGUE: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(
                "fid50k_full",
                "inception",
                50_000,
                "train",
                None,
                _frechet,
                "FID against all training pictures",
                _MOMENTS,
            ),
            Protocol(
                "fid10k_test",
                "inception",
                10_000,
                "held-out",
                10_000,
                _frechet,
                "FID against held-out pictures",
                _MOMENTS,
            ),
            Protocol("kid50k_full", "inception", 50_000, "train", None, _kernel, "KID: 100 subsets of 1,000"),
            Protocol("is50k", "inception", 50_000, "train", 0, _inception_score, "Inception score, 10 splits", _LOGITS),
            Protocol("pr50k3_full", "inception", 50_000, "train", 50_000, _precision, "precision and recall, k = 3"),
            Protocol("dc10k", "inception", 10_000, "train", 10_000, _coverage, "density and coverage, k = 5"),
            Protocol(
                "sfid50k",
                "inception",
                50_000,
                "train",
                None,
                _spatial,
                "sFID: Fréchet distance of spatial features",
                frozenset({"spatial"}),
            ),
            Protocol(
                "fd_dinov2_50k",
                "dinov2",
                50_000,
                "train",
                None,
                _frechet,
                "Fréchet distance in DINOv2",
                _MOMENTS,
            ),
            Protocol("cmmd10k", "clip", 10_000, "train", 10_000, _cmmd, "CMMD: maximum mean discrepancy in CLIP"),
            Protocol(
                "swd16k",
                "pixels",
                16_384,
                "train",
                16_384,
                _wasserstein,
                "sliced Wasserstein distance, x1000",
                _PIXELS,
            ),
            Protocol("swd2k", "pixels", 2_048, "train", 2_048, _wasserstein, "the same with 2,048 pictures", _PIXELS),
            Protocol(
                "modes26k", "classifier", 26_000, "train", 0, _modes, "classes hit, and KL(samples || uniform)", _LOGITS
            ),
            Protocol(
                "fd_classifier10k",
                "classifier",
                10_000,
                "train",
                None,
                _frechet,
                "Fréchet distance in the data's own classifier",
                _MOMENTS,
            ),
            Protocol(
                "fd_random10k",
                "random",
                10_000,
                "train",
                None,
                _frechet,
                "Fréchet distance in a fixed random network",
                _MOMENTS,
            ),
            Protocol("kd_random2k", "random", 2_000, "train", 2_000, _kernel, "kernel distance in random features"),
            Protocol(
                "prdc1k_classifier", "classifier", 1_000, "held-out", 1_000, _four, "the four k-NN measures, k = 5"
            ),
            Protocol("prdc1k_random", "random", 1_000, "held-out", 1_000, _four, "the same in a fixed random network"),
            Protocol(
                "class_fd10k", "classifier", 10_000, "train", None, _classes, "mean Fréchet distance within the classes"
            ),
            Protocol("msssim1k", "pixels", 1_000, "train", 0, _similarity, "similarity of 1,000 random pairs", _PIXELS),
            Protocol(
                "copies2k_classifier",
                "classifier",
                2_000,
                "train",
                10_000,
                _copying,
                "C_T (below 0: copies) and AuthPct; noise hides copies from both",
                other=True,
            ),
            Protocol(
                "copies2k_random",
                "random",
                2_000,
                "train",
                10_000,
                _copying,
                "the same in a fixed random network",
                other=True,
            ),
        )
    }
)
