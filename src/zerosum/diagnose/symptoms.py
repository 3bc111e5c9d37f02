"""What of a training's checks is ill: each symptom a function of a check and those before it, with its evidence.

Thresholds were chosen on provoked failures and healthy trainings (``bench/zoo.py``) of digits, MNIST,
Fashion-MNIST and crops of photographs, and tried on others and other seeds (``results/zoo.md``).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

Check = Mapping[str, float]  # a line of signals.jsonl, its numbers alone
Evidence = Mapping[str, float]

WARM_UP = 4  # checks before the first that may say anything
IN_A_ROW = 3  # checks at which a symptom must show
YOUNG = 500  # rounds before which nobody is expected to be varied
PACE = 100  # rounds over which what has moved is measured, at least
FEW = 4  # checks over which what is measured on few pictures is averaged
RECENT = 8  # checks back to which progress is measured
BOUNDS = {"weights.critic": 20, "weights.generator": 20, "sigma.critic": 50, "sigma.generator": 50}  # of growth
GRID = 0.065  # the amplitude from which a grid counts that is the same in all pictures
PEAK = 0.1  # and one that is not


def diverged(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Weights or scores many times as large as before, and pictures that cover nothing.

    Scores without bounds (of a Wasserstein critic, say) grow at a start too: they count where there was something to
    lose, or the time to win it.
    """
    if now.get("coverage_raw", 0) >= 0.1:
        return None
    grown = {name: _growth(name, now, past) / most for name, most in BOUNDS.items()}
    gaps = [abs(check["gap"]) for check in past if "gap" in check]
    had = _old(now) or any(check.get("coverage_raw", 0) >= 0.1 for check in past)
    usual = max(statistics.median(gaps), 1.0) if had and len(gaps) >= WARM_UP else math.inf
    apart = abs(now.get("gap", 0.0)) / usual
    if max(grown.values()) > 1 or apart > 30:
        worst = max(grown, key=lambda name: grown[name])
        times = {f"{worst}, times the first": grown[worst] * BOUNDS[worst], "gap, times the median": apart}
        return {**times, **_evidence(now, "coverage_raw")}
    return None


def overwhelms(now: Check, past: Sequence[Check]) -> Evidence | None:
    """The critic tells every held-out picture from every fake, and the generator has learnt nothing."""
    nowhere = now.get("coverage_raw", 1) < 0.1 and _old(now) and not _narrow(now)
    if now.get("separates", 0) >= 0.99 and (_still(now, past) or (nowhere and not _rising("coverage_raw", now, past))):
        return _evidence(now, "separates", "coverage_raw", "moved", "generator.gradient")
    return None


def vanished(now: Check, past: Sequence[Check]) -> Evidence | None:
    """As ``overwhelms``, and hardly a gradient reaches the generator."""
    gradient = now.get("generator.gradient", 1.0)
    most = max([check.get("generator.gradient", 0.0) for check in past], default=0.0)
    return overwhelms(now, past) if gradient < max(1e-4, 2e-2 * most) else None


def _still(now: Check, past: Sequence[Check]) -> bool:
    """Whether the pictures hardly change and are nothing like the data, or have never been varied.

    One picture of middling grey lies among all of those whose contrast differs, and so seems to cover some.
    """
    varied = max(check.get("diversity_raw", 1) for check in [*past, now])
    return _moved(now, past) < 0.03 and (now.get("coverage_raw", 1) < 0.05 or varied < 0.5)


def _moved(now: Check, past: Sequence[Check]) -> float:
    """How far the pictures have gone since the check before; a small step is taken for part of a longer way."""
    rounds = now.get("round", 0) - past[-1].get("round", 0) if past else 0
    return now.get("moved", 1) * (max(1.0, PACE / rounds) if rounds > 0 else 1.0)


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
    """The critic knows training pictures by heart and takes held-out ones for something else.

    Means of a few checks, for of few pictures few are held out; the nearer it is to chance, the larger a gap it takes.
    """
    names = ("remembers", "accuracy_train", "accuracy_held", "r_v")
    rows = [[check[name] for check in [*past[1 - FEW :], now] if name in check] for name in names]
    if all(rows):
        remembers, train, held, r_v = map(statistics.fmean, rows)
        if (remembers >= 0.8 and train - held >= 0.25) or (remembers >= 0.7 and train - held >= 0.3):
            return dict(zip(names, (remembers, train, held, r_v), strict=True))
    return None


