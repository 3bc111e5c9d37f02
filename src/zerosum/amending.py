"""Changes to a recipe while it is trained: from an image count on, and in the state, so that a resumed run has them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zerosum import files
from zerosum.data.telling import Say
from zerosum.diagnose.remedies import at, settings
from zerosum.diagnose.rules import Evidence
from zerosum.diagnose.verdicts import Verdict
from zerosum.errors import Stopped
from zerosum.recipe import Recipe, describe
from zerosum.run import Run
from zerosum.settings import change
from zerosum.training import saving
from zerosum.training.trainer import Trainer

AMENDMENTS = "amendments"  # in a state's header
ACTING = ("not finite", "diverged")
MOST_ROLLED_BACK = 3
MOST_AMENDED = 3  # times for one verdict


class Amendment(NamedTuple):
    """Settings as ``--set`` takes them, which hold from ``images`` on, and why."""

    images: int
    settings: Mapping[str, str]
    why: str


def amended(recipe: Recipe, amendments: Sequence[Amendment]) -> Recipe:
    """The recipe with all amendments, the later over the earlier.

    Raises:
        UserError: a setting that the recipe does not have.
    """
    for amendment in amendments:
        for path, text in amendment.settings.items():
            recipe = change(recipe, path, text)
    return recipe


def to_json(amendments: Sequence[Amendment]) -> list[dict[str, Any]]:
    """For a state's header."""
    return [{**amendment._asdict(), "settings": dict(amendment.settings)} for amendment in amendments]


def from_json(found: object) -> tuple[Amendment, ...]:
    """From a state's header; an older state has none."""
    return tuple(Amendment(**one) for one in found) if isinstance(found, list) else ()


def is_wanted(verdict: Verdict, trainer: Trainer, *, act: bool) -> bool:
    """Whether a training is to be changed for a verdict that stands: not again for the same one, nor without end."""
    if verdict.level == "act":
        return True
    done = [one for one in _of(trainer) if one.why == verdict.name]
    answered = any(one.images >= verdict.since for one in done)
    return act and not answered and len(done) < MOST_AMENDED and bool(settings(verdict.name, describe(trainer.recipe)))


def amend(run: Run, trainer: Trainer, verdict: str, say: Say) -> None:
    """Write the verdict's remedy into the state of this moment; whoever goes on from it has it."""
    one = _remedy(trainer, verdict, trainer.images)
    trainer.notes = {**trainer.notes, AMENDMENTS: to_json([*_of(trainer), one])}
    saving.write_state(trainer)
    _told(run, _of(trainer), say)


def roll_back(run: Run, trainer: Trainer, verdict: str, since: int, says: str, say: Say, evidence: Evidence) -> None:
    """Forget what came after a whole state from before ``since``, and write the verdict's remedy into it.

    It is the newest such state, and the next time an older one or the start: the first may have been ill already.

    Raises:
        Stopped: it has been rolled back three times already.
    """
    done = _of(trainer)
    if sum(one.why in ACTING for one in done) >= MOST_ROLLED_BACK:
        raise Stopped(f"{says} It was rolled back {MOST_ROLLED_BACK} times, and slower players did not help.")
    tried = {one.images for one in done if one.why in ACTING}
    for path in run.states():
        images = int(path.parent.name)
        if images > 0 and (images >= since or images in tried):
            shutil.rmtree(path.parent, ignore_errors=True)
    state, _ = run.newest_state()
    images = 0 if state is None else int(str(state.header["images"]))
    run.rewind(images)
    details = {"from": trainer.images, "why": verdict, "says": says, "evidence": dict(evidence)}
    run.event("rolled back", images, **details)
    say(f"{says} Back to {images:,} images.")
    kept = [one._replace(images=min(one.images, images)) for one in done] + [_remedy(trainer, verdict, images)]
    if state is None:
        fresh = Trainer(trainer.recipe, trainer.pictures, run, trainer.seed, trainer.choices)
        fresh.notes = {AMENDMENTS: to_json(kept)}
        saving.write_state(fresh)
    else:
        run.save_state(images, state.tensors, {**state.header, AMENDMENTS: to_json(kept)})
    _told(run, kept, say)


def record(run: Run, amendments: Sequence[Amendment]) -> None:
    """Let events.jsonl say what the state says is in force, whatever was killed between the two."""
    wanted = [{**one, "event": "amended"} for one in to_json(amendments)]
    if [line for line in files.read_lines(run.events) if line.get("event") == "amended"] != wanted:
        files.keep_lines(run.events, lambda line: line.get("event") != "amended")
        for one in amendments:
            run.event("amended", one.images, settings=dict(one.settings), why=one.why)


def inherited(
    header: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any], *, keep: bool
) -> dict[str, Any]:
    """A state's header for a fork: without amendments, or with those of fields that it leaves as they were.

    Args:
        old: the resolved recipe of the run that is forked.
        new: that of the fork.
    """
    found = []
    for one in from_json(header.get(AMENDMENTS)) if keep else ():
        same = {path: text for path, text in one.settings.items() if _lies(old, path) == _lies(new, path)}
        found += [one._replace(settings=same)] if same else []
    return {**header, AMENDMENTS: to_json(found)}


def _lies(resolved: Mapping[str, Any], path: str) -> object:
    return at(resolved, tuple(path.split(".")))


def _of(trainer: Trainer) -> tuple[Amendment, ...]:
    return from_json(trainer.notes.get(AMENDMENTS))


def _remedy(trainer: Trainer, verdict: str, images: int) -> Amendment:
    return Amendment(images, settings(verdict, describe(trainer.recipe)), verdict)


def _told(run: Run, amendments: Sequence[Amendment], say: Say) -> None:
    record(run, amendments)
    newest = amendments[-1]
    changed = ", ".join(f"{path}={text}" for path, text in newest.settings.items())
    say(f"Changed from here on: {changed} ({newest.why}).")
