"""Numbers that change during training, as functions of the images seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Clock(NamedTuple):
    """When a round is played: ``images`` seen before it, its index, and the budget (None while not yet known).

    ``now`` holds what each ramp is at this moment as a number on the device, for an engine whose code does not change
    from round to round.
    """

    images: int = 0
    round: int = 0
    budget: int | None = None
    now: Mapping[Ramp, Any] | None = None


START = Clock()


@dataclass(frozen=True)
class Ramp:
    """From ``start`` to ``end`` between two moments, constant outside them.

    ``begin`` and ``until`` are images, or shares of the budget if ``unit`` is "budget". A budget that is not known yet
    counts as infinite, so such a ramp still stands at its start. "geometric" multiplies by one factor an image.
    """

    start: float
    end: float
    shape: Literal["linear", "cosine", "geometric"] = "linear"
    begin: float = 0.0
    until: float = 1.0
    unit: Literal["images", "budget"] = "budget"

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.until:
            raise ValueError(f"a ramp needs 0 <= begin < until, not begin={self.begin}, until={self.until}")
        if self.shape == "geometric" and min(self.start, self.end) <= 0:
            raise ValueError(f"a geometric ramp needs positive ends, not {self.start} and {self.end}")


Schedule = float | Ramp


def value(schedule: Schedule, clock: Clock) -> Any:
    """The schedule's number at this moment: a float, or a 0-D tensor where the clock has one."""
    if not isinstance(schedule, Ramp):
        return schedule
    if clock.now is not None:
        return clock.now[schedule]
    if schedule.unit == "images":
        now = float(clock.images)
    else:
        now = 0.0 if clock.budget is None else clock.images / clock.budget
    done = min(1.0, max(0.0, (now - schedule.begin) / (schedule.until - schedule.begin)))
    if schedule.shape == "geometric":
        return schedule.start * (schedule.end / schedule.start) ** done
    if schedule.shape == "cosine":
        done = 0.5 * (1 - math.cos(math.pi * done))
    return schedule.start + (schedule.end - schedule.start) * done


def check_range(name: str, schedule: Schedule, least: float = 0.0, most: float = math.inf) -> None:
    """Refuse a number, or a ramp with an end, that is not in [``least``, ``most``].

    Raises:
        ValueError: it is not.
    """
    for number in (schedule.start, schedule.end) if isinstance(schedule, Ramp) else (schedule,):
        if not least <= number <= most:
            between = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
            raise ValueError(f"{name} is {between}, not {number:g}")


def depends_on_budget(schedule: Schedule) -> bool:
    """Whether a longer budget would change what has been played already."""
    return isinstance(schedule, Ramp) and schedule.unit == "budget"


def linear(start: float, end: float, *, images: float) -> Ramp:
    """A straight line over the first ``images``; ``linear(0, rate, images=n)`` is a warm-up."""
    return Ramp(start, end, "linear", 0.0, images, "images")


def geometric(start: float, end: float, *, images: float) -> Ramp:
    """The same factor with each image, over the first ``images``."""
    return Ramp(start, end, "geometric", 0.0, images, "images")


def cosine(start: float, end: float, *, begin: float = 0.0) -> Ramp:
    """A half cosine from ``begin`` (a share of the budget) to the end of the budget."""
    return Ramp(start, end, "cosine", begin, 1.0, "budget")
