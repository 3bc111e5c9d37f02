"""Every case of going on: the same command, another one, a finished run, a fork, a damaged state, a full disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zerosum
from zerosum import files
from zerosum.errors import Stopped, UserError
from zerosum.run import Run
from zerosum.training.trainer import Budget, Trainer

SMALL = {"width": "4", "batch": "16"}


class Said(list[str]):
    """What a run says, to look at."""

    def __contains__(self, words: object) -> bool:
        return any(str(words) in line for line in self)


def train(data: Path, said: Said | None = None, **changes: Any) -> Run:
    arguments: dict[str, Any] = {"recipe": "modern", "images": 640, "settings": SMALL} | changes
    return zerosum.train(data, say=(said if said is not None else Said()).append, **arguments)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return files.read_tensors(run.states()[-1]).tensors


def same(one: Run, other: Run) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def interrupted(data: Path, after: int, **changes: Any) -> None:
    """Train until a line of stats at ``after`` images or later, then fail as a crash would."""

    def crash(moment: Any) -> None:
        if moment.images >= after:
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        train(data, watchers=(crash,), **changes)


def test_without_out_the_newest_unfinished_run_goes_on(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = train(plain_data)
    assert first.folder == Path("runs/001-plain-modern")
    interrupted(plain_data, 320)
    said = Said()
    second = train(plain_data, said)
    assert second.folder == Path("runs/002-plain-modern")
    assert "Going on with runs/002-plain-modern" in said
    assert same(first, second)
    assert train(plain_data).folder == Path("runs/003-plain-modern")


def test_without_out_another_setting_seed_or_data_is_a_new_run(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted(plain_data, 320)
    assert train(plain_data, settings={**SMALL, "gamma": "2"}).folder.name == "002-plain-modern"
    assert train(plain_data, seed=1).folder.name == "003-plain-modern"
    assert train(plain_data, images=800).folder.name == "004-plain-modern"
    file = plain_data / "train-images-idx3-ubyte"
    content = bytearray(file.read_bytes())
    content[500] ^= 255
    file.write_bytes(content)
    assert train(plain_data).folder.name == "005-plain-modern"


def test_moving_the_data_changes_nothing(plain_data: Path, tmp_path: Path) -> None:
    interrupted(plain_data, 320, out=tmp_path / "run")
    moved = plain_data.rename(tmp_path / "elsewhere")
    said = Said()
    train(moved, said, out=tmp_path / "run")
    assert "Going on" in said


def test_a_finished_run_says_so(plain_data: Path, tmp_path: Path) -> None:
    run = train(plain_data, out=tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.safetensors")}
    said = Said()
    train(plain_data, said, out=tmp_path / "run")
    assert "is finished (640 images)" in said
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.safetensors")}
    assert files.read_lines(run.metrics)


def test_a_larger_budget_goes_on_where_no_schedule_depends_on_it(plain_data: Path, tmp_path: Path) -> None:
    train(plain_data, out=tmp_path / "run", recipe="dcgan")
    longer = train(plain_data, out=tmp_path / "run", recipe="dcgan", images=1280)
    whole = train(plain_data, out=tmp_path / "whole", recipe="dcgan", images=1280)
    assert same(longer, whole)
    assert longer.read()["budget"]["images"] == 1280
    with pytest.raises(UserError, match="more than --images 640"):
        train(plain_data, out=tmp_path / "run", recipe="dcgan", images=640)


def test_a_larger_budget_asks_for_a_fork_where_schedules_depend_on_it(plain_data: Path, tmp_path: Path) -> None:
    run = train(plain_data, out=tmp_path / "run")
    with pytest.raises(UserError, match="--fork"):
        train(plain_data, out=tmp_path / "run", images=1280)
    fork = train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "fork")
    assert fork.folder == tmp_path / "fork"
    assert files.read_lines(fork.stats)[-1]["images"] == 1280
    events = [line["event"] for line in files.read_lines(fork.events)]
    assert "forked" in events
    assert events.count("finished") == 1
    assert run.read()["budget"]["images"] == 640
    said = Said()
    train(plain_data, said, out=tmp_path / "run", images=1280, fork=tmp_path / "fork")
    assert "is finished (1,280 images)" in said
    with pytest.raises(UserError, match="there already and no fork"):
        train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "run")
    with pytest.raises(UserError, match="larger --images"):
        train(plain_data, out=tmp_path / "run", fork=tmp_path / "other")


def test_a_fork_applies_new_settings(plain_data: Path, tmp_path: Path) -> None:
    train(plain_data, out=tmp_path / "run")
    settings = {**SMALL, "rate": "5e-4"}
    fork = train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "fork", settings=settings)
    assert fork.read()["dials"]["rate"] == 5e-4


def test_the_same_fork_command_goes_on(plain_data: Path, tmp_path: Path) -> None:
    train(plain_data, out=tmp_path / "run")
    whole = train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "whole")
    interrupted(plain_data, 960, out=tmp_path / "run", images=1280, fork=tmp_path / "fork")
    said = Said()
    fork = train(plain_data, said, out=tmp_path / "run", images=1280, fork=tmp_path / "fork")
    assert "Going on" in said
    assert same(fork, whole)


def test_a_fork_that_was_cut_short_is_made_again(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(plain_data, out=tmp_path / "run")
    whole = train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "whole")

    def crash(*arguments: object) -> None:
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save_state", crash)
        with pytest.raises(RuntimeError, match="crash"):
            train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "fork")
    fork = train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "fork")
    assert same(fork, whole)


def test_a_fork_to_other_networks_is_refused_and_leaves_nothing(plain_data: Path, tmp_path: Path) -> None:
    train(plain_data, out=tmp_path / "run")
    wide = {"width": "16", "batch": "16"}
    with pytest.raises(UserError, match="does not fit"):
        train(plain_data, out=tmp_path / "run", images=1280, fork=tmp_path / "fork", settings=wide)
    assert not (tmp_path / "fork").exists()


def test_any_other_difference_is_refused_by_name(plain_data: Path, labelled_data: Path, tmp_path: Path) -> None:
    train(plain_data, out=tmp_path / "run")
    with pytest.raises(UserError, match=r"players\.critic\.net\.width: 4 -> 16"):
        train(plain_data, out=tmp_path / "run", settings={"width": "16", "batch": "16"})
    with pytest.raises(UserError, match="seed: 0 -> 7"):
        train(plain_data, out=tmp_path / "run", seed=7)
    with pytest.raises(UserError, match="data:"):
        train(labelled_data, out=tmp_path / "run", settings={**SMALL, "conditional": "false"})
    with pytest.raises(UserError, match="name: modern -> dcgan"):
        train(plain_data, out=tmp_path / "run", recipe="dcgan")


def test_what_changes_no_number_or_is_new_since_is_no_difference(plain_data: Path, tmp_path: Path) -> None:
    """A run that an older version began has fewer fields; ``checkpoint`` may be switched on for lack of memory."""
    run = Run(tmp_path / "run")
    interrupted(plain_data, 320, out=run.folder)
    content = run.read()
    del content["resolved"]["precision"], content["resolved"]["accumulate"]
    run.write(content)
    train(plain_data, out=run.folder, settings={**SMALL, "checkpoint": "true"})
    assert same(run, train(plain_data, out=tmp_path / "other"))
    with pytest.raises(UserError, match="precision: fp32 -> bf16"):
        train(plain_data, out=run.folder, settings={**SMALL, "precision": "bf16"})


def test_the_budget_stands_where_none_is_named(plain_data: Path, tmp_path: Path) -> None:
    interrupted(plain_data, 320, out=tmp_path / "run")
    run = train(plain_data, out=tmp_path / "run", images=None)
    assert run.finished_at() == 640


def test_a_damaged_state_is_skipped_in_words(plain_data: Path, tmp_path: Path) -> None:
    whole = train(plain_data, out=tmp_path / "whole")
    run = Run(tmp_path / "run")
    interrupted(plain_data, 640, out=run.folder)
    newest = run.states()[-1]
    content = bytearray(newest.read_bytes())
    content[-7] ^= 1
    newest.write_bytes(content)
    said = Said()
    train(plain_data, said, out=run.folder)
    assert "damaged" in said
    assert "Going on" in said
    assert same(run, whole)
    assert [line["images"] for line in files.read_lines(run.stats)] == [320, 640]


def test_all_states_damaged_starts_anew(plain_data: Path, tmp_path: Path) -> None:
    whole = train(plain_data, out=tmp_path / "whole")
    run = Run(tmp_path / "run")
    interrupted(plain_data, 640, out=run.folder)
    for state in run.states():
        state.write_bytes(b"nothing")
    train(plain_data, out=run.folder)
    assert same(run, whole)
    assert len(files.read_lines(run.stats)) == len(files.read_lines(whole.stats))


def test_a_crash_between_training_and_judgement_is_made_good(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        patch.setattr("zerosum.launch.judge", broken)
        with pytest.raises(RuntimeError, match="crash"):
            train(plain_data, out=tmp_path / "run")
    assert Run(tmp_path / "run").finished_at() is None
    run = train(plain_data, out=tmp_path / "run")
    assert run.finished_at() == 640
    assert files.read_lines(run.metrics)


@pytest.mark.parametrize("write", [1, 3, 4, 6, 8])
def test_a_full_disk_stops_in_words_and_loses_nothing(
    write: int, plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(plain_data, out=tmp_path / "whole")
    real, left = os.fsync, [write]

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(Stopped, match="disk is full"):
            train(plain_data, out=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert not list(run.folder.rglob(f"{files.TEMPORARY}*"))
    for state in run.states():
        files.read_tensors(state)
    train(plain_data, out=run.folder)
    assert same(run, whole)


def test_a_small_disk_really_filled(plain_data: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with pytest.raises(Stopped, match="disk is full"):
            train(plain_data, out=disk / "run", images=64_000)
        run = Run(disk / "run")
        assert all(files.read_tensors(state) for state in run.states())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_second_process_is_refused(plain_data: Path, tmp_path: Path) -> None:
    with files.locked(tmp_path / "run"):
        done = subprocess.run(
            [sys.executable, "-m", "zerosum", "train", str(plain_data), "-o", str(tmp_path / "run")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "in use by another zerosum process" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_time_budget_is_written_to_the_run_and_replayed(plain_data: Path, tmp_path: Path) -> None:
    said = Said()
    run = train(plain_data, said, out=tmp_path / "run", images=None, seconds=6.0)
    budget = run.read()["budget"]
    assert budget["images"] > budget["since"] > 0
    assert "The time is enough for" in said
    assert files.read_lines(run.metrics)
    if run.finished_at() is None:  # the hard cap came first
        run = train(plain_data, out=tmp_path / "run", images=None, seconds=60.0)
        assert run.read()["budget"]["images"] == budget["images"]
    assert run.finished_at() == budget["images"]


def crash_in_round(number: int, monkeypatch: pytest.MonkeyPatch, data: Path, out: Path) -> None:
    """A run for a time that dies before its speed has been measured."""
    play = Trainer.play_round

    def dying(self: Trainer, budget: Budget) -> None:
        if self.rounds == number:
            raise RuntimeError("crash")
        play(self, budget)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "play_round", dying)
        with pytest.raises(RuntimeError, match="crash"):
            train(data, out=out, images=None, seconds=100.0)


def test_a_time_run_that_has_no_budget_yet_takes_the_one_that_is_given(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_in_round(5, monkeypatch, plain_data, tmp_path / "run")
    assert Run(tmp_path / "run").read()["budget"]["images"] is None
    run = train(plain_data, out=tmp_path / "run", images=640)
    assert run.finished_at() == 640


def test_a_time_run_that_is_killed_early_measures_again(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_in_round(5, monkeypatch, plain_data, tmp_path / "run")
    run = train(plain_data, out=tmp_path / "run", images=None, seconds=5.0)
    assert run.read()["budget"]["images"] > 0
    assert files.read_lines(run.metrics)


def test_a_time_that_is_over_at_once_still_ends_with_a_judgement(plain_data: Path, tmp_path: Path) -> None:
    run = train(plain_data, out=tmp_path / "run", images=None, seconds=0.01)
    assert files.read_lines(run.metrics)
    assert run.snapshots()


def test_killed_between_state_and_snapshot(plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judgement finds the model of the last state even where the snapshot was lost or damaged."""
    interrupted(plain_data, 640, out=tmp_path / "run")
    run = Run(tmp_path / "run")
    run.snapshots()[-1].write_bytes(b"damaged")
    train(plain_data, out=tmp_path / "run")
    assert run.finished_at() == 640
    assert zerosum.load(run).sample(1).shape == (1, 1, 12, 12)


