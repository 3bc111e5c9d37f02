"""When a training is said to be wrong: one rule for each verdict.

A symptom must show at several checks in a row, after a warm-up, before it is said, and what explains something else
keeps that quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from zerosum.diagnose import symptoms
from zerosum.diagnose.symptoms import FEW, IN_A_ROW, Check, Evidence

Level = Literal["note", "warn", "act"]
Test = Callable[[Check, Sequence[Check]], Evidence | None]

SETTLED = 200  # rounds before which nothing is said of the game
LASTS = 60
LATER = ("drops modes", "checkerboard", "flat")  # which are said of generators that learn


@dataclass(frozen=True)
class Rule:
    """A verdict, and when it holds.

    Attributes:
        test: the evidence, three numbers or so, or None where it does not hold.
        says: what is wrong, for people; its remedy is in ``remedies``.
        explains: verdicts that are not said while this one stands.
        in_a_row: checks at which it must hold.
        after: rounds before which it is not asked.
        lasts: rounds from the first of these checks to the last, at least, for checks may be close to each other.
    """

    name: str
    test: Test
    says: str
    level: Level = "warn"
    explains: tuple[str, ...] = ()
    in_a_row: int = IN_A_ROW
    after: int = SETTLED
    lasts: int = LASTS


RULES: tuple[Rule, ...] = (
    Rule(
        "diverged",
        symptoms.diverged,
        "The training has diverged: weights or scores have grown without bound, and the pictures are lost.",
        "act",
        ("vanished gradient", "generator stuck", "critic too weak", "collapse", "hopping collapse", *LATER),
        after=100,
        lasts=20,
    ),
    Rule(
        "vanished gradient",
        symptoms.vanished,
        "The critic tells real from fake without fail, and its loss leaves the generator no gradient to learn from.",
        explains=("generator stuck", "collapse", "hopping collapse", "critic too weak", *LATER),
    ),
    Rule(
        "generator stuck",
        symptoms.stuck,
        "The critic tells real from fake, and the generator does not get nearer.",
        explains=("collapse", "hopping collapse", *LATER),
    ),
    Rule(
        "critic too weak",
        symptoms.too_weak,
        "The critic cannot tell real from fake though the pictures are nothing like the data: it teaches nothing.",
        explains=("collapse", "hopping collapse", *LATER),
    ),
    Rule(
        "collapse",
        symptoms.collapsed,
        "The generator makes one picture or a few, whatever the latent.",
        explains=("critic overfits", *LATER),
    ),
    Rule(
        "hopping collapse",
        symptoms.hops,
        "The generator makes one picture or a few at any moment and hops between them; the averaged weights hide it.",
        explains=("collapse", *LATER),
    ),
    Rule(
        "copies",
        symptoms.copies,
        "Generated pictures are copies: they lie nearer to training pictures than to pictures that were held out.",
        explains=("flat",),
    ),
    Rule(
        "critic overfits",
        symptoms.overfits,
        "The critic knows the training pictures by heart: it takes held-out real pictures for fakes.",
        explains=("flat",),
        in_a_row=FEW + 1,  # for each is a mean over a few, so that one moment holds for as many
    ),
    Rule(
        "drops modes",
        symptoms.drops_modes,
        "The pictures are good, but of a part of the data only, and that part no longer grows.",
        explains=("flat",),
    ),
    Rule(
        "checkerboard",
        symptoms.checkerboard,
        "Generated pictures have a grid that real ones lack, at the frequency of the strides.",
    ),
    Rule("augmentation leaks", symptoms.leaks, "Generated pictures look as augmented ones do."),
    Rule(
        "declines", symptoms.declines, "The pictures cover less of the data than a quarter of the training ago.", "note"
    ),
    Rule("flat", symptoms.flat, "Nothing has improved for a quarter of the training: it is done, or stalled.", "note"),
    Rule("slower", symptoms.slower, "The training runs at less than half its usual speed.", "note", after=0, lasts=0),
    Rule(
        "waits for data", symptoms.waits, "A third of the time or more is spent waiting for pictures.", "note", after=0
    ),
    Rule(
        "memory nearly full",
        symptoms.memory,
        "Hardly any memory is left: the next thing that asks for some may end the run.",
        after=0,
        lasts=0,
    ),
    Rule("disk nearly full", symptoms.disk, "Hardly any space is left where the run is saved.", after=0, lasts=0),
)
