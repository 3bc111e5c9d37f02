"""When a training is said to be wrong: one rule for each verdict, on one check and those before it.

A rule must hold at several checks in a row, after a warm-up, before it is said, and what explains something else keeps
that quiet. Thresholds were chosen on provoked failures (``bench/zoo.py``); ``results/zoo.md`` measures them on others.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Check = Mapping[str, float]  # a line of signals.jsonl, its numbers alone
Level = Literal["note", "warn", "act"]
Evidence = Mapping[str, float]
Test = Callable[[Check, Sequence[Check]], Evidence | None]

WARM_UP = 4  # checks
IN_A_ROW = 3
YOUNG = 500  # rounds before which nobody is expected to be varied
BOUNDS = {"weights.critic": 20, "weights.generator": 20, "sigma.critic": 50, "sigma.generator": 50}  # of growth
GRIDS = {"grid": 0.015, "checkerboard": 2.5}  # an amplitude, and a ratio of powers
RECENT = 8  # checks back to which progress is measured


@dataclass(frozen=True)
class Rule:
    """A verdict, and when it holds.

    Attributes:
        test: the evidence, three numbers or so, or None where it does not hold.
        says: what is wrong, for people; its remedy is in ``remedies``.
        explains: verdicts that are not said while this one stands.
        in_a_row: checks at which it must hold.
    """

    name: str
    test: Test
    says: str
    level: Level = "warn"
    explains: tuple[str, ...] = ()
    in_a_row: int = IN_A_ROW


def diverged(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Weights or scores many times as large as before, and pictures that cover nothing."""
    if now.get("coverage_raw", 0) >= 0.1:
        return None
    grown = {name: _growth(name, now, past) / most for name, most in BOUNDS.items()}
    gaps = [abs(check["gap"]) for check in past if "gap" in check]
    usual = max(statistics.median(gaps), 1.0) if len(gaps) >= WARM_UP else math.inf
    apart = abs(now.get("gap", 0.0)) / usual
    if max(grown.values()) > 1 or apart > 30:
        worst = max(grown, key=lambda name: grown[name])
        times = {f"{worst}, times the first": grown[worst] * BOUNDS[worst], "gap, times the median": apart}
        return {**times, **_evidence(now, "coverage_raw")}
    return None


def overwhelms(now: Check, past: Sequence[Check]) -> Evidence | None:
    """The critic tells every held-out picture from every fake, and the generator has learnt nothing."""
    varied = not _narrow(now) and not _rising("coverage_raw", now, past)
    if now.get("separates", 0) >= 0.99 and now.get("coverage_raw", 1) < 0.1 and (_still(now) or varied):
        return _evidence(now, "separates", "coverage_raw", "moved", "generator.gradient")
    return None


def vanished(now: Check, past: Sequence[Check]) -> Evidence | None:
    """As ``overwhelms``, and hardly a gradient reaches the generator."""
    gradient = now.get("generator.gradient", 1.0)
    most = max([check.get("generator.gradient", 0.0) for check in past], default=0.0)
    return overwhelms(now, past) if gradient < max(1e-4, 2e-2 * most) else None


def _still(now: Check) -> bool:
    """Whether the pictures are nothing like the data and hardly change."""
    return now.get("moved", 1) < 0.03 and now.get("coverage_raw", 1) < 0.05


