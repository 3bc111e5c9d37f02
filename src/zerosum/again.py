"""What starts a training again, a command or a call, from what its recipe.json says; whatever is odd is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def call(content: Mapping[str, Any], data: str, out: str, changed: Mapping[str, str]) -> str:
    """``zerosum.train`` with its arguments, for a recipe that no command can name; ``recipe`` stands for itself.

    Args:
        changed: settings over those of the run.
    """
    budget, asked = _mapping(content.get("budget")), _mapping(content.get("asked"))
    known = {"images": budget.get("images"), "seed": content.get("seed"), "fit": asked.get("fit")}
    known |= {"act": asked.get("act"), "settings": {**_settings(content), **changed} or None}
    given = [f"{name}={value!r}" for name, value in known.items() if value not in (None, 0, "crop", False)]
    return f"zerosum.train({', '.join([repr(data), 'recipe', f'out={out!r}', *given])})"


def words(
    content: Mapping[str, Any], data: str, *, recipe: str = "", changed: Mapping[str, str] | None = None
) -> list[str]:
    """``zerosum train`` with its arguments: the first three words, then pairs, then what stands alone.

    Args:
        data: what to train on, as one types it.
        recipe: another one than the run's, whose dials are not taken along then.
        changed: settings over those of the run.
    """
    budget = _mapping(content.get("budget"))
    seconds, images = budget.get("seconds"), budget.get("images")
    found = ["zerosum", "train", data, "--recipe", recipe or str(content.get("recipe", "auto"))]
    if _is_number(images):  # which a time has become, and on another machine would not be
        found += ["--images", f"{images:.0f}"]
    elif _is_number(seconds):
        found += ["--for", f"{seconds:g}s"]
    found += ["--seed", str(content["seed"])] if "seed" in content else []
    asked, choices = _mapping(content.get("asked")), _mapping(content.get("choices"))
    for name, usual in (("device", ""), ("engine", "eager")):
        found += [f"--{name}", str(choices[name])] if choices.get(name, usual) != usual else []
    found += ["--fit", str(asked["fit"])] if asked.get("fit", "crop") != "crop" else []
    settings = _settings(content)
    found += ["--resolution", settings.pop("resolution")] if "resolution" in settings else []
    for name, text in {**({} if recipe else settings), **(changed or {})}.items():
        found += ["--set", f"{name}={text}"]
    return [*found, "--act"] if asked.get("act") is True else found


def _settings(content: Mapping[str, Any]) -> dict[str, str]:
    """Dials and fields as one types them, without the budget, which stands elsewhere."""
    given = {**_mapping(content.get("dials")), **_mapping(content.get("set"))}
    return {
        str(name): typed(value, "x" if name == "resolution" else ",")
        for name, value in given.items()
        if name != "images"
    }


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
