"""The diagnosis in a training: it leaves no trace in it, goes on where it was, and a training that breaks is mended."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

import zerosum
from zerosum import files
from zerosum.amending import Amendment, is_wanted, roll_back, to_json
from zerosum.cli import main
from zerosum.diagnose.remedies import REMEDIES, advice
from zerosum.diagnose.rules import Rule
from zerosum.diagnose.verdicts import Diagnosis, Verdict
from zerosum.errors import Stopped, UserError
from zerosum.plan import Plan, Request, make_plan
from zerosum.run import Run
from zerosum.training.trainer import Budget, Choices, Trainer
from zerosum.watching import Watch

SMALL = {"width": "8", "batch": "16"}


def train(data: Path, out: Path, **changes: Any) -> Run:
    arguments: dict[str, Any] = {
        "recipe": "modern",
        "images": 1600,
        "settings": SMALL,
        "say": lambda said: None,
    } | changes
    return zerosum.train(data, out=out, **arguments)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return files.read_tensors(run.states()[-1]).tensors


@pytest.mark.parametrize("recipe", ["modern", "dcgan", "pacgan", "goodfellow2014"])
def test_looking_changes_nothing(
    labelled_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """Batch norm's statistics, dropout's numbers and the order of all streams are as without a check."""
    settings = SMALL if recipe == "modern" else {"batch": "16"} | ({"width": "8"} if recipe != "goodfellow2014" else {})
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


def breaks(monkeypatch: pytest.MonkeyPatch, at: int, times: int, *, exactly: bool = False) -> None:
    """Let a weight become NaN once ``at`` images are seen, so many times."""
    left = [times]
    play_round = Trainer.play_round

    def broken(self: Trainer, budget: Budget) -> None:
        if left[0] and (self.images == at if exactly else self.images >= at):
            left[0] -= 1
            with torch.no_grad():
                next(self.generator.parameters()).fill_(torch.nan)
        play_round(self, budget)

    monkeypatch.setattr(Trainer, "play_round", broken)


@pytest.mark.parametrize("at", [0, 640])
def test_what_is_not_finite_is_rolled_back_and_changed(
    plain_data: Path, tmp_path: Path, monkeypatch: Any, at: int
) -> None:
    breaks(monkeypatch, at, times=1)
    said: list[str] = []
    run = train(plain_data, tmp_path / "run", say=said.append)
    assert run.finished_at() == 1600
    events = files.read_lines(run.events)
    amended = next(event for event in events if event["event"] == "amended")
    back = next(event for event in events if event["event"] == "rolled back")
    assert amended["why"] == back["why"] == "not finite"
    assert amended["images"] == back["images"] < back["from"]
    assert amended["settings"]["players.generator.optimizer.rate.start"] == "0.0005"
    assert any("first in the gradient of" in line for line in said)
    assert all(tensor.isfinite().all() for tensor in weights(run).values())
    header = files.read_tensors(run.states()[-1]).header
    assert [one["why"] for one in header["amendments"]] == ["not finite"]


def test_after_three_times_it_stops_in_words(plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch, 0, times=10**9)
    with pytest.raises(Stopped, match="rolled back 3 times"):
        train(plain_data, tmp_path / "run")


def test_an_amendment_holds_after_a_resume(plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after the change or not, the run ends with the same bits."""
    with monkeypatch.context() as patch:
        breaks(patch, 320, times=1)
        whole = train(plain_data, tmp_path / "whole")

    def crash(moment: Any) -> None:
        if moment.images >= 1280:
            raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        breaks(patch, 320, times=1)
        with pytest.raises(RuntimeError, match="crash"):
            train(plain_data, tmp_path / "cut", watchers=(crash,))
    cut = train(plain_data, tmp_path / "cut")
    ours, theirs = weights(whole), weights(cut)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_fork_keeps_or_drops_what_was_amended(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        breaks(patch, 320, times=1)
        run = train(plain_data, tmp_path / "run")

    def left(name: str, **changes: Any) -> list[str]:
        fork = train(plain_data, run.folder, fork=tmp_path / name, images=1920, **changes)
        found = files.read_tensors(fork.states()[-1]).header["amendments"]
        return [path for one in found for path in one["settings"]]

    paths = [f"players.{role}.optimizer.rate.{end}" for role in ("critic", "generator") for end in ("end", "start")]
    assert sorted(left("kept")) == paths
    assert left("dropped", amendments="drop") == []
    own = {**SMALL, "players.critic.optimizer.rate.start": "1e-4"}
    assert sorted(left("own", settings=own)) == [
        path for path in paths if path != "players.critic.optimizer.rate.start"
    ]


@pytest.mark.parametrize("act", [True, False])
def test_other_verdicts_change_a_run_only_if_asked_to(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: bool
) -> None:
    rule = Rule("critic too weak", lambda now, past: {"x": 1.0}, "It is too weak.")

    def watch(*given: Any) -> Watch:
        return Watch(*given, diagnosis=Diagnosis(rules=(rule,)))

    monkeypatch.setattr("zerosum.launch.Watch", watch)
    monkeypatch.setattr("zerosum.watching.SHARE", 1e9)  # however slow the machine is, there are checks enough
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


def acting(run: Path, at: int) -> Rule:
    """Holds from ``at`` images on until something is amended."""

    def ill(now: Any, past: Any) -> dict[str, float] | None:
        amended = any(line["event"] == "amended" for line in files.read_lines(Run(run).events))
        return {"x": 1.0} if now["images"] > at and not amended else None

    return Rule("diverged", ill, "It has diverged.", "act")


def watched(monkeypatch: pytest.MonkeyPatch, *rules: Rule) -> None:
    def watch(*given: Any) -> Watch:
        return Watch(*given, diagnosis=Diagnosis(rules=rules))

    monkeypatch.setattr("zerosum.launch.Watch", watch)
    monkeypatch.setattr("zerosum.watching.SHARE", 1e9)


def test_a_divergence_goes_back_to_before_it_and_no_further(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop writes a state and more are written before it is said; that from before the illness is still there."""
    watched(monkeypatch, acting(tmp_path / "run", 6400))
    run = train(plain_data, tmp_path / "run", images=9600)
    events = files.read_lines(run.events)
    back = next(event for event in events if event["event"] == "rolled back")
    assert 5600 <= int(str(back["images"])) <= 6400 < int(str(back["from"]))
    assert (back["why"], back["says"], back["evidence"]) == ("diverged", "It has diverged.", {"x": 1.0})
    assert run.finished_at() == 9600
    assert len(run.states()) == 2
    assert min(int(path.stem) for path in run.snapshots()) < 5600


def test_what_was_wanted_when_it_was_killed_is_still_wanted(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(monkeypatch, acting(tmp_path / "run", 3200))
    with monkeypatch.context() as patch:

        def crash(*given: Any) -> None:
            raise RuntimeError("crash")

        patch.setattr("zerosum.launch.roll_back", crash)
        with pytest.raises(RuntimeError, match="crash"):
            train(plain_data, tmp_path / "run", images=9600)
    run = train(plain_data, tmp_path / "run", images=9600)
    assert [event["event"] for event in files.read_lines(run.events)].count("rolled back") == 1
    assert run.finished_at() == 9600


def test_each_roll_back_goes_further_and_starts_with_fresh_moments(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, 640, times=2, exactly=True)
    run = train(plain_data, tmp_path / "run")
    events = files.read_lines(run.events)
    back = [int(str(event["images"])) for event in events if event["event"] == "rolled back"]
    assert back[-1] < 640
    amended = [event for event in events if event["event"] == "amended"]
    header = files.read_tensors(run.states()[-1]).header
    assert [one["settings"] for one in header["amendments"]] == [event["settings"] for event in amended]
    assert len(amended) == 2
    monkeypatch.undo()
    fresh = train(plain_data, tmp_path / "fresh", images=16)
    trainer = Trainer(
        *(lambda plan: (plan.recipe, plan.pictures(lambda *told: None)))(_plan(plain_data)), fresh, 0, Choices()
    )
    trainer.play_round(Budget(1600))
    trainer.images = 16
    for _ in range(2):
        roll_back(fresh, trainer, "not finite", 16, "Broken.", lambda said: None, {})
        state, _ = fresh.newest_state()
        assert state is not None
        trainer.notes = {"amendments": state.header["amendments"]}
    assert state.header["images"] == 0
    assert not any(".optimizer." in name for name in state.tensors)


def _plan(data: Path) -> Plan:
    return make_plan(Request(str(data), "modern", 1600, settings=SMALL), lambda said: None)


def test_act_ends_after_three_times(plain_data: Path, tmp_path: Path) -> None:
    plan = _plan(plain_data)
    trainer = Trainer(plan.recipe, plan.pictures(lambda *told: None), Run(tmp_path / "run"), 0, Choices())
    weak = Verdict("critic too weak", "warn", "", {}, 1.0, 500, 400)
    assert is_wanted(weak, trainer, act=True)
    assert not is_wanted(weak, trainer, act=False)
    trainer.notes = {"amendments": to_json([Amendment(450, {}, "critic too weak")])}
    assert not is_wanted(weak, trainer, act=True)  # it is answered
    assert is_wanted(weak._replace(since=460), trainer, act=True)
    trainer.notes = {"amendments": to_json([Amendment(at, {}, "critic too weak") for at in (1, 2, 3)])}
    assert not is_wanted(weak, trainer, act=True)
    assert is_wanted(weak._replace(level="act"), trainer, act=False)


def test_a_fork_that_changes_a_rate_in_another_way_drops_its_amendment(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        breaks(patch, 320, times=1)
        run = train(plain_data, tmp_path / "run")
    for number, own in enumerate(({"players.critic.optimizer.rate": "1e-4"}, {"rate": "1e-5"})):
        fork = train(plain_data, run.folder, fork=tmp_path / f"fork{number}", images=1920, settings={**SMALL, **own})
        left = [path for one in files.read_tensors(fork.states()[-1]).header["amendments"] for path in one["settings"]]
        assert not any(path.startswith("players.critic.optimizer.rate") for path in left)
        events = [line for line in files.read_lines(fork.events) if line["event"] == "amended"]
        assert [path for one in events for path in one["settings"]] == left
        assert fork.finished_at() == 1920


def test_amendments_are_dropped_from_copies_only(plain_data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--fork NEW"):
        train(plain_data, tmp_path / "run", amendments="drop")


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
