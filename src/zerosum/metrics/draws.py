"""What repeated draws or seeds say: an interval for the mean, and whether two series differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """The mean and the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of independent draws with its confidence interval by Student's t (Student 1908).

    Draws from the same pictures are not independent: repeat what the statement is about, the training with another
    seed, say.

    Raises:
        ValueError: fewer than two values, values that are not finite, or ``confidence`` outside (0, 1).
    """
    from scipy import stats  # loading it takes a while

    _check(values, "values")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie between 0 and 1")
    mean = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def different(a: Sequence[float], b: Sequence[float]) -> float:
    """Probability of means at least this far apart if there were no difference: Welch's test (Welch 1947), two-sided.

    Raises:
        ValueError: fewer than two values on a side, or values that are not finite.
    """
    from scipy import stats

    _check(a, "a")
    _check(b, "b")
    errors = [statistics.stdev(side) / math.sqrt(len(side)) for side in (a, b)]
    gap, whole = abs(statistics.fmean(a) - statistics.fmean(b)), math.hypot(*errors)
    if whole == 0:
        return 0.0 if gap else 1.0
    degrees = 1 / sum((error / whole) ** 4 / (len(side) - 1) for error, side in zip(errors, (a, b), strict=True))
    return float(2 * stats.t.sf(gap / whole, degrees))


def _check(values: Sequence[float], name: str) -> None:
    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        raise ValueError(f"{name} must be at least 2 finite numbers, not {list(values)}")
