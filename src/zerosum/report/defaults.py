"""How a run's recipe differs from the recipe of that name as it is played without settings.

Recipes are imported where they are needed: that takes torch, and a page without them does not wait for it.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from zerosum.report.facts import Facts, at

GIVEN = ("resolution", "channels", "classes")  # dials that the data decide
PASSED = {"name", "citation", "images"}
MOST = 400  # fields that are compared


class Difference(NamedTuple):
    """A field of the recipe; ``places`` turns have it alike."""

    field: str
    default: object
    here: object
    places: int


class Published(NamedTuple):
    """What a recipe's file says: how it differs from the publication, and numbers to expect."""

    differences: str
    numbers: str


def published(facts: Facts) -> Published | None:
    """None where the recipe is not one of zerosum's. Its file is read, not imported, which would take torch."""
    name = str(facts.says("recipe"))
    file = resources.files("zerosum").joinpath("recipes", f"{name}.py")
    if not re.fullmatch(r"[a-z0-9_]+", name, re.ASCII) or not file.is_file():
        return None
    found = {
        str(at_name.id): ast.literal_eval(line.value)
        for line in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(line, ast.Assign)
        and isinstance(at_name := line.targets[0], ast.Name)
        and at_name.id in ("DIFFERENCES", "NUMBERS")
    }
    return Published(found["DIFFERENCES"], found["NUMBERS"]) if len(found) == 2 else None


def dials(facts: Facts) -> dict[str, object]:
    """The recipe function's own values of its dials, in its order; empty where it is not one of zerosum's."""
    from zerosum.recipe import describe
    from zerosum.recipes import CATALOGUE
    from zerosum.settings import dials as of

    function = CATALOGUE.get(str(facts.says("recipe")))
    if function is None:
        return {}
    return {
        name: None if parameter.default is parameter.empty else describe(parameter.default)
        for name, parameter in of(function).items()
    }


def differences(facts: Facts) -> list[Difference] | None:
    """The resolved fields that differ from the recipe's own at this resolution, channels and classes.

    None where it is not one of zerosum's, or where it cannot be made in these sizes.
    """
    resolution, resolved = facts.says("dials", "resolution"), facts.says("resolved")
    sizes = tuple(resolution) if isinstance(resolution, list) else ()
    numbers = {name: facts.says("dials", name) for name in GIVEN[1:]}
    given = tuple((name, value) for name, value in numbers.items() if isinstance(value, int) and 0 <= value <= 100_000)
    if any(not isinstance(side, int) or not 1 <= side <= 8192 for side in sizes) or len(sizes) not in (0, 2):
        return None
    own = _default(str(facts.says("recipe")), sizes, given)
    if own is None or not isinstance(resolved, Mapping):
        return None
    found: dict[tuple[str, str, str], Difference] = {}
    pairs = flat(own), flat(resolved)
    for name in list(dict.fromkeys([*pairs[0], *pairs[1]]))[:20_000]:
        default, here = pairs[0].get(name), pairs[1].get(name)
        older = name not in pairs[1] and isinstance(at(resolved, *name.split(".")[:-1]), Mapping)
        if default == here or older or name.split(".")[0] in PASSED:  # a version without the field is no difference
            continue
        field = re.sub(r"^moves\.\d+\.\d+\.", "a turn's ", name)
        alike = (field, str(default), str(here))
        found[alike] = Difference(field, default, here, found[alike].places + 1 if alike in found else 1)
    return list(found.values())[:MOST]


@functools.cache
def _default(name: str, resolution: tuple[int, ...], given: tuple[tuple[str, int], ...]) -> object:
    from zerosum.recipe import describe
    from zerosum.recipes import CATALOGUE
    from zerosum.settings import dials as of

    function = CATALOGUE.get(name)
    if function is None:
        return None
    wanted = {"resolution": resolution} if resolution else {}
    known = of(function)
    try:
        return describe(function(**{key: value for key, value in {**wanted, **dict(given)}.items() if key in known}))
    except (ValueError, TypeError, ArithmeticError):
        return None


def flat(value: object, name: str = "", depth: int = 0) -> dict[str, object]:
    """The scalars inside JSON by their dotted names; a schedule or what custom code made counts as one."""
    items: list[tuple[str, object]] = []
    if isinstance(value, Mapping) and at(value, "kind") != "Ramp" and depth < 20:
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and value and depth < 20:
        items = [(str(place), item) for place, item in enumerate(value)]
    if not items:
        return {name: value}
    found: dict[str, object] = {}
    for key, item in items:
        found |= flat(item, f"{name}.{key}" if name else key, depth + 1)
    return found
