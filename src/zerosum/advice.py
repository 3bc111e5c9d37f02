"""What the data say by themselves: the size and channels to train at, what is held out, each with its reason."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from zerosum.data.fit import SMALLEST_WITH_HOLD_OUT, Fit
from zerosum.data.source import Source
from zerosum.data.survey import Survey
from zerosum.errors import UserError
from zerosum.networks.sizes import stages
from zerosum.settings import parse

LARGEST_ON_CPU, LARGEST = 64, 128
FEW, ENLARGED = 20, 0.05  # of more than FEW pictures so many may be smaller than the resolution
COLOURS = {1: "one channel", 3: "three channels", 4: "four channels"}
SQUARES = {"crop": "centre crop to a square", "pad": "padded to a square", "stretch": "stretched to a square"}
AUTO_SIZES = (12, 16, 24, 32, 48, 64, 96, 128)


class Reason(NamedTuple):
    """An automatic choice: what, the value, and why."""

    what: str
    value: str
    why: str

    def line(self) -> str:
        """For people."""
        return f"{self.what:<12}{self.value}  ({self.why})"


def devices() -> dict[str, bool]:
    """Which kinds of device torch finds here, the fastest first."""
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}


def best_device() -> str:
    """The fastest device that torch finds here."""
    return next(name for name, there in devices().items() if there)


def resolution_of(source: Source, seen: Survey, device: str, fit: Fit = "crop") -> tuple[tuple[int, int], str]:
    """The pictures' own size where all share one that works and is small; else a square that they all fill."""
    largest = LARGEST_ON_CPU if device == "cpu" else LARGEST
    sizes = seen.sizes[seen.good]
    width, height = (int(side) for side in sizes[0])
    if (sizes == sizes[0]).all() and (max(width, height) <= largest or source.ready is not None):
        try:
            stages(width, height)
        except UserError:
            pass
        else:
            return (width, height), "the pictures' own size" if source.ready is None else "as prepared"
    smaller = int(sizes.min(axis=1).min())
    if len(sizes) > FEW:  # a few small ones among many are enlarged
        smaller = int(np.quantile(sizes.min(axis=1), ENLARGED, method="lower"))
    fits = [size for size in AUTO_SIZES if size <= min(smaller, largest)] or [AUTO_SIZES[0]]
    limit = f"at most {largest} on this device" if fits[-1] == largest else f"nearly all sides are at least {smaller}"
    return (fits[-1], fits[-1]), f"{SQUARES[fit]}; {limit}; --resolution and --fit change it"


def size_for(source: Source, seen: Survey, resolution: str | None) -> tuple[tuple[int, int], int]:
    """(width, height) and channels in which train would take these pictures.

    Raises:
        UserError: a resolution that is none.
    """
    if resolution is not None:
        width, height = parse(resolution, tuple[int, int], "resolution")
        if min(width, height) < 1 or max(width, height) > 4096:
            raise UserError(f"--resolution {resolution} is not possible: sides are 1 to 4096 pixels.")
        return (width, height), channels_of(source, seen)[0]
    return resolution_of(source, seen, best_device())[0], channels_of(source, seen)[0]


def channels_of(source: Source, seen: Survey) -> tuple[int, str]:
    """1 where every picture is grey, else 3; as prepared, where they are."""
    if source.ready is not None:
        return int(seen.channels.max()), "as prepared"
    most = int(seen.channels.max())
    why = {1: "every picture is grey", 3: "colour", 4: "transparency is laid on white; --set channels=4 keeps it"}
    return 1 if most == 1 else 3, why[most]


def advice(source: Source, seen: Survey) -> list[Reason]:
    """What train would make of these pictures: their size, and what is held out."""
    (width, height), why = resolution_of(source, seen, best_device())
    channels, colours = channels_of(source, seen)
    return [Reason("training", f"{width}x{height}, {COLOURS[channels]}", f"{why}; {colours}"), _held_out(source, seen)]


def about(source: Source, seen: Survey) -> list[Reason]:
    """What was found, in lines."""
    count = len(seen.good)
    found = [Reason("data", f"{count:,} pictures", "; ".join(source.notes) or _found(source, seen))]
    found += [Reason("changed", "yes", change) for change in seen.changes]
    if seen.broken:
        first = min(seen.broken)
        why = f"{source.called(first)}: {seen.broken[first]}; zerosum data check names all"
        found.append(Reason("left out", f"{len(seen.broken):,} pictures", why))
    return [*found, _held_out(source, seen)]


def _held_out(source: Source, seen: Survey) -> Reason:
    if source.test is not None:
        return Reason("hold-out", f"{len(source.test):,} pictures", "the data's own test part")
    if len(seen.good) < SMALLEST_WITH_HOLD_OUT:
        why = f"fewer than {SMALLEST_WITH_HOLD_OUT} pictures: the judgement compares with the training pictures"
        return Reason("hold-out", "none", why)
    return Reason("hold-out", "a tenth", "of each class, chosen by content; it never enters training")


def _found(source: Source, seen: Survey) -> str:
    sizes = {(int(w), int(h)) for w, h in seen.sizes[seen.good]}
    size = "{}x{}".format(*next(iter(sizes))) if len(sizes) == 1 else f"{len(sizes)} sizes"
    return f"{size}, {len(source.classes)} classes" if source.classes else size
