"""The run's folder when several processes write to it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import zerosum
from zerosum import files
from zerosum.run import Run

SETTINGS = {"width": "4", "batch": "16"}


def test_no_line_is_lost_between_reading_and_rewriting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation appends at the very moment at which the trainer rewrites the file."""
    run = Run(tmp_path)
    run.add_metrics([{"images": 1, "metric": "old"}, {"images": 2, "metric": "kept"}])
    real = files.write
    other = threading.Thread(target=lambda: run.add_metrics([{"images": 3, "metric": "of another process"}]))

    def slowly(path: Path, content: bytes) -> Path:
        other.start()
        other.join(0.2)  # time enough to append, were it not kept out
        return real(path, content)

    monkeypatch.setattr(files, "write", slowly)
    run.add_metrics([{"images": 4, "metric": "new"}], lambda line: line["metric"] == "old")
    other.join()
    assert {line["metric"] for line in files.read_lines(run.metrics)} == {"kept", "new", "of another process"}
    monkeypatch.setattr(files, "write", real)
    run.rewind(2)
    assert [line["metric"] for line in files.read_lines(run.metrics)] == ["kept"]


def test_waiting_for_a_folder_is_not_being_refused(tmp_path: Path) -> None:
    done: list[str] = []

    def wait() -> None:
        with files.locked(tmp_path, "other", wait=True):
            done.append("waited")

    waiting = threading.Thread(target=wait)
    with files.locked(tmp_path, "other"):
        waiting.start()
        waiting.join(0.1)
        assert done == []
        with pytest.raises(files.InUse), files.locked(tmp_path, "other"):
            pass
        with files.locked(tmp_path):  # another lock
            done.append("held")
    waiting.join()
    assert done == ["held", "waited"]


def test_the_judgement_removes_no_value_of_the_user(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it is made again after a crash, at the same images."""
    run = Run(tmp_path / "run")

    def train() -> None:
        zerosum.train(plain_data, "dcgan", out=run.folder, images=64, settings=SETTINGS)

    def crash(*arguments: object, **named: object) -> None:
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "event", lambda self, name, *more, **named: crash() if name == "finished" else None)
        with pytest.raises(RuntimeError, match="crash"):
            train()
    judged = files.read_lines(run.metrics)
    run.add_metrics([{"images": 64, "metric": "frechet", "value": 1.0, "protocol": "fd_random10k"}])
    train()
    lines = files.read_lines(run.metrics)
    assert [line["metric"] for line in lines].count("frechet") == 1
    assert len(lines) == len(judged) + 1
    assert {line["metric"] for line in judged} < {line["metric"] for line in lines}
