"""What to do about a verdict: in words, and where it is a matter of rates, as settings that a command takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Remedy(NamedTuple):
    """What helps: a sentence, and factors for players' learning rates."""

    says: str
    rates: Mapping[str, float] = {}


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
        "Augment (augment=translation,cutout, as recipe modern does, or mirror=true where left and right are alike), "
        "bring more pictures, or take the best snapshot before this point."
    ),
    "copies": Remedy(
        "Do not publish these pictures as new ones: look at samples/nearest.png. Bring more pictures, augment, or take "
        "a snapshot from before this point."
    ),
    "collapse": Remedy(
        "Slow the generator down; R1, a relativistic loss (rpgan), a larger batch or minibatch=stddev help too.",
        {"generator": 0.25},
    ),
    "hopping collapse": Remedy(
        "Slow the generator down; R1, a relativistic loss (rpgan) or a larger batch help too.", {"generator": 0.25}
    ),
    "drops modes": Remedy("Raise latent_size, width or batch; labels (conditional=true) keep every class."),
    "checkerboard": Remedy(
        "Use a kernel that the stride divides (kernel=4), or a residual network, which enlarges before it convolves."
    ),
    "augmentation leaks": Remedy("Lower strength, or leave mirror or the kind of augmentation out."),
    "few pictures": Remedy("Bring more pictures, or augment; with under 100 nothing is held out to judge by."),
    "twins": Remedy("Leave the copies out: zerosum data check names them."),
    "blank pictures": Remedy("Leave them out: zerosum data check names them."),
    "flat": Remedy("Stop, or take the best snapshot; for more, a wider network or more pictures."),
    "slower": Remedy("Look at what else the machine does: zerosum doctor measures it."),
    "waits for data": Remedy("Decode the pictures once (zerosum data prepare), to a local disk."),
    "memory nearly full": Remedy("Close what else runs, or go on with --batch auto or --set checkpoint=true."),
    "disk nearly full": Remedy("Make room: nothing that was saved is lost, and the same command goes on."),
    "dim pictures": Remedy("Look at samples/real.png: pictures are expected to use values from 0 to 255."),
}


def settings(verdict: str, resolved: Mapping[str, Any]) -> dict[str, str]:
    """The remedy's rates as settings of a run, from recipe.json's resolved recipe; empty where rates are no remedy."""
    found: dict[str, str] = {}
    for role, factor in REMEDIES.get(verdict, Remedy("")).rates.items():
        optimizer = resolved.get("players", {}).get(role, {}).get("optimizer", {})
        found |= {
            f"players.{role}.optimizer.{path}": f"{factor * number:.4g}"
            for path, number in _numbers("rate", optimizer.get("rate"))
        }
    return found


def command(content: Mapping[str, Any], folder: str, changed: Mapping[str, str]) -> str:
    """The command that goes on from a run's state in a new folder with changed settings."""
    asked = content.get("asked") or {}
    fields = {**content.get("set", {}), **changed}
    dials = asked.get("settings", {})
    words = ["zerosum", "train", str(asked.get("data", content.get("data", {}).get("name", "DATA")))]
    words += ["--recipe", str(content.get("recipe", "auto")), "--out", folder, "--fork", f"{folder}-mended"]
    words += [word for name, value in {**dials, **fields}.items() for word in ("--set", f"{name}={value}")]
    return shlex.join(words)


def advice(verdict: str, content: Mapping[str, Any], folder: str) -> str:
    """The remedy of a verdict for a run, with its command where there is one."""
    says = REMEDIES[verdict].says if verdict in REMEDIES else ""
    changed = settings(verdict, content.get("resolved", {}))
    return f"{says} {command(content, folder, changed)}" if changed else says


def _numbers(path: str, rate: Any) -> Iterator[tuple[str, float]]:
    """A rate's numbers with their paths: one, or both ends of a ramp."""
    if isinstance(rate, Mapping):
        for end in ("start", "end"):
            if isinstance(rate.get(end), int | float):
                yield f"{path}.{end}", float(rate[end])
    elif isinstance(rate, int | float):
        yield path, float(rate)
