"""What the overview says of a run: its state, its numbers, its verdicts; and files that are not what they seem."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from live_pages import add_metric, add_stats, write_grid, write_run

from zerosum import files
from zerosum.report.live.glance import Glance, Glimpse
from zerosum.report.live.peek import ending, held, sampled
from zerosum.run import Run


def look(run: Run) -> Glance:
    return Glimpse(run).look()


def test_a_run_that_trains(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=20)
    with files.locked(run.folder):
        glance = look(run)
        assert (glance.state, glance.images, glance.budget, glance.rate) == ("running", 2_000, 10_000, 50.0)
        assert glance.left == 160
        assert (glance.recipe, glance.data, glance.metric, glance.verdict) == ("dcgan", "digits", None, None)
    assert look(run).state == "stopped"  # the lock died with its holder: no event says so
    assert look(run).left is None


def test_the_lock_of_another_process_is_seen_and_not_taken(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    code = (
        "import pathlib, sys; from zerosum import files\n"
        "with files.locked(pathlib.Path(sys.argv[1])): print(1, flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, run.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        assert held(run.folder) is True
        holder.communicate(b"\n")
    assert held(run.folder) is False
    with files.locked(run.folder):  # asking left nothing behind
        pass


@pytest.mark.skipif(os.name == "nt", reason="this system has no shared locks")
def test_pages_that_ask_at_the_same_time_do_not_take_each_other_for_a_training(tmp_path: Path) -> None:
    import fcntl

    run = write_run(tmp_path / "run")
    with open(run.folder / ".lock", "ab") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert held(run.folder) is False


def test_states_without_a_lock(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert held(run.folder) is None
    assert look(run).state == "running"  # its files are young
    for path in (run.stats, run.events, run.recipe_file):
        os.utime(path, (1e9, 1e9))
    assert look(run).state == "stopped"
    run.event("finished", 10_000)
    glance = look(run)
    assert (glance.state, glance.images) == ("finished", 10_000)
    run.event("resumed", 10_000)
    assert look(run).state == "running"
    run.event("stopped", 10_500)
    assert look(run).state == "stopped"


def test_verdicts_hold_until_they_are_taken_back_and_the_gravest_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    glimpse = Glimpse(run)
    run.event("verdict", 100, verdict="checkerboard", level="note", says="Squares.")
    run.event("verdict", 200, verdict="critic overfits", level="act", says="It does.")
    run.event("verdict", 300, verdict="slow", level="warn")
    verdict = glimpse.look().verdict
    assert verdict is not None
    assert (verdict.name, verdict.level, verdict.says) == ("critic overfits", "act", "It does.")
    run.event("recovered", 400, verdict="critic overfits")
    run.event("verdict", 500, verdict="odd", level={"not": "a level"})
    verdict = glimpse.look().verdict
    assert verdict is not None
    assert verdict.name == "slow"


def test_a_run_that_ended_without_a_verdict_is_said_to_be_well_if_it_was_checked(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    run.event("finished", 10_000)
    assert look(run).verdict is None
    files.append_line(run.signals, {"images": 500, "accuracy_held": 0.5})
    verdict = look(run).verdict
    assert verdict is not None
    assert (verdict.name, verdict.level) == ("nothing wrong", "note")
    run.event("resumed", 10_000)
    assert look(run).verdict is None  # it is too early to say so
    run.event("verdict", 10_100, verdict="slow", level="warn")
    run.event("finished", 10_200)
    verdict = look(run).verdict
    assert verdict is not None
    assert verdict.name == "slow"


def test_a_damaged_grid_is_passed_over(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    good = write_grid(run, 100)
    content = good.read_bytes()
    middle = len(content) // 2
    for damaged in (b"", b"no picture", content[:-1], content[:middle] + b"?" + content[middle + 1 :], bytes(300)):
        run.sample_file(200).write_bytes(damaged)
        assert look(run).grid == good
    run.sample_file(200).write_bytes(content)
    assert look(run).grid == run.sample_file(200)


def test_the_metric_is_the_newest_of_the_averaged_weights(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    glimpse = Glimpse(run)
    add_metric(run, 100, 0.5)
    add_metric(run, 200, 0.1)
    add_metric(run, 300, 0.3)
    add_metric(run, 300, 0.01, "raw")
    glance = glimpse.look()
    assert glance.metric == (0.3, 0.1)
    assert glance.spark.value == (0.5, 0.1, 0.3)


def test_a_rewound_run_is_read_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=9)
    glimpse = Glimpse(run)
    add_metric(run, 900, 0.1)
    run.event("verdict", 800, verdict="slow", level="warn")
    run.event("stopped", 900)
    assert glimpse.look().verdict is not None
    run.rewind(500)
    glance = glimpse.look()
    assert (glance.images, glance.metric, glance.verdict, glance.state) == (500, None, None, "running")


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=0)
    with open(run.stats, "w") as file:
        for place in range(20_000):
            file.write(f'{{"images": {place}, "images_per_second": 7, "critic.loss": {abs(place - 5_000)}}}\n')
        file.write('{"images": 99')  # being written
    lines = list(ending(run.folder))
    assert lines[-1]["images"] == 19_999
    assert len(lines) < 1_000
    glance = look(run)
    assert glance.images == 19_999
    assert glance.spark_of == "critic's loss"
    assert len(glance.spark.value) < 80
    assert min(glance.spark.value) < 500 < 4_000 < glance.spark.value[0]  # the shape of the whole


def test_a_sparkline_follows_the_log_while_it_grows(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=3)
    glimpse = Glimpse(run)
    assert max(glimpse.look().spark.images) == 300
    for place in range(30):
        add_stats(run, 400 + 100 * place)
    assert max(glimpse.look().spark.images) > 2_000
    assert sampled(run.stats, 0, "critic.loss").value != ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["stats.jsonl", "metrics.jsonl", "events.jsonl", "recipe.json", ".lock"])
def test_a_pipe_in_the_place_of_a_file_does_not_block(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run")
    (run.folder / name).unlink(missing_ok=True)
    os.mkfifo(run.folder / name)
    assert look(run).state in ("running", "stopped")


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    run, other = write_run(tmp_path / "run"), write_run(tmp_path / "other", lines=50)
    own = write_grid(run, 100)
    (run.folder / "samples" / f"{900:012d}.png").symlink_to(write_grid(other, 900))
    run.stats.unlink()
    run.stats.symlink_to(other.stats)
    glance = look(run)
    assert glance.grid == own
    assert glance.images == 0


@pytest.mark.parametrize("content", ["", "[1, 2]", "{}", "\x00\xff", "[" * 100_000, '{"format": 1}'])
def test_a_damaged_recipe_is_no_end(tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path / "run")
    run.recipe_file.write_text(content)
    glance = look(run)
    assert (glance.recipe, glance.budget, glance.images) == ("", None, 500)


def test_odd_values_are_no_end(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=1)
    odd: list[object] = [None, -1, 10**400, "x", [], {}, True, 0.5]
    for value in odd:
        files.append_line(run.stats, {"images": value, "images_per_second": value, "critic.loss": value})
        files.append_line(run.events, {"images": value, "event": value, "verdict": value, "level": value})
        files.append_line(run.events, {"images": value, "event": "verdict", "verdict": value, "level": value})
        files.append_line(run.metrics, {"images": value, "value": value, "protocol": "track400", "weights": "ema"})
    glance = look(run)
    assert glance.images == 0
    assert glance.rate is not None
