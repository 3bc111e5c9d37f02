"""The stats.jsonl of StyleGAN2-ADA and StyleGAN3, as checks of ours.

A line has {"num", "mean", "std"} for each name; of what is there, the critic's scores and signs on real and generated
pictures say how well it tells them apart, and Karras et al. 2020 (ADA) take the signs for overfitting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

TARGET = "Loss/signs/real"


def is_stylegan(line: Mapping[str, Any]) -> bool:
    """Whether a line of a log is of this kind."""
    return isinstance(line.get("Progress/kimg"), Mapping)


def check_of(line: Mapping[str, Any]) -> dict[str, float]:
    """A check, with what the line has; a value that is no finite number is left out."""
    found: dict[str, float | None] = {
        "images": _of(line, "Progress/kimg", 1000.0),
        "sign_train": _of(line, TARGET),
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
