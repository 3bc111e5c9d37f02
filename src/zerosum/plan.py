"""What a training command means: data, recipe and machine brought together, each automatic choice with its reason."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from zerosum.advice import Reason, about, best_device, channels_of, devices, resolution_of
from zerosum.conformance import noise
from zerosum.data.cache import cache_folder
from zerosum.data.find import find
from zerosum.data.fit import Fit, Shape
from zerosum.data.pictures import Pictures
from zerosum.data.prepare import Broken, prepare, refuse_broken
from zerosum.data.source import Source
from zerosum.data.survey import Survey, survey
from zerosum.data.telling import Progress, Say, silent
from zerosum.errors import UserError, did_you_mean
from zerosum.recipe import JSON, Recipe, RecipeFunction, describe
from zerosum.recipes import CATALOGUE
from zerosum.settings import change, dials, is_field, parse, parse_settings
from zerosum.training.engine import Asked, refusal
from zerosum.training.fitting import less, parts_that_fit
from zerosum.training.trainer import Choices

SMALL_ON_CPU = 16  # up to this side the recipe modern needs no narrower networks on a CPU


@dataclass(frozen=True)
class Request:
    """What the user asked for, as text and numbers; None where nothing was said."""

    data: str
    recipe: str | RecipeFunction | Recipe = "auto"
    images: int | None = None
    seconds: float | None = None
    resolution: str | None = None
    seed: int = 0
    device: str = "auto"
    settings: Mapping[str, str] | None = None
    root: str | None = None
    fit: Fit = "crop"
    broken: Broken = "skip"
    engine: Asked = "auto"
    batch: str | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run starts.

    Attributes:
        dials: arguments of the recipe function, as JSON values.
        fields: dotted settings, as given.
        images: the budget that was asked for, None where the recipe's own stands or time was given.
        asked: the user's own words, for whoever repeats them.
    """

    source: Source
    seen: Survey
    shape: Shape
    broken: Broken
    recipe: Recipe
    dials: dict[str, JSON]
    fields: dict[str, str]
    images: int | None
    seconds: float | None
    seed: int
    choices: Choices
    device_named: bool
    engine: Asked
    reasons: tuple[Reason, ...]
    asked: dict[str, JSON]

    def pictures(self, progress: Progress) -> Pictures:
        """Prepare the data at the recipe's size."""
        return prepare(self.source, self.seen, self.shape, broken=self.broken, cache=cache_folder(), progress=progress)

    def explain(self) -> list[str]:
        """What was chosen and why, one line each."""
        return [reason.line() for reason in self.reasons]


