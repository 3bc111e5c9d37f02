"""The loop: rounds, and what happens once in a while. It knows no reader; whoever watches is passed in.

One round: draws on the device, the moves of the recipe, the average. Nothing in a round waits for the device; every
``stats_every`` images the sums are read once, and only then is anything saved, so that a run that was killed writes the
same lines as one that never was (one that was asked to stop has a line more, where it stopped).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from zerosum import files
from zerosum.data.loader import Loader
from zerosum.data.pictures import Pictures
from zerosum.data.pixels import to_device
from zerosum.errors import Stopped
from zerosum.game.game import Stats
from zerosum.game.rounds import Batch, Draw, Turn
from zerosum.game.schedules import Clock
from zerosum.game.terms import Memory
from zerosum.networks.precision import factors
from zerosum.recipe import Recipe
from zerosum.run import Run
from zerosum.training import players, saving
from zerosum.training.ema import Average
from zerosum.training.engine import Name, engine
from zerosum.training.noise import StreamNoise

WARM_UP = 20  # rounds that are timed before a time budget becomes an image budget
SAFETY = 0.97
STATS_BATCHES = 20  # between two lines of stats
EARLY = (0.005, 0.01, 0.02, 0.03)  # shares of the budget at which a grid is worth looking at,
EVERY = 0.05  # besides every twentieth
FIRST_GRID_SECONDS = 10.0
STATE_SECONDS = 120.0


@dataclass(frozen=True)
class Choices:
    """What was chosen by measurement or by the machine; written to the run and replayed on resume."""

    device: str = "cpu"
    memory_format: str = "channels_last"
    threads: int = 1
    engine: Name = "eager"


@dataclass
class Budget:
    """Images to see. ``since`` is the image count at which it became known (a time budget is turned into images)."""

    images: int
    since: int = 0

    def at(self, images: int) -> int | None:
        """The budget as the schedules know it after ``images``."""
        return self.images if images >= self.since else None


class Moment(NamedTuple):
    """What a watcher is told: a line of stats, and where the run stands."""

    stats: dict[str, float]
    images: int
    budget: int
    saved: str | None
    since: int = 0  # images at the moment before
    run: Run | None = None


class NotFinite(Stopped):
    """A loss or gradient was not finite."""


Watcher = Callable[[Moment], None]


@dataclass
class Trainer:
    """A training in progress; ``train`` drives it."""

    recipe: Recipe
    pictures: Pictures
    run: Run
    seed: int
    choices: Choices
    rounds: int = 0
    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0  # seconds for pictures, in this process
    memory: Memory = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)  # that a state's header carries along
    safe: int | None = None  # the newest state from before so many images is kept, whatever else is

    def __post_init__(self) -> None:
        self.device = torch.device(self.choices.device)
        captured = self.choices.engine == "graph"
        self.players = players.build(self.recipe, self.seed, self.device, self.layout, captured=captured)
        self.average = Average(self.generator, self.recipe.ema)
        self.loader = Loader(
            self.pictures,
            self.seed,
            self.device,
            mirror=self.recipe.mirror,
            labels=self.recipe.classes > 0,
            balanced=self.recipe.balanced,
        )
        self.engine = engine(self.choices.engine, self.recipe)
        self.healthy = torch.ones((), device=self.device)
        self.sums: Stats = {}
        self.counts: dict[str, int] = {}  # a turn need not be played in every round
        self.flushed = 0  # images at the last line of stats
        self.turns = [turn for move in self.recipe.moves for turn in move]
        self.draw_sizes = {turn.draw: turn.batch or self.recipe.batch for turn in self.turns}

    @property
    def generator(self) -> nn.Module:
        return self.players["generator"].net

    def play_round(self, budget: Budget) -> None:
        """One round of the recipe's moves, and one step of the average."""
        clock = Clock(self.images, self.rounds, budget.at(self.images))
        seen = {turn.draw for turn in self.turns if turn.player == "critic" and turn.is_played(clock.round)}
        images = sum(self.draw_sizes[draw] for draw in seen)
        with factors(self.device, tf32=self.recipe.precision == "tf32", tried=True):
            stats, self.memory = self.engine(
                self.recipe.moves, self.players, self.draws(clock), self.memory, self.check_gradients
            )
        for name, tensor in stats.items():
            self.sums[name] = self.sums[name] + tensor if name in self.sums else tensor.clone()
            self.counts[name] = self.counts.get(name, 0) + 1
        self.rounds += 1
        self.images += images
        self.average.update(self.generator, self.images, images)

    def draws(self, clock: Clock) -> dict[int, Draw]:
        """The draws of a round: real pictures, latents and noise at the round's place in their streams."""
        counted = {turn.draw: turn.played_before(clock.round) for turn in self.turns}
        start = sum(size * counted[number] for number, size in self.draw_sizes.items())
        draws = {}
        for number, size in self.draw_sizes.items():
            roles = {turn.player for turn in self.turns if turn.draw == number and turn.is_played(clock.round)}
            if roles:
                part = size // self.recipe.accumulate
                shared = "generator" in roles and part == size
                first, *rest = (
                    self._draw(number, begin, part, clock, shared) for begin in range(start, start + size, part)
                )
                draws[number] = first._replace(rest=tuple(rest))
                start += size
        return draws

    def _draw(self, number: int, start: int, size: int, clock: Clock, shared: bool) -> Draw:
        asked = time.monotonic()
        x, labels = self.loader.batch(start, size)
        self.waited += time.monotonic() - asked
        return Draw(
            real=Batch(x.contiguous(memory_format=self.layout), labels),
            latents=to_device(self.recipe.latent.draw(self.seed, "latents", start, size), self.device),
            noise=StreamNoise(self.seed, str(number), start, size, self.device),
            kept={},
            clock=clock,
            shared=shared,
        )

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.choices.memory_format == "channels_last" else torch.contiguous_format

    def check_gradients(self, turns: Sequence[Turn], stats: Stats) -> Stats:
        """Before the players step: their gradients' norms; and nobody steps any more once something is not finite."""
        norms: Stats = {}
        for turn in turns:
            gradients = [p.grad for p in self.players[turn.player].net.parameters() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients)
            norms[f"{turn.player}.gradient"] = norm
            self.healthy.mul_(torch.isfinite(norm + stats[f"{turn.player}.loss"]))
        for turn in turns:
            players.gate(self.players[turn.player], self.healthy)
        return norms

    def flush(self, seconds: float) -> dict[str, float]:
        """Read the mean of the stats since the last line, append it, and return it.

        Raises:
            Stopped: a loss or gradient was not finite; no weight has moved since.
        """
        names = sorted(self.sums)
        values = torch.stack([self.sums[name].float() for name in names] + [self.healthy]).tolist()
        means = {name: total / self.counts[name] for name, total in zip(names, values, strict=False)}
        line: dict[str, float] = {"images": self.images, "seconds": round(self.seconds, 3)}
        since, self.flushed = self.images - self.flushed, self.images
        line["images_per_second"] = round(since / seconds, 2) if seconds > 0 else 0.0
        line |= {name: float(f"{mean:.6g}") for name, mean in means.items()}
        files.append_line(self.run.stats, line)
        self.sums.clear()
        self.counts.clear()
        if values[-1] < 1:
            where = f"in the {since:,} images before {self.images:,} ({self._broken()})"
            says = f"A loss or gradient was not finite {where}."
            self.run.event("not finite", self.images, says=says)
            raise NotFinite(says)
        return line

    def _broken(self) -> str:
        """Where the newest gradients are not finite first; the weights still are, for nobody steps any more."""
        for role, player in self.players.items():
            for name, parameter in player.net.named_parameters():
                if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
                    return f"first in the gradient of the {role}'s {name}"
        return "in a loss"


