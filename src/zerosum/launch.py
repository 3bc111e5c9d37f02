"""``zerosum.train``: from a request to a finished run. Which folder, where to go on from, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from zerosum import files
from zerosum.amending import AMENDMENTS, amend, amended, from_json, not_finite, record, roll_back
from zerosum.data.cache import cache_folder
from zerosum.data.fit import Fit
from zerosum.data.pictures import Pictures
from zerosum.data.prepare import Broken
from zerosum.data.survey import remember
from zerosum.data.telling import Progress, Say, silent
from zerosum.errors import Stopped, UserError
from zerosum.interrupt import Interrupt, Interrupted
from zerosum.judging import judge
from zerosum.plan import Plan, Request, make_plan
from zerosum.recipe import Recipe, RecipeFunction
from zerosum.resuming import agree, contents, numbered, usable
from zerosum.resuming import fork as copy
from zerosum.run import TRACKED, Run
from zerosum.tracking import Tracker
from zerosum.training import checkpoint, saving
from zerosum.training.engine import Asked, refusal
from zerosum.training.fitting import advice, is_out_of_memory
from zerosum.training.trainer import Budget, Choices, NotFinite, Trainer, Watcher
from zerosum.training.trainer import train as train_rounds
from zerosum.training.trial import choose
from zerosum.watching import Watch

JUDGE_SHARE, JUDGE_MOST = 0.25, 45.0  # of a time budget, kept back for the judgement
MEASURE_SHARE = 0.4  # of what is kept back: measuring, after the classifier has been trained


def train(
    data: str | Path,
    recipe: str | RecipeFunction | Recipe = "auto",
    *,
    out: str | Path | None = None,
    fork: str | Path | None = None,
    amendments: Literal["keep", "drop"] = "keep",
    act: bool = False,
    images: int | None = None,
    seconds: float | None = None,
    resolution: str | None = None,
    seed: int = 0,
    device: str = "auto",
    settings: Mapping[str, str] | None = None,
    data_root: str | Path | None = None,
    fit: Fit = "crop",
    broken: Broken = "skip",
    engine: Asked = "auto",
    batch: str | None = None,
    say: Say = silent,
    looked: Progress = silent,
    prepared: Progress = silent,
    watchers: Sequence[Watcher] = (),
) -> Run:
    """Train a GAN on ``data`` and return its run folder; called again with the same arguments it goes on.

    Args:
        data: a folder of pictures, an archive or file of them, an address or a name; see ``zerosum.data.find``.
        recipe: a name, a function that returns a recipe, or a recipe.
        out: the run's folder; without it the newest unfinished run of the same kind under ``runs/``, or a new one.
        fork: copy the state of ``out`` to this folder and go on there with these settings.
        amendments: whether a fork keeps what was changed while the run was trained.
        act: change learning rates also for other verdicts whose remedy they are, and not only after values that are
            not finite or a divergence.
        images: budget in real pictures seen by the critic.
        seconds: a time instead; the speed of the first rounds turns it into a budget in images.
        resolution: ``64`` or ``WIDTHxHEIGHT``.
        settings: dials of the recipe by name, and fields of it by dotted path, as text.
        data_root: folder with copies of named data, before ``ZEROSUM_DATA`` and downloads.
        fit: what happens to pictures of other proportions.
        broken: leave pictures out that cannot be read, or refuse.
        engine: who plays the rounds; see ``training.engine``.
        batch: a number, or "auto" for the recipe's in as many parts as memory asks for.
        say: is told what happens, in sentences.
        looked: is told how many pictures of how many were looked at.
        prepared: is told how many pictures of how many are decoded.
        watchers: are told at every line of stats.

    Raises:
        UserError: a mistake in the arguments, the data or the folder. Nothing is lost.
        Stopped: the machine gave out (a full disk) or training did (not finite); what was saved is whole.
    """
    root = None if data_root is None else str(data_root)
    return start(
        Request(
            str(data), recipe, images, seconds, resolution, seed, device, settings, root, fit, broken, engine, batch
        ),
        out=out,
        fork=fork,
        amendments=amendments,
        act=act,
        say=say,
        looked=looked,
        prepared=prepared,
        watchers=watchers,
    )


def start(
    request: Request,
    *,
    out: str | Path | None = None,
    fork: str | Path | None = None,
    amendments: Literal["keep", "drop"] = "keep",
    act: bool = False,
    say: Say = silent,
    looked: Progress = silent,
    prepared: Progress = silent,
    watchers: Sequence[Watcher] = (),
) -> Run:
    """``train``, of a request."""
    started = time.monotonic()
    run = Run(Path(out or "runs"))
    with Interrupt() as interrupt:
        try:
            plan = make_plan(request, say, looked)
            if out is None and fork is not None:
                raise UserError("--fork NEW copies a run: name that run with --out.")
            if fork is None and amendments == "drop":
                raise UserError("--amendments drop is for a copy of a run: name it with --fork NEW.")
            for line in plan.explain():
                say(line)
            pictures = plan.pictures(prepared)
            for note in pictures.notes:
                say(note)
            content = contents(plan, pictures)
            content["asked"] |= {"act": act, "named": isinstance(request.recipe, str)}
            if fork is not None:
                run = copy(run, Run(Path(fork)), plan, content, keep=amendments == "keep")
            elif out is None:
                run = numbered(content)
            with files.locked(usable(run).folder):
                deadline = None if plan.seconds is None else started + plan.seconds
                _Session(plan, pictures, run, content, deadline, interrupt, act, say, watchers).go()
        except Interrupted:
            say("Stopped at once: what was saved before stands, and the same command goes on from there.")
    return run


@dataclass
class _Session:
    """One command's work on one run folder, which it holds locked."""

    plan: Plan
    pictures: Pictures
    run: Run
    content: dict[str, Any]
    deadline: float | None
    interrupt: Interrupt
    act: bool
    say: Say
    watchers: Sequence[Watcher]

    def go(self) -> None:
        """Start or resume, train, judge."""
        if not self.run.exists():
            chosen = choose(self.plan.engine, self.plan.recipe, self.pictures, self.plan.choices, self.say)
            self.content["choices"] = asdict(chosen)
            self.run.write(self.content)
        else:
            agreed = agree(self.run, self.plan, self.content, self.say)
            if agreed is None:
                return None
            self.content = agreed
        if self.plan.seen.changes:  # which are told; from now on they are what the run is trained on
            remember(self.plan.source, self.plan.seen, cache_folder())
        self._note_skipped()
        self.say(f"run         {self.run.folder}  (Ctrl-C saves; the same command goes on)")
        choices = self._choices()
        try:
            return self._train(choices)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        raise Stopped(advice(self.plan.recipe, self.pictures, choices))  # what it held is free by now

    def _train(self, choices: Choices) -> None:
        trainer, done = self._played(choices)
        while trainer is None:  # something was changed, and it goes on from there
            trainer, done = self._played(choices)
        if self.interrupt.asked or not done:
            why = "as asked" if self.interrupt.asked else "the time is up"
            self.say(f"Stopped at {trainer.images:,} images, {why}; saved. The same command goes on from here.")
            self.run.event("stopped", trainer.images, why=why)
            if self.interrupt.asked:
                return
        self._finish(trainer, done)

    def _played(self, choices: Choices) -> tuple[Trainer | None, bool]:
        """Train from the newest state; the trainer at its end, or None where something was changed on the way."""
        trainer = self._restored(choices)
        watch = Watch(trainer, self.run, self.say, self.content, self.act)
        watchers = (Tracker(self.run, self.pictures, self.content["choices"]["device"]), watch, *self.watchers)
        try:
            with self.interrupt.saves():
                outcome = train_rounds(
                    trainer,
                    self._budget(),
                    deadline=self._training_deadline(),
                    stop=lambda: self.interrupt.asked or watch.wants is not None,
                    fixed=self._fix,
                    watchers=watchers,
                )
        except NotFinite as error:
            roll_back(self.run, trainer, self.plan.recipe, not_finite(trainer, str(error)), self.say)
            return None, False
        wants = watch.wants
        if self.interrupt.asked or wants is None or outcome.why == "time" or (outcome.done and wants.level != "act"):
            return trainer, outcome.done
        if wants.level == "act":
            roll_back(self.run, trainer, self.plan.recipe, wants, self.say)
        else:
            amend(self.run, trainer, wants.name, self.say)
        return None, False

    def _note_skipped(self) -> None:
        """The pictures that could not be read: how many, and a list in the run's folder."""
        lost = self.pictures.skipped
        if lost:
            path = self.run.folder / "data.json"
            files.write_json(path, {"skipped": [{"picture": name, "why": why} for name, why in lost]})
            self.say(f"{len(lost):,} pictures cannot be read and are left out: {path}")

    def _choices(self) -> Choices:
        """The choices of the run's first start, replayed; another device where it was asked for or the old is gone."""
        old, new = Choices(**self.content["choices"]), self.plan.choices
        why = refusal(old.engine, self.plan.recipe, old.device)
        if why is not None:
            self.say(f"engine      eager instead of {old.engine}: {why}")
            old = replace(old, engine="eager")
        if self.plan.engine not in ("auto", old.engine):
            old = choose(self.plan.engine, self.plan.recipe, self.pictures, old, self.say)
            self.content["choices"] = asdict(old)
            self.run.write(self.content)
        if old.device == new.device or (not self.plan.device_named and old.device == "cpu"):
            return old
        self.say(f"This run goes on on {new.device} instead of {old.device}, so not bit-exactly.")
        self.content["choices"] = asdict(new)
        self.run.write(self.content)
        return new

    def _restored(self, choices: Choices) -> Trainer:
        """A trainer at the newest state, with what was amended until then, or at the start."""
        state, skipped = self.run.newest_state()
        for sentence in skipped:
            self.say(sentence)
        header = dict[str, object]() if state is None else state.header
        recipe = amended(self.plan.recipe, from_json(header.get(AMENDMENTS)))
        trainer = Trainer(recipe, self.pictures, self.run, self.plan.seed, choices)
        torch.set_num_threads(choices.threads)
        if state is None:
            self.run.rewind(-1)
            self.run.event("started", 0, recipe=self.plan.recipe.name, choices=asdict(choices))
            return trainer
        trainer.notes = {name: header[name] for name in (AMENDMENTS,) if name in header}
        trainer.memory = checkpoint.restore(state.tensors, trainer.players, trainer.average, trainer.memory)
        trainer.images, trainer.rounds = int(str(header["images"])), int(str(header["rounds"]))
        trainer.seconds = float(str(header["seconds"]))
        self.run.rewind(trainer.images)
        record(self.run, from_json(header.get(AMENDMENTS)))
        self.run.event("resumed", trainer.images)
        self.say(f"Going on with {self.run.folder} at {trainer.images:,} images.")
        return trainer

    def _budget(self) -> Budget | None:
        budget = self.content["budget"]
        return None if budget["images"] is None else Budget(budget["images"], budget["since"])

    def _fix(self, budget: Budget) -> None:
        """A time budget has become an image budget: from now on this is a run of so many images."""
        self.content["budget"] |= {"images": budget.images, "since": budget.since}
        self.run.write(self.content)
        self.say(f"The time is enough for {budget.images:,} images at the speed of this machine.")

    def _training_deadline(self) -> float | None:
        if self.deadline is None or self.plan.seconds is None:
            return None
        return self.deadline - min(JUDGE_MOST, JUDGE_SHARE * self.plan.seconds)

    def _classifier_deadline(self) -> float | None:
        training = self._training_deadline()
        if training is None or self.deadline is None:
            return None
        return self.deadline - MEASURE_SHARE * (self.deadline - training)

    def _finish(self, trainer: Trainer, done: bool) -> None:
        """Judge the newest snapshot, write the lines, and say that the run is complete."""
        saving.ensure_snapshot(trainer)
        judged = judge(
            self.run, self.pictures, deadline=self._classifier_deadline(), device=trainer.device, say=self.say
        )
        own = {(trainer.images, value.protocol, value.weights) for value in judged}
        self.run.add_metrics(  # in the place of those of a crash just here; whatever else was measured stays
            (value._replace(images=trainer.images).record() for value in judged),
            lambda line: (line.get("images"), line.get("protocol"), line.get("weights")) in own,
        )
        best = self.run.best()
        if done:
            self.run.event("finished", trainer.images, **({} if best is None else {"best": best}))
        self.say(f"Samples: {self.run.sample_file(trainer.images)}")
        self.say(f"Model:   {self.run.snapshot_file(trainer.images)}")
        if best is not None and best != trainer.images:
            values = {line["images"]: line["value"] for line in self.run.tracked() if line.get("weights") == "ema"}
            last = f", that of the newest is {values[trainer.images]}" if trainer.images in values else ""
            self.say(f"Best:    {self.run.snapshot_file(best)}  (its {TRACKED} is {values[best]}{last})")
