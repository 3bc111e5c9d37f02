"""What is changed while a run is trained: nothing that was saved is lost, nothing is forgotten, and it is all told."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_trainings import SMALL, train, weights

from zerosum import files
from zerosum.amending import RECORDED, Amendment, amended, from_json, is_wanted, record, roll_back, to_json
from zerosum.diagnose.rules import Rule
from zerosum.diagnose.verdicts import Diagnosis, Verdict
from zerosum.errors import Stopped, UserError
from zerosum.plan import Plan, Request, make_plan
from zerosum.run import Run
from zerosum.training.trainer import Budget, Choices, Trainer
from zerosum.watching import Watch


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


def acting(run: Path, at: int) -> Rule:
    """Holds from ``at`` images on until something is amended."""

    def ill(now: Any, past: Any) -> dict[str, float] | None:
        amended = any(line["event"] == "amended" for line in files.read_lines(Run(run).events))
        return {"x": 1.0} if now["images"] > at and not amended else None

    return Rule("diverged", ill, "It has diverged.", "act", in_a_row=2, after=0, lasts=0)


def watched(monkeypatch: pytest.MonkeyPatch, *rules: Rule) -> None:
    def watch(*given: Any) -> Watch:
        return Watch(*given, share=1e9, diagnosis=Diagnosis(rules=rules))  # however slow the machine is

    monkeypatch.setattr("zerosum.launch.Watch", watch)


def _plan(data: Path) -> Plan:
    return make_plan(Request(str(data), "modern", 1600, settings=SMALL), lambda said: None)


def _trainer(data: Path, run: Run) -> Trainer:
    plan = _plan(data)
    return Trainer(plan.recipe, plan.pictures(lambda *told: None), run, 0, Choices())


def _broken(images: int) -> Verdict:
    return Verdict("not finite", "act", "Broken.", {}, 1.0, images, images)


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
    with pytest.raises(Stopped, match=r"not finite in the .*\. Stopped: it was rolled back 3 times.*--set rate="):
        train(plain_data, tmp_path / "run")
    last = files.read_lines(Run(tmp_path / "run").events)[-1]
    assert last["event"] == "stopped"
    assert "rolled back 3 times" in str(last["why"])


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


def test_a_divergence_goes_back_to_before_it_and_no_further(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop writes a state and more are written before it is said; that from before the illness is still there."""
    watched(monkeypatch, acting(tmp_path / "run", 1600))
    run = train(plain_data, tmp_path / "run", images=2560)
    events = files.read_lines(run.events)
    back = next(event for event in events if event["event"] == "rolled back")
    assert int(str(back["images"])) == 1600 < 2240 < int(str(back["from"]))
    assert (back["why"], back["says"], back["evidence"]) == ("diverged", "It has diverged.", {"x": 1.0})
    assert run.finished_at() == 2560
    assert len(run.states()) == 2
    assert min(int(path.stem) for path in run.snapshots()) < 1600


