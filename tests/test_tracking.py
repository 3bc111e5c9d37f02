"""The tracking metric during training, and the best snapshot that it keeps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import zerosum
from zerosum import files, tracking
from zerosum.recipes.modern import modern
from zerosum.run import TRACKED, Run


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "LEAST", 500)
    monkeypatch.setattr(tracking, "SAMPLES", 40)
    monkeypatch.setattr(tracking, "REAL", 60)


def tracked(run: Run) -> list[dict[str, object]]:
    lines = [line for line in files.read_lines(run.metrics) if line["protocol"] == TRACKED]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


RECIPE = dataclasses.replace(modern((12, 12), channels=1, width=4, batch=16, images=640), stats_every=16)


def test_every_tenth_is_measured_for_both_weights(plain_data: Path, tmp_path: Path) -> None:
    run = zerosum.train(plain_data, RECIPE, out=tmp_path / "run")
    lines = tracked(run)
    assert [line["images"] for line in lines] == [64 * (1 + index // 2) for index in range(20)]
    assert [line["weights"] for line in lines] == ["ema", "raw"] * 10
    assert all(isinstance(line["value"], float) for line in lines)
    best = min((line for line in lines if line["weights"] == "ema"), key=lambda line: line["value"])  # type: ignore[arg-type, return-value]
    assert run.best() == best["images"]


def test_a_resumed_run_has_the_same_lines(plain_data: Path, tmp_path: Path) -> None:
    whole = zerosum.train(plain_data, RECIPE, out=tmp_path / "whole")

    def cut(moment: object) -> None:
        if getattr(moment, "images", 0) >= 320:
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        zerosum.train(plain_data, RECIPE, out=tmp_path / "cut", watchers=(cut,))
    resumed = zerosum.train(plain_data, RECIPE, out=tmp_path / "cut")
    assert tracked(resumed) == tracked(whole)


def test_the_best_snapshot_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "snapshots").mkdir()
    for images in range(40):
        run.snapshot_file(images).write_bytes(b"")
        line = {"images": images, "protocol": TRACKED, "weights": "ema", "value": abs(images - 17.0)}
        files.append_line(run.metrics, line)
    run.thin_snapshots()
    left = [int(path.stem) for path in run.snapshots()]
    assert 17 in left
    assert {0, 39} <= set(left)
    assert len(left) in (12, 13)


def test_short_runs_are_not_tracked(plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "LEAST", 5000)
    run = zerosum.train(plain_data, "dcgan", out=tmp_path / "run", images=640, settings={"width": "4", "batch": "16"})
    assert tracked(run) == []
    assert run.best() is None
