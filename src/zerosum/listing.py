"""What ``zerosum recipes`` says: one line for each recipe, or everything about one."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from zerosum.errors import UserError, did_you_mean
from zerosum.game.losses import CATALOGUE as LOSSES
from zerosum.recipe import Recipe, RecipeFunction
from zerosum.recipes import CATALOGUE
from zerosum.settings import COMMON, dials, words


def table() -> list[str]:
    """A line for each recipe: name, year, and what it is with its citation."""
    return [f"{name:16}{year(function)}  {home(function).__doc__ or ''}" for name, function in CATALOGUE.items()]


def page(name: str) -> list[str]:
    """Everything about a recipe: its file, its dials, parameter counts, numbers to expect, and BibTeX.

    Raises:
        UserError: there is no such recipe.
    """
    if name not in CATALOGUE:
        raise UserError(f"There is no recipe '{name}'{did_you_mean(name, CATALOGUE)}.")
    function = CATALOGUE[name]
    module = home(function)
    return [
        inspect.getsource(module).rstrip(),
        "",
        "Dials (--set NAME=VALUE):",
        *(f"  {dial:18}{kind:59} {default}" for dial, kind, default in _dials(function)),
        *(f"  {name:18}{words(kind):59} {default}" for name, kind, default in _common()),
        "  and fields of the recipe, such as ema.half_life or players.critic.optimizer.rate",
        "",
        "Parameters, generator and critic:",
        *(f"  {form:34}{generator:>12,}{critic:>12,}" for form, generator, critic in counts(function)),
        "",
        "How it differs from what was published:",
        *(f"  {line}" for line in module.DIFFERENCES.splitlines()),
        "",
        "Numbers to expect:",
        *(f"  {line}" for line in module.NUMBERS.splitlines()),
        "",
        module.CITATION,
    ]


def home(function: RecipeFunction) -> ModuleType:
    """The file that a recipe is written in."""
    return sys.modules[function.__module__]


def year(function: RecipeFunction) -> str:
    """Of its first citation."""
    found = re.search(r"year=\{(\d{4})\}", home(function).CITATION)
    return found[1] if found else "    "


def counts(function: RecipeFunction) -> Iterator[tuple[str, int, int]]:
    """Trainable parameters of both networks in each of the published forms."""
    for form, values in home(function).FORMS.items():
        recipe = function(**values)
        yield form, parameters(recipe, "generator"), parameters(recipe, "critic")


def parameters(recipe: Recipe, player: str) -> int:
    """Trainable parameters of a player, counted without building it in memory."""
    with torch.device("meta"):
        net = recipe.players[player].net.build()
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def _common() -> Iterator[tuple[str, Any, Any]]:
    hints, fields = typing.get_type_hints(Recipe), Recipe.__dataclass_fields__
    return ((name, hints[name], fields[name].default) for name in COMMON)


def _dials(function: RecipeFunction) -> Iterator[tuple[str, str, Any]]:
    hints = typing.get_type_hints(function)
    for name, parameter in dials(function).items():
        default = parameter.default
        if default in (parameter.empty, None):
            default = "from the data" if name in ("resolution", "channels", "classes") else "see above"
        options = [kind for kind in typing.get_args(hints[name]) if kind is not type(None)]
        if name == "loss" and hints[name] is str:
            yield name, f"one of {', '.join(LOSSES)}", default
            continue
        union = type(None) in typing.get_args(hints[name])
        yield name, words(options[0] if union else hints[name]), default
