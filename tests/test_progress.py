"""What a person sees of work that takes long: nothing for a moment, then how far it is."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import zerosum
from zerosum import progress
from zerosum.cli import main
from zerosum.progress import Screen


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=own))
    return own


def plain() -> tuple[Screen, io.StringIO]:
    file = io.StringIO()
    return Screen(Console(file=file, force_terminal=False, width=200)), file


def test_short_work_is_not_counted(clock: Clock) -> None:
    screen, file = plain()
    for done in range(101):
        screen.looked(done, 100)
        clock.now += 0.009
    assert file.getvalue() == ""


def test_long_work_is_counted_in_plain_lines(clock: Clock) -> None:
    screen, file = plain()
    for done in range(3001):
        screen.looked(done, 3000)
        clock.now += 0.01
    lines = file.getvalue().splitlines()
    assert lines[0] == "100 of 3,000 pictures looked at"
    assert len(lines) == 3  # one at once, then one every ten seconds
    assert all(line.endswith("of 3,000 pictures looked at") for line in lines)


def test_each_kind_of_work_waits_for_itself(clock: Clock) -> None:
    screen, file = plain()
    for kind, name in ((screen.looked, "looked at"), (screen.checked, "checked"), (screen.prepared, "prepared")):
        for done in range(12):
            kind(done, 12)
            clock.now += 0.2
        kind(12, 12)
        assert file.getvalue().splitlines()[-1] == f"5 of 12 pictures {name}"
    assert len(file.getvalue().splitlines()) == 3


def test_the_same_work_again_is_new_work(clock: Clock) -> None:
    screen, file = plain()
    screen.looked(0, 10)
    clock.now += 0.9
    screen.looked(9, 10)  # and then something stopped it
    screen.looked(0, 10)
    clock.now += 0.9
    screen.looked(5, 10)
    assert file.getvalue() == ""


def test_a_terminal_shows_a_bar_and_takes_it_away(clock: Clock) -> None:
    file = io.StringIO()
    with Screen(Console(file=file, force_terminal=True, width=100)) as screen:
        assert screen._bar is not None
        screen.looked(0, 10)
        assert not screen._bar.tasks
        clock.now += 1.5
        screen.looked(3, 10)
        (task,) = screen._bar.tasks
        assert (task.description, task.completed, task.total) == ("3 of 10 pictures looked at", 3, 10)
        clock.now += 0.01
        screen.looked(4, 10)
        assert task.completed == 3  # drawing takes time too
        clock.now += 0.2
        screen.looked(5, 10)
        assert task.completed == 5
        screen.looked(10, 10)
        assert not screen._bar.tasks


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    for name in ("QUIET_SECONDS", "PLAIN_SECONDS"):
        monkeypatch.setattr(progress, name, -1.0)
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for index in range(20):
        picture = Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8))
        picture.save(tmp_path / "photos" / f"{index}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        (["data", "check"], ["looked at", "checked"]),
        (["data", "prepare"], ["looked at", "prepared"]),
        (["train", "-n"], ["looked at"]),
        (["train", "--images", "32", "--resolution", "12", "--set", "width=4"], ["looked at", "prepared"]),
    ],
)
def test_every_command_that_looks_shows_how_far_it_is(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    kinds: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, str(photos)]) == 0
    said = capsys.readouterr().out
    for kind in kinds:
        assert f"of 20 pictures {kind}\n" in said
    main([*command, str(photos)])
    assert "looked at" not in capsys.readouterr().out  # nothing has to be looked at again


def test_from_python_too(photos: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    zerosum.train(
        photos,
        out=tmp_path / "run",
        images=32,
        resolution="12",
        settings={"width": "4"},
        looked=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 20) for done in range(21)]
