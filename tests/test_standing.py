"""The progress line's words about a run, read from its logs; and the small preview of a grid."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from zerosum import files
from zerosum.data.pixels import grid
from zerosum.diagnose.symptoms import IN_A_ROW, WARM_UP
from zerosum.preview import possible, preview
from zerosum.progress import Part, Standing, fitted
from zerosum.run import TRACKED, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def words(run: Run) -> list[str]:
    standing = Standing(run)
    standing.read()
    return [part.text for part in standing.parts()]


def check(run: Run, images: int) -> None:
    files.append_line(run.signals, {"images": images, "accuracy_held": 0.611, "accuracy_fake": 0.7})


def test_nothing_is_said_before_anything_is_known(run: Run) -> None:
    assert words(run) == []
    check(run, 0)
    assert words(run) == ["held .61 fake .70"]


def test_a_run_is_healthy_once_something_could_have_been_said(run: Run) -> None:
    for images in range(WARM_UP + IN_A_ROW - 1):
        check(run, images)
    assert words(run) == ["held .61 fake .70"]
    check(run, WARM_UP + IN_A_ROW)
    files.append_line(
        run.metrics, {"images": 3, "metric": "kernel", "protocol": TRACKED, "weights": "ema", "value": 0.0812}
    )
    assert words(run) == ["kernel 0.081", "held .61 fake .70", "healthy"]
    run.event("verdict", 3, verdict="flat", level="note")
    assert words(run)[-1] == "healthy"
    run.event("verdict", 3, verdict="critic overfits", level="warn")
    assert words(run)[-1] == "critic overfits"
    run.event("recovered", 4, verdict="critic overfits")
    assert words(run)[-1] == "healthy"


def test_it_follows_logs_that_are_rewound(run: Run) -> None:
    standing = Standing(run)
    run.event("verdict", 30, verdict="copies", level="warn")
    standing.read()
    assert [part.text for part in standing.parts()] == ["copies"]
    run.rewind(20)
    standing.read()
    assert standing.parts() == []


@pytest.mark.parametrize("line", ['{"images": 3, "accuracy_held": null, "accuracy_fake": "x"}', "[1]", "{", '{"a": 1}'])
def test_odd_lines_are_no_matter(run: Run, line: str) -> None:
    run.signals.write_text(line + "\n")
    assert words(run) == []


def test_the_least_important_give_way() -> None:
    parts = [Part(0, "12,800 images"), Part(1, "healthy"), Part(4, "loss 1.000")]
    assert fitted(parts, 80) == (24, parts)
    assert fitted(parts, 46)[1] == parts
    assert fitted(parts, 30)[1] == parts[:2]
    assert fitted(parts, 3)[1] == parts[:1]


def terminal(width: int = 100, color: str | None = "truecolor") -> Console:
    return Console(force_terminal=True, color_system=color, width=width, file=io.StringIO())


@pytest.mark.parametrize(("channels", "side"), [(1, 12), (3, 64), (4, 32)])
def test_samples_of_any_kind_are_shown_small(tmp_path: Path, channels: int, side: int) -> None:
    path = files.write(tmp_path / "grid.png", grid(np.full((64, channels, side, side), 200, np.uint8), 8))
    shown = preview(path, side, side, 100)
    assert shown is not None
    lines = shown.plain.rstrip().splitlines()
    assert 2 <= len(lines) <= 10
    assert max(len(line) for line in lines) <= 100


def test_a_damaged_grid_shows_nothing(tmp_path: Path) -> None:
    path = files.write(tmp_path / "grid.png", b"no picture")
    assert preview(path, 12, 12, 100) is None


def test_where_it_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert possible(terminal())
    assert not possible(terminal(color=None))
    assert not possible(Console(force_terminal=False))
