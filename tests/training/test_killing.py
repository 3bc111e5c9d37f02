"""A run that is killed at any moment and started again ends bit-identical to one that never was."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import stat
import time
from pathlib import Path

import pytest
import torch

from zerosum import files
from zerosum.run import Run

SMALL = ["--set", "width=8", "--set", "batch=16", "--seed", "3"]
BUDGETS = {"dcgan": 2_000, "modern": 1_280}
SPAWN = multiprocessing.get_context("forkserver")  # one process imports torch, the children start at once
SPAWN.set_forkserver_preload(["zerosum.launch", "zerosum.progress", "zerosum.cli"])


def command(arguments: list[str], killed_at_write: int | None = None) -> None:
    """Be a ``zerosum`` process; optionally one that is killed inside its n-th write, half of the bytes written."""
    from zerosum.cli import main

    os.setsid()
    torch.set_num_threads(1)  # the run notes it; two processes on two cores would wait for each other
    if killed_at_write is not None:
        fsync, left = os.fsync, [killed_at_write]

        def dying(handle: int) -> None:
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                left[0] -= 1
            if left[0] == 0:
                os.ftruncate(handle, os.fstat(handle).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            fsync(handle)

        os.fsync = dying
    raise SystemExit(main(arguments))


def start(arguments: list[str], killed_at_write: int | None = None) -> multiprocessing.process.BaseProcess:
    process = SPAWN.Process(target=command, args=(arguments, killed_at_write))
    process.start()
    return process


def finish(arguments: list[str]) -> None:
    process = start(arguments)
    process.join(240)
    assert process.exitcode == 0


def end_of(folder: Path) -> dict[str, torch.Tensor]:
    """Everything the last state holds: both players, optimizers, average."""
    return files.read_tensors(Run(folder).states()[-1]).tensors


def states(folder: Path) -> list[tuple[str, int]]:
    """The states of a run, and when each was written."""
    try:
        return [(path.name, path.stat().st_mtime_ns) for path in Run(folder).states()] if folder.exists() else []
    except FileNotFoundError:  # replaced at this moment
        return []


def assert_same(folder: Path, reference: Path) -> None:
    ours, theirs = end_of(folder), end_of(reference)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name
    snapshot, expected = (files.read_tensors(Run(run).snapshots()[-1]) for run in (folder, reference))
    assert snapshot.header == expected.header
    for name, tensor in expected.tensors.items():
        assert torch.equal(snapshot.tensors[name], tensor), name
    ours_said, theirs_said = (
        [
            {key: value for key, value in line.items() if "second" not in key}
            for line in files.read_lines(Run(run).stats)
        ]
        for run in (folder, reference)
    )
    assert ours_said == theirs_said


@pytest.mark.parametrize("recipe", ["dcgan", "modern"])
def test_killed_at_random_moments(recipe: str, plain_data: Path, tmp_path: Path) -> None:
    arguments = ["train", str(plain_data), "--recipe", recipe, "--images", str(BUDGETS[recipe]), *SMALL]
    began = time.monotonic()
    finish([*arguments, "--out", str(tmp_path / "whole")])
    took = time.monotonic() - began
    dice = random.Random(11)
    kills, lives, resumed = 0, 0, 0
    while kills < 10:
        broken = tmp_path / f"broken-{lives}"
        before = states(broken)
        process = start([*arguments, "--out", str(broken)])
        if kills % 2:  # soon after something was saved; else at any moment, mostly before
            while process.exitcode is None and states(broken) == before:
                process.join(0.01)
        process.join(dice.uniform(0.0, 0.2) if kills % 2 else dice.uniform(0.05, 0.4) * took)
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
            resumed += bool(states(broken))
        else:
            assert process.exitcode == 0
            assert_same(broken, tmp_path / "whole")
            lives += 1
    finish([*arguments, "--out", str(broken)])
    assert_same(broken, tmp_path / "whole")
    assert resumed  # or there was nothing to go on from


def test_killed_inside_writes(plain_data: Path, tmp_path: Path) -> None:
    """Ten kills, each in the middle of a file: in the first writes of all, in later ones, one after the other."""
    arguments = ["train", str(plain_data), "--recipe", "modern", "--images", str(BUDGETS["modern"]), *SMALL]
    finish([*arguments, "--out", str(tmp_path / "whole")])
    broken = tmp_path / "broken"
    kills = 0
    for number in (1, 2, 3, 4, 5, 6, 7, 4, 8, 5, 9, 6):
        process = start([*arguments, "--out", str(broken)], killed_at_write=number)
        process.join(120)
        kills += process.exitcode == -signal.SIGKILL
        if process.exitcode == 0:
            break
    finish([*arguments, "--out", str(broken)])
    assert kills >= 10
    assert_same(broken, tmp_path / "whole")
    assert not list(broken.rglob(f"{files.TEMPORARY}*"))


def test_signals_save_and_exit_0(plain_data: Path, tmp_path: Path) -> None:
    """SIGTERM, going on, Ctrl-C, going on: the same end as if nothing had happened."""
    arguments = ["train", str(plain_data), "--recipe", "modern", "--images", str(BUDGETS["modern"]), *SMALL]
    finish([*arguments, "--out", str(tmp_path / "whole")])
    run = Run(tmp_path / "stopped")
    for number, beyond in ((signal.SIGTERM, 0), (signal.SIGINT, 600)):
        process = start([*arguments, "--out", str(run.folder)])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            lines = files.read_lines(run.stats)
            if lines and int(str(lines[-1]["images"])) > beyond:
                break
            time.sleep(0.02)
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(30)
        assert process.exitcode == 0
        stopped_at = int(str(files.read_tensors(run.states()[-1]).header["images"]))
        assert beyond < stopped_at < BUDGETS["modern"]
        assert files.read_lines(run.events)[-1]["event"] == "stopped"
    finish([*arguments, "--out", str(run.folder)])
    for name, tensor in end_of(tmp_path / "whole").items():
        assert torch.equal(end_of(run.folder)[name], tensor), name
