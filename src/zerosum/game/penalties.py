"""Penalties on the critic's slope, in every place where the literature puts them.

A penalty is given the critic as a callable and the point, never ready-made scores: it needs the derivative of the one
with respect to the other. Where the point is the real or the fake batch itself, the forward pass is shared with the
loss (``game.Game``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from zerosum.game.critic import Critic, Noise, Slopes, output_of
from zerosum.game.schedules import Schedule, check_range

Place = Literal["real", "fake", "between", "around"]
_SMALLEST = 1e-24  # a norm's derivative is infinite at zero


@dataclass(frozen=True)
class GradientPenalty:
    """``weight`` * mean((|slope| - ``target``)^2) at a place, the weight taken literally.

    Places: the ``real`` or ``fake`` batch; ``between`` them, x + u (G(z) - x) with one u in [0, 1) per pair; ``around``
    the reals, x + u v std(x) / 2 with v in [0, 1) per pixel. Played each ``every``-th round, ``every`` times as strong.
    """

    at: Place
    weight: Schedule
    target: float = 0.0
    every: int = 1

    def __post_init__(self) -> None:
        _check(self.weight, self.every)

    def of(self, slopes: Slopes) -> Tensor:
        """One number per sample, (N,), before the weight."""
        squared = slopes.squared_norms()
        if self.target == 0:
            return squared
        return (squared.clamp_min(_SMALLEST).sqrt() - self.target).square()

    def point(self, *, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Where the slope is taken."""
        per_sample = (len(real),) + (1,) * (real.ndim - 1)
        if self.at == "between":
            return real + noise.uniform(*per_sample) * (fake - real)
        if self.at == "around":
            shift = 0.5 * real.std() * noise.uniform(*real.shape)
            return real + noise.uniform(*per_sample) * shift
        return real if self.at == "real" else fake


@dataclass(frozen=True)
class FiniteDifference:
    """The first-order twin of a zero-target penalty: E_n ((D(x + sigma n) - D(x)) / sigma)^2 -> |slope|^2.

    One more forward pass and no double backward, so it compiles; exact for a linear critic in expectation over
    n ~ N(0, I), and unbiased up to order sigma^2 otherwise (used by Lin et al. 2025 and Hyun et al. 2025).
    """

    at: Literal["real", "fake"]
    weight: Schedule
    sigma: float = 0.01
    every: int = 1

    def __post_init__(self) -> None:
        _check(self.weight, self.every)
        if self.sigma <= 0:
            raise ValueError(f"the step of a finite difference is above 0, not {self.sigma:g}")

    def of(self, critic: Critic, x: Tensor, scores: Tensor, noise: Noise) -> Tensor:
        """One number per sample, (N,), before the weight."""
        moved = output_of(critic, x.detach() + self.sigma * noise.normal(*x.shape)).scores
        return ((moved - scores) / self.sigma).square()


Penalty = GradientPenalty | FiniteDifference


def R1(gamma: Schedule, every: int = 1) -> GradientPenalty:
    """gamma / 2 * E |slope at real|^2 (Mescheder et al. 2018, eq. 9)."""
    return GradientPenalty("real", _half(gamma), every=every)


def R2(gamma: Schedule, every: int = 1) -> GradientPenalty:
    """gamma / 2 * E |slope at fake|^2 (Mescheder et al. 2018, eq. 10)."""
    return GradientPenalty("fake", _half(gamma), every=every)


def WGANGP(weight: Schedule = 10.0) -> GradientPenalty:
    """weight * E (|slope between real and fake| - 1)^2 (Gulrajani et al. 2017, eq. 3)."""
    return GradientPenalty("between", weight, target=1.0)


def DRAGAN(weight: Schedule = 10.0) -> GradientPenalty:
    """weight * E (|slope around real| - 1)^2 (Kodali et al. 2017, algorithm 1)."""
    return GradientPenalty("around", weight, target=1.0)


def _check(weight: Schedule, every: int) -> None:
    check_range("a penalty's weight", weight)
    if every < 1:
        raise ValueError(f"a penalty is played each n-th round, n >= 1, not {every}")


def _half(gamma: Schedule) -> Schedule:
    return gamma / 2 if isinstance(gamma, int | float) else replace(gamma, start=gamma.start / 2, end=gamma.end / 2)
