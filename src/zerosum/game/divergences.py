"""The f-divergences of f-GAN (Nowozin et al. 2016), D_f(P || Q) = E over Q of f(p / q), each with its variational game.

For any T(x) in the domain of the conjugate, E_P T - E_Q f*(T) <= D_f(P || Q), with equality at T = f'(p / q). The
critic's score v may be any number; the activation g_f brings it into that domain, T = g_f(v).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Elementwise = Callable[[Tensor], Tensor]

_LOG2 = math.log(2)
_STEPS = 5  # of Newton: the first error is at most .3, each step squares and halves it


@dataclass(frozen=True)
class Divergence:
    """A convex f with what its game needs, as functions of tensors of any shape.

    Attributes:
        f: f(u) of a density ratio u = p / q > 0. f(1) = 0, but for the GAN row, whose f(1) is -log 4 as in its paper.
        derivative: f'(u): what the best critic's T is.
        conjugate: f*(t) = sup over u of t u - f(u), for t in its domain only. Pearson's u runs over all real numbers,
            the others' over positive ones.
        activation: g_f(v), increasing, from all real numbers onto the domain of f*.
        composition: f*(g_f(v)) without the detour: finite wherever its value is representable.
    """

    f: Elementwise
    derivative: Elementwise
    conjugate: Elementwise
    activation: Elementwise
    composition: Elementwise


class _LogOmega(torch.autograd.Function):
    """s with e^s + s = 1 - t, the logarithm of W(e^(1 - t)); s'(t) = -1 / (1 + e^s) is a function of s again.

    In terms of s nothing overflows where W does, and small t keep their digits: expm1(s) + s = -t.
    """

    @staticmethod
    def forward(t: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        # Upper bounds of the root: e^s > 0, e^s >= 1 + s, and s >= 0 where t <= 0. The left side is convex, so Newton's
        # method goes down from there without ever missing.
        s = torch.minimum(torch.minimum(1 - t, -0.5 * t), (-t).clamp_min(0).log1p())
        for _ in range(_STEPS):
            s = s - (s.expm1() + s + t) * torch.sigmoid(-s)  # / (1 + e^s)
        return s

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        (s,) = ctx.saved_tensors
        return -slope * torch.sigmoid(-s)


def _jeffrey_conjugate(t: Tensor) -> Tensor:
    """W + 1 / W + t - 2 with W = W(e^(1 - t)) = e^s, which is e^-s - 1 - s: two terms of one sign."""
    s = _LogOmega.apply(t)
    return torch.expm1(-s) - s


def _same(v: Tensor) -> Tensor:
    return v


KL = Divergence(
    f=lambda u: u * u.log(),
    derivative=lambda u: 1 + u.log(),
    conjugate=lambda t: (t - 1).exp(),
    activation=_same,
    composition=lambda v: (v - 1).exp(),
)
REVERSE_KL = Divergence(
    f=lambda u: -u.log(),
    derivative=lambda u: -1 / u,
    conjugate=lambda t: -1 - (-t).log(),
    activation=lambda v: -(-v).exp(),
    composition=lambda v: v - 1,
)
PEARSON = Divergence(
    f=lambda u: (u - 1).square(),
    derivative=lambda u: 2 * (u - 1),
    conjugate=lambda t: 0.25 * t.square() + t,
    activation=_same,
    composition=lambda v: 0.25 * v.square() + v,
)
NEYMAN = Divergence(
    f=lambda u: (u - 1) * ((u - 1) / u),
    derivative=lambda u: (1 - 1 / u) * (1 + 1 / u),
    conjugate=lambda t: 2 * t / (1 + (1 - t).sqrt()),
    activation=lambda v: -torch.expm1(-v),
    composition=lambda v: -2 * torch.expm1(-0.5 * v),
)
HELLINGER = Divergence(
    f=lambda u: (u.sqrt() - 1).square(),
    derivative=lambda u: 1 - u.rsqrt(),
    conjugate=lambda t: t / (1 - t),
    activation=lambda v: -torch.expm1(-v),
    composition=lambda v: v.expm1(),
)
JEFFREY = Divergence(
    f=lambda u: (u - 1) * u.log(),
    derivative=lambda u: u.log() + (1 - 1 / u),
    conjugate=_jeffrey_conjugate,
    activation=_same,
    composition=_jeffrey_conjugate,
)
JS = Divergence(
    f=lambda u: u * (_LOG2 - (1 / u).log1p()) - (0.5 * (u - 1)).log1p(),
    derivative=lambda u: _LOG2 - (1 / u).log1p(),
    conjugate=lambda t: -(-t.expm1()).log1p(),
    activation=lambda v: _LOG2 - F.softplus(-v),
    composition=lambda v: F.softplus(v) - _LOG2,
)
GAN = Divergence(
    f=lambda u: -u * (1 / u).log1p() - u.log1p(),
    derivative=lambda u: -(1 / u).log1p(),
    conjugate=lambda t: -(-t.expm1()).log(),
    activation=lambda v: -F.softplus(-v),
    composition=lambda v: F.softplus(v),
)
TOTAL_VARIATION = Divergence(
    f=lambda u: 0.5 * (u - 1).abs(),
    derivative=lambda u: 0.5 * (u - 1).sign(),
    conjugate=_same,
    activation=lambda v: 0.5 * v.tanh(),
    composition=lambda v: 0.5 * v.tanh(),
)

CATALOGUE: Mapping[str, Divergence] = MappingProxyType(
    {
        "kl": KL,
        "reverse_kl": REVERSE_KL,
        "pearson": PEARSON,
        "neyman": NEYMAN,
        "hellinger": HELLINGER,
        "jeffrey": JEFFREY,
        "js": JS,
        "gan": GAN,
        "total_variation": TOTAL_VARIATION,
    }
)
