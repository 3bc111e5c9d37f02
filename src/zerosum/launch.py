"""``zerosum.train``: from a request to a finished run. Which folder, where to go on from, and how it ends."""

from __future__ import annotations

import contextlib
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from zerosum import __version__, files
from zerosum.data.prepare import Pictures
from zerosum.errors import UserError
from zerosum.generate import load
from zerosum.metrics.judge import Figure, make_judge
from zerosum.plan import Plan, Request, make_plan
from zerosum.recipe import JSON, Recipe, RecipeFunction, describe
from zerosum.run import Run, next_run, runs_in
from zerosum.training import checkpoint
from zerosum.training.trainer import Budget, Choices, Trainer, Watcher
from zerosum.training.trainer import train as train_rounds

JUDGE_SHARE, JUDGE_MOST = 0.25, 45.0  # of a time budget, kept back for the judgement
MEASURE_SHARE = 0.4  # of what is kept back: measuring, after the classifier has been trained


def silent(text: str) -> None:
    """Say nothing."""


def train(
    data: str | Path,
    recipe: str | RecipeFunction | Recipe = "auto",
    *,
    out: str | Path | None = None,
    fork: str | Path | None = None,
    images: int | None = None,
    seconds: float | None = None,
    resolution: str | None = None,
    seed: int = 0,
    device: str = "auto",
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = silent,
    watchers: Sequence[Watcher] = (),
) -> Run:
    """Train a GAN on ``data`` and return its run folder; called again with the same arguments it goes on.

    Args:
        data: a folder of pictures, a folder with MNIST's IDX files, or ``digits``.
        recipe: a name, a function that returns a recipe, or a recipe.
        out: the run's folder; without it the newest unfinished run of the same kind under ``runs/``, or a new one.
        fork: copy the state of ``out`` to this folder and go on there with these settings.
        images: budget in real pictures seen by the critic.
        seconds: a time instead; the speed of the first rounds turns it into a budget in images.
        resolution: ``64`` or ``WIDTHxHEIGHT``.
        settings: dials of the recipe by name, and fields of it by dotted path, as text.
        say: is told what happens, in sentences.
        watchers: are told at every line of stats.

    Raises:
        UserError: a mistake in the arguments, the data or the folder. Nothing is lost.
        Stopped: the machine gave out (a full disk) or training did (not finite); what was saved is whole.
    """
    started = time.monotonic()
    request = Request(str(data), recipe, images, seconds, resolution, seed, device, settings)
    run = Run(Path(out or "runs"))
    with Interrupt() as interrupt:
        try:
            plan = make_plan(request)
            pictures = plan.pictures()
            content = contents(plan, pictures)
            if out is None:
                run = _numbered(content)
            if fork is not None:
                run = _fork(run, Run(Path(fork)), out is not None, content)
            with files.locked(_usable(run).folder):
                for line in plan.explain():
                    say(line)
                deadline = None if plan.seconds is None else started + plan.seconds
                _Session(plan, pictures, run, content, deadline, interrupt, say, watchers).go()
        except Interrupted:
            say("Stopped at once: what was saved before stands, and the same command goes on from there.")
    return run


def contents(plan: Plan, pictures: Pictures) -> dict[str, Any]:
    """What recipe.json says of a run: all that decides its result."""
    resolved = describe(plan.recipe)
    assert isinstance(resolved, dict)
    return {
        "recipe": plan.recipe.name,
        "dials": plan.dials,
        "set": plan.fields,
        "resolved": resolved,
        "seed": plan.seed,
        "data": {"name": pictures.name, "identity": pictures.identity, "pictures": len(pictures.pixels)},
        "budget": {"images": None if plan.seconds else plan.recipe.images, "since": 0, "seconds": plan.seconds},
        "choices": asdict(plan.choices),
        "versions": versions(),
    }


