"""The zoo: trainings that are made to fail in known ways, and healthy ones. Are they told apart, and named?

    python bench/zoo.py run -o FOLDER --data digits mnist --seeds 0 1 2 3 4      each run at most a minute of one core
    python bench/zoo.py table -o FOLDER                                        what was named, and false alarms

Each run is stored as it ends, and one that is there already is left out: a command can be called again, and several
processes may share a folder (--part 0/2, --part 1/2). ``table`` reads the stored checks through the rules as they are
now. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import math
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import beta
from torch import Tensor, nn

from zerosum.data.fit import SMALLEST_WITH_HOLD_OUT
from zerosum.data.pictures import Pictures
from zerosum.diagnose.verdicts import Diagnosis, numbers
from zerosum.errors import Stopped
from zerosum.files import read_lines
from zerosum.game.critic import Output
from zerosum.networks import Spec
from zerosum.plan import Request, make_plan
from zerosum.run import Run
from zerosum.training.trainer import Budget, Trainer, train
from zerosum.watching import Watch

MOST_SECONDS = 58.0  # of one core; what would take longer is cut short, and does not count
LEAST_CHECKS = 12  # with fewer hardly anything can be said
SHARE = 0.1  # of the time goes into checks: a run of a minute has as many as one of hours
ALIKE = ("cifar10",)  # whose pictures are as real when mirrored, so that nothing leaks
BEFORE = 16_000  # images, where a verdict is one on the pictures before the start
KINDS = {  # what is counted, and whether it is the good ones
    "training": ("Failures of the training that are named", True),
    "data": ("Flaws of the pictures that are named", True),
    "healthy": ("False alarms in healthy trainings", False),
}


class Case(NamedTuple):
    """A training: a recipe with settings on (a part of) the data, and what must be said of it ("" for nothing).

    ``names`` are the verdicts of which one must be said; ``flaw`` is the generator's, see ``Flawed``;
    ``images`` where fewer than the others see are enough, for what is said of the pictures before the start.
    """

    name: str
    names: tuple[str, ...]
    recipe: str
    settings: dict[str, str]
    part: str = "all"
    flaw: Literal["", "grid", "deaf"] = ""
    images: int = 50_000


@dataclass(frozen=True)
class Flawed:
    """A generator much as in ``networks.dcgan`` with a flaw that it cannot learn to mend.

    Attributes:
        flaw: "grid": pictures of half the size with every pixel repeated, and a fixed grid on them, too fine for those
            pixels to take it away, as where taps of a transposed convolution overlap unevenly; "deaf": latents hardly
            reach it, so all its pictures are one.
    """

    image_width: int
    image_height: int
    channels: int
    latent: int
    flaw: Literal["grid", "deaf"]
    width: int = 16

    def build(self) -> nn.Module:
        return Flaw(self)


class Flaw(nn.Module):
    """``Flawed``'s network."""

    def __init__(self, spec: Flawed) -> None:
        super().__init__()
        deaf = spec.flaw == "deaf"
        self.heard = 0.02 if deaf else 1.0
        self.start = (4 * spec.width, spec.image_height // 4, spec.image_width // 4)
        norm = nn.Identity if deaf else nn.BatchNorm2d  # which would make much of the little that differs
        middle = [norm(4 * spec.width), nn.ReLU(), nn.ConvTranspose2d(4 * spec.width, 2 * spec.width, 4, 2, 1)]
        last = nn.ConvTranspose2d(2 * spec.width, spec.channels, 4, 2, 1)
        once = nn.Sequential(nn.Conv2d(2 * spec.width, spec.channels, 3, 1, 1), nn.Upsample(scale_factor=2))
        self.first = nn.Linear(spec.latent, math.prod(self.start))
        self.body = nn.Sequential(*middle, norm(2 * spec.width), nn.ReLU(), last if deaf else once, nn.Sigmoid())
        lighter = torch.zeros(2, 2) if deaf else torch.tensor([[-0.16, 0.0], [0.0, 0.16]])
        self.register_buffer("lighter", lighter.repeat(spec.image_height // 2, spec.image_width // 2))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x: Tensor = self.body(self.first(self.heard * z).unflatten(1, self.start))
        return 2 * x - 1 + self.lighter


@dataclass(frozen=True)
class Coarse:
    """A critic that sees pictures at half their size, and so nothing as fine as the grid."""

    net: Spec

    def build(self) -> nn.Module:
        return Pooled(self.net.build())


class Pooled(nn.Module):
    """``Coarse``'s network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        seen: Output = self.net(F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0), labels)
        return seen


PLAIN = {"networks": "dcgan", "width": "16", "batch": "64"}
SMALL = {"width": "16", "batch": "64"}
GENERATOR, CRITIC = "players.generator.optimizer.rate", "players.critic.optimizer.rate"
OUTRUN = ("hopping collapse", "collapse", "critic too weak")  # a generator that is too fast for its critic
CASES = (
    Case("not finite", ("not finite",), "compose", {**PLAIN, "loss": "least_squares", "rate": "1e6"}),
    Case("diverged", ("diverged",), "compose", {**PLAIN, "loss": "hinge", "rate": "0.3"}),
    Case(
        "vanished gradient",
        ("vanished gradient",),
        "compose",
        {**PLAIN, "loss": "saturating", "critic_rate": "2e-3", "critic_turns": "4", "rate": "2e-5", "batch": "16"},
    ),
    Case("generator stuck", ("generator stuck",), "dcgan", {**SMALL, GENERATOR: "1e-7"}),
    Case("critic too weak", ("critic too weak",), "dcgan", {**SMALL, GENERATOR: "2e-2", CRITIC: "1e-5"}),
    Case(
        "critic overfits",
        ("critic overfits",),
        "compose",
        {**PLAIN, "rate": "1e-3", "critic_rate": "2e-3", "critic_turns": "2", "batch": "16"},
        "120",
    ),
    Case("copies", ("copies",), "compose", {**PLAIN, "rate": "2e-3", "batch": "32"}, "10"),
    Case("critic asleep", ("critic too weak", "collapse"), "dcgan", {**SMALL, CRITIC: "1e-7"}),
    Case("collapse", OUTRUN[:2], "compose", {**PLAIN}, flaw="deaf"),
    Case(
        "outrun",
        OUTRUN,
        "compose",
        {**PLAIN, "rate": "2e-3", "critic_rate": "2e-5", "generator_turns": "3", "batch": "32"},
        images=20_000,
    ),
    Case("one latent", ("drops modes", *OUTRUN[:2]), "dcgan", {**SMALL, "latent_size": "1"}),
    Case("checkerboard", ("checkerboard",), "dcgan", {**SMALL}, flaw="grid"),
    Case("mirrored", ("augmentation leaks",), "dcgan", {**SMALL, "mirror": "true"}),
    Case("few pictures", ("few pictures",), "dcgan", {**SMALL}, "64", images=BEFORE),
    Case("twins", ("twins",), "dcgan", {**SMALL}, "twins", images=BEFORE),
    Case("blank pictures", ("blank pictures",), "dcgan", {**SMALL}, "blank", images=BEFORE),
    Case("healthy dcgan", (), "dcgan", {**SMALL}),
    Case(
        "healthy wgan_gp",
        (),
        "wgan_gp",
        {"width": "8", "batch": "32", "form": "dcgan", "critic_turns": "2", "rate": "5e-4"},
    ),
    Case("healthy pacgan", (), "pacgan", {**SMALL}),
    Case("healthy lsgan", (), "compose", {**PLAIN, "loss": "least_squares", "norm": "batch"}),
    Case("healthy dragan", (), "dragan", {**SMALL, "rate": "1e-3"}),
    Case("healthy relativistic", (), "compose", {**PLAIN, "loss": "rpgan", "penalties": "r1", "rate": "1e-3"}),
    Case("healthy hinge", (), "compose", {**PLAIN, "loss": "hinge", "norm": "spectral", "rate": "1e-3"}),
    Case("healthy modern", (), "modern", {"width": "8", "batch": "16"}, images=10_000),
    Case("healthy conditional", (), "dcgan", {**SMALL, "conditional": "true"}),
)


def part_of(pictures: Pictures, part: str) -> Pictures:
    """Some of the pictures, as a user might have them."""
    train = pictures.train
    if part.isdecimal():  # of which as many are held out as of a folder of so many
        held = int(part) // 10 if int(part) >= SMALLEST_WITH_HOLD_OUT else 0
        return dataclasses.replace(pictures, train=train[: int(part) - held], held_out=pictures.held_out[:held])
    if part == "twins":
        return dataclasses.replace(pictures, train=np.repeat(train[:50], 30), held_out=pictures.held_out[:50])
    if part == "blank":
        rows = np.sort(np.concatenate([train, pictures.held_out]))
        pixels = pictures.pixels[rows].copy()
        pixels[::3] = 255
        places = np.arange(len(rows))
        train, held = places[places % 10 > 0], places[places % 10 == 0]
        labels = None if pictures.labels is None else pictures.labels[rows]
        return dataclasses.replace(pictures, pixels=pixels, labels=labels, train=train, held_out=held)
    return pictures


def play(case: Case, data: str, seed: int, folder: Path) -> dict[str, object]:
    """One training; its checks and events go to ``folder``."""
    request = Request(data, case.recipe, case.images, settings=case.settings, device="cpu", seed=seed)
    plan = make_plan(request, lambda said: None)
    recipe = plan.recipe
    if case.flaw:
        net = Flawed(recipe.width, recipe.height, recipe.channels, recipe.latent.size, case.flaw)
        players = {**recipe.players, "generator": dataclasses.replace(recipe.players["generator"], net=net)}
        if case.flaw == "grid":
            critic = recipe.players["critic"]
            players["critic"] = dataclasses.replace(critic, net=Coarse(critic.net))
        recipe = dataclasses.replace(recipe, players=players)
    pictures = part_of(plan.pictures(lambda done, total: None), case.part)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(Path(scratch))
        trainer = Trainer(recipe, pictures, run, seed, plan.choices)
        torch.set_num_threads(1)
        watch = Watch(trainer, run, share=SHARE)
        with contextlib.suppress(Stopped):
            train(
                trainer, Budget(case.images), stop=lambda: time.process_time() - began > MOST_SECONDS, watchers=(watch,)
            )
        for log in (run.signals, run.events):
            if log.exists():
                shutil.copy(log, folder / log.name)
        shutil.copy(sorted(run.folder.glob("samples/0*.png"))[-1], folder / "samples.png")
    seconds = round(time.process_time() - began, 1)
    return {
        "images": trainer.images,
        "rounds": trainer.rounds,
        "seconds": seconds,
        "checks": len(watch.diagnosis.checks),
    }


def run_all(given: argparse.Namespace) -> None:
    mine, of = (int(number) for number in given.part.split("/"))
    todo = [(seed, data, case) for seed in given.seeds for data in given.data for case in CASES]
    todo = [one for one in todo if one[2].name != "mirrored" or one[1] not in ALIKE]
    for number, (seed, data, case) in enumerate(todo):
        folder = given.out / f"{case.name} {Path(data).name} {seed}".replace(" ", "-")
        if number % of != mine or (folder / "run.json").exists() or (given.only and case.name not in given.only):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        facts = play(case, data, seed, folder)
        facts |= {"case": case.name, "data": data, "seed": seed}
        (folder / "run.json").write_text(json.dumps(facts))
        print(f"{case.name:22} {data:14} {seed}  {facts['seconds']} s  {', '.join(named(folder)) or '-'}", flush=True)


def named(folder: Path) -> dict[str, str]:
    """What the rules say of a stored run, warnings and worse, each with its level."""
    diagnosis, said = Diagnosis(), dict[str, str]()
    for line in read_lines(folder / "events.jsonl"):
        if line.get("event") == "not finite":
            said["not finite"] = "act"
        if line.get("event") == "verdict" and line["images"] == 0:  # of the data, before the start
            said[str(line["verdict"])] = str(line["level"])
    for line in read_lines(folder / "signals.jsonl"):
        said |= {verdict.name: verdict.level for verdict in diagnosis.see(numbers(line)).verdicts}
    return {name: level for name, level in said.items() if level != "note"}


def table(given: argparse.Namespace) -> None:
    print(f"{datetime.date.today()}, torch {torch.__version__}, {platform.machine()}, one core a run")
    cases = {case.name: case for case in CASES}
    found = [(json.loads(path.read_text()), named(path.parent)) for path in sorted(given.out.glob("*/run.json"))]
    found = [(facts, said) for facts, said in found if facts["data"] in given.data and facts["seed"] in given.seeds]
    short = [facts for facts, _ in found if is_short(facts, cases[facts["case"]])]
    found = [(facts, said) for facts, said in found if facts not in short]
    print(
        "\n| training | must be said | "
        + " | ".join(given.data)
        + " | also said |\n|---|---|"
        + "---|" * (len(given.data) + 1)
    )
    counts: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for name, case in cases.items():
        cells, also = list[str](), dict[str, int]()
        for data in given.data:
            runs = [said for facts, said in found if facts["case"] == name and facts["data"] == data]
            good = [bool(set(said) & set(case.names)) if case.names else not said for said in runs]
            cells.append(f"{sum(good)} of {len(runs)}" if runs else "")
            counts[kind_of(case)] += good
            for said in runs:
                for other in set(said) - set(case.names):
                    also[other] = also.get(other, 0) + 1
        others = ", ".join(f"{other} {count}" for other, count in sorted(also.items()))
        print(f"| {name} | {' or '.join(case.names) or 'nothing'} | {' | '.join(cells)} | {others} |")
    for kind, (words, wanted) in KINDS.items():
        count, of = sum(good is wanted for good in counts[kind]), len(counts[kind])
        print(f"\n{words}: {count} of {of}{interval(count, of)}.")
    checks = sorted(facts["checks"] for facts, _ in found)
    seconds = sorted(facts["seconds"] for facts, _ in found)
    print(f"\nSeconds of one core: median {seconds[len(seconds) // 2]:.0f}, at most {seconds[-1]:.0f}; ", end="")
    print(f"checks: median {checks[len(checks) // 2]}. Left out, as cut short or with too few checks: {len(short)}.")


def kind_of(case: Case) -> str:
    return "healthy" if not case.names else "data" if case.images == BEFORE else "training"


def is_short(facts: dict[str, Any], case: Case) -> bool:
    """Whether a run did not come to where something could be said of it."""
    if "not finite" in case.names or kind_of(case) == "data":  # which ends by itself, or is said before the start
        return False
    return bool(facts["images"] < case.images or facts["checks"] < LEAST_CHECKS)


def interval(count: int, of: int) -> str:
    """The 95 % interval of Clopper and Pearson."""
    if not of:
        return ""
    low = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return f" ({count / of:.1%}; 95 % interval {low:.1%} to {high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["digits", "mnist"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--part", default="0/1")
    given = parser.parse_args()
    run_all(given) if given.command == "run" else table(given)


if __name__ == "__main__":
    main()
