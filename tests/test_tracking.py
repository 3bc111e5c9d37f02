"""The tracking metric during training, what it may cost, and the best snapshot that it keeps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from small_data import shapes, write_idx

import zerosum
from zerosum import files, launch, tracking
from zerosum.data.find import find
from zerosum.data.fit import Shape
from zerosum.data.pictures import Pictures
from zerosum.data.prepare import prepare
from zerosum.data.survey import survey
from zerosum.generate import load
from zerosum.metrics.detectors.detector import random_features
from zerosum.metrics.kernels import full_kernel_distance
from zerosum.recipes.modern import modern
from zerosum.run import TRACKED, Run
from zerosum.tracking import Cost, Tracker, affordable
from zerosum.training.trainer import Moment


def quickly(patch: pytest.MonkeyPatch) -> None:
    """Runs of a second that are tracked whatever it takes, and not judged."""
    patch.setattr(tracking, "LEAST", 500)
    patch.setattr(tracking, "SAMPLES", 40)
    patch.setattr(tracking, "REAL", 60)
    patch.setattr(tracking, "MOST", 1e9)
    patch.setattr(launch, "judge", lambda *arguments, **named: [])


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    quickly(monkeypatch)


class Whole(NamedTuple):
    """A tracked run, its data, and what was said."""

    data: Path
    run: Run
    said: list[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder, said = tmp_path_factory.mktemp("tracked"), list[str]()
    (folder / "plain").mkdir()
    write_idx(folder / "plain" / "train-images-idx3-ubyte", shapes(300)[0])
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        return Whole(
            folder / "plain", zerosum.train(folder / "plain", RECIPE, out=folder / "run", say=said.append), said
        )


def tracked(run: Run) -> list[dict[str, object]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.tracked()]


def pictures_of(data: Path) -> Pictures:
    source = find(str(data), None)
    return prepare(source, survey(source), Shape(12, 12, 1))


RECIPE = dataclasses.replace(modern((12, 12), channels=1, width=4, batch=16, images=640), stats_every=16)


def test_every_tenth_is_measured_for_both_weights(whole: Whole) -> None:
    """With the numbers that a measurement from the outside gives."""
    run = whole.run
    lines = tracked(run)
    assert [line["images"] for line in lines] == [64 * (1 + index // 2) for index in range(20)]
    assert [line["weights"] for line in lines] == ["ema", "raw"] * 10
    best = min((line for line in lines if line["weights"] == "ema"), key=lambda line: line["value"])  # type: ignore[arg-type, return-value]
    assert run.best() == best["images"]
    detector, pictures = random_features(), pictures_of(whole.data)
    real = detector.features(pictures.take("train", pictures.some(60))[0])
    for line in lines[-2:]:
        assert line["weights"] in ("ema", "raw")
        generator = load(run.snapshots()[-1], weights=line["weights"])  # type: ignore[arg-type]
        fake = detector.features(np.concatenate(list(generator.pixels(range(40)))))
        assert line["value"] == pytest.approx(full_kernel_distance(real=real, fake=fake), abs=1e-7)
        assert line["detector"] == f"random@{detector.sha256[:12]}"
        assert (line["data"], line["identity"]) == (pictures.name, pictures.identity)
        assert (line["real"], line["fake"]) == (60, 40)
    assert lines[-1]["value"] != lines[-2]["value"]


def test_a_resumed_run_has_the_same_lines(whole: Whole, tmp_path: Path) -> None:
    def cut(moment: object) -> None:
        if getattr(moment, "images", 0) >= 320:
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        zerosum.train(whole.data, RECIPE, out=tmp_path / "cut", watchers=(cut,))
    resumed = zerosum.train(whole.data, RECIPE, out=tmp_path / "cut")
    assert tracked(resumed) == tracked(whole.run)


def test_short_runs_are_not_tracked(whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a run is the same bits with and without measurements."""
    monkeypatch.setattr(tracking, "LEAST", 5000)
    run = zerosum.train(whole.data, RECIPE, out=tmp_path / "run")
    assert tracked(run) == []
    assert run.best() is None
    sides = [files.read_tensors(own.states()[-1]).tensors for own in (whole.run, run)]
    assert all(torch.equal(tensor, sides[1][name]) for name, tensor in sides[0].items())