class Outcome(NamedTuple):
    """How ``train`` ended: with its budget seen, or before it ("asked" to stop, or out of "time")."""

    done: bool
    why: str = ""


def train(
    trainer: Trainer,
    budget: Budget | None,
    *,
    deadline: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    fixed: Callable[[Budget], None] = lambda budget: None,
    watchers: Sequence[Watcher] = (),
) -> Outcome:
    """Train until the budget is seen, ``stop`` says so, or ``deadline`` (of ``time.monotonic``) has come.

    With no budget the speed of the first rounds turns the time to the deadline into one, once; ``fixed`` is told.
    Whatever ends it, the state is saved. Watchers are told at every line of stats.
    """
    if budget is None and deadline is None:
        raise ValueError("a training needs a budget or a deadline")
    trainer.flushed = trainer.images
    if not (trainer.run.folder / "samples" / "real.png").exists():
        saving.write_real(trainer)
    if trainer.images == 0:
        saving.write_grids(trainer)
    known = budget or Budget(2**62, since=2**62)
    stats_every = trainer.recipe.stats_every or STATS_BATCHES * trainer.recipe.batch
    began = flushed = saved_at = time.monotonic()
    first_round, first_images, last = trainer.rounds, trainer.images, trainer.images
    trained_grid = trainer.images > 0
    while trainer.images < known.images:
        before = trainer.images
        trainer.play_round(known)
        now = time.monotonic()
        out_of_time = deadline is not None and now > deadline
        ends = stop() or out_of_time or trainer.images >= known.images
        measured = budget is None and trainer.rounds - first_round == WARM_UP
        if not (ends or measured or _crossed(before, trainer.images, stats_every)):
            continue
        trainer.seconds += now - flushed
        line = trainer.flush(now - flushed)
        if measured and deadline is not None:
            rate = (trainer.images - first_images) / (time.monotonic() - began)
            more = int(rate * SAFETY * max(0.0, deadline - now) / trainer.recipe.batch) * trainer.recipe.batch
            known = budget = Budget(trainer.images + more, since=trainer.images)
            ends = ends or more == 0
            saving.write_state(trainer)
            fixed(known)
        saved = None
        marked = known.at(last) is not None and _marked(last, trainer.images, known.images)
        if marked or (not trained_grid and now - began > FIRST_GRID_SECONDS) or ends:
            saved = saving.write_grids(trainer)
            trained_grid = True
        if ends or now - saved_at > STATE_SECONDS or (marked and _crossed(last, trainer.images, known.images * EVERY)):
            saving.write_snapshot(trainer)  # before the state: whoever goes on from it finds the model there
            saving.write_state(trainer)
            saved_at = now
        for watcher in watchers:
            watcher(Moment(line, trainer.images, known.images, saved, last, trainer.run))
        flushed = time.monotonic()  # what was just written is not charged to the next rounds' speed
        trainer.seconds += flushed - now
        last = trainer.images
        if ends and trainer.images < known.images:
            return Outcome(False, "time" if out_of_time else "asked")
    return Outcome(True)


def _crossed(before: int, after: int, interval: float) -> bool:
    """Whether a multiple of ``interval`` lies in (before, after]."""
    return int(after / interval) > int(before / interval)


def _marked(before: int, after: int, budget: int) -> bool:
    return _crossed(before, after, budget * EVERY) or any(before < budget * share <= after for share in EARLY)
