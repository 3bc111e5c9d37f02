"""``zerosum compare``: groups of seeds, intervals, and what may be said of a difference."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from zerosum.cli import main
from zerosum.compare import compare, plot
from zerosum.errors import UserError
from zerosum.run import Run


def write(folder: Path, recipe: str, seed: int, values: list[float], metric: str = "coverage") -> Path:
    run = Run(folder)
    folder.mkdir(parents=True)
    run.write(
        {
            "recipe": recipe,
            "resolved": {"recipe": recipe},
            "seed": seed,
            "data": {"name": "digits", "identity": "x"},
            "budget": {"images": 100},
            "choices": {},
            "versions": {},
        }
    )
    lines = [
        {"images": 100 * (index + 1), "metric": metric, "value": value, "protocol": "p", "weights": "ema"}
        for index, value in enumerate(values)
    ]
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_seeds_are_taken_together(tmp_path: Path) -> None:
    folders = [write(tmp_path / f"a{seed}", "dcgan", seed, [0.1, 0.5 + seed / 100]) for seed in range(3)]
    folders += [write(tmp_path / f"b{seed}", "modern", seed, [0.2, 0.9 + seed / 100]) for seed in range(3)]
    groups, (row,) = compare(folders)
    assert [(group.name, len(group.runs)) for group in groups] == [("dcgan on digits", 3), ("modern on digits", 3)]
    assert row.cells[0] is not None
    mean, low, high = row.cells[0]
    assert mean == pytest.approx(0.51)
    assert low is not None
    assert high is not None
    assert low < 0.51 < high
    assert row.verdict.startswith("different (p = ")


def test_chance_is_called_chance(tmp_path: Path) -> None:
    folders = [write(tmp_path / f"a{seed}", "dcgan", seed, [value]) for seed, value in enumerate((0.5, 0.6, 0.7))]
    folders += [write(tmp_path / f"b{seed}", "modern", seed, [value]) for seed, value in enumerate((0.52, 0.63, 0.71))]
    _, (row,) = compare(folders)
    assert row.verdict.startswith("no significant difference")


def test_one_run_says_nothing_about_chance(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, name, 0, [0.5]) for name in ("dcgan", "modern")]
    _, (row,) = compare(folders)
    assert "one run" in row.verdict


def test_the_newest_value_counts_and_a_missing_one_is_a_dash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "one", "dcgan", 0, [0.9, 0.2])
    other = write(tmp_path / "other", "modern", 0, [0.3], metric="recall")
    assert main(["compare", str(one), str(other)]) == 0
    said = capsys.readouterr().out
    assert "0.2" in said
    assert "0.9" not in said
    assert " -" in said


def test_names_are_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metric = "a_metric_whose_name_is_longer_than_anyone_thought"
    assert main(["compare", str(write(tmp_path / "one", "dcgan", 0, [0.5], metric=metric))]) == 0
    assert f"{metric} (p)" in capsys.readouterr().out


def test_the_plot_is_a_picture_of_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [write(tmp_path / f"a{seed}", "dcgan", seed, [0.1, 0.3, 0.5]) for seed in range(2)]
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *map(str, folders), "--plot", "coverage", "-o", "c.svg"]) == 0
    tree = ElementTree.fromstring((tmp_path / "c.svg").read_text())
    lines = [node for node in tree.iter() if node.tag.endswith("polyline")]
    assert len(lines) == 3  # two runs and their mean
    heights = [float(point.split(",")[1]) for point in lines[0].attrib["points"].split()]
    assert heights == sorted(heights, reverse=True)  # higher values stand higher


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        compare([tmp_path])
    empty = write(tmp_path / "empty", "dcgan", 0, [])
    with pytest.raises(UserError, match="None of these runs has metrics"):
        compare([empty])
    groups, _ = compare([write(tmp_path / "a", "dcgan", 0, [0.5])])
    with pytest.raises(UserError, match="No run has values"):
        plot(groups, ("recall", "p", "ema"))
