"""What each player minimises, as pure functions of scores.

Every function takes scores of shape (N,) and returns one number per sample, shape (N,); the mean is taken once, by the
game. ``real`` and ``fake`` are the critic's raw outputs (logits where the loss is a cross-entropy), keyword-only.
Paired losses compare real i with fake i. At scores of +-1e4 every value is finite that the number format can hold:
cross-entropies are softplus of logits, never the logarithm of a sigmoid; only the exponentials of some f-GANs overflow,
beyond +-80.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch.nn.functional as F
from torch import Tensor

from zerosum.game import divergences
from zerosum.game.divergences import Divergence
from zerosum.game.relativistic import (
    relativistic_average_critic,
    relativistic_average_generator,
    relativistic_average_hinge_critic,
    relativistic_average_hinge_generator,
    relativistic_average_squares_critic,
    relativistic_average_squares_generator,
    relativistic_critic,
    relativistic_generator,
)


class ScoreLoss(Protocol):
    """Scores (N,) of reals and fakes -> one number per sample (N,)."""

    def __call__(self, *, real: Tensor, fake: Tensor) -> Tensor: ...


class GeneratorLoss(Protocol):
    """Like ``ScoreLoss``; ``real`` is None in the generator's turn unless the loss says ``uses_real``."""

    def __call__(self, *, real: Tensor | None, fake: Tensor) -> Tensor: ...


class Loss(NamedTuple):
    """A game's two sides. ``uses_real`` is False where the generator's loss does not depend on real scores."""

    critic: ScoreLoss
    generator: GeneratorLoss
    uses_real: bool


def cross_entropy_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))) with D = sigmoid(score) (Goodfellow et al. 2014, eq. 1, negated)."""
    return F.softplus(-real) + F.softplus(fake)


def saturating_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """log(1 - D(G(z))): the minimax game as written; its gradient vanishes where the critic wins."""
    return -F.softplus(fake)


def non_saturating_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """-log D(G(z)): the same fixed point with strong gradients early on (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake)


def least_squares_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """(D(x) - 1)^2 / 2 + D(G(z))^2 / 2 (Mao et al. 2017, eq. 9: a = 0, b = 1)."""
    return 0.5 * (real - 1).square() + 0.5 * fake.square()


def least_squares_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """(D(G(z)) - 1)^2 / 2 (Mao et al. 2017, eq. 9: c = 1)."""
    return 0.5 * (fake - 1).square()


def wasserstein_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """D(G(z)) - D(x), whose negative estimates the Wasserstein distance (Arjovsky et al. 2017, eq. 3)."""
    return fake - real


def wasserstein_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """-D(G(z)); also the hinge game's generator."""
    return -fake