def test_what_was_wanted_when_it_was_killed_is_still_wanted(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(monkeypatch, acting(tmp_path / "run", 1600))
    with monkeypatch.context() as patch:

        def crash(*given: Any) -> None:
            raise RuntimeError("crash")

        patch.setattr("zerosum.launch.roll_back", crash)
        with pytest.raises(RuntimeError, match="crash"):
            train(plain_data, tmp_path / "run", images=2560)
    run = train(plain_data, tmp_path / "run", images=2560)
    assert [event["event"] for event in files.read_lines(run.events)].count("rolled back") == 1
    assert run.finished_at() == 2560


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


def test_what_a_start_anew_starts_with(plain_data: Path, tmp_path: Path) -> None:
    """Fresh moments, and as often as it is needed."""
    run = train(plain_data, tmp_path / "run", images=16)
    trainer = _trainer(plain_data, run)
    trainer.play_round(Budget(1600))
    run.snapshots()[0].unlink()  # nothing was saved before
    for _ in range(2):
        roll_back(run, trainer, trainer.recipe, _broken(16), lambda said: None)
        state, _ = run.newest_state()
        assert state is not None
        trainer.notes = {"amendments": state.header["amendments"]}
    assert state.header["images"] == 0
    assert not any(".optimizer." in name for name in state.tensors)


def saved(run: Run) -> set[str]:
    """Models and grids, wherever they lie."""
    found = [*run.folder.rglob("*.safetensors"), *run.folder.rglob("*.png")]
    return {path.name for path in found if path.stem.isdigit()}


def told(run: Run) -> list[tuple[object, object]]:
    """What was rolled back or amended."""
    return [(line["event"], line["images"]) for line in files.read_lines(run.events) if line["event"] in RECORDED]


def test_three_roll_backs_lose_nothing_that_was_saved_and_are_told(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back to the newest state, to the one before it, and there again, for it is the oldest."""
    play_round, left = Trainer.play_round, [1296, 1296, 976]
    seen: set[str] = set()

    def broken(self: Trainer, budget: Budget) -> None:
        if left and self.images == left[0]:
            left.pop(0)
            seen.update(saved(self.run))
            with torch.no_grad():
                next(self.generator.parameters()).fill_(torch.nan)
        play_round(self, budget)

    monkeypatch.setattr(Trainer, "play_round", broken)
    run = train(plain_data, tmp_path / "run")
    assert (run.finished_at(), left) == (1600, [])
    assert len(seen) >= 8
    assert seen <= saved(run)
    aside = run.folder / "before-roll-back"
    assert (aside / "2" / "snapshots" / "000000001280.safetensors").is_file()
    assert files.read_lines(aside / "2" / "stats.jsonl")[-1]["images"] == 1600
    images = [1280, 960, 960]
    assert told(run) == [(event, at) for at in images for event in RECORDED]
    back = next(line for line in files.read_lines(run.events) if line["event"] == "rolled back")
    assert back["from"] == 1600
    assert back["says"].startswith("A loss or gradient was not finite in the 320 images before 1,600 (first in")
    assert "Lower" not in back["says"]
    assert set(back["evidence"]) >= {"critic.loss", "generator.gradient"}
    header = files.read_tensors(run.states()[-1]).header
    record(run, from_json(header["amendments"]))
    assert told(run) == [(event, at) for at in images for event in RECORDED]


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_a_roll_back_that_is_killed_is_made_again(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Wherever that is, nothing is lost, told twice or forgotten, and the run ends with the same bits."""

    class Killed(BaseException):
        pass

    def trained(name: str, kill_at: int) -> bool:
        """Whether it was not killed at that write or removal of a roll-back."""
        with monkeypatch.context() as patch:
            watched(patch, acting(tmp_path / name, 640))

            def counted(function: Any) -> Any:
                def one(*given: Any, **named: Any) -> Any:
                    left[0] -= 1
                    if left[0] < 0:
                        raise Killed
                    return function(*given, **named)

                return one

            def rolled_back(*given: Any) -> None:
                with monkeypatch.context() as inner:
                    for owner, function in ((os, "replace"), (shutil, "rmtree"), (files, "append_line")):
                        inner.setattr(owner, function, counted(getattr(owner, function)))
                    roll_back(*given)

            left = [kill_at]
            patch.setattr("zerosum.launch.roll_back", rolled_back)
            try:
                train(plain_data, tmp_path / name, settings={"width": "4", "batch": "8"}, images=1120)
            except Killed:
                return False
        return True

    assert not trained("begun", 0)
    begun, whole = Run(tmp_path / "begun"), Run(tmp_path / "whole")
    seen = saved(begun)
    shutil.copytree(begun.folder, whole.folder)
    assert trained("whole", 1000)
    assert told(whole) == [(event, 640) for event in RECORDED]
    assert seen <= saved(whole)
    for kill_at in range(1, 100, step):
        run = Run(tmp_path / str(kill_at))
        shutil.copytree(begun.folder, run.folder)
        if trained(run.folder.name, kill_at):
            break
        assert trained(run.folder.name, 1000)
        assert told(run) == told(whole)
        assert seen <= saved(run)
        ours, theirs = weights(run), weights(whole)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert kill_at > 15


@pytest.mark.parametrize("why", ["no state from before", "rolled back 3 times", "no numbers"])
def test_where_it_cannot_be_mended_it_stops_in_words_and_keeps_everything(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    run = train(plain_data, tmp_path / "run", images=640)
    trainer = _trainer(plain_data, run)
    trainer.images = 640
    if why == "rolled back 3 times":
        trainer.notes = {"amendments": to_json([Amendment(320, {}, "not finite")] * 3)}
    elif why == "no numbers":
        monkeypatch.setattr("zerosum.amending.settings", lambda *given: {})
    else:
        for state in run.states():
            state.write_bytes(b"torn")
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file() and path != run.events}
    with pytest.raises(Stopped, match=f"Broken. Stopped: .*{why}.*snapshots"):
        roll_back(run, trainer, trainer.recipe, _broken(640), lambda said: None)
    assert before == {path: path.read_bytes() for path in before}
    last = files.read_lines(run.events)[-1]
    assert (last["event"], last["images"]) == ("stopped", 640)
    assert why in str(last["why"])


def test_what_was_amended_beyond_the_point_is_forgotten_with_it(plain_data: Path, tmp_path: Path) -> None:
    """But not earlier roll-backs: their remedies are the ground for the next one's."""
    run = train(plain_data, tmp_path / "run", images=640)
    trainer = _trainer(plain_data, run)
    trainer.images = 960
    rate = "players.critic.optimizer.rate"
    done = [
        Amendment(320, {f"{rate}.start": "4e-4"}, "critic too weak"),
        Amendment(640, {f"{rate}.start": "2e-4"}, "diverged", {"from": 800, "says": "", "evidence": {}}),
        Amendment(700, {f"{rate}.start": "8e-4"}, "critic too weak"),
    ]
    recipe, trainer.recipe = trainer.recipe, amended(trainer.recipe, done)
    trainer.notes = {"amendments": to_json(done)}
    roll_back(run, trainer, recipe, _broken(960), lambda said: None)
    state, _ = run.newest_state()
    assert state is not None
    found = from_json(state.header["amendments"])
    assert [(one.images, one.why) for one in found] == [
        (320, "critic too weak"),
        (640, "diverged"),
        (320, "not finite"),
    ]
    assert found[-1].settings[f"{rate}.start"] == "0.0001"
    assert told(run) == [
        ("amended", 320),
        ("rolled back", 640),
        ("amended", 640),
        ("rolled back", 320),
        ("amended", 320),
    ]


def test_states_that_do_not_tell_of_roll_backs_are_read(tmp_path: Path) -> None:
    run = Run(tmp_path)
    old = [{"images": 5, "settings": {"a": "1"}, "why": "diverged"}]
    record(run, from_json(old))
    assert told(run) == [("rolled back", 5), ("amended", 5)]


def test_act_ends_after_three_times(plain_data: Path, tmp_path: Path) -> None:
    trainer = _trainer(plain_data, Run(tmp_path / "run"))
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