def test_a_budget_set_as_a_dial_is_the_budget(plain_data: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "images": "640"}
    run = train(plain_data, out=tmp_path / "run", images=None, settings=settings)
    assert run.finished_at() == 640
    with pytest.raises(UserError, match="--fork"):
        train(plain_data, out=tmp_path / "run", images=None, settings={**SMALL, "images": "1280"})


def test_another_version_is_named(plain_data: Path, tmp_path: Path) -> None:
    interrupted(plain_data, 320, out=tmp_path / "run")
    run = Run(tmp_path / "run")
    content = run.read()
    content["versions"]["torch"] = "1.0"
    files.write_json(run.recipe_file, content)
    said = Said()
    train(plain_data, said, out=run.folder)
    assert "perhaps not bit-exactly: torch: 1.0 -> " in said


def test_a_foreign_folder_is_refused(plain_data: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not a run of zerosum"):
        train(plain_data, out=foreign)
    (foreign / "recipe.json").write_text(json.dumps({"format": 1, "butter": 200}))
    with pytest.raises(UserError, match="not a recipe of zerosum"):
        train(plain_data, out=foreign)
    assert (foreign / "thesis.txt").read_text() == "mine"
    with pytest.raises(UserError, match="is a file"):
        train(plain_data, out=foreign / "thesis.txt")


def test_choices_are_replayed(plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        interrupted(plain_data, 320, out=tmp_path / "run")
        torch.set_num_threads(2)
        train(plain_data, out=tmp_path / "run")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    started = files.read_lines(Run(tmp_path / "run").events)[0]
    assert started["choices"] == Run(tmp_path / "run").read()["choices"]


def test_labels_shape_the_run(labelled_data: Path, tmp_path: Path) -> None:
    run = train(labelled_data, out=tmp_path / "run", images=320)
    generator = zerosum.load(run)
    assert generator.classes == ("0", "1", "2")
    assert {line["metric"] for line in files.read_lines(run.metrics)} >= {
        "precision",
        "coverage",
        "confident",
        "share.0",
    }
    plain = train(labelled_data, out=tmp_path / "plain", images=320, settings={**SMALL, "conditional": "false"})
    assert zerosum.load(plain).classes == ()
    assert np.isfinite([line["value"] for line in files.read_lines(run.metrics)]).all()
