"""A run that is killed at any moment and started again ends bit-identical to one that never was."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from zerosum import files
from zerosum.run import Run

SMALL = ["--set", "width=8", "--set", "batch=16", "--seed", "3"]
BUDGETS = {"dcgan": 6_000, "modern": 4_000}
SPAWN = multiprocessing.get_context("forkserver")  # one process imports torch, the children start at once
SPAWN.set_forkserver_preload(["zerosum.launch", "zerosum.progress", "zerosum.cli"])


def command(arguments: list[str], killed_at_write: int | None = None) -> None:
    """Be a ``zerosum`` process; optionally one that is killed inside its n-th write, before the rename."""
    from zerosum.cli import main

    os.setsid()
    torch.set_num_threads(1)  # the run notes it; two processes on two cores would wait for each other
    if killed_at_write is not None:
        replace, left = os.replace, [killed_at_write]

        def dying(*paths: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*paths)  # type: ignore[arg-type]

        os.replace = dying
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
    broken = tmp_path / "broken"
    kills = 0
    for _ in range(60):
        process = start([*arguments, "--out", str(broken)])
        process.join(dice.uniform(0.1, 0.5) * took)
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
        if kills >= 10 and dice.random() < 0.3:
            break
    finish([*arguments, "--out", str(broken)])
    assert kills >= 3
    assert_same(broken, tmp_path / "whole")


@pytest.mark.parametrize("recipe", ["dcgan", "modern"])
def test_killed_inside_writes(recipe: str, plain_data: Path, tmp_path: Path) -> None:
    """Ten kills, each between a temporary file and its rename; early ones, later ones, one after the other."""
    arguments = ["train", str(plain_data), "--recipe", recipe, "--images", str(BUDGETS[recipe] // 2), *SMALL]
    finish([*arguments, "--out", str(tmp_path / "whole")])
    broken = tmp_path / "broken"
    kills = 0
    for number in (1, 2, 3, 5, 7, 9, 12, 8, 6, 10, 4, 11):
        process = start([*arguments, "--out", str(broken)], killed_at_write=number)
        process.join(120)
        kills += process.exitcode == -signal.SIGKILL
        if process.exitcode == 0:
            break
    finish([*arguments, "--out", str(broken)])
    assert kills >= 10
    assert_same(broken, tmp_path / "whole")
    assert not list(broken.rglob(f"{files.TEMPORARY}*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_0(number: signal.Signals, plain_data: Path, tmp_path: Path) -> None:
    arguments = ["train", str(plain_data), "--recipe", "modern", "--images", "4000", *SMALL]
    finish([*arguments, "--out", str(tmp_path / "whole")])
    run = Run(tmp_path / "stopped")
    process = start([*arguments, "--out", str(run.folder)])
    deadline = time.monotonic() + 60
    while not files.read_lines(run.stats) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == 0
    stopped_at = int(str(files.read_tensors(run.states()[-1]).header["images"]))
    assert 0 < stopped_at < 4000
    assert files.read_lines(run.events)[-1]["event"] == "stopped"
    finish([*arguments, "--out", str(run.folder)])
    for name, tensor in end_of(tmp_path / "whole").items():
        assert torch.equal(end_of(run.folder)[name], tensor), name
