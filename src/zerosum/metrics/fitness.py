"""Whether protocols can be measured at all, found out before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.metrics.protocol import Protocol
from zerosum.metrics.protocols import smaller
from zerosum.metrics.reals import WORDS, Reals, Taken
from zerosum.metrics.samples import Samples, Shaped


def check_samples(samples: Samples, protocol: Protocol, draws: int) -> None:
    """Refuse samples that are too few, too small, of several sizes, or no generator, where that matters.

    Raises:
        UserError: it says what to do.
    """
    name = protocol.name
    if protocol.space is not None and protocol.space not in samples.spaces:
        if not samples.spaces:
            raise UserError(
                f"{name} walks through a generator's latent space: give a run or a .safetensors file of zerosum, "
                f"not the pictures {samples.name}."
            )
        raise UserError(
            f"{name} needs a generator with an intermediate latent space W, and that of {samples.name} has none: "
            "take ppl2_zend."
        )
    samples.need(protocol.fake * draws, name)
    if not protocol.one_size:
        return
    channels, height, width = _one_size(samples, name)
    if min(height, width) < protocol.side:
        raise UserError(
            f"{name} compares pictures of at least {protocol.side} pixels a side, not {width}x{height}: take another "
            "metric."
        )
    if channels > 3:
        raise UserError(f"{name} compares pictures without transparency: take a metric with a detector.")


def check_reals(reals: Reals, samples: Samples, protocol: Protocol) -> None:
    """Refuse real pictures that are too few, of another size where that matters, or of other classes.

    Raises:
        UserError: it says what to do.
    """
    if protocol.by_class:
        _check_classes(reals, samples, protocol)
    if protocol.needs == 0:
        return
    name, part = protocol.name, reals.part(protocol.part)
    for own, needed in ((part, protocol.needs), (rest_of(part), protocol.other)):
        count = reals.count(own, protocol.one_size) if needed else 0
        if count < needed:
            raise UserError(
                f"{name} needs {needed:,} {WORDS[own]}pictures, and {reals.name} has {count:,}: "
                f"{smaller(protocol, count)}."
            )
    if protocol.one_size:
        check_sizes(samples, reals.pictures(), name)


def check_sizes(samples: Samples, pictures: Pictures, name: str) -> None:
    """Refuse samples of another size than the real pictures, or of several.

    Raises:
        UserError: it says what to do.
    """
    own, size = _one_size(samples, name), pictures.pixels.shape[1:]
    if own != size:
        raise UserError(
            f"{name} compares pictures as they are, and those of {samples.name} have {own[2]}x{own[1]} pixels, those "
            f"of {pictures.name} {size[2]}x{size[1]}: bring them to one size (zerosum data prepare --resolution), or "
            "take a metric with a detector."
        )


def _one_size(samples: Samples, name: str) -> Shaped:
    if samples.size is None:
        raise UserError(
            f"{name} compares pictures as they are, and {samples.name} has pictures of several sizes: bring them to "
            "one (zerosum data prepare), or take a metric with a detector."
        )
    return samples.size


def rest_of(part: Taken) -> Taken:
    """The part that it is not."""
    return "held-out" if part == "train" else "train"


def check_each(labels: Tensor, classes: Sequence[str], protocol: Protocol, whose: str) -> None:
    """Refuse classes with fewer pictures than the protocol needs of each.

    Raises:
        UserError: it names the first of them.
    """
    counts = labels.bincount(minlength=len(classes)).tolist()
    few = [f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if count < protocol.each]
    if few:
        raise UserError(
            f"{protocol.name} needs at least {protocol.each} pictures of each class, and among the {len(labels):,} of "
            f"{whose} there are fewer of {_listed(few)}: take another metric."
        )


def by_name(samples: Samples, reals: Reals) -> Tensor:
    """The number of each of the samples' classes among those of the real pictures, (classes,) int64."""
    own, wanted = samples.classes, reals.pictures().classes
    if _numbered(own) or _numbered(wanted):
        return torch.arange(len(own))
    return torch.tensor([wanted.index(name) for name in own])


def _check_classes(reals: Reals, samples: Samples, protocol: Protocol) -> None:
    real, name = reals.pictures(), protocol.name
    for whose, classes in ((real.name, real.classes), (samples.name, samples.classes)):
        if not classes:
            raise UserError(
                f"{name} compares class by class, and {whose} has no labels (or lies in a single class folder): take "
                "another metric."
            )
    if len(real.classes) < 2:
        raise UserError(f"{name} compares class by class, and {real.name} has a single class: take another metric.")
    named = not (_numbered(real.classes) or _numbered(samples.classes))
    if len(real.classes) != len(samples.classes) or (named and set(real.classes) != set(samples.classes)):
        raise UserError(
            f"{name} compares class by class, and the classes differ: {samples.name} has "
            f"{_listed(samples.classes)}, {real.name} has {_listed(real.classes)}: give both the same names."
        )


def _numbered(classes: Sequence[str]) -> bool:
    """Whether the names say no more than the order does."""
    return tuple(classes) == tuple(map(str, range(len(classes))))


def _listed(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return ", ".join(classes[:5]) + more
