"""The diagnosis in a training: it leaves no trace in it, goes on where it was, and a training that breaks is mended."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_trainings import SMALL, train, weights

import zerosum
from zerosum import files
from zerosum.cli import main
from zerosum.diagnose.remedies import REMEDIES, advice
from zerosum.diagnose.rules import Rule
from zerosum.diagnose.verdicts import Diagnosis
from zerosum.plan import Request, make_plan
from zerosum.training.trainer import Trainer
from zerosum.watching import Watch


@pytest.mark.parametrize("recipe", ["modern", "dcgan", "pacgan", "goodfellow2014"])
def test_looking_changes_nothing(
    labelled_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """Batch norm's statistics, dropout's numbers and the order of all streams are as without a check."""
    settings = SMALL if recipe == "modern" else {"batch": "16"} | ({"width": "4"} if recipe != "goodfellow2014" else {})
    looked = train(labelled_data, tmp_path / "one", recipe=recipe, settings=settings, images=640)
    assert len(files.read_lines(looked.signals)) >= 2
    monkeypatch.setattr(Watch, "__call__", lambda self, moment: None)
    monkeypatch.setattr(Watch, "_check", lambda self, *given: None)
    plain = train(labelled_data, tmp_path / "other", recipe=recipe, settings=settings, images=640)
    assert not plain.signals.exists()
    ours, theirs = weights(looked), weights(plain)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_check_is_a_whole_line(labelled_data: Path, tmp_path: Path) -> None:
    run = train(labelled_data, tmp_path / "run")
    first, *_, last = files.read_lines(run.signals)
    assert first["images"] == 0
    assert last["images"] == 1600
    for name in (
        "separates",
        "r_t",
        "coverage_raw",
        "diversity_ema",
        "weights.critic",
        "sigma.generator",
        "leak_augment",
    ):
        assert isinstance(last[name], float), name
    assert set(last["scores"]) >= {"train", "fake"}
    assert len(last["spectrum"]["real"]) == len(last["spectrum"]["fake"])
    names = {str(name) for name in last["classes"]}
    assert names == set(last["classes_fake"]) == set(zerosum.load(run).classes)
    assert sum(last["classes_fake"].values()) == pytest.approx(1, abs=1e-3)


def test_it_goes_on_where_it_was(labelled_data: Path, tmp_path: Path) -> None:
    run = train(labelled_data, tmp_path / "run")
    before = files.read_lines(run.signals)
    run.rewind(int(before[-2]["images"]))
    trainer = Trainer.__new__(Trainer)
    trainer.notes = {}
    trainer.images = int(before[-2]["images"])
    watch = Watch(trainer, run)
    assert len(watch.diagnosis.checks) == len(before) - 1
    assert watch.due == before[-2]["next"]


@pytest.mark.parametrize("act", [True, False])
def test_other_verdicts_change_a_run_only_if_asked_to(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: bool
) -> None:
    rule = Rule("critic too weak", lambda now, past: {"x": 1.0}, "It is too weak.", after=0, lasts=0)

    def watch(*given: Any) -> Watch:
        return Watch(*given, share=1e9, diagnosis=Diagnosis(rules=(rule,)))  # checks enough

    monkeypatch.setattr("zerosum.launch.Watch", watch)
    said: list[str] = []
    run = train(plain_data, tmp_path / "run", images=3200, act=act, say=said.append)
    events = files.read_lines(run.events)
    assert sum(event["event"] == "verdict" for event in events) == 1
    assert any("It is too weak. Speed the critic up" in line for line in said)
    amended = [event for event in events if event["event"] == "amended"]
    assert [event["why"] for event in amended] == ["critic too weak"] * act
    assert run.finished_at() == 3200
    if act:
        assert amended[0]["settings"]["players.critic.optimizer.rate.start"] == "0.004"
        assert "players.generator.optimizer.rate.start" not in amended[0]["settings"]


@pytest.mark.parametrize("recipe", ["dcgan", "compose", "modern"])
def test_every_remedy_is_a_command_that_works(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    settings = SMALL if recipe != "compose" else {**SMALL, "networks": "dcgan"}
    run = train(plain_data, tmp_path / "run", recipe=recipe, settings=settings, images=16)
    monkeypatch.chdir(tmp_path)
    for verdict in REMEDIES:
        _, start, rest = advice(verdict, run.read(), str(run.folder)).partition("zerosum ")
        command = shlex.split(rest)
        assert start or (verdict, recipe) == ("checkerboard", "modern")
        if command[:1] == ["train"]:
            assert main([*command, "-n"]) == 0, verdict


@pytest.mark.parametrize("passed", ["function", "value"])
def test_where_no_command_names_the_recipe_the_remedy_is_a_call(plain_data: Path, tmp_path: Path, passed: str) -> None:
    """A recipe that was passed has no dials any more, whatever its name; a function has those it was called with."""

    def mine(resolution: tuple[int, int], channels: int, width: int = 8) -> zerosum.Recipe:
        return replace(value, name="mine")

    value = zerosum.recipes.dcgan(resolution=(12, 12), channels=1, width=8)
    recipe: Any = mine if passed == "function" else value
    settings = {"width": "4"} if passed == "function" else {"mirror": "true"}
    run = train(plain_data, tmp_path / "run", recipe=recipe, settings=settings, images=128)
    called: list[str] = []

    def start(data: str, recipe: Any, out: str, act: bool = False, **given: Any) -> None:
        assert given["settings"].keys() >= settings.keys()
        called.append(out)
        make_plan(Request(data, recipe, **given), lambda said: None)

    for verdict, remedy in REMEDIES.items():
        told = advice(verdict, run.read(), str(run.folder))
        assert "zerosum train" not in told or "--recipe modern" in told, verdict
        if "zerosum.train" in told:
            eval(told[told.index("zerosum.train") :], {"zerosum": SimpleNamespace(train=start), "recipe": recipe})
            assert called.pop() == str(run.folder) + "-mended" * (not remedy.goes_on)
    assert "zerosum.train" in advice("diverged", run.read(), "run")
