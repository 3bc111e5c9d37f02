"""A single look at generated pictures beside real ones: what of a check needs no training, its rules and answers."""

from __future__ import annotations

import contextlib
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum.data.decode import head, upright
from zerosum.data.find import find
from zerosum.data.fit import Shape, fit
from zerosum.data.pictures import Pictures
from zerosum.data.pixels import to_float
from zerosum.data.source import Bytes, Labels, Raw, Source, Unreadable
from zerosum.data.telling import Progress, Say
from zerosum.diagnose import rules, signals, spectrum
from zerosum.diagnose.remedies import REMEDIES
from zerosum.diagnose.rules import Rule
from zerosum.diagnose.symptoms import RECENT, Check, Evidence
from zerosum.diagnose.verdicts import Verdict
from zerosum.errors import UserError
from zerosum.run import Run, runs_in

SHEETS = r"fakes\d+|fakes_init|reals"  # what StyleGAN calls its own
LOOKED_AT = 500  # generated pictures
KNOWN, HELD = 50_000, 500  # real pictures that generated ones are compared with: whatever was copied is among many
SHOWN = 2_000  # of them, whose spectrum is taken
LEAST_HELD = 10  # held-out pictures, of which fewer say nothing
BLOCK = 256  # pictures that become floats together
PAIRS = 5
ALL_ALIKE = 0.1  # diversity below which pictures are one picture, whatever it shows
NOISE = 10.0  # times the power of real pictures in a ring of the spectrum


class Made(NamedTuple):
    """Generated pictures.

    Attributes:
        pixels: of those that are looked at, uint8 (N, C, H, W).
        called: what each of them is called.
        name: what they are.
        total: how many there are.
        resized: how many had another size.
    """

    pixels: Bytes
    called: list[str]
    name: str
    total: int
    resized: int = 0


def drawn(target: str, shape: Shape, data_root: str | None, say: Say, looked: Progress) -> Made:
    """A spread of someone's pictures, in a shape; those that cannot be read are left out."""
    _refuse_sheets(Path(target))
    source = find(target, data_root, say)
    if source.files is not None and all(re.fullmatch(SHEETS, Path(name).stem) for name in source.files):
        raise UserError(f"{target} holds sheets of many pictures each: give single ones (StyleGAN's gen_images.py).")
    wanted = np.linspace(0, len(source) - 1, min(LOOKED_AT, len(source))).astype(np.int64).tolist()
    found: list[Bytes] = []
    names: list[str] = []
    resized = 0
    for done, index in enumerate(wanted):
        looked(done, len(wanted))
        try:
            pixels, size = _decoded(source.read(index), shape)
        except Unreadable as error:
            say(f"{source.called(index)} is left out: {error}.")
            continue
        found.append(pixels)
        names.append(source.called(index))
        resized += size != (shape.width, shape.height)
    looked(len(wanted), len(wanted))
    pixels = np.stack(found) if found else np.empty((0, *shape.size), np.uint8)
    return Made(pixels, names, f"{len(found)} pictures of {len(source):,} in {source.name}", len(source), resized)


def _refuse_sheets(path: Path) -> None:
    """Refuse a run's samples, which are sheets of many pictures each, and a folder of runs."""
    place = path.resolve()
    inside = next((one for one in place.parents[:3] if place.name == "samples" and Run(one).exists()), None)
    if inside is not None:
        raise UserError(f"{path} holds a run's sheets of many pictures each: give the run's folder, {inside}.")
    if runs := runs_in(path):
        raise UserError(f"{path} is a folder of runs: give one of them, {runs[0].folder}, say.")


def _decoded(raw: Raw, shape: Shape) -> tuple[Bytes, tuple[int, int]]:
    """A picture in a shape, and the (width, height) that it has."""
    width, height, _ = head(raw)
    return fit(upright(raw, shape.least(width, height)), shape), (width, height)


def called(source: Source, real: Pictures, row: int) -> str:
    """What a real picture is called; prepared rows may be in the order of earlier names, so it is looked at again."""
    _, channels, height, width = real.pixels.shape
    with contextlib.suppress(Unreadable):
        pixels = _decoded(source.read(row), Shape(width, height, channels))[0]
        if (pixels == real.pixels[np.array([row])][0]).all():
            return source.called(row)
    return "a real one"


class Look(NamedTuple):
    """What was measured, and the pairs that lie nearest: the place of a generated picture, the row of a real one."""

    check: Check
    pairs: tuple[tuple[int, int], ...]


def look(real: Pictures, fake: Bytes, *, resized: bool = False) -> Look:
    """Measure generated pictures (N, C, H, W) beside real ones of the same size.

    Args:
        resized: they had another size, so that the fine pattern in them is that of the resizing.
    """
    places = real.some(KNOWN)
    order = np.random.default_rng(0).permutation(len(places))  # those that stand for all come first
    places = places[order]
    known = torch.cat([signals.view(block) for block in _taken(real, places)])
    views = torch.cat([signals.view(block) for block in _floats(fake)])
    held = real.take("held-out", slice(0, HELD))[0] if len(real.held_out) >= LEAST_HELD else None
    reals = signals.Reals(
        known, None if held is None else signals.view(to_float(torch.from_numpy(held))), min(len(fake), len(known))
    )
    found = {"images": 0.0, "share": 1.0, "round": math.inf}
    found |= reals.of_fakes(views, "raw") | reals.of_fakes(views, "ema") | reals.of_copies(views)
    made, same = spectrum.spectrum(_floats(fake)), spectrum.spectrum(_taken(real, places[:SHOWN]))
    rings = zip(spectrum.radial(made.power), spectrum.radial(same.power), strict=True)
    found["noise"] = max(10 ** (ours - theirs) for ours, theirs in rings)
    if not resized:
        found |= {"checkerboard": spectrum.checkerboard(made, same), "grid": spectrum.grid(made, same)}
    return Look(found, _pairs(views, known, real.train[places]))


