"""A run that is followed line by line is known as well as one that is read at once."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from live_pages import add_metric, add_stats, write_grid, write_run

from zerosum import files
from zerosum.report.facts import read
from zerosum.report.live.follow import Following
from zerosum.run import Run


def same(following: Following) -> None:
    """What was followed is what is there."""
    following.advance(60)
    assert following.whole
    assert following.facts() == read(following.folder)


def check(run: Run, images: int) -> None:
    """A line of the diagnosis."""
    files.append_line(run.folder / "signals.jsonl", {"images": images, "accuracy_held": 0.5})


def test_it_knows_what_reading_at_once_knows(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=0)
    following = Following(run.folder)
    same(following)
    random.seed(1)
    for images in range(100, 150_000, 100):
        add_stats(run, images, **({"late": 1.0} if images > 50_000 else {}))
        if images % 300 == 0:
            check(run, images)
        if images % 30_000 == 0:
            add_metric(run, images, random.random())
            write_grid(run, images)
            run.event("verdict", images, verdict="slow", level="note")
            same(following)
        elif random.random() < 0.02:
            following.advance(60)
    files.append_line(run.stats, {"images": 150_000, "critic.loss": float("nan")})
    write_grid(run, 0, "real.png")
    (run.folder / "snapshots").mkdir()
    run.snapshot_file(100).write_bytes(b"x")
    same(following)
    assert following.facts().broken == {"critic.loss": 150_000}


def test_a_rewound_run_is_read_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=50)
    add_metric(run, 4_000, 0.1)
    check(run, 4_000)
    write_grid(run, 4_000)
    following = Following(run.folder)
    same(following)
    before = following.version
    run.rewind(2_000)
    same(following)
    assert following.version > before
    assert following.facts().images == 2_000
    for name in ("stats.jsonl", "signals.jsonl"):
        (run.folder / name).unlink()
    same(following)
    assert following.facts().stats == {}


def test_a_line_that_is_being_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=3)
    following = Following(run.folder)
    same(following)
    with open(run.stats, "a") as file:
        file.write('{"images": 400, "critic.l')
        file.flush()
        before = following.version
        same(following)
        assert following.version == before
        file.write('oss": 3.5}\n')
    same(following)
    assert following.facts().latest["critic.loss"] == 3.5


def test_nothing_new_changes_nothing(tmp_path: Path) -> None:
    following = Following(write_run(tmp_path / "run").folder)
    same(following)
    before = following.version
    same(following)
    assert following.version == before


def test_a_long_log_is_read_in_bites(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=0)
    run.stats.write_text("".join(f'{{"images": {place}, "critic.loss": {place % 977}}}\n' for place in range(60_000)))
    following = Following(run.folder)
    shares = []
    for _ in range(100):
        following.advance(0)  # one bite, then the time is up
        shares.append(following.read_share())
        if following.whole:
            break
    assert following.whole
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert following.facts() == read(run.folder)


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=0)
    for name in ("stats", "signals", "metrics", "events"):
        with open(run.folder / f"{name}.jsonl", "w") as file:
            for place in range(12_000):
                file.write(f'{{"images": {place}, "a": {place % 89}, "b{place % 3_000}": 1}}\n')
    following = Following(run.folder)
    same(following)
    facts = following.facts()
    assert max(len(series.images) for series in facts.stats.values()) <= 601
    assert len(facts.stats) <= 400
    assert len(facts.signals) <= 402
    assert len(facts.events) == len(facts.metrics) == 5_000


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    run, other = write_run(tmp_path / "run"), write_run(tmp_path / "other", lines=9)
    (run.folder / "samples" / "real.png").symlink_to(write_grid(other, 0, "real.png"))
    (run.folder / "signals.jsonl").symlink_to(other.stats)
    facts_of = Following(run.folder)
    same(facts_of)
    assert facts_of.facts().real is None
    assert facts_of.facts().signals == ()


def test_a_log_that_becomes_a_link_that_leads_out_is_no_longer_read(tmp_path: Path) -> None:
    run, other = write_run(tmp_path / "run", lines=3), write_run(tmp_path / "other", lines=9)
    following = Following(run.folder)
    same(following)
    before = following.version
    run.stats.unlink()
    run.stats.symlink_to(other.stats)
    same(following)
    assert following.facts().stats == {}
    assert following.version > before
    before = following.version
    same(following)
    assert following.version == before


def test_a_run_that_goes_away_is_no_end(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    following = Following(run.folder)
    same(following)
    run.folder.rename(tmp_path / "elsewhere")
    following.advance(60)
    assert following.facts().stats == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_place_of_a_log_does_not_block(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    run.stats.unlink()
    os.mkfifo(run.stats)
    following = Following(run.folder)
    same(following)
    assert following.facts().stats == {}
