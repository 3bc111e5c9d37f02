"""Which folder a command works on, and whether it may go on there: the rules of resuming."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch

from zerosum import __version__, files
from zerosum.amending import AMENDMENTS, RECORDED, amended, from_json, inherited, record
from zerosum.data.pictures import Pictures
from zerosum.data.streamed import Streamed
from zerosum.errors import UserError
from zerosum.machine import processor
from zerosum.plan import Plan
from zerosum.recipe import JSON, Recipe, describe
from zerosum.run import Run, next_run, runs_in
from zerosum.training import checkpoint


def contents(plan: Plan, pictures: Pictures) -> dict[str, Any]:
    """What recipe.json says of a run: all that decides its result."""
    return {
        "recipe": plan.recipe.name,
        "dials": plan.dials,
        "set": plan.fields,
        "resolved": describe(plan.recipe),
        "seed": plan.seed,
        "data": {
            "name": pictures.name,
            "identity": pictures.identity,
            "pictures": len(pictures),
            "order": order_of(pictures),
        },
        "budget": {"images": None if plan.seconds else plan.recipe.images, "since": 0, "seconds": plan.seconds},
        "choices": asdict(plan.choices),
        "asked": plan.asked,
        "versions": versions(),
    }


def order_of(pictures: Pictures) -> str:
    """How the order of the pictures is made: of all of them, or window by window."""
    return "windows" if isinstance(pictures.pixels, Streamed) else "whole"


def versions() -> dict[str, JSON]:
    """What made a run, for those who reproduce it."""
    return {
        "zerosum": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
    }


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """The dotted names at which two JSON values differ, as ``name: old -> new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i, (a, b) in enumerate(zip(old, new, strict=True)) for line in differences(a, b, f"{at}.{i}")]
    return [] if old == new else [f"{at}: {old} -> {new}"]


def comparable(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved recipe to compare: without ``checkpoint``, which changes no number; defaults where fields are new.

    Only for fields of the recipe itself: one more inside a network or an optimizer is a difference, and is refused.
    """
    fields = {field.name: field.default for field in dataclasses.fields(Recipe)}
    defaults = {name: describe(value) for name, value in fields.items() if value is not dataclasses.MISSING}
    return {name: value for name, value in (defaults | dict(resolved)).items() if name != "checkpoint"}


def numbered(content: Mapping[str, Any]) -> Run:
    """The newest unfinished run under runs/ that is the same as this one, or the next number."""
    folder = Path("runs")
    for run in runs_in(folder):
        with contextlib.suppress(UserError):
            old = run.read()
            same = comparable(old["resolved"]) == comparable(content["resolved"]) and old["seed"] == content["seed"]
            same = same and old["data"]["identity"] == content["data"]["identity"]
            if same and old["budget"]["seconds"] == content["budget"]["seconds"] and run.finished_at() is None:
                return run
    return next_run(folder, content["data"]["name"], content["recipe"])


def usable(run: Run) -> Run:
    """Refuse a folder that is something else.

    Raises:
        UserError: the path is a file, or a folder with other things in it.
    """
    if run.folder.exists() and not run.folder.is_dir():
        raise UserError(f"{run.folder} is a file: name a folder with --out.")
    foreign = [path for path in run.folder.glob("*") if not path.name.startswith((".lock", files.TEMPORARY))]
    if not run.exists() and foreign:  # what a kill in the very first write left is no foreign file
        raise UserError(f"{run.folder} is not empty and not a run of zerosum: name another folder with --out.")
    return run


def agree(run: Run, plan: Plan, new: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any] | None:
    """Compare with the run that is there, and return what it says of itself; None if nothing is left to do.

    A larger budget is taken over where no schedule depends on it; a run whose time has not become a budget yet takes
    the one that is given.

    Raises:
        UserError: any other difference, by name.
    """
    old = run.read()
    found = differences({**comparable(old["resolved"]), "images": 0}, {**comparable(new["resolved"]), "images": 0})
    found += differences(old["seed"], new["seed"], "seed")
    if old["data"]["identity"] != new["data"]["identity"]:
        then, now = (f"{data['pictures']:,} pictures of {data['name']}" for data in (old["data"], new["data"]))
        found.append(f"data: {then} -> {now}, not the same ones")
    if found:
        raise UserError(
            f"{run.folder} was started with other settings: {'; '.join(found)}. Use the same ones, another --out, or "
            "--fork NEW to go on from its state with the new ones."
        )
    had, wanted = old["budget"]["images"], plan.images
    if had is None and plan.seconds is None:
        wanted = plan.recipe.images
    elif had is not None and wanted is not None and wanted < had:
        raise UserError(
            f"{run.folder} has a budget of {had:,} images, more than --images {wanted}: leave it out, or name another "
            "--out."
        )
    elif had is not None and wanted is not None and wanted > had and plan.recipe.depends_on_budget():
        raise UserError(
            f"{run.folder} was planned for {had:,} images, and its schedules depend on that: to go on to {wanted:,} "
            "use --fork NEW, which starts new schedules from its state."
        )
    if wanted is not None and wanted != had:
        old["budget"]["images"] = old["resolved"]["images"] = wanted
        run.write(old)
    end, budget = run.finished_at(), old["budget"]["images"]
    if end is not None and budget is not None and end >= budget:
        say(f"{run.folder} is finished ({end:,} images): --images with a larger number goes on.")
        return None
    if old["data"].get("order") != new["data"]["order"]:
        say("This run goes on with its pictures in another order (streamed or not), so not bit-exactly.")
    if old["versions"] != versions():
        changed = "; ".join(differences(old["versions"], versions()))
        say(f"This run goes on with other versions, so perhaps not bit-exactly: {changed}.")
    return old


def fork(old: Run, new: Run, plan: Plan, content: dict[str, Any], *, keep: bool = True) -> Run:
    """Copy a run's newest state and logs to a new folder, which then goes on with the new settings.

    The same command again goes on with the copy. The description is written first, so a copy that was cut short is
    recognised and made again.

    Raises:
        UserError: nothing to copy, a state that does not fit the new settings, or a folder that is something else.
    """
    if not old.exists():
        raise UserError(f"--fork NEW copies a run, and {old.folder} is none: name that run with --out.")
    source = str(old.folder)
    if new.exists():
        if new.read().get("forked_from") != source:
            raise UserError(f"{new.folder} is there already and no fork of {source}: --fork makes a new folder.")
        if new.states():
            return new
    usable(new)
    with files.locked(old.folder):
        state, _ = old.newest_state()
        if state is None:
            raise UserError(f"{old.folder} has no saved state yet: there is nothing to fork.")
        images = int(str(state.header["images"]))
        if images >= (content["budget"]["images"] or 2**62):
            raise UserError(f"{old.folder} stands at {images:,} images: --fork needs a larger --images to go on.")
        checkpoint.check_fits(state.tensors, plan.recipe)
        content["forked_from"] = source
        new.write(content)
        for log in old.logs:
            for line in files.read_lines(log):
                if int(str(line.get("images", 0))) <= images and line.get("event") not in ("finished", *RECORDED):
                    files.append_line(new.folder / log.name, line)
        new.event("forked", images, source=source)
        header = inherited(state.header, old.read()["resolved"], content["resolved"], keep=keep)
        amended(plan.recipe, from_json(header[AMENDMENTS]))  # which refuses before anything is there to go on from
        record(new, from_json(header[AMENDMENTS]))
        new.save_state(images, state.tensors, header)
    return new