def make_plan(request: Request, say: Say = print, looked: Progress = silent) -> Plan:
    """Find the data and resolve every choice; what changed in the data is told, and told again by the next plan.

    Args:
        say: is told what is downloaded.
        looked: is told how many pictures of how many were looked at.

    Raises:
        UserError: anything the user got wrong, before any work is done.
    """
    settings = dict(request.settings or {})
    if "images" in settings:  # the same as --images
        if request.images is not None:
            raise UserError("--images and --set images exclude each other.")
        request = replace(request, images=parse(settings.pop("images"), int, "images"), settings=settings)
    if request.resolution is not None and "resolution" in settings:
        raise UserError("--resolution and --set resolution exclude each other.")
    if request.batch not in (None, "auto"):  # the same as --set batch
        if "batch" in settings:
            raise UserError("--batch and --set batch exclude each other.")
        request = replace(request, settings=settings | {"batch": request.batch})
        settings = dict(request.settings or {})
    if request.images is not None and request.images <= 0:
        raise UserError(f"--images {request.images} is not possible: the budget is a positive number of images.")
    if request.seconds is not None and request.seconds <= 0:
        raise UserError("--for is not possible: the time is positive, such as 60s, 5m or 2h.")
    if request.images is not None and request.seconds is not None:
        raise UserError("--images and --for exclude each other: give a number of images or a time.")
    if request.seed < 0:
        raise UserError(f"--seed {request.seed} is not possible: seeds start at 0.")
    reasons: list[Reason] = []
    choices = machine(request.device, reasons)
    source = find(request.data, request.root, say)
    seen = survey(source, cache_folder(), looked)
    if request.broken == "stop":
        refuse_broken(source, seen)
        why = "so far only headers were looked at; what is broken behind them is refused when it is decoded"
        reasons.append(Reason("broken", "stop", why))
    reasons += about(source, seen)
    if isinstance(request.recipe, Recipe):
        recipe, dotted = request.recipe, settings
        if request.resolution is not None:
            raise UserError("A complete recipe has its own resolution: leave resolution out.")
        typed: dict[str, Any] = {}
        if not all(is_field(name) for name in dotted):
            raise UserError("A complete recipe has no dials any more: use dotted settings such as players.critic...")
    else:
        recipe, typed, dotted = _resolve(request, request.recipe, source, seen, choices, reasons)
    for path, text in dotted.items():
        recipe = change(recipe, path, text)
    if request.images is not None:
        recipe = change(recipe, "images", str(request.images))
    try:
        recipe.check()
    except ValueError as error:
        raise UserError(f"These settings do not go together: {error}.") from None
    if recipe.precision == "tf32" and not choices.device.startswith("cuda"):
        raise UserError(f"precision=tf32 is not possible: NVIDIA GPUs know it, and this run is on {choices.device}.")
    if request.batch == "auto":
        recipe, dotted = _in_parts(recipe, dotted, choices, reasons)
    why = None if request.engine == "auto" else refusal(request.engine, recipe, choices.device)
    if why is not None:
        raise UserError(f"--engine {request.engine} is not possible: {why}.")
    if recipe.balanced and source.labels is None:
        raise UserError("balanced=true is not possible: the pictures have no labels (use class folders).")
    if recipe.classes and (source.labels is None or recipe.classes != len(source.classes)):
        have = f"{len(source.classes)} classes" if source.labels is not None else "no labels"
        raise UserError(f"classes={recipe.classes} is not possible: the pictures have {have}.")
    return Plan(
        source=source,
        seen=seen,
        shape=Shape(recipe.width, recipe.height, recipe.channels, request.fit),
        broken=request.broken,
        recipe=recipe,
        dials={name: describe(value) for name, value in typed.items()},
        fields=dotted,
        images=request.images,
        seconds=request.seconds,
        seed=request.seed,
        choices=choices,
        device_named=request.device != "auto",
        engine=request.engine,
        reasons=tuple(reasons),
        asked={"data": request.data, "fit": request.fit},
    )


def machine(device: str, reasons: list[Reason]) -> Choices:
    """Choose the device.

    Raises:
        UserError: a device that is not there.
    """
    available = devices()
    if device == "auto":
        device = best_device()
        reasons.append(Reason("device", device, "the fastest that torch finds here"))
    elif device.split(":")[0] not in available:
        raise UserError(f"There is no device '{device}'{did_you_mean(device, available)}.")
    elif not available[device.split(":")[0]]:
        there = ", ".join(name for name, found in available.items() if found)
        raise UserError(f"The device '{device}' is not there: torch {torch.__version__} finds {there} on this machine.")
    try:
        torch.zeros((), device=device)
    except RuntimeError as error:
        raise UserError(f"The device '{device}' is not there: {str(error).splitlines()[0]}") from None
    return Choices(
        device=device,
        memory_format="contiguous" if device == "mps" else "channels_last",
        threads=torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else min(torch.get_num_threads(), 16),
    )


def _in_parts(
    recipe: Recipe, fields: Mapping[str, str], choices: Choices, reasons: list[Reason]
) -> tuple[Recipe, dict[str, str]]:
    """The recipe in as many parts as memory asks for.

    Raises:
        UserError: single pictures do not fit.
    """
    parts = parts_that_fit(recipe, noise(recipe), choices)
    if parts is None:
        raise UserError(
            f"--batch auto: not even the smallest part of a batch of {recipe.batch} fits into the memory of "
            f"{choices.device}: {less(recipe)}."
        )
    if parts == recipe.accumulate:
        reasons.append(Reason("accumulate", str(parts), f"a batch of {recipe.batch} fits into the memory"))
        return recipe, dict(fields)
    why = f"so a batch of {recipe.batch} fits into the memory of {choices.device}: {recipe.batch // parts} x {parts}"
    reasons.append(Reason("accumulate", str(parts), why))
    return replace(recipe, accumulate=parts), {**fields, "accumulate": str(parts)}


