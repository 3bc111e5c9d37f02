"""What to do about a verdict: in words, and as a command (a call, where no command can name the recipe)."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from zerosum import again
from zerosum.recipes import CATALOGUE

AUGMENT = {"augment": "translation,cutout"}
AT = {"batch": ("batch",), "latent_size": ("latent", "size"), "strength": ("strength",)}  # dials, in resolved recipes
COMMON = ("mirror", "checkpoint")  # dials that every recipe has


class Remedy(NamedTuple):
    """What helps.

    Attributes:
        rates: factors for players' learning rates.
        dials: of the recipe: text as it is to be, or a factor for what it is.
        recipe: another one, for recipes that have none of these dials.
        goes_on: whether the run itself goes on, instead of a training anew.
        command: one that is no training; {data} and {run} stand for themselves.
    """

    says: str
    rates: Mapping[str, float] = {}
    dials: Mapping[str, str | float] = {}
    recipe: str = ""
    goes_on: bool = False
    command: str = ""


REMEDIES: dict[str, Remedy] = {
    "not finite": Remedy("Lower the learning rates.", {"generator": 0.5, "critic": 0.5}),
    "diverged": Remedy(
        "Lower the learning rates; a penalty on the critic's slope (R1) or spectral norm bounds it.",
        {"generator": 0.5, "critic": 0.5},
    ),
    "vanished gradient": Remedy(
        "Slow the critic down, and use a loss that does not saturate (loss=non_saturating, rpgan) with R1. Look at "
        "samples/real.png: borders or blocks that only real pictures have make the critic's work too easy.",
        {"critic": 0.25},
    ),
    "generator stuck": Remedy(
        "Speed the generator up and slow the critic down, or widen the generator. Look at samples/real.png: borders or "
        "blocks that only real pictures have make the critic's work too easy.",
        {"generator": 2.0, "critic": 0.5},
    ),
    "critic too weak": Remedy("Speed the critic up, widen it, or augment less.", {"critic": 4.0}),
    "critic overfits": Remedy(
        "Augment, bring more pictures, or take the best snapshot before this point; mirror=true helps where left and "
        "right are alike.",
        dials=AUGMENT,
        recipe="modern",
    ),
    "copies": Remedy(
        "Do not publish these pictures as new ones: look at samples/nearest.png. Bring more pictures, augment, or take "
        "a snapshot from before this point.",
        dials=AUGMENT,
        recipe="modern",
    ),
    "collapse": Remedy(
        "Slow the generator down; R1, a relativistic loss (rpgan), a larger batch or minibatch=stddev help too.",
        {"generator": 0.25},
    ),
    "hopping collapse": Remedy(
        "Slow the generator down; R1, a relativistic loss (rpgan) or a larger batch help too.", {"generator": 0.25}
    ),
    "drops modes": Remedy(
        "Raise the latent's size, the width or the batch; labels (conditional=true) keep every class.",
        dials={"latent_size": 2, "batch": 2},
        recipe="modern",
    ),
    "checkerboard": Remedy(
        "Use a kernel that the stride divides (kernel=4), or a residual network, which enlarges before it convolves.",
        recipe="modern",
    ),
    "augmentation leaks": Remedy(
        "Lower strength, or leave mirror or the kind of augmentation out.", dials={"mirror": "false", "strength": 0.5}
    ),
    "few pictures": Remedy(
        "Bring more pictures, or augment; with under 100 nothing is held out to judge by.",
        dials=AUGMENT,
        recipe="modern",
    ),
    "twins": Remedy("Leave the copies out; this names them:", command="zerosum data check {data}"),
    "blank pictures": Remedy("Leave them out; this names them:", command="zerosum data check {data}"),
    "flat": Remedy(
        "Stop, or take the best snapshot; for more, a wider network or more pictures.", command="zerosum report {run}"
    ),
    "declines": Remedy(
        "Take the best snapshot; lower rates or averages over more images keep what was reached.",
        command="zerosum report {run}",
    ),
    "slower": Remedy("Look at what else the machine does; this measures it:", command="zerosum doctor"),
    "waits for data": Remedy("Decode the pictures once, to a local disk:", command="zerosum data prepare {data}"),
    "memory nearly full": Remedy(
        "Close what else runs, or go on with less memory:", dials={"checkpoint": "true"}, goes_on=True
    ),
    "disk nearly full": Remedy("Make room: nothing that was saved is lost, and the same goes on:", goes_on=True),
    "dim pictures": Remedy(
        "Look at samples/real.png: pictures are expected to use values from 0 to 255.",
        command="zerosum data check {data}",
    ),
    "bars": Remedy("Crop them off; this names the pictures:", command="zerosum data check {data}"),
    "grey pictures": Remedy("One channel is quicker and loses nothing.", dials={"channels": "1"}),
    "full alpha": Remedy("Three channels are quicker and lose nothing.", dials={"channels": "3"}),
    "one class": Remedy(
        "Put other classes beside it, or the pictures in one folder; this counts:", command="zerosum data check {data}"
    ),
    "unequal classes": Remedy("Bring more of the rare ones; this counts all:", command="zerosum data check {data}"),
    "nothing like the real pictures": Remedy(
        "Train for longer; this shows whether it gets nearer:", command="zerosum report {run}"
    ),
}


def is_named(content: Mapping[str, Any]) -> bool:
    """Whether a command can name a run's recipe: it is of the catalogue, and was not passed as a value."""
    return str(content.get("recipe")) in CATALOGUE and at(content, ("asked", "named")) is not False


