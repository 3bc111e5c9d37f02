"""What each player minimises, as pure functions of scores.

Every function takes scores of shape (N,) and returns one number per sample, shape (N,); the mean is taken once, by the
game. ``real`` and ``fake`` are the critic's raw outputs (logits where the loss is a cross-entropy), keyword-only.
Paired losses compare real i with fake i. At scores of +-1e4 every value is finite: cross-entropies are softplus of
logits, never the logarithm of a sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch.nn.functional as F
from torch import Tensor


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


def relativistic_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(D(x_i) - D(G(z_i))), paired (Jolicoeur-Martineau 2018, RpGAN)."""
    return F.softplus(fake - real)


def relativistic_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """The critic's loss with the sides exchanged."""
    return relativistic_critic(real=fake, fake=_needed(real))


def relativistic_average_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """Half the cross-entropy of each score against the other side's mean score (Jolicoeur-Martineau 2018, RaGAN)."""
    return 0.5 * (F.softplus(fake.mean() - real) + F.softplus(fake - real.mean()))


def relativistic_average_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """The critic's loss with the sides exchanged."""
    return relativistic_average_critic(real=fake, fake=_needed(real))


def _needed(real: Tensor | None) -> Tensor:
    if real is None:
        raise ValueError("a relativistic generator loss compares with real scores: pass real=")
    return real


saturating = Loss(cross_entropy_critic, saturating_generator, uses_real=False)
non_saturating = Loss(cross_entropy_critic, non_saturating_generator, uses_real=False)
least_squares = Loss(least_squares_critic, least_squares_generator, uses_real=False)
wasserstein = Loss(wasserstein_critic, wasserstein_generator, uses_real=False)
hinge = Loss(hinge_critic, wasserstein_generator, uses_real=False)
rpgan = Loss(relativistic_critic, relativistic_generator, uses_real=True)
ragan = Loss(relativistic_average_critic, relativistic_average_generator, uses_real=True)

CATALOGUE: Mapping[str, Loss] = MappingProxyType(
    {
        "saturating": saturating,
        "non_saturating": non_saturating,
        "least_squares": least_squares,
        "wasserstein": wasserstein,
        "hinge": hinge,
        "rpgan": rpgan,
        "ragan": ragan,
    }
)