def hinge_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (Lim and Ye 2017; Miyato et al. 2018, eq. 17)."""
    return F.relu(1 - real) + F.relu(1 + fake)


@dataclass(frozen=True)
class VariationalCritic:
    """f*(g_f(D(G(z)))) - g_f(D(x)): the bound on a divergence, negated (Nowozin et al. 2016, section 2)."""

    divergence: Divergence

    def __call__(self, *, real: Tensor, fake: Tensor) -> Tensor:
        return self.divergence.composition(fake) - self.divergence.activation(real)


@dataclass(frozen=True)
class MinimaxGenerator:
    """-f*(g_f(D(G(z)))): the part of the same bound that depends on the generator, which lowers it."""

    divergence: Divergence

    def __call__(self, *, real: Tensor | None, fake: Tensor) -> Tensor:
        return -self.divergence.composition(fake)


@dataclass(frozen=True)
class PracticalGenerator:
    """-g_f(D(G(z))): fakes scored as reals are, with strong gradients early on (Nowozin et al. 2016, section 3.2)."""

    divergence: Divergence

    def __call__(self, *, real: Tensor | None, fake: Tensor) -> Tensor:
        return -self.divergence.activation(fake)


def fgan(divergence: Divergence) -> Loss:
    """The game of an f-divergence in its practical form; equal divergences make equal losses."""
    return Loss(VariationalCritic(divergence), PracticalGenerator(divergence), uses_real=False)


def fgan_minimax(divergence: Divergence) -> Loss:
    """The game of an f-divergence as derived: with the best critic, the generator descends the divergence itself."""
    return Loss(VariationalCritic(divergence), MinimaxGenerator(divergence), uses_real=False)


saturating = Loss(cross_entropy_critic, saturating_generator, uses_real=False)
non_saturating = Loss(cross_entropy_critic, non_saturating_generator, uses_real=False)
least_squares = Loss(least_squares_critic, least_squares_generator, uses_real=False)
wasserstein = Loss(wasserstein_critic, wasserstein_generator, uses_real=False)
hinge = Loss(hinge_critic, wasserstein_generator, uses_real=False)
rpgan = Loss(relativistic_critic, relativistic_generator, uses_real=True)
ragan = Loss(relativistic_average_critic, relativistic_average_generator, uses_real=True)
rals = Loss(relativistic_average_squares_critic, relativistic_average_squares_generator, uses_real=True)
rahinge = Loss(relativistic_average_hinge_critic, relativistic_average_hinge_generator, uses_real=True)
fgan_kl = fgan(divergences.KL)
fgan_reverse_kl = fgan(divergences.REVERSE_KL)
fgan_pearson = fgan(divergences.PEARSON)
fgan_neyman = fgan(divergences.NEYMAN)
fgan_hellinger = fgan(divergences.HELLINGER)
fgan_jeffrey = fgan(divergences.JEFFREY)
fgan_js = fgan(divergences.JS)
fgan_gan = fgan(divergences.GAN)
fgan_total_variation = fgan(divergences.TOTAL_VARIATION)
fgan_kl_minimax = fgan_minimax(divergences.KL)
fgan_reverse_kl_minimax = fgan_minimax(divergences.REVERSE_KL)
fgan_pearson_minimax = fgan_minimax(divergences.PEARSON)
fgan_neyman_minimax = fgan_minimax(divergences.NEYMAN)
fgan_hellinger_minimax = fgan_minimax(divergences.HELLINGER)
fgan_jeffrey_minimax = fgan_minimax(divergences.JEFFREY)
fgan_js_minimax = fgan_minimax(divergences.JS)
fgan_gan_minimax = fgan_minimax(divergences.GAN)
fgan_total_variation_minimax = fgan_minimax(divergences.TOTAL_VARIATION)

CATALOGUE: Mapping[str, Loss] = MappingProxyType(
    {
        "saturating": saturating,
        "non_saturating": non_saturating,
        "least_squares": least_squares,
        "wasserstein": wasserstein,
        "hinge": hinge,
        "rpgan": rpgan,
        "ragan": ragan,
        "rals": rals,
        "rahinge": rahinge,
        "fgan_kl": fgan_kl,
        "fgan_reverse_kl": fgan_reverse_kl,
        "fgan_pearson": fgan_pearson,
        "fgan_neyman": fgan_neyman,
        "fgan_hellinger": fgan_hellinger,
        "fgan_jeffrey": fgan_jeffrey,
        "fgan_js": fgan_js,
        "fgan_gan": fgan_gan,
        "fgan_total_variation": fgan_total_variation,
        "fgan_kl_minimax": fgan_kl_minimax,
        "fgan_reverse_kl_minimax": fgan_reverse_kl_minimax,
        "fgan_pearson_minimax": fgan_pearson_minimax,
        "fgan_neyman_minimax": fgan_neyman_minimax,
        "fgan_hellinger_minimax": fgan_hellinger_minimax,
        "fgan_jeffrey_minimax": fgan_jeffrey_minimax,
        "fgan_js_minimax": fgan_js_minimax,
        "fgan_gan_minimax": fgan_gan_minimax,
        "fgan_total_variation_minimax": fgan_total_variation_minimax,
    }
)