def stuck(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Gradients reach the generator, and yet it hardly moves, or moves to nowhere while the critic tells all apart."""
    if vanished(now, past) is not None:
        return None
    nowhere = _lost(now) and max(_coverages(now)) < 0.05 and not _rising("coverage_ema", now, past)
    if nowhere and now.get("separates", 0) >= 0.6 and not _narrow(now):
        return _evidence(now, "separates", "coverage_raw", "coverage_ema", "moved")
    return overwhelms(now, past)


def too_weak(now: Check, past: Sequence[Check]) -> Evidence | None:
    """The critic scores fakes no lower than held-out pictures, and they are nothing like them."""
    if max(_coverages(now)) < 0.05 and now.get("separates", 1) < 0.6:
        return _evidence(now, "separates", "accuracy_fake", "coverage_raw")
    return None


def overfits(now: Check, past: Sequence[Check]) -> Evidence | None:
    """The critic knows training pictures by heart and takes held-out ones for something else."""
    far = now.get("accuracy_train", 0) - now.get("accuracy_held", 1)
    if now.get("remembers", 0) >= 0.8 and far >= 0.25:
        return _evidence(now, "remembers", "accuracy_train", "accuracy_held", "r_v")
    if now.get("sign_train", 0) > 0.85 and now.get("separates_train", 0) > 0.95:  # logs without held-out pictures
        return _evidence(now, "sign_train", "separates_train", "augment")
    return None


def copies(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Fakes lie nearer to training pictures than equally good new ones could."""
    if now.get("nearest", 1) < 0.8 or now.get("copies", 0) > 0.1:
        return _evidence(now, "nearest", "copies", "nearest_train")
    return None


def _narrow(now: Check) -> bool:
    """Whether fakes of the raw weights are all alike, or a few; two clusters of nothing like the data are few too."""
    diversity, crowding = now.get("diversity_raw", 1), now.get("crowding_raw", 1)
    return diversity < 0.5 or crowding < 0.25 or (_lost(now) and (diversity < 0.65 or crowding < 0.5))


def _lost(now: Check) -> bool:
    """Whether pictures are nothing like the data when they had the time to become so."""
    return _old(now) and now.get("share", 0) > 0.4 and max(_coverages(now)) < 0.1


def _coverages(now: Check) -> tuple[float, float]:
    return now.get("coverage_raw", 1), now.get("coverage_ema", 1)


def _old(now: Check) -> bool:
    return now.get("share", 0) > 0.3 and now.get("round", 0) >= YOUNG


def _fallen(now: Check, past: Sequence[Check]) -> bool:
    """Whether pictures were varied once, or had the time to become so and do not: a young generator's are all alike."""
    best = max((check.get("diversity_raw", 0.0) for check in past[1:]), default=0.0)
    first, last = _halves("diversity_raw", now, past)
    grows = not first or sum(last) > 1.2 * sum(first) or _rising("coverage_raw", now, past)
    return best > 0.7 or (_old(now) and (now.get("share", 0) > 0.5 or not grows))


def collapsed(now: Check, past: Sequence[Check]) -> Evidence | None:
    """All fakes are one picture or a few."""
    if _narrow(now) and _fallen(now, past):
        return _evidence(now, "diversity_raw", "crowding_raw", "coverage_raw", "moved")
    return None


def hops(now: Check, past: Sequence[Check]) -> Evidence | None:
    """As ``collapsed``, but others from check to check: an average over time hides it."""
    moved = [check["moved"] for check in [*past[1 - IN_A_ROW :], now] if "moved" in check]
    if collapsed(now, past) is not None and moved and statistics.median(moved) > 0.5:
        return _evidence(now, "diversity_raw", "moved", "diversity_ema")
    return None


def drops_modes(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Good pictures, of a part of the data only, and that part no longer grows."""
    if (
        now.get("precision_ema", 0) >= 0.5
        and now.get("coverage_ema", 1) < 0.4
        and not _rising("coverage_ema", now, past)
    ):
        return _evidence(now, "precision_ema", "coverage_ema", "crowding_ema")
    return None


def checkerboard(now: Check, past: Sequence[Check]) -> Evidence | None:
    """A grid at the frequencies of the strides that real pictures do not have, and that training does not remove."""
    if now.get("round", 0) < YOUNG or now.get("coverage_ema", 0) <= 0.05:
        return None
    for name, most in GRIDS.items():
        first, last = _halves(name, now, past)
        if first and now.get(name, 0) > most and sum(last) > 0.6 * sum(first):
            return _evidence(now, *GRIDS, "coverage_ema")
    return None


def leaks(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Fakes look as the augmented pictures do."""
    most = max((value for name, value in now.items() if name.startswith("leak_")), default=0.0)
    if most > 0.35 and now.get("precision_ema", 0) >= 0.3:
        return {"leak": most, **_evidence(now, "precision_ema", "coverage_ema")}
    return None


def flat(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Nothing has improved for a quarter of what has been trained."""
    before = [check for check in past if check["images"] <= 0.75 * now["images"]]
    after = [check for check in past if check["images"] > 0.75 * now["images"]]
    if len(before) < RECENT or len(after) < 4 or "coverage_ema" not in now:
        return None
    old, new = (statistics.median(check.get("coverage_ema", 0) for check in part[-4:]) for part in (before, after))
    return {"coverage_ema": new, "coverage_ema before": old} if abs(new - old) < 0.01 else None


def slower(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Half the speed of before."""
    rates = [check["images_per_second"] for check in past[-60:] if "images_per_second" in check]
    if len(rates) < RECENT or "images_per_second" not in now:
        return None
    usual, rate = statistics.median(rates), now["images_per_second"]
    return {"images_per_second": rate, "before": usual} if rate < usual / 2 else None


def waits(now: Check, past: Sequence[Check]) -> Evidence | None:
    """A third of the time is spent waiting for pictures."""
    return _evidence(now, "waiting", "images_per_second") if now.get("waiting", 0) > 0.33 else None


def memory(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Hardly any memory is left, on the machine or the device."""
    return _evidence(now, "memory_free") if now.get("memory_free", 1) < 0.04 else None


def disk(now: Check, past: Sequence[Check]) -> Evidence | None:
    """The next states and snapshots may not fit."""
    return _evidence(now, "disk_free_mib") if now.get("disk_free_mib", 1e9) < 500 else None


RULES: tuple[Rule, ...] = (
    Rule(
        "diverged",
        diverged,
        "The training has diverged: weights or scores have grown without bound, and the pictures are lost.",
        "act",
        (
            "vanished gradient",
            "generator stuck",
            "critic too weak",
            "collapse",
            "hopping collapse",
            "flat",
            "checkerboard",
        ),
    ),
    Rule(
        "vanished gradient",
        vanished,
        "The critic tells real from fake without fail, and its loss leaves the generator no gradient to learn from.",
        explains=("generator stuck", "collapse", "hopping collapse", "flat", "critic too weak", "checkerboard"),
    ),
    Rule(
        "generator stuck",
        stuck,
        "The critic tells real from fake, and the generator does not get nearer.",
        explains=("collapse", "hopping collapse", "flat", "checkerboard"),
    ),
    Rule(
        "critic too weak",
        too_weak,
        "The critic cannot tell real from fake though the pictures are nothing like the data: it teaches nothing.",
        explains=("collapse", "hopping collapse", "flat", "checkerboard"),
    ),
    Rule(
        "collapse",
        collapsed,
        "The generator makes one picture or a few, whatever the latent.",
        explains=("drops modes", "flat", "checkerboard", "critic overfits"),
    ),
    Rule(
        "hopping collapse",
        hops,
        "The generator makes one picture or a few at any moment and hops between them; the averaged weights hide it.",
        explains=("collapse", "drops modes", "flat", "checkerboard"),
    ),
    Rule(
        "copies",
        copies,
        "Generated pictures are copies: they lie nearer to training pictures than to pictures that were held out.",
        explains=("flat",),
    ),
    Rule(
        "critic overfits",
        overfits,
        "The critic knows the training pictures by heart: it takes held-out real pictures for fakes.",
        explains=("flat",),
    ),
    Rule(
        "drops modes",
        drops_modes,
        "The pictures are good, but of a part of the data only, and that part no longer grows.",
        explains=("flat",),
    ),
    Rule(
        "checkerboard",
        checkerboard,
        "Generated pictures have a grid that real ones lack, at the frequency of the strides.",
    ),
    Rule("augmentation leaks", leaks, "Generated pictures look as augmented ones do."),
    Rule("flat", flat, "Nothing has improved for a quarter of the training: it is done, or stalled.", "note"),
    Rule("slower", slower, "The training runs at less than half its usual speed.", "note"),
    Rule("waits for data", waits, "A third of the time or more is spent waiting for pictures.", "note"),
    Rule("memory nearly full", memory, "Hardly any memory is left: the next thing that asks for some may end the run."),
    Rule("disk nearly full", disk, "Hardly any space is left where the run is saved."),
)


def _evidence(now: Check, *names: str) -> Evidence:
    return {name: now[name] for name in names if name in now}


def _growth(name: str, now: Check, past: Sequence[Check]) -> float:
    """How many times as large as at the first check."""
    first = next((check[name] for check in past if name in check), 0.0)
    return now[name] / first if first > 0 and name in now else 1.0


def _rising(name: str, now: Check, past: Sequence[Check]) -> bool:
    """Whether a share is higher than it was some checks ago by more than chance, or too little is known."""
    first, last = _halves(name, now, past)
    return not first or statistics.mean(last) > statistics.mean(first) + 0.03


def _halves(name: str, now: Check, past: Sequence[Check]) -> tuple[list[float], list[float]]:
    """The older and the newer half of a signal's recent values; empty where there are not enough."""
    found = [check[name] for check in [*past[1 - RECENT :], now] if name in check]
    return (found[: RECENT // 2], found[RECENT // 2 :]) if len(found) == RECENT else ([], [])