# ---- what it may cost ----


@pytest.mark.parametrize("once", [0.0, 0.4, 5.0])
@pytest.mark.parametrize("each", [1e-6, 0.1, 0.29, 0.31, 0.7, 1.4, 2.9, 3.1, 50.0])
def test_all_measurements_together_take_at_most_3_percent(
    once: float, each: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 seconds, at any moment; the last tenth is measured if one is, and no more are given up than must be."""
    monkeypatch.setattr(tracking, "MOST", 0.03)
    spent, measured = 0.0, []
    for tenth in range(1, 11):
        first = 0.0 if measured else once
        if affordable(tenth, spent + first, Cost(first, each), 10.0 * tenth, 100.0):
            spent += first + each
            measured.append(tenth)
        assert spent <= 0.03 * 10 * tenth
    assert (10 in measured) == (once + each <= 3)
    if each <= 0.1 and once < 1:
        assert len(measured) >= 9
    if measured:
        assert len(measured) >= min(10, (3 - once) / each) / 2 - 1


def test_a_measurement_that_is_too_dear_is_left_out(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracker reads what it has spent from the run, so a resumed one does not start anew."""
    monkeypatch.setattr(tracking, "MOST", 0.03)
    run, pictures = Run(tmp_path), pictures_of(whole.data)
    run.snapshot_file(640).parent.mkdir()
    run.snapshot_file(640).write_bytes(whole.run.snapshot_file(640).read_bytes())

    def track(seconds: float) -> int:
        before = len(run.tracked())
        Tracker(run, pictures, "cpu")(Moment({"seconds": seconds}, 640, 640, None, 576))
        return len(run.tracked()) - before

    assert track(1e-3) == 0
    assert track(1e6) == 2
    run.metrics.unlink()
    files.append_line(run.metrics, {"images": 64, "protocol": TRACKED, "weights": "ema", "value": 1.0, "seconds": 1e4})
    assert track(1e5) == 0
    assert track(1e6) == 2


# ---- the best snapshot ----


def mark(run: Run, images: int, value: float | None, weights: str = "ema", snapshot: bool = True) -> None:
    run.snapshot_file(images).parent.mkdir(exist_ok=True)
    if snapshot:
        run.snapshot_file(images).write_bytes(b"")
    files.append_line(run.metrics, {"images": images, "protocol": TRACKED, "weights": weights, "value": value})


def test_the_best_snapshot_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for images in range(40):
        mark(run, images, abs(images - 17.0))
    run.thin_snapshots()
    left = [int(path.stem) for path in run.snapshots()]
    assert 17 in left
    assert {0, 39} <= set(left)
    assert len(left) in (12, 13)


def test_which_is_the_best(tmp_path: Path) -> None:
    """By the averaged weights; of snapshots that are there; what diverged is not the best."""
    run = Run(tmp_path)
    assert run.best() is None
    mark(run, 10, 0.5)
    mark(run, 20, 0.3)
    mark(run, 30, None)
    mark(run, 40, 0.1, weights="raw")
    mark(run, 50, 0.2, snapshot=False)  # of the run that this one is a fork of
    assert run.best() == 20
    mark(run, 60, 0.3)
    assert run.best() == 60


@pytest.mark.parametrize("best", [64, 640])
def test_the_best_snapshot_is_named_at_the_end(
    best: int, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not the newest, which is named anyway."""
    monkeypatch.setattr(Run, "best", lambda self: best)
    said: list[str] = []
    run = zerosum.train(whole.data, RECIPE, out=tmp_path / "run", say=said.append)
    assert files.read_lines(run.events)[-1]["best"] == best
    assert load(run.snapshot_file(best)).header["images"] == best
    values = {line["images"]: line["value"] for line in run.tracked() if line["weights"] == "ema"}
    line = f"Best:    {run.snapshot_file(best)}  (its {TRACKED} is {values[best]}, that of the newest is {values[640]})"
    assert [text for text in said if text.startswith("Best:")] == ([] if best == 640 else [line])
