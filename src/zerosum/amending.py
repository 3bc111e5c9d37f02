"""Changes to a recipe while it is trained: from an image count on, and in the state, so that a resumed run has them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zerosum.data.telling import Say
from zerosum.diagnose.remedies import settings
from zerosum.errors import Stopped
from zerosum.recipe import Recipe, describe
from zerosum.run import Run
from zerosum.settings import change
from zerosum.training import checkpoint, saving
from zerosum.training.trainer import Trainer

AMENDMENTS = "amendments"  # in a state's header
MOST_ROLLED_BACK = 3


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


def amend(run: Run, trainer: Trainer, verdict: str, say: Say) -> None:
    """Write the verdict's remedy into the state of this moment; whoever goes on from it has it."""
    _write(run, trainer, verdict, say)


def roll_back(run: Run, trainer: Trainer, verdict: str, since: int, says: str, say: Say) -> None:
    """Forget what came after the newest whole state from before ``since``, and write the verdict's remedy into it.

    Raises:
        Stopped: it has been rolled back three times already.
    """
    done = from_json(trainer.notes.get(AMENDMENTS))
    if sum(one.why in ("not finite", "diverged") for one in done) >= MOST_ROLLED_BACK:
        raise Stopped(f"{says} It was rolled back {MOST_ROLLED_BACK} times, and slower players did not help.")
    left = trainer.images
    for path in run.states():
        if int(path.parent.name) >= max(1, since):
            shutil.rmtree(path.parent, ignore_errors=True)
    state, _ = run.newest_state()
    if state is None:
        fresh = Trainer(trainer.recipe, trainer.pictures, run, trainer.seed, trainer.choices)
    else:
        fresh = trainer
        fresh.memory = checkpoint.restore(state.tensors, trainer.players, trainer.average, trainer.memory)
        fresh.images, fresh.rounds = int(str(state.header["images"])), int(str(state.header["rounds"]))
        fresh.seconds = float(str(state.header["seconds"]))
    fresh.notes = trainer.notes
    run.rewind(fresh.images)
    run.event("rolled back", fresh.images, **{"from": left}, why=verdict)
    say(f"{says} Back to {fresh.images:,} images.")
    _write(run, fresh, verdict, say)


def _write(run: Run, trainer: Trainer, verdict: str, say: Say) -> None:
    resolved = describe(trainer.recipe)
    changed = settings(verdict, resolved) if isinstance(resolved, dict) else {}
    one = Amendment(trainer.images, changed, verdict)
    trainer.notes = {**trainer.notes, AMENDMENTS: to_json([*from_json(trainer.notes.get(AMENDMENTS)), one])}
    saving.write_state(trainer)
    run.event("amended", trainer.images, settings=changed, why=verdict)
    say(f"Changed from here on: {', '.join(f'{path}={text}' for path, text in changed.items())} ({verdict}).")
