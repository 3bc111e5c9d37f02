"""The command that starts a training again, from what its recipe.json says; whatever is odd there is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def words(
    content: Mapping[str, Any], data: str, *, recipe: str = "", changed: Mapping[str, str] | None = None
) -> list[str]:
    """``zerosum train`` with its arguments: the first three words, then pairs.

    Args:
        data: what to train on, as one types it.
        recipe: another one than the run's, whose dials are not taken along then.
        changed: settings over those of the run.
    """
    budget = _mapping(content.get("budget"))
    seconds, images = budget.get("seconds"), budget.get("images")
    found = ["zerosum", "train", data, "--recipe", recipe or str(content.get("recipe", "auto"))]
    if _is_number(seconds) and seconds:
        found += ["--for", f"{seconds:g}s"]
    elif _is_number(images) and images:
        found += ["--images", f"{images:.0f}"]
    found += ["--seed", str(content["seed"])] if "seed" in content else []
    device, fit = _mapping(content.get("choices")).get("device"), _mapping(content.get("asked")).get("fit", "crop")
    found += ["--device", str(device)] if device else []
    found += ["--fit", str(fit)] if fit != "crop" else []
    settings: dict[str, str] = {}
    for part in ("dials", "set"):
        for name, value in _mapping(content.get(part)).items():
            if name == "resolution":
                found += ["--resolution", typed(value, "x")]
            elif name != "images" and not recipe:
                settings[str(name)] = typed(value, ",")
    for name, text in {**settings, **(changed or {})}.items():
        found += ["--set", f"{name}={text}"]
    return found


def typed(value: object, between: str) -> str:
    """A JSON value as one types it."""
    if isinstance(value, list):
        return between.join(typed(item, between) for item in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e18
