"""All engines play the same round."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from zerosum import conformance
from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import R1
from zerosum.game.rounds import GeneratorTurn, alternating
from zerosum.game.schedules import Clock, Ramp, linear
from zerosum.game.terms import LeCam
from zerosum.plan import Request, make_plan
from zerosum.recipe import SGD, PlayerSpec, Recipe
from zerosum.recipes import CATALOGUE, compose, modern
from zerosum.run import Run
from zerosum.training import checkpoint, fixed, trial
from zerosum.training.captured import Captured
from zerosum.training.compiled import Compiled
from zerosum.training.engine import by, engine, refusal
from zerosum.training.trainer import Budget, Choices, Trainer


def small(name: str) -> Recipe:
    dials = {"long_turns": 6} if name == "wgan" else {"width": 10} if name == "goodfellow2014" else {}
    return CATALOGUE[name](resolution=(16, 16), channels=1, **{"width": 4, "batch": 8, "images": 800} | dials)


EVERYTHING = compose(
    (16, 16), 1, width=4, batch=8, images=800, penalties=("r1", "dragan"), smoothing=0.1, lecam=0.1, top=0.5,
    consistency=("real", "fake", "latent"), instance_noise=0.1, augment=("color", "cutout"), final_rate=0.1,
)  # fmt: skip


def trainer(recipe: Recipe, folder: Path) -> Trainer:
    return Trainer(recipe, conformance.noise(recipe), Run(folder), 0, Choices())


def state(one: Trainer) -> dict[str, torch.Tensor]:
    return {**checkpoint.gather(one.players, one.average, one.memory), **one.sums}


def assert_same(one: Trainer, two: Trainer) -> None:
    first, second = state(one), state(two)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


@pytest.mark.parametrize("name", [*CATALOGUE, "everything"])
def test_a_round_from_tensors_that_stay_is_the_same_round(name: str, tmp_path: Path) -> None:
    """What a graph captures, bit for bit: ramps, random numbers, memory, rounds of several patterns, parts."""
    recipe = EVERYTHING if name == "everything" else small(name)
    recipe = dataclasses.replace(recipe, accumulate=2 if name in ("modern", "sngan") else 1)
    one, two = trainer(recipe, tmp_path), trainer(recipe, tmp_path)
    two.engine = Captured(fixed.ramps(recipe), captures=False)
    indices = (0, 1, 2, 3, 500, 1000, 1001, 1002)  # wgan's long turns; LeCam begins
    for index in indices:
        for each in (one, two):
            each.rounds = index
            each.play_round(Budget(recipe.images))
    assert_same(one, two)
    assert {key[0] for key in two.engine.watched} == {fixed.pattern(recipe.moves, index) for index in indices}
    assert two.engine.rounds


@pytest.mark.parametrize("name", [*CATALOGUE, "everything"])
def test_compiled_turns_are_the_same_turns(name: str, tmp_path: Path) -> None:
    """Slopes of slopes included; traced and played operation by operation the arithmetic is the same."""
    torch._dynamo.reset()
    recipe = EVERYTHING if name == "everything" else small(name)
    one, two = trainer(recipe, tmp_path), trainer(recipe, tmp_path)
    compiled = Compiled(fixed.ramps(recipe), backend="aot_eager")
    two.engine = functools.partial(by, compiled)
    for each in (one, two):
        each.play_round(Budget(recipe.images))
        each.play_round(Budget(recipe.images))
    assert_same(one, two)
    assert len(compiled.functions) == (0 if name == "everything" else 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch's compiler imports what torch deprecates
@pytest.mark.parametrize("name", CATALOGUE)
def test_compiled_code_gives_the_same_losses(name: str, tmp_path: Path) -> None:
    torch._dynamo.reset()
    recipe = small(name)
    moved = {role: PlayerSpec(spec.net, SGD(1e-3), spec.clip) for role, spec in recipe.players.items()}
    recipe = dataclasses.replace(recipe, players=moved)  # Adam would make noise of gradients that are nearly zero
    one, two = trainer(recipe, tmp_path), trainer(recipe, tmp_path)
    two.engine = engine("compile", recipe)
    for each in (one, two):
        for _ in range(3):
            each.play_round(Budget(recipe.images))
    for key, tensor in one.sums.items():
        if key.endswith("_sign"):
            continue  # at the start scores are nearly zero
        torch.testing.assert_close(two.sums[key], tensor, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: key + text)


@pytest.mark.slow
def test_compiled_code_is_kept_between_processes(tmp_path: Path) -> None:
    script = """
from zerosum.kept import keep_code
keep_code()
import sys, torch
from pathlib import Path
from zerosum import conformance
from zerosum.recipes import CATALOGUE
from zerosum.run import Run
from zerosum.training.trainer import Budget, Choices, Trainer
recipe = CATALOGUE["modern"](resolution=(16, 16), channels=1, width=4, batch=8, images=800)
one = Trainer(recipe, conformance.noise(recipe), Run(Path(sys.argv[1])), 0, Choices(engine="compile"))
for _ in range(2):
    one.play_round(Budget(800))
