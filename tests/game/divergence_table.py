"""The table of f-GAN (Nowozin et al. 2016, tables 1, 2, 5 and 6), in NumPy and as it is printed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import lambertw, wrightomega, xlogy

Function = Callable[[np.ndarray], np.ndarray]


class Row(NamedTuple):
    """``best`` is the score v with g_f(v) = f'(u); ``distance`` the divergence of two lists of probabilities."""

    f: Function
    conjugate: Function
    activation: Function
    composition: Function
    domain: tuple[float, float]
    at_one: float
    slope_at_one: float
    best: Function
    distance: Callable[[np.ndarray, np.ndarray], float]


def softplus(v: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, v)


def w(t: np.ndarray) -> np.ndarray:
    return lambertw(np.exp(1 - t)).real


def omega_form(t: np.ndarray) -> np.ndarray:
    root = wrightomega(1 - t)
    return 1 / root - np.log(root) - 1


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return np.sum(p * np.log(p / q))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


INF, LOG2 = math.inf, math.log(2)

TABLE = {
    "kl": Row(
        f=lambda u: xlogy(u, u),
        conjugate=lambda t: np.exp(t - 1),
        activation=lambda v: v,
        composition=lambda v: np.exp(v - 1),
        domain=(-INF, INF),
        at_one=0,
        slope_at_one=1,
        best=lambda u: 1 + np.log(u),
        distance=kl,
    ),
    "reverse_kl": Row(
        f=lambda u: -np.log(u),
        conjugate=lambda t: -1 - np.log(-t),
        activation=lambda v: -np.exp(-v),
        composition=lambda v: v - 1,
        domain=(-INF, 0),
        at_one=0,
        slope_at_one=-1,
        best=np.log,
        distance=lambda p, q: kl(q, p),
    ),
    "pearson": Row(
        f=lambda u: (u - 1) ** 2,
        conjugate=lambda t: t**2 / 4 + t,
        activation=lambda v: v,
        composition=lambda v: v**2 / 4 + v,
        domain=(-INF, INF),
        at_one=0,
        slope_at_one=0,
        best=lambda u: 2 * u - 2,
        distance=lambda p, q: np.sum((p - q) ** 2 / q),
    ),
    "neyman": Row(
        f=lambda u: (1 - u) ** 2 / u,
        conjugate=lambda t: 2 - 2 * np.sqrt(1 - t),
        activation=lambda v: 1 - np.exp(-v),
        composition=lambda v: 2 - 2 * np.exp(-v / 2),
        domain=(-INF, 1),
        at_one=0,
        slope_at_one=0,
        best=lambda u: 2 * np.log(u),
        distance=lambda p, q: np.sum((p - q) ** 2 / p),
    ),
    "hellinger": Row(
        f=lambda u: (np.sqrt(u) - 1) ** 2,
        conjugate=lambda t: t / (1 - t),
        activation=lambda v: 1 - np.exp(-v),
        composition=lambda v: np.exp(v) - 1,
        domain=(-INF, 1),
        at_one=0,
        slope_at_one=0,
        best=lambda u: np.log(u) / 2,
        distance=lambda p, q: np.sum((np.sqrt(p) - np.sqrt(q)) ** 2),
    ),
    "jeffrey": Row(
        f=lambda u: (u - 1) * np.log(u),
        conjugate=lambda t: w(t) + 1 / w(t) + t - 2,
        activation=lambda v: v,
        composition=omega_form,
        domain=(-INF, INF),
        at_one=0,
        slope_at_one=0,
        best=lambda u: 1 + np.log(u) - 1 / u,
        distance=lambda p, q: kl(p, q) + kl(q, p),
    ),
    "js": Row(
        f=lambda u: -(u + 1) * np.log((1 + u) / 2) + xlogy(u, u),
        conjugate=lambda t: -np.log(2 - np.exp(t)),
        activation=lambda v: LOG2 - softplus(-v),
        composition=lambda v: softplus(v) - LOG2,
        domain=(-INF, LOG2),
        at_one=0,
        slope_at_one=0,
        best=np.log,
        distance=lambda p, q: 2 * jensen_shannon(p, q),
    ),
    "gan": Row(
        f=lambda u: xlogy(u, u) - (u + 1) * np.log(u + 1),
        conjugate=lambda t: -np.log(1 - np.exp(t)),
        activation=lambda v: -softplus(-v),
        composition=softplus,
        domain=(-INF, 0),
        at_one=-math.log(4),
        slope_at_one=-LOG2,
        best=np.log,
        distance=lambda p, q: 2 * jensen_shannon(p, q) - math.log(4),
    ),
    "total_variation": Row(
        f=lambda u: np.abs(u - 1) / 2,
        conjugate=lambda t: t,
        activation=lambda v: np.tanh(v) / 2,
        composition=lambda v: np.tanh(v) / 2,
        domain=(-0.5, 0.5),
        at_one=0,
        slope_at_one=0,
        best=lambda u: np.copysign(INF, u - 1),
        distance=lambda p, q: np.sum(np.abs(p - q)) / 2,
    ),
}

# Losses of the critic, the practical and the minimax generator at real scores 2, -1, .5 and fake ones -.5, 3, .5, from
# the printed f* and g_f with 40 digits
VALUES = {
    "kl": (
        (-1.77686983985157, 8.38905609893065, 0.10653065971263342),
        (0.5, -3.0, -0.5),
        (-0.22313016014842982, -7.38905609893065, -0.6065306597126334),
    ),
    "reverse_kl": (
        (-1.3646647167633874, 4.7182818284590455, 0.10653065971263342),
        (1.6487212707001282, 0.049787068367863944, 0.6065306597126334),
        (1.5, -2.0, 0.5),
    ),
    "pearson": ((-2.4375, 6.25, 0.0625), (0.5, -3.0, -0.5), (0.4375, -5.25, -0.5625)),
    "neyman": (
        (-1.4327155501388702, 3.2720215081621857, 0.04892909356982369),
        (0.6487212707001282, -0.950212931632136, -0.3934693402873666),
        (0.568050833375483, -1.5537396797031404, -0.44239843385719024),
    ),
    "hellinger": (
        (-1.258134057050754, 20.803818751646713, 0.25525193041276156),
        (0.6487212707001282, -0.950212931632136, -0.3934693402873666),
        (0.3934693402873666, -19.085536923187668, -0.6487212707001282),
    ),
    "jeffrey": (
        (-2.4445012736990406, 10.45140099288571, 0.07130807495677026),
        (0.5, -3.0, -0.5),
        (0.4445012736990404, -9.45140099288571, -0.5713080749567703),
    ),
    "js": (
        (-0.7852893658968114, 2.9755546779720743, 0.061859607240322745),
        (0.28092980362016134, -0.6445598289862032, -0.21907019637983863),
        (0.21907019637983863, -2.3554401710137967, -0.28092980362016134),
    ),
    "gan": (
        (0.6010049952230792, 4.361849039091965, 1.4481539683602134),
        (0.9740769841801067, 0.04858735157374206, 0.4740769841801067),
        (-0.4740769841801067, -3.048587351573742, -0.9740769841801067),
    ),
    "total_variation": (
        (-0.7130723686679133, 0.8783244548212477, 0.0),
        (0.23105857863000487, -0.49752737684336523, -0.23105857863000487),
        (0.23105857863000487, -0.49752737684336523, -0.23105857863000487),
    ),
}
