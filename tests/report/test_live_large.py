"""Fifty runs and a log of a million lines: a page that opens, and memory that does not grow with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from live_pages import add_metric, key_of, served, write_run

from zerosum.report.live.glance import Glimpse
from zerosum.report.live.hall import Hall

LINES = 1_000_000


def million(path: Path) -> None:
    """A long log of small lines; its second half is another one's, so that a sparkline shows both."""
    part = "".join(
        f'{{"images": {place}, "critic.loss": {1 + place % 7}, "generator.loss": 0.7, "images_per_second": 50}}\n'
        for place in range(100_000)
    )
    with open(path, "w") as file:
        for _ in range(LINES // 100_000):
            file.write(part)


def test_fifty_runs_are_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        run = write_run(tmp_path / f"{number:03d}-digits-dcgan", lines=30)
        add_metric(run, 100, 0.1)
    monkeypatch.setattr("zerosum.report.live.hall.LOOKED_AT", 1e9)
    with served(tmp_path) as page:
        text = page.get("/")[2]
        assert text.count('class="card') == 50
        for number in range(50):
            assert page.get(f"/run/{key_of(f'{number:03d}-digits-dcgan')}")[0] == 200
        hall = page.pages.hall
        assert len(hall._views) == sum(bool(drawn.parts) for drawn in hall._drawn.values()) + 1 == 51  # just looked at
        for name in ("FRESH", "LOOKED_AT"):
            monkeypatch.setattr(f"zerosum.report.live.hall.{name}", 0.0)
        assert page.get(f"/run/{key_of('049-digits-dcgan')}")[0] == 200
        assert len(hall._views) == sum(bool(drawn.parts) for drawn in hall._drawn.values()) == 6  # those looked at last
        assert page.get(f"/run/{key_of('000-digits-dcgan')}")[0] == 200  # and again


def test_the_overview_of_a_long_log_reads_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "001-a", lines=0)
    with open(run.stats, "w") as file:
        for place in range(100_000):
            file.write(f'{{"images": {place}, "critic.loss": 1.5}}\n')
    taken = []
    plain = __import__("json").loads
    monkeypatch.setattr("zerosum.report.live.peek.json.loads", lambda line: taken.append(line) or plain(line))
    assert Glimpse(run).look().images == 99_999
    assert len(taken) < 1_500


def test_a_long_log_is_shown_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "001-a", lines=0)
    with open(run.stats, "w") as file:
        for place in range(60_000):
            file.write(f'{{"images": {place}, "critic.loss": 1.5}}\n')
    for name, value in (("READING", 0.0), ("FRESH", 0.0), ("REDRAWN", 0.0)):
        monkeypatch.setattr(f"zerosum.report.live.hall.{name}", value)
    hall = Hall(tmp_path)
    view = hall.view(key_of("001-a"))
    assert view is not None
    assert not view.whole
    assert "Reading the logs" in view.parts["now"].html
    for _ in range(200):
        view = hall.view(key_of("001-a"))
        assert view is not None
        if view.whole:
            break
    assert view.whole
    assert "Reading the logs" not in view.parts["now"].html


def test_any_number_of_long_logs_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of those that are looked at is forgotten and begun again, even if their panels are."""
    keys = [key_of(f"{number:03d}-a") for number in range(12)]
    for number in range(12):
        run = write_run(tmp_path / f"{number:03d}-a", lines=0)
        run.stats.write_text("".join(f'{{"images": {place}, "critic.loss": 1.5}}\n' for place in range(20_000)))
    for name, value in (("READING", 0.0), ("FRESH", 0.0), ("REDRAWN", 0.0), ("LOOKED_AT", 0.0)):
        monkeypatch.setattr(f"zerosum.report.live.hall.{name}", value)
    hall = Hall(tmp_path)
    for _ in range(10):
        views = [hall.view(key) for key in keys]
    assert all(view is not None and view.whole for view in views)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_million_lines_take_bounded_memory_and_the_page_opens_before_they_are_read(tmp_path: Path) -> None:
    for number in range(50):
        write_run(tmp_path / f"{number:03d}-digits-dcgan", lines=5)
    million(tmp_path / "049-digits-dcgan" / "stats.jsonl")
    code = (
        "import sys, pathlib, resource\n"
        "from zerosum.report.live.hall import Hall, key_of\n"
        "hall, key = Hall(pathlib.Path(sys.argv[1])), key_of('049-digits-dcgan')\n"
        "assert len(hall.view('').parts) == 50\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert not hall.view(key).whole\n"  # the page is there before the log is read
        "while not (view := hall.view(key)).whole: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(str(view.parts)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    grown, size = map(int, done.stdout.split())
    assert grown < 60_000  # kilobytes, of a log of 85 megabytes
    assert size < 2_000_000