counted = torch._dynamo.utils.counters
print(counted["aot_autograd"]["autograd_cache_hit"] + counted["inductor"]["fxgraph_cache_hit"])
"""
    hits = []
    for _ in range(2):
        told = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        command = [sys.executable, "-c", script, str(tmp_path / "run")]
        hits.append(int(subprocess.run(command, env=told, check=True, capture_output=True, text=True).stdout))
    assert hits[0] == 0
    assert hits[1] >= 2
    assert any((tmp_path / "cache" / "zerosum-compiled").rglob("*"))


def test_ramps_are_found_wherever_they_are() -> None:
    game = Game(losses.hinge, (R1(linear(1.0, 2.0, images=10)),), (LeCam(Ramp(0.1, 0.2)),), top=Ramp(1.0, 0.5))
    recipe = dataclasses.replace(modern((16, 16), 1, gamma=1.0), moves=alternating(game))
    rate = recipe.players["critic"].optimizer.rate
    assert set(fixed.ramps(recipe)) == {linear(0.5, 1.0, images=10), Ramp(0.1, 0.2), Ramp(1.0, 0.5), rate}
    assert fixed.numbers([Ramp(1.0, 0.5)], Clock(5, 0, 10)) == [0.75]


def test_patterns() -> None:
    """What is played differs, not how strong it is."""
    lazy = modern((16, 16), 1, penalty_every=4)
    assert fixed.pattern(lazy.moves, 0) == fixed.pattern(lazy.moves, 4) != fixed.pattern(lazy.moves, 1)
    lecam = dataclasses.replace(lazy, moves=alternating(Game(losses.hinge, terms=(LeCam(begin=10),))))
    assert fixed.pattern(lecam.moves, 9) != fixed.pattern(lecam.moves, 10) == fixed.pattern(lecam.moves, 99)
    wgan = small("wgan")
    assert fixed.pattern(wgan.moves, 3) == fixed.pattern(wgan.moves, 500) != fixed.pattern(wgan.moves, 501)


def test_the_best_of_a_share_on_the_device_are_the_best_of_a_share() -> None:
    """The masked mean that a graph needs is the mean over the first k."""
    game = Game(losses.hinge, top=Ramp(1.0, 0.5))
    fake = torch.randn(10, generator=torch.Generator().manual_seed(0))
    for done in (0.0, 0.33, 0.7, 1.0):
        clock = Clock(int(100 * done), 0, 100)
        now = {game.top: torch.tensor(1.0 - 0.5 * done)}
        said = [
            game.generator_loss(lambda x: x, real=None, fake=fake, clock=each).loss
            for each in (clock, clock._replace(now=now))
        ]
        torch.testing.assert_close(*said)


def test_what_an_engine_cannot_play_is_said() -> None:
    recipe = modern((16, 16), 1)
    assert refusal("eager", recipe, "cpu") is None
    assert refusal("compile", recipe, "cpu") is None
    assert refusal("graph", recipe, "cuda:0") is None
    assert "NVIDIA GPU" in (refusal("graph", recipe, "cpu") or "")
    assert "momentum" in (refusal("graph", CATALOGUE["goodfellow2014"]((28, 28)), "cuda") or "")
    turns = tuple(
        (move[0]._replace(loss=lambda *given: GeneratorTurn(Game(losses.hinge))(*given)),) for move in recipe.moves
    )
    assert "one's own" in (refusal("compile", dataclasses.replace(recipe, moves=turns), "cpu") or "")
    with pytest.raises(UserError, match="--engine graph is not possible: a CUDA graph needs an NVIDIA GPU"):
        make_plan(Request("digits", engine="graph"))


def test_a_cpu_is_not_measured_and_what_does_not_work_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, said = small("dcgan"), list[str]()
    pictures = conformance.noise(recipe)
    assert trial.choose("auto", recipe, pictures, Choices(), said.append).engine == "eager"
    assert said == []

    class Broken(Trainer):
        def play_round(self, budget: Budget) -> None:
            raise RuntimeError("no compiler\nand so on")

    monkeypatch.setattr(trial, "Trainer", Broken)
    assert trial.choose("compile", recipe, pictures, Choices(), said.append).engine == "eager"
    assert said == ["The engine compile does not work here (no compiler): going on without it."]


@pytest.mark.parametrize(("eager", "graph", "best"), [(2.0, 1.0, "graph"), (1.0, 2.0, "eager"), (1.0, 0.99, "eager")])
def test_the_quickest_is_taken_on_a_gpu(eager: float, graph: float, best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"eager": eager, "graph": graph}
    monkeypatch.setattr(trial, "_seconds", lambda recipe, pictures, choices, rounds, say: times[choices.engine])
    said: list[str] = []
    recipe = small("dcgan")
    pictures: Pictures = conformance.noise(recipe)
    assert trial.choose("auto", recipe, pictures, Choices(device="cuda"), said.append).engine == best
    assert said[0].startswith(f"engine      {best}  (measured: eager {50 * eager:.1f} ms a round, graph")