def versions() -> dict[str, JSON]:
    """What made a run, for those who reproduce it."""
    return {
        "zerosum": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """The dotted names at which two JSON values differ, as ``name: old -> new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i, (a, b) in enumerate(zip(old, new, strict=True)) for line in differences(a, b, f"{at}.{i}")]
    return [] if old == new else [f"{at}: {old} -> {new}"]


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM outside of training, where there is nothing to save."""


class Interrupt:
    """Turns the first Ctrl-C or SIGTERM into a wish to stop; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.patient = False  # in training: finish the round and save
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *details: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again or not self.patient:
            raise Interrupted

    @contextlib.contextmanager
    def saves(self) -> Iterator[None]:
        """While training: a wish to stop waits until the state is saved."""
        self.patient = True
        try:
            yield
        finally:
            self.patient = False


@dataclass
class _Session:
    """One command's work on one run folder, which it holds locked."""

    plan: Plan
    pictures: Pictures
    run: Run
    content: dict[str, Any]
    deadline: float | None
    interrupt: Interrupt
    say: Callable[[str], None]
    watchers: Sequence[Watcher]

    def go(self) -> None:
        """Start or resume, train, judge."""
        if not self.run.exists():
            self.run.write(self.content)
        elif self._agree():
            return
        self.say(f"run         {self.run.folder}  (Ctrl-C saves; the same command goes on)")
        trainer = Trainer(self.plan.recipe, self.pictures, self.run, self.plan.seed, self._choices())
        torch.set_num_threads(trainer.choices.threads)
        self._restore(trainer)
        with self.interrupt.saves():
            outcome = train_rounds(
                trainer,
                self._budget(),
                deadline=self._training_deadline(),
                stop=lambda: self.interrupt.asked,
                fixed=self._fix,
                watchers=self.watchers,
            )
        if not outcome.done:
            why = "as asked" if outcome.why == "asked" else "the time is up"
            self.say(f"Stopped at {trainer.images:,} images, {why}; saved. The same command goes on from here.")
            self.run.event("stopped", trainer.images, why=outcome.why)
            if outcome.why == "asked":
                return
        self._finish(trainer, outcome.done)

    def _agree(self) -> bool:
        """Compare with the run that is there; True if it is finished and nothing is left to do."""
        old, new = self.run.read(), self.content
        found = differences(old["resolved"], new["resolved"])
        found = [line for line in found if not line.startswith("images: ")]
        found += differences(old["seed"], new["seed"], "seed")
        found += differences(old["data"]["identity"], new["data"]["identity"], "data")
        if found:
            raise UserError(
                f"{self.run.folder} was started with other settings: {'; '.join(found)}. Use the same ones, another "
                "--out, or --fork NEW to go on from its state with the new ones."
            )
        had, wanted = old["budget"]["images"], self.plan.images
        if wanted is not None and had is not None and wanted != had:
            if wanted < had:
                raise UserError(
                    f"{self.run.folder} has a budget of {had:,} images, more than --images {wanted}: leave it out, or "
                    "name another --out."
                )
            if self.plan.recipe.depends_on_budget():
                raise UserError(
                    f"{self.run.folder} was planned for {had:,} images, and its schedules depend on that: to go on to "
                    f"{wanted:,} use --fork NEW, which starts new schedules from its state."
                )
            old["budget"]["images"] = old["resolved"]["images"] = wanted
            self.run.write(old)
        self.content = old
        end = self.run.finished_at()
        if end is not None and end >= (old["budget"]["images"] or 0) > 0:
            self.say(f"{self.run.folder} is finished ({end:,} images): --images with a larger number goes on.")
            return True
        if old["versions"] != versions():
            changed = "; ".join(differences(old["versions"], versions()))
            self.say(f"This run goes on with other versions, so perhaps not bit-exactly: {changed}.")
        return False

    def _choices(self) -> Choices:
        """The choices of the run's first start, replayed; another device only where it was asked for."""
        old, new = Choices(**self.content["choices"]), self.plan.choices
        if old.device != new.device:
            self.say(f"This run goes on on {new.device} instead of {old.device}, so not bit-exactly.")
            return new
        return old

    def _restore(self, trainer: Trainer) -> None:
        state, skipped = self.run.newest_state()
        for sentence in skipped:
            self.say(sentence)
        if state is None:
            self.run.rewind(-1)
            self.run.event("started", 0, recipe=self.plan.recipe.name, choices=asdict(trainer.choices))
            return
        trainer.memory = checkpoint.restore(state.tensors, trainer.players, trainer.average, trainer.memory)
        trainer.images, trainer.rounds = int(str(state.header["images"])), int(str(state.header["rounds"]))
        trainer.seconds = float(str(state.header["seconds"]))
        self.run.rewind(trainer.images)
        self.run.event("resumed", trainer.images)
        self.say(f"Going on with {self.run.folder} at {trainer.images:,} images.")

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
        figures = judge(self.run, self.pictures, deadline=self._classifier_deadline(), say=self.say)
        files.keep_lines(self.run.metrics, lambda line: line.get("images") != trainer.images)  # of a crash just here
        for figure in figures:
            files.append_line(self.run.metrics, {"images": trainer.images, **record(figure)})
        if done:
            self.run.event("finished", trainer.images)
        self.say(f"Samples: {self.run.sample_file(trainer.images)}")
        self.say(f"Model:   {self.run.snapshot_file(trainer.images)}")


def judge(
    run: Run, pictures: Pictures, *, deadline: float | None = None, say: Callable[[str], None] = silent
) -> list[Figure]:
    """Judge a run's newest snapshot against its held-out pictures and say the result as a table.

    A classifier that could not be trained by ``deadline`` (of ``time.monotonic``) is left out.
    """
    examiner = make_judge(pictures, deadline)
    if pictures.classes and examiner.classifier is None:
        say("There is no time left to train the judge's classifier: pixels alone are compared.")
    generator = load(run)
    figures = examiner.measure(np.concatenate(list(generator.pixels(range(examiner.samples)))))
    if examiner.accuracy is not None:
        say(f"Judged by a classifier that names {examiner.accuracy:.1%} of the held-out pictures rightly:")
    say(f"{'':26}{'samples':>9}{'real':>9}")
    for figure in figures:
        if not figure.metric.startswith("share."):
            say(f"{figure.metric + ' (' + figure.features + ')':26}{figure.value:9.3f}{figure.real:9.3f}")
    shares = [figure for figure in figures if figure.metric.startswith("share.")]
    if shares:
        names = (pictures.classes[int(figure.metric.removeprefix("share."))] for figure in shares)
        say("by class: " + "  ".join(f"{name} {figure.value:.1%}" for name, figure in zip(names, shares, strict=True)))
    return figures


def record(figure: Figure) -> dict[str, object]:
    """A figure as a line of metrics.jsonl."""
    return {
        "metric": figure.metric,
        "value": round(figure.value, 6),
        "baseline": round(figure.real, 6),
        "protocol": figure.protocol,
        "real": figure.real_count,
        "fake": figure.fake_count,
        "weights": "ema",
    }


def _numbered(content: Mapping[str, Any]) -> Run:
    """The newest unfinished run under runs/ that is the same as this one, or the next number."""
    runs = Path("runs")
    for run in runs_in(runs):
        with contextlib.suppress(UserError):
            old = run.read()
            same = all(
                not differences(old[key], content[key]) for key in ("resolved", "seed", "data") if key in content
            )
            budget = old["budget"]
            asked = content["budget"]
            if same and budget["seconds"] == asked["seconds"] and run.finished_at() is None:
                return run
    return next_run(runs, content["data"]["name"], content["recipe"])


def _usable(run: Run) -> Run:
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


def _fork(old: Run, new: Run, named: bool, content: Mapping[str, Any]) -> Run:
    """Copy a run's newest state and logs to a new folder, which then goes on with the new settings."""
    if not named or not old.exists():
        raise UserError("--fork NEW copies a run: name that run with --out.")
    if new.folder.exists() and any(new.folder.iterdir()):
        raise UserError(f"{new.folder} is there already: --fork makes a new folder.")
    with files.locked(old.folder):
        state, _ = old.newest_state()
        if state is None:
            raise UserError(f"{old.folder} has no saved state yet: there is nothing to fork.")
        images = int(str(state.header["images"]))
        if images >= (content["budget"]["images"] or 2**62):
            raise UserError(f"{old.folder} stands at {images:,} images: --fork needs a larger --images to go on.")
        for log in ("stats.jsonl", "metrics.jsonl", "events.jsonl"):
            for line in files.read_lines(old.folder / log):
                if int(str(line.get("images", 0))) <= images and line.get("event") != "finished":
                    new.folder.mkdir(parents=True, exist_ok=True)
                    files.append_line(new.folder / log, line)
        new.save_state(images, state.tensors, state.header)
        new.write(content)
        new.event("forked", images, source=str(old.folder))
    return new