def settings(verdict: str, resolved: object) -> dict[str, str]:
    """The remedy's rates as settings of a run, from recipe.json's resolved recipe; empty where rates are no remedy."""
    found: dict[str, str] = {}
    for role, factor in REMEDIES.get(verdict, Remedy("")).rates.items():
        found |= {
            f"players.{role}.optimizer.{path}": f"{factor * number:.4g}"
            for path, number in _numbers("rate", at(resolved, ("players", role, "optimizer", "rate")))
        }
    return found


def dials(verdict: str, content: Mapping[str, Any]) -> dict[str, str]:
    """The remedy's dials that a run's recipe has, as settings."""
    function = CATALOGUE[str(content["recipe"])] if is_named(content) else None
    able = {*COMMON, *(inspect.signature(function).parameters if function else ())}
    found: dict[str, str] = {}
    for name, wanted in REMEDIES.get(verdict, Remedy("")).dials.items():
        now = at(content, ("dials", name))
        now = at(content, ("resolved", *AT[name])) if now is None and name in AT else now
        if name not in able:
            continue
        if isinstance(wanted, str):
            found[name] = wanted
        elif isinstance(now, int | float):
            found[name] = f"{wanted * now:g}"
    return found


def advice(verdict: str, content: Mapping[str, Any], folder: str) -> str:
    """The remedy of a verdict for a run, with what does it: a training anew, or the same run, or another command."""
    remedy, data = REMEDIES.get(verdict, Remedy("")), at(content, ("asked", "data")) or at(content, ("data", "name"))
    if data is None:
        return remedy.says
    if remedy.command:
        return f"{remedy.says} {remedy.command.format(data=shlex.quote(str(data)), run=shlex.quote(folder))}"
    changed = {**settings(verdict, content.get("resolved")), **dials(verdict, content)}
    recipe = "" if changed or remedy.recipe == content.get("recipe") else remedy.recipe
    if not (changed or recipe or remedy.goes_on):
        return remedy.says
    out = folder if remedy.goes_on else f"{folder}-mended"
    if not (recipe or is_named(content)):
        return f"{remedy.says} {again.call(content, str(data), out, changed)}"
    return (
        f"{remedy.says} {shlex.join([*again.words(content, str(data), recipe=recipe, changed=changed), '--out', out])}"
    )


def at(value: object, path: tuple[str, ...]) -> object:
    """What lies at a path of names in JSON, None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _numbers(path: str, rate: Any) -> Iterator[tuple[str, float]]:
    """A rate's numbers with their paths: one, or both ends of a ramp."""
    if isinstance(rate, Mapping):
        for end in ("start", "end"):
            if isinstance(rate.get(end), int | float):
                yield f"{path}.{end}", float(rate[end])
    elif isinstance(rate, int | float):
        yield path, float(rate)