def verdicts(check: Check) -> list[Verdict]:
    """What is wrong by a single look; what explains something else keeps that quiet."""
    past = [check] * RECENT
    held = {rule.name: evidence for rule in RULES if (evidence := rule.test(check, past)) is not None}
    quiet = {name for rule in RULES if rule.name in held for name in rule.explains}
    return [
        Verdict(rule.name, rule.level, rule.says, _plain(held[rule.name]), 0.5, 0, 0)
        for rule in RULES
        if rule.name in held and rule.name not in quiet
    ]


def _plain(evidence: Evidence) -> Evidence:
    """Evidence without the two kinds of weights that a training has."""
    return {name.removesuffix("_ema").removesuffix("_raw"): value for name, value in evidence.items()}


def strange(now: Check, past: Sequence[Check]) -> Evidence | None:
    """Hardly a real picture has a generated one beside it, or all have noise that real ones lack."""
    diversity, noise = now.get("diversity_ema", 0), now.get("noise", 0)
    coverage, precision = now.get("coverage_ema", 1), now.get("precision_ema", 1)
    if diversity < ALL_ALIKE:
        return None
    if coverage < 0.15 and precision < 0.5 and now.get("nearest_train", 0) > 1:
        return {"coverage": coverage, "precision": precision, "distance to the nearest": now["nearest_train"]}
    if noise > NOISE and min(coverage, diversity) < 0.5:  # averaged away, it is grey, which lies among all pictures
        return {"coverage": coverage, "diversity": diversity, "times the noise of real ones": noise}
    return None


def _of(name: str, says: str = "") -> Rule:
    """A rule of trainings, in the words of a single look."""
    rule = next(rule for rule in rules.RULES if rule.name == name)
    return replace(rule, says=says or rule.says)


RULES = (
    Rule(
        "nothing like the real pictures",
        strange,
        "The pictures are nothing like the real ones: noise, other things, or a training that has hardly begun.",
        explains=("copies", "collapse", "drops modes", "checkerboard"),
    ),
    _of("collapse", "The pictures are one picture or a few, again and again."),
    _of("copies", "Generated pictures are copies: they lie nearer to real ones than new ones could."),
    _of("drops modes", "The pictures are good, but of a part of the real ones only."),
    _of("checkerboard"),
)
ANSWERS: Mapping[str, str] = {
    "nothing like the real pictures": "See that --against names what they were trained on, and look at them: {show}",
    "copies": "Do not publish them as new; more real pictures, augmentation or an earlier snapshot help. The nearest "
    "(generated ~ real): {pairs}. {compare}",
    "collapse": "Their training needs a slower generator, R1 or a larger batch; with a truncation below 1, raise it. "
    "This shows them: {show}",
    "drops modes": "Their training needs a larger latent, network or batch, or labels; with a truncation below 1, "
    "raise it. {measure}",
    "checkerboard": "Their network needs a kernel that the stride divides (4 for 2), or to enlarge before it "
    "convolves. This shows them: {show}",
    "few pictures": "More real pictures make every measure finer; this looks at them: {data}",
    "dim pictures": "Values from 0 to 255 are expected; this looks at them: {data}",
}


def answer(verdict: str, target: str, against: str, count: int, pairs: Sequence[str] = ()) -> str:
    """What to do about a verdict on pictures, with a command.

    Args:
        target: a folder or archive of generated pictures, or a snapshot.
        count: how many generated pictures and held-out real ones there are, the lesser.
        pairs: what the nearest pairs are called.
    """
    made, real = shlex.quote(target), shlex.quote(against)
    snapshot = target.endswith(".safetensors")
    show = f"zerosum sample {made} --seeds 0-63 -o sheet.png" if snapshot else f"zerosum data check {made} -o sheet.png"

    def measured(*protocols: tuple[int, str]) -> str:
        """By the first that there are enough pictures for; where there is none, to be seen."""
        name = next((name for least, name in protocols if count >= least), None)
        told = None if name is None else f"This measures it: zerosum evaluate {made} --against {real} --metrics {name}"
        return told or f"This shows them: {show}"

    text = ANSWERS.get(verdict) or f"{REMEDIES[verdict].says} {{data}}"
    return text.format(
        show=show,
        pairs=", ".join(pairs),
        compare=measured((2000, "copies2k_random")),
        measure=measured((1000, "prdc1k_random"), (100, "prdc100_random")),
        data=f"zerosum data check {real}",
    )


def _floats(pixels: Bytes) -> Iterator[Tensor]:
    """Pictures as floats, a few at a time."""
    for block in np.array_split(pixels, -(-len(pixels) // BLOCK)):
        yield to_float(torch.from_numpy(block))


def _taken(real: Pictures, places: Labels) -> Iterator[Tensor]:
    """Training pictures at these places as floats, a few at a time."""
    for block in np.array_split(places, -(-len(places) // BLOCK)):
        yield to_float(torch.from_numpy(real.take("train", block)[0]))


def _pairs(fake: Tensor, known: Tensor, rows: np.ndarray) -> tuple[tuple[int, int], ...]:
    nearest = signals.distances(fake, known).min(1)
    first = nearest.values.argsort(stable=True)[:PAIRS]
    return tuple((int(place), int(rows[nearest.indices[place]])) for place in first)
