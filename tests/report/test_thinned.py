"""Long logs in few points, and charts of them."""

from __future__ import annotations

import itertools
import json
import math
import tracemalloc
from pathlib import Path

import making
import pytest

from zerosum.report import facts as facts_module
from zerosum.report.curves import Level, Line, chart, ticks
from zerosum.report.facts import read
from zerosum.report.gathered import MOST_SIGNALS
from zerosum.report.html import count, duration, text
from zerosum.report.thinned import Series, Thinned


def test_few_points_are_all_kept() -> None:
    thinned = Thinned()
    thinned.extend((n, n % 7) for n in range(300))
    assert thinned.series() == (tuple(map(float, range(300))), tuple(float(n % 7) for n in range(300)))


def test_no_spike_is_lost_and_it_is_bounded() -> None:
    thinned = Thinned(most=10)
    for n in range(100_000):
        thinned.add(n, 9.0 if n == 31_415 else -9.0 if n == 77_777 else math.sin(n))
        assert len(thinned.series().value) <= 21 if n % 9973 == 0 else True
    series = thinned.series()
    points = set(zip(*series, strict=True))
    assert {(31_415.0, 9.0), (77_777.0, -9.0), (99_999.0, math.sin(99_999))} <= points
    assert list(series.images) == sorted(series.images)
    gaps = [after - before for before, after in itertools.pairwise(series.images)]
    assert max(gaps) <= 2 * thinned.stride == 2 * 2**14  # of even resolution


def test_it_goes_on_whatever_was_asked_in_between() -> None:
    points = [(n, (n * 7919) % 1009) for n in range(5000)]
    whole, parts = Thinned(most=20), Thinned(most=20)
    whole.extend(points)
    for begin in range(0, 5000, 37):
        parts.extend(points[begin : begin + 37])
        parts.series()
    assert whole.series() == parts.series()


def test_what_is_no_number_is_left_out() -> None:
    thinned = Thinned()
    thinned.extend([(1, None), (2, math.nan), (3, math.inf), (4, "5"), (None, 5), (10**400, 1), (5, 10**400), (6, 2)])
    assert thinned.series() == Series((6.0,), (2.0,))
    assert Thinned().series() == Series((), ())


def test_long_logs_take_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "BITE", 1 << 14)
    run = making.run(tmp_path / "run")
    line = json.dumps({"images": 1, **{f"critic.number{n}": 0.5 for n in range(10)}}) + "\n"
    (run / "stats.jsonl").write_text(line * 8_000)  # 2 MB, and ten as Python's values
    making.write_lines(run / "signals.jsonl", (making.check(n, 0.5) for n in range(5 * MOST_SIGNALS)))
    tracemalloc.start()
    facts = read(run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    assert len(facts.stats["critic.number3"].value) <= 601
    assert MOST_SIGNALS / 2 <= len(facts.signals) <= MOST_SIGNALS + 1
    assert facts.signals[-1]["images"] == 5 * MOST_SIGNALS - 1


def test_a_chart_names_its_lines_levels_and_axes() -> None:
    line = Line("critic", Series((0.0, 100_000.0), (1.0, 2.0)))
    drawn = chart("Loss", [line], unit="nats", levels=[Level(1.386, "2 log 2"), Level(50.0, "far")])
    for words in (">critic<", "2 log 2", "↑ far", "nats", "images seen", ">20k<", 'class="level"'):
        assert words in drawn, words
    assert chart("Loss", [Line("critic", Series((), ()))]) == ""


@pytest.mark.parametrize(
    "values", [(0.0,), (1.0, 1.0), (-1e299, 1e299), (1e-299, 1.0), (0.0, 5e-324), (1e5, 1.0), (-3.0, 1e9)]
)
def test_charts_of_any_values(values: tuple[float, ...]) -> None:
    drawn = chart("x", [Line("y", Series(tuple(map(float, range(len(values)))), values))], levels=[Level(0.0, "zero")])
    assert "nan" not in drawn.lower()
    assert "inf" not in drawn.lower()


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 250_048.0) == [0, 50_000, 100_000, 150_000, 200_000, 250_000]
    assert ticks(3.0, 3.0) == [3.0]
    for low, high in ((-0.31, 0.12), (1e-9, 3e-9), (-1e12, 5e12)):
        found = ticks(low, high)
        assert 2 <= len(found) <= 7
        assert all(low - (high - low) / 1e6 <= tick <= high + (high - low) / 1e6 for tick in found)


def test_words() -> None:
    assert [count(n) for n in (0, 250, 250_000, 1.5e6)] == ["0", "250", "250k", "1.5M"]
    assert [duration(s) for s in (0.5, 60, 600, 12_000, 190_000)] == [
        "0.5 s",
        "60 s",
        "10 min",
        "3 h 20 min",
        "2 d 4 h",
    ]
    assert text("<a\u202e&\x00'") == "&lt;a\ufffd&amp;\ufffd&#x27;"
    assert text("é→") == "é→"
    assert len(text("x" * 10_000)) < 5_000