def _resolve(
    request: Request,
    named: str | RecipeFunction,
    source: Source,
    seen: Survey,
    choices: Choices,
    reasons: list[Reason],
) -> tuple[Recipe, dict[str, Any], dict[str, str]]:
    """Call the recipe function with the dials that the user set and those that the data decide."""
    settings = dict(request.settings or {})
    conditional = settings.pop("conditional", "auto")
    if not isinstance(named, str):
        function = named
    else:
        name = named
        if name == "auto":
            name = "modern"
            reasons.append(Reason("recipe", name, "the best judged recipe on every data set tried so far"))
        if name not in CATALOGUE:
            raise UserError(f"There is no recipe '{name}'{did_you_mean(name, CATALOGUE)}.")
        function = CATALOGUE[name]
    typed, dotted = parse_settings(function, settings)
    known = dials(function)
    if request.resolution is not None:
        if "resolution" not in known:
            raise UserError("This recipe has no dial 'resolution': leave --resolution out.")
        typed["resolution"] = parse(request.resolution, tuple[int, int], "resolution")
    if "resolution" not in typed and "resolution" in known:
        typed["resolution"], why = resolution_of(source, seen, choices.device, request.fit)
        reasons.append(Reason("resolution", "{}x{}".format(*typed["resolution"]), why))
    if "channels" not in typed and "channels" in known:
        typed["channels"], why = channels_of(source, seen)
        reasons.append(Reason("channels", str(typed["channels"]), why))
    classes, why = _classes(source, seen, conditional, known.get("classes"))
    if "classes" in known and "classes" not in typed:
        typed["classes"] = classes
    elif typed.get("classes") and conditional != "auto" and not classes:
        raise UserError(f"classes={typed['classes']} and conditional={conditional} contradict each other.")
    for name in ("critic_labels", "generator_labels"):
        if name in settings and not typed.get("classes"):
            raise UserError(f"{name}={settings[name]} says how labels enter, and none do: {why} (or leave {name} out).")
    reasons.append(Reason("conditional", "yes" if typed.get("classes") else "no", why))
    for name, (value, why) in _tuned(function, request.data == "digits", typed, choices).items():
        if name not in typed:
            typed[name] = value
            reasons.append(Reason(name, str(value), why))
    try:
        return function(**typed), typed, dotted
    except ValueError as error:
        raise error if isinstance(error, UserError) else UserError(f"{error}.") from None


def _classes(source: Source, seen: Survey, wanted: str, dial: inspect.Parameter | None) -> tuple[int, str]:
    able, by_itself = dial is not None, dial is not None and dial.default is None
    there = source.labels is not None and len(np.unique(source.labels[seen.good])) > 1
    asked = None if wanted == "auto" else parse(wanted, bool, "conditional")
    if asked and not able:
        raise UserError("conditional=true is not possible: this recipe takes no labels.")
    if asked and not there:
        raise UserError("conditional=true is not possible: not every picture has a label (use class folders).")
    if asked is False:
        return 0, "as set"
    if not there:
        return 0, "the pictures have no labels"
    if not able:
        return 0, "this recipe takes no labels"
    if not (asked or by_itself):
        return 0, f"this recipe plays without labels by itself; --set conditional=true uses the {len(source.classes)}"
    return len(source.classes), f"every picture has one of {len(source.classes)} labels; --set conditional=false"


def _tuned(
    function: RecipeFunction, digits: bool, typed: Mapping[str, Any], choices: Choices
) -> dict[str, tuple[Any, str]]:
    """Dials that depend on the data set or the machine."""
    found: dict[str, tuple[Any, str]] = {}
    if function is CATALOGUE["modern"] and max(typed["resolution"]) > SMALL_ON_CPU:
        if choices.device == "cpu":
            found["width"] = (16, "what a CPU can train in minutes to hours; --set width=32 is better and slower")
        else:
            found["width"] = (64, "what a GPU can train in hours")
    if digits and function in CATALOGUE.values():
        images = 64_000 if function is CATALOGUE["modern"] else 300_000
        found["images"] = (images, "two to three minutes on two CPU cores; results/digits.md")
    return found
