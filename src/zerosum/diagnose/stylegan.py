"""The stats.jsonl of StyleGAN2-ADA and StyleGAN3, as checks of ours.

A line has {"num", "mean", "std"} for each name; of what is there, the critic's scores and signs on real and generated
pictures say how well it tells them apart, and Karras et al. 2020 (ADA) take the signs for overfitting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from zerosum.diagnose import rules
from zerosum.diagnose.rules import Rule
from zerosum.diagnose.symptoms import Check, Evidence

TARGET, CAP = 0.6, 0.8  # ADA's of the signs, and the strength beyond which augmentations leak (Karras et al. 2020)
RISEN = 1.1  # times its best: more than the noise of a metric
GAINED = 0.01  # share of the best value: less is no progress
METRICS = ("fid50k_full", "fid", "kid")  # lower is better; the first that a log has
VALUES = ("metric", "best", "images at the best")


class Point(NamedTuple):
    """A metric of a snapshot."""

    images: int
    value: float
    metric: str
    snapshot: str


def is_stylegan(line: Mapping[str, Any]) -> bool:
    """Whether a line of a log is of this kind."""
    return isinstance(line.get("Progress/kimg"), Mapping)


def check_of(line: Mapping[str, Any]) -> dict[str, float]:
    """A check, with what the line has; a value that is no finite number is left out."""
    found: dict[str, float | None] = {
        "images": _of(line, "Progress/kimg", 1000.0),
        "sign_train": _of(line, "Loss/signs/real"),
        "augment": _of(line, "Progress/augment"),
        "critic.loss": _of(line, "Loss/D/loss"),
        "generator.loss": _of(line, "Loss/G/loss"),
    }
    seconds = _of(line, "Timing/sec_per_kimg")
    found["images_per_second"] = 1000 / seconds if seconds else None
    real, fake = _of(line, "Loss/scores/real"), _of(line, "Loss/scores/fake")
    if real is not None and fake is not None:
        spread = math.hypot(*(_of(line, f"Loss/scores/{side}", key="std") or 0.0 for side in ("real", "fake")))
        found["gap"] = real - fake
        found["separates_train"] = 0.5 * (1 + math.erf((real - fake) / max(spread, 1e-9) / math.sqrt(2)))
    return {name: value for name, value in found.items() if value is not None}


def checks_of(lines: Iterable[Mapping[str, Any]], points: Sequence[Point]) -> list[dict[str, float]]:
    """The checks of a log, each with what was measured until then."""
    checks = [check for line in lines if "images" in (check := check_of(line))]
    return [check | _measured(points, check["images"]) for check in checks]


def points_of(records: Iterable[Mapping[str, Any]]) -> list[Point]:
    """What metric-*.jsonl say, by images: of the first metric of ``METRICS`` that they have."""
    found: dict[str, dict[int, Point]] = {}
    for record in records:
        name, results, snapshot = record.get("metric"), record.get("results"), str(record.get("snapshot_pkl"))
        value = results.get(name) if isinstance(results, Mapping) else None
        number = re.search(r"(\d+)\.pkl$", snapshot)
        if number and isinstance(value, int | float) and math.isfinite(value):
            images = 1000 * int(number[1])
            found.setdefault(str(name), {})[images] = Point(images, float(value), str(name), snapshot)
    names = [name for start in METRICS for name in sorted(found) if name.startswith(start)]
    return [found[names[0]][images] for images in sorted(found[names[0]])] if names else []


def _measured(points: Sequence[Point], images: float) -> dict[str, float]:
    """The newest value of the metric, its best one and where that was, how far it has risen, and what was gained."""
    values = [(point.value, point.images) for point in points if point.images <= images]
    if not values:
        return {}
    best, place = min(values)
    found = {"metric": values[-1][0], "best": best, "images at the best": float(place)}
    if len(values) > 2 and best > 0:
        found["risen"] = min(value for value, _ in values[-2:]) / best
    early, late = ([v for v, at in values if (at > 0.75 * images) == newer] for newer in (False, True))
    if min(len(early), len(late)) >= 3 and min(early) > 0:
        found["gained"] = 1 - min(late) / min(early)
    return found


def overfits(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Signs far above ADA's target; or above it though it augments as much as it may, or while the metric rises."""
    sign = now.get("sign_train", 0.0)
    capped = sign > TARGET + 0.05 and now.get("augment", 0) >= CAP
    worse = sign > TARGET and now.get("risen", 1) > RISEN
    if sign > 0.8 or capped or worse:
        return {name: now[name] for name in ("sign_train", "separates_train", "augment", *VALUES) if name in now}
    return None


def declines(now: Check, past: Sequence[Check]) -> Evidence | None:
    """The metric is a tenth above its best, twice in a row."""
    return {name: now[name] for name in VALUES} if now.get("risen", 1) > RISEN else None


def flat(now: Check, past: Sequence[Check]) -> Evidence | None:
    """The last quarter of the training has made the best value hardly better."""
    gained = now.get("gained", 1)
    return {"gained": gained, **{name: now[name] for name in VALUES}} if gained < GAINED else None


RULES = (
    Rule(
        "critic overfits",
        overfits,
        "The critic takes nearly all training pictures for real, far more than ADA's target of signs (0.6) allows: it "
        "learns them by heart, as far as a log without held-out pictures can tell.",
        explains=("declines", "flat"),
        in_a_row=5,
        after=0,
    ),
    Rule("declines", declines, "The metric has become worse than it was.", "note", ("flat",), after=0),
    Rule(
        "flat", flat, "The metric is no better than a quarter of the training ago: done, or stalled.", "note", after=0
    ),
    *(rule for rule in rules.RULES if rule.name == "slower"),
)


def answer(verdict: str, checks: Sequence[Check], points: Sequence[Point]) -> str:
    """What to do about a verdict, in the options of StyleGAN's own train.py."""
    best = min(points, key=lambda point: point.value, default=None)
    name = "an earlier snapshot" if best is None else best.snapshot
    augments = bool(checks) and checks[-1].get("augment", 0) > 0
    more = "bring more pictures, --mirror=1 or a larger --gamma" if augments else "train with --aug=ada"
    told = {
        "not finite": "Go on from the last snapshot before (train.py --resume=...) with a larger --gamma, lower rates "
        "(stylegan3: --glr, --dlr) or --fp32=1.",
        "critic overfits": f"In train.py: {more}, or start from a trained network (--resume=... --freezed=10).",
        "declines": f"Use {name}, or go on from it (train.py --resume=...) with a larger --gamma.",
        "flat": f"Stop and use {name}; for more, more pictures or a larger network (stylegan3: --cbase, --cmax).",
        "slower": "Look at what else the machine does, and at Timing/ and Resources/ in the log; --workers=... helps "
        "where pictures are slow to read.",
    }
    value = "" if best is None else f" The best snapshot is {best.snapshot} ({best.metric} {best.value:.4g})."
    return f"{told.get(verdict, '')}{value}".strip()


def first_not_finite(lines: Iterable[Mapping[str, Any]]) -> tuple[int, str] | None:
    """The images at the first line with a loss or score that is no finite number, and its name."""
    for line in lines:
        for name in line:
            value = line[name].get("mean") if name.startswith("Loss/") and isinstance(line[name], Mapping) else None
            if isinstance(value, float) and not math.isfinite(value):
                return int(_of(line, "Progress/kimg", 1000.0) or 0), name
    return None


def _of(line: Mapping[str, Any], name: str, factor: float = 1.0, key: str = "mean") -> float | None:
    entry = line.get(name)
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return factor * value
