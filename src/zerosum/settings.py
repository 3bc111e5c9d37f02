"""What a user sets by name: dials of a recipe function and fields of what it returns, from text to values."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from zerosum.errors import UserError, did_you_mean
from zerosum.game.losses import CATALOGUE as LOSSES
from zerosum.game.losses import Loss
from zerosum.game.schedules import Ramp
from zerosum.recipe import RecipeFunction, parts

# Fields of every recipe that are set by their names alone, as dials are.
COMMON = ("mirror", "balanced", "precision", "accumulate", "checkpoint")


def dials(recipe: RecipeFunction) -> dict[str, inspect.Parameter]:
    """The recipe function's arguments by name."""
    return dict(inspect.signature(recipe).parameters)


def parse_settings(recipe: RecipeFunction, settings: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Split ``--set`` values into typed dials of the recipe function and fields (typed by what they replace).

    Raises:
        UserError: an unknown dial or a value of the wrong type.
    """
    known = dials(recipe)
    hints = typing.get_type_hints(recipe)
    typed: dict[str, Any] = {}
    for name, text in settings.items():
        if is_field(name):
            continue
        if name not in known:
            raise UserError(f"Unknown setting '{name}'{did_you_mean(name, [*known, *COMMON])}.")
        typed[name] = parse(text, hints[name], name)
    return typed, {name: text for name, text in settings.items() if is_field(name)}


def is_field(name: str) -> bool:
    """Whether a setting changes what the recipe function returns."""
    return "." in name or name in COMMON


def change(value: Any, path: str, text: str) -> Any:
    """Return ``value`` with the field at a dotted ``path`` replaced; the rest of it stays the same object.

    Raises:
        UserError: a field that is not there (with the nearest name), or a value of the wrong type.
    """
    head, _, rest = path.partition(".")
    fields = parts(value)
    if head not in fields:
        raise UserError(f"Unknown setting '{path}'{did_you_mean(head, fields)}.")
    old = fields[head]
    if rest:
        new = change(old, rest, text)
    elif isinstance(old, Loss):
        if text not in LOSSES:
            raise UserError(f"{head}={text}: there is no loss of that name{did_you_mean(text, LOSSES)}.")
        new = LOSSES[text]
    else:
        new = parse(text, _type_of(value, head, old), head)
    if isinstance(value, Mapping):
        return {**value, head: new}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        try:
            return dataclasses.replace(value, **{head: new})
        except ValueError as error:
            raise UserError(f"{path}={text}: {str(error).rstrip('.')}.") from None
    if hasattr(value, "_replace"):
        return value._replace(**{head: new})
    return tuple(new if name == head else item for name, item in fields.items())


def parse(text: str, kind: Any, name: str) -> Any:
    """A setting's text as its type: bool, int (1e5 and 50_000 too), float, str, a choice, a pair WIDTHxHEIGHT, None."""
    options = typing.get_args(kind) if _is_union(kind) else (kind,)
    for option in options:
        found = _parse_one(text, option)
        if found is not _NO:
            return found
    raise UserError(f"{name}={text} is not possible: expected {' or '.join(words(option) for option in options)}.")


_NO: Any = object()


def _parse_one(text: str, kind: Any) -> Any:
    if kind is type(None):
        return None if text.lower() == "none" else _NO
    if typing.get_origin(kind) is Literal:
        return next((choice for choice in typing.get_args(kind) if str(choice) == text), _NO)
    if typing.get_origin(kind) is tuple:
        if typing.get_args(kind) == (int, int):
            sides = text.lower().split("x")
            sides = sides * 2 if len(sides) == 1 else sides
            return (int(sides[0]), int(sides[1])) if len(sides) == 2 and all(s.isdecimal() for s in sides) else _NO
        item = typing.get_args(kind)[0]
        items = [_parse_one(part.strip(), item) for part in text.split(",") if part.strip()]
        return _NO if _NO in items else tuple(items)
    if kind is bool:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), _NO)
    if kind is str:
        return text
    if kind in (int, float):
        try:
            if kind is int:
                with contextlib.suppress(ValueError):
                    return int(text)
            number = float(text)
            whole = int(number) if kind is int else 0
        except (ValueError, OverflowError):
            return _NO
        if kind is int:
            return whole if whole == number else _NO
        return number if number - number == 0 else _NO  # neither infinite nor not a number
    return _NO


def words(kind: Any) -> str:
    """What values a setting of this type takes, for people."""
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        if typing.get_args(kind) == (int, int):
            return "a size such as 64 or 256x384 (width x height)"
        return f"a comma-separated list of {words(typing.get_args(kind)[0])}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _type_of(owner: Any, name: str, old: Any) -> Any:
    if isinstance(old, Ramp):
        return float  # a schedule is replaced by a constant
    hints = typing.get_type_hints(type(owner)) if not isinstance(owner, Mapping) else {}
    return hints.get(name, type(old))
