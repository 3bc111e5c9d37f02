"""Losses that compare real scores with fake ones instead of judging each alone (Jolicoeur-Martineau 2018).

Shapes and names as in ``zerosum.game.losses``. Each generator minimises the critic's loss with the sides exchanged, so
it needs the real scores. Adding a constant to all scores changes nothing.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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


def relativistic_average_squares_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """Reals 1 above the fakes' mean score, fakes 1 below the reals', in squares (Jolicoeur-Martineau 2018, RaLSGAN)."""
    return 0.5 * ((real - fake.mean() - 1).square() + (fake - real.mean() + 1).square())


def relativistic_average_squares_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """The critic's loss with the sides exchanged."""
    return relativistic_average_squares_critic(real=fake, fake=_needed(real))


def relativistic_average_hinge_critic(*, real: Tensor, fake: Tensor) -> Tensor:
    """Reals at least 1 above the fakes' mean score, and the reverse (Jolicoeur-Martineau 2018, RaHingeGAN)."""
    return 0.5 * (F.relu(1 - (real - fake.mean())) + F.relu(1 + (fake - real.mean())))


def relativistic_average_hinge_generator(*, real: Tensor | None, fake: Tensor) -> Tensor:
    """The critic's loss with the sides exchanged."""
    return relativistic_average_hinge_critic(real=fake, fake=_needed(real))


def _needed(real: Tensor | None) -> Tensor:
    if real is None:
        raise ValueError("a relativistic generator loss compares with real scores: pass real=")
    return real
