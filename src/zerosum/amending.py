"""Changes to a recipe while it is trained: from an image count on, and in the state, so that a resumed run has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from zerosum import files
from zerosum.data.telling import Say
from zerosum.diagnose.remedies import at, settings
from zerosum.diagnose.verdicts import Verdict, numbers
from zerosum.errors import Stopped
from zerosum.files import Tensors
from zerosum.recipe import Recipe, describe
from zerosum.run import Run
from zerosum.settings import change
from zerosum.training import saving
from zerosum.training.trainer import Trainer

AMENDMENTS = "amendments"  # in a state's header
RECORDED = ("rolled back", "amended")  # events that say what the newest state's header says
ACTING = ("not finite", "diverged")
MOST_ROLLED_BACK = 3
MOST_AMENDED = 3  # times for one verdict


class Amendment(NamedTuple):
    """Settings as ``--set`` takes them, which hold from ``images`` on, and why.

    Attributes:
        back: of a roll-back to ``images``: ``from`` how many, and what the verdict ``says`` on which ``evidence``.
    """

    images: int
    settings: Mapping[str, str]
    why: str
    back: Mapping[str, Any] = {}


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
    return [{**one._asdict(), "settings": dict(one.settings), "back": dict(one.back)} for one in amendments]


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


def not_finite(trainer: Trainer, says: str) -> Verdict:
    """The verdict on a training whose numbers broke; its evidence is the last line of losses and gradients before."""
    lines = [numbers(line) for line in files.read_lines(trainer.run.stats) if "not_finite" not in line]
    last = lines[-1].items() if lines else ()
    evidence = {name: value for name, value in last if name.endswith((".loss", ".gradient"))}
    return Verdict("not finite", "act", says, evidence, 1.0, trainer.images, trainer.images)


def amend(run: Run, trainer: Trainer, verdict: str, say: Say) -> None:
    """Write the verdict's remedy into the state of this moment; whoever goes on from it has it."""
    amendments = [*_of(trainer), Amendment(trainer.images, settings(verdict, describe(trainer.recipe)), verdict)]
    trainer.notes = {**trainer.notes, AMENDMENTS: to_json(amendments)}
    saving.write_state(trainer)
    _told(run, amendments, say)


def roll_back(run: Run, trainer: Trainer, recipe: Recipe, verdict: Verdict, say: Say) -> None:
    """Write the verdict's remedy into a whole state from before it, to go on from there; put aside what came after.

    It is the newest such state, but rather an older one than that of the last roll-back, which may have been ill
    already; and the start where nothing was saved before the verdict. The state is written before anything else moves:
    where that is cut short, the run breaks again and is rolled back again.

    Args:
        recipe: the run's own, without what was amended.

    Raises:
        Stopped: it has been rolled back three times already, there is no such state, or no rate that can be lowered.
            Everything that was saved is as it was.
    """
    done = _of(trainer)
    backs = [one for one in done if one.why in ACTING]
    state = _before(run, verdict.since, backs[-1].images if backs else 0)
    images = 0 if state is None else int(str(state.header["images"]))
    kept = [one for one in done if one.why in ACTING or one.images <= images]
    recipe = amended(recipe, kept)
    changed = settings(verdict.name, describe(recipe))
    if len(backs) >= MOST_ROLLED_BACK:
        raise _stopped(trainer, verdict, f"it was rolled back {MOST_ROLLED_BACK} times, and lower rates did not help")
    if state is None and any(int(path.stem) < verdict.since for path in run.snapshots()):
        raise _stopped(trainer, verdict, "no state from before that is left to go back to")
    if not changed:
        raise _stopped(trainer, verdict, "its learning rates are no numbers that could be lowered")
    back = {"from": trainer.images, "says": verdict.says, "evidence": numbers(verdict.evidence)}
    kept.append(Amendment(images, changed, verdict.name, back))
    notes = {AMENDMENTS: to_json(kept)}
    if state is None:
        fresh = Trainer(recipe, trainer.pictures, run, trainer.seed, trainer.choices, notes=notes, safe=1)
        saving.write_state(fresh)
    else:
        run.save_state(images, state.tensors, {**state.header, **notes}, safe=images + 1)
    folder = run.set_aside(images, str(len(backs) + 1))
    run.rewind(images)
    say(f"{verdict.says} Back to {images:,} images; what came after is kept in {folder}.")
    _told(run, kept, say)


def record(run: Run, amendments: Sequence[Amendment]) -> None:
    """Let events.jsonl say what the state says was changed and rolled back, whatever was killed between the two."""
    wanted = [line for one in amendments for line in _lines(one)]
    found = [line for line in files.read_lines(run.events) if line.get("event") in RECORDED]
    if found != wanted[: len(found)]:
        files.keep_lines(run.events, lambda line: line.get("event") not in RECORDED)
        found.clear()
    for line in wanted[len(found) :]:
        files.append_line(run.events, line)


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


def _before(run: Run, since: int, last: int) -> Tensors | None:
    """The newest whole state from before ``since``, that at ``last`` only where there is no other; or that at 0."""
    found = [(images != last, images, path) for path in run.states() for images in [int(path.parent.name)]]
    return run.newest_state([path for _, images, path in sorted(found) if images < max(since, 1)])[0]


def _stopped(trainer: Trainer, verdict: Verdict, why: str) -> Stopped:
    trainer.run.event("stopped", trainer.images, why=why)
    return Stopped(
        f"{verdict.says} Stopped: {why}. What was saved is kept: take a model from {trainer.run.folder / 'snapshots'}, "
        "or start anew with lower learning rates (--set rate=...) or another recipe."
    )


def _lines(one: Amendment) -> Iterator[dict[str, Any]]:
    """The events of an amendment."""
    if one.why in ACTING:
        yield {"images": one.images, "event": "rolled back", "why": one.why, **one.back}
    yield {"images": one.images, "event": "amended", "settings": dict(one.settings), "why": one.why}


def _told(run: Run, amendments: Sequence[Amendment], say: Say) -> None:
    record(run, amendments)
    newest = amendments[-1]
    changed = ", ".join(f"{path}={text}" for path, text in newest.settings.items())
    say(f"Changed from here on: {changed} ({newest.why}).")