def copies(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Fakes lie nearer to training pictures than equally good new ones could; of a single one chance says where."""
    if now.get("copies", 0) > 0.1 or (now.get("nearest", 1) < 0.8 and now.get("diversity_ema", 1) > 0.3):
        return _evidence(now, "nearest", "copies", "nearest_train")
    return None


def _narrow(now: Check) -> bool:
    """Whether fakes of the raw weights are all alike, or a few; two clusters of nothing like the data are few too."""
    diversity, crowding = now.get("diversity_raw", 1), now.get("crowding_raw", 1)
    alike = crowding < 0.25 or (diversity < 0.5 and crowding < 0.4)  # dim pictures differ little too, but all of them
    return alike or (_lost(now) and (diversity < 0.65 or crowding < 0.5))


def _lost(now: Check) -> bool:
    """Whether pictures are nothing like the data when they had the time to become so."""
    return _old(now) and now.get("share", 0) > 0.4 and max(_coverages(now)) < 0.1


def _coverages(now: Check) -> tuple[float, float]:
    return now.get("coverage_raw", 1), now.get("coverage_ema", 1)


def _old(now: Check) -> bool:
    return now.get("share", 0) > 0.3 and now.get("round", 0) >= YOUNG


def _fallen(now: Check, past: Sequence[Check]) -> bool:
    """Whether pictures were varied once, or had the time to become so and do not: a young generator's are all alike."""
    seen = [check for check in past if check.get("coverage_raw", 0) >= 0.1]  # an untrained generator may be varied too
    best = max((check.get("diversity_raw", 0.0) for check in seen), default=0.0)
    first, last = _halves("diversity_raw", now, past)
    grows = bool(first) and statistics.mean(last) > statistics.mean(first) + max(0.03, 0.2 * statistics.mean(first))
    grows = grows or (now.get("share", 0) <= 0.5 and _rising("coverage_raw", now, past))
    return best > 0.7 or (_old(now) and not grows)


def collapsed(now: Check, past: Sequence[Check]) -> Evidence | None:
    """All fakes are one picture or a few."""
    if _narrow(now) and _fallen(now, past):
        return _evidence(now, "diversity_raw", "crowding_raw", "coverage_raw", "moved")
    return None


def hops(now: Check, past: Sequence[Check]) -> Evidence | None:
    """As ``collapsed``, but others from check to check: an average over time hides it."""
    rows = [(past[place], past[:place]) for place in range(max(1, len(past) + 1 - IN_A_ROW), len(past))]
    moved = [_moved(*row) for row in [*rows, (now, past)] if "moved" in row[0]]
    if collapsed(now, past) is not None and moved and statistics.median(moved) > 0.5:
        return _evidence(now, "diversity_raw", "moved", "diversity_ema")
    return None


def drops_modes(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Good pictures, of a part of the data only, and that part no longer grows."""
    if (
        _old(now)
        and now.get("precision_ema", 0) >= 0.6
        and now.get("coverage_ema", 1) < 0.4
        and not _rising("coverage_ema", now, past)
    ):
        return _evidence(now, "precision_ema", "coverage_ema", "crowding_ema")
    return None


def checkerboard(now: Check, past: Sequence[Check]) -> Evidence | None:
    """A grid at the frequencies of the strides that real pictures do not have, and that training does not remove."""
    if now.get("round", 0) < YOUNG or now.get("coverage_ema", 0) <= 0.05:
        return None
    same = now.get("grid", 0) > GRID and now.get("checkerboard", 0) > GRID / 2 and _stays("grid", now, past)
    if same or (now.get("checkerboard", 0) > PEAK and _stays("checkerboard", now, past)):
        return _evidence(now, "grid", "checkerboard", "coverage_ema")
    return None


def _stays(name: str, now: Check, past: Sequence[Check]) -> bool:
    """Whether a signal does not go away."""
    first, last = _halves(name, now, past)
    return bool(first) and statistics.mean(last) > 0.6 * statistics.mean(first)


def leaks(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Fakes look as the augmented pictures do, which those of a young generator do anyway; mirrored by half, .5.

    Means of a few checks, for it is measured on few pictures.
    """
    rows = {
        name: [check[name] for check in [*past[1 - FEW :], now] if name in check]
        for name in now
        if name.startswith("leak_")
    }
    most = max(map(statistics.fmean, rows.values()), default=0.0)
    if _old(now) and most > 0.4 and now.get("precision_ema", 0) >= 0.2:
        return {"leak": most, **_evidence(now, "precision_ema", "coverage_ema")}
    return None


def flat(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Coverage is as it was for the last quarter of what has been trained, as far as its noise lets one see."""
    change, error, evidence = _quarters(now, past)
    return evidence if abs(change) < 0.03 and error < 0.02 else None


def declines(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Coverage is lower than a quarter of the training ago, by more than its noise."""
    change, error, evidence = _quarters(now, past)
    return evidence if change < -max(0.08, 3 * error) else None


def _quarters(now: Check, past: Sequence[Check]) -> tuple[float, float, Evidence]:
    """How much coverage has changed between the last two quarters of the images, its standard error, and evidence."""
    checks = [check for check in [*past, now] if "coverage_ema" in check]
    parts = [
        [check["coverage_ema"] for check in checks if low < check["images"] / max(1.0, now["images"]) <= low + 0.25]
        for low in (0.5, 0.75)
    ]
    if min(map(len, parts)) < 4:
        return 0.0, math.inf, {}
    (before, after), errors = map(statistics.fmean, parts), [statistics.variance(part) / len(part) for part in parts]
    best = max(checks, key=lambda check: check["coverage_ema"])["images"]
    return after - before, sum(errors) ** 0.5, {"coverage": after, "before": before, "images at the best": best}


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
    """The next states and snapshots may not fit: there is no room for four of each, with some to spare."""
    least = 50 + 4 * now.get("saved_mib", 100.0)
    return _evidence(now, "disk_free_mib", "saved_mib") if now.get("disk_free_mib", 1e9) < least else None


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
    """The older and the newer half of a signal's values in the last two fifths of the images, or the last few checks.

    Empty where there are not enough.
    """
    recent = [check for check in past if check["images"] > 0.6 * now["images"]]
    recent = recent if len(recent) >= RECENT - 1 else list(past[1 - RECENT :])
    found = [check[name] for check in [*recent, now] if name in check]
    middle = len(found) // 2
    return (found[:middle], found[middle:]) if len(found) >= RECENT else ([], [])
