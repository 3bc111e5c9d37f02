"""What a recipe with labels adds to its game."""

from __future__ import annotations

from zerosum.game.schedules import Schedule
from zerosum.game.terms import AuxiliaryClassifier, Term
from zerosum.networks.labels import CriticLabels


def classifier(
    classes: int, labels: CriticLabels, *, real: Schedule = 1.0, fake: Schedule = 1.0, generated: Schedule = 1.0
) -> tuple[Term, ...]:
    """The term that teaches a critic's classifier, where it has one."""
    return (AuxiliaryClassifier(real, fake, generated),) if classes and labels == "classifier" else ()
