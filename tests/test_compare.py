"""``zerosum compare``: groups of seeds, intervals, and what may be said of a difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from scipy import stats

from zerosum import files
from zerosum.cli import main
from zerosum.compare import Comparison, chosen, compare, plot, table
from zerosum.compare.plot import ticks
from zerosum.compare.table import holm
from zerosum.errors import UserError
from zerosum.run import Run

BUDGET = 100


def write(
    folder: Path,
    recipe: str,
    seed: int,
    values: list[float],
    *,
    data: str = "digits",
    seconds: float | None = None,
    budget: int = BUDGET,
    **more: str,
) -> Path:
    """A run whose newest value was measured at the end of its budget, the others at even distances before."""
    run = Run(folder)
    folder.mkdir(parents=True)
    run.write(
        {
            "recipe": recipe,
            "resolved": {"recipe": recipe},
            "seed": seed,
            "data": {"name": data, "identity": f"identity of {data}"},
            "budget": {"images": budget, "since": 0, "seconds": seconds},
            "choices": {},
            "versions": {},
        }
    )
    for index, value in enumerate(values):
        add(folder, budget * (index + 1) // len(values), value, **more)
    return folder


def add(folder: Path, images: int, value: float, **more: str) -> None:
    line = {"images": images, "metric": "coverage", "value": value, "protocol": "p", "weights": "ema"}
    files.append_line(Run(folder).metrics, line | more)


def seeds(top: Path, recipe: str, values: list[float], **more: Any) -> list[Path]:
    """A run a value, each with a seed of its own."""
    return [write(top / f"{recipe}-{seed}", recipe, seed, [value], **more) for seed, value in enumerate(values)]


def only(found: Comparison) -> tuple[str, ...]:
    """The verdicts of the only row, in words."""
    (row,) = found.rows
    (line,) = [line for line in table(found) if line.startswith("coverage (p)")]
    return tuple(line.split("  ")[-1].split("; ")) if row.verdicts else ()


A, B = [0.51, 0.52, 0.53], [0.91, 0.93, 0.92]


def test_seeds_are_taken_together(tmp_path: Path) -> None:
    found = compare(seeds(tmp_path, "dcgan", A) + seeds(tmp_path, "modern", B))
    groups, (row,) = found.groups, found.rows
    assert [(group.name, len(group.runs)) for group in groups] == [("dcgan on digits", 3), ("modern on digits", 3)]
    assert row.cells[0] is not None
    assert row.cells[0].mean == pytest.approx(0.52)
    low, high = row.cells[0].ends or (0, 0)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, 0.52, 0.01 / 3**0.5))
    chance = stats.ttest_ind(A, B, equal_var=False).pvalue
    assert only(found) == (f"different (p = {chance:.2g})",)


def test_chance_is_called_chance(tmp_path: Path) -> None:
    """At p = .3, and at p = .06 too."""
    for name, other in (("a", [0.52, 0.63, 0.71]), ("b", [0.71, 0.74, 0.80])):
        found = compare(seeds(tmp_path / name, "dcgan", [0.5, 0.6, 0.7]) + seeds(tmp_path / name, "modern", other))
        assert only(found)[0].startswith("no significant difference (p = ")
    chance = found.rows[0].verdicts[0].chance
    assert chance is not None
    assert 0.05 < chance < 0.2


def test_one_run_says_nothing_about_chance(tmp_path: Path) -> None:
    found = compare([write(tmp_path / name, name, 0, [0.5]) for name in ("dcgan", "modern")])
    assert only(found) == ("one run says nothing about chance: train other seeds",)


def test_equal_values_allow_no_test(tmp_path: Path) -> None:
    found = compare(seeds(tmp_path, "dcgan", [0.5, 0.5]) + seeds(tmp_path, "modern", [0.9, 0.9]))
    assert only(found) == ("equal values within each group allow no test",)


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


# ---- what counts as a seed ----


def test_a_run_that_is_named_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = seeds(tmp_path, "dcgan", [0.5, 0.6])
    monkeypatch.chdir(tmp_path)
    found = compare([one, one.name, other])
    assert len(found.groups[0].runs) == 2
    assert found.notes == ["dcgan-0 is named twice and counts once."]


def test_a_seed_counts_once(tmp_path: Path) -> None:
    first, again = (write(tmp_path / name, "dcgan", 7, [value]) for name, value in (("a", 0.5), ("b", 0.6)))
    found = compare([first, again])
    assert [run.folder for run in found.groups[0].runs] == [str(first)]
    assert found.notes == [f"{again} is left out: it has the same settings and the same seed as {first}."]


@pytest.mark.parametrize("change", [{"data": "others"}, {"budget": 200}, {"seconds": 60.0}])
def test_other_data_and_another_budget_are_another_group(change: dict[str, Any], tmp_path: Path) -> None:
    found = compare([write(tmp_path / "a", "dcgan", 0, [0.5]), write(tmp_path / "b", "dcgan", 1, [0.6], **change)])
    assert [len(group.runs) for group in found.groups] == [1, 1]
    assert len({group.name for group in found.groups}) == 2


def test_runs_for_a_time_are_grouped_by_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many images it was enough for; those that were stopped before it was over are left out."""
    folders = [
        write(tmp_path / str(seed), "dcgan", seed, [0.5 + seed / 100], seconds=60.0, budget=1000 + seed)
        for seed in range(4)
    ]
    for seed, (event, why) in enumerate((("finished", ""), ("stopped", "the time is up"), ("stopped", "as asked"))):
        Run(folders[seed]).event(event, 1000 + seed, why=why)
    found = compare(folders)
    assert [(group.budget, len(group.runs)) for group in found.groups] == [("60 s", 4)]
    assert found.rows[0].cells[0] is not None
    assert found.rows[0].cells[0].values == (0.5, 0.51)
    assert [note.split(" is left out")[0] for note in found.notes] == [str(folder) for folder in folders[2:]]
    whole = write(tmp_path / "other time", "dcgan", 0, [0.5], seconds=30.0)
    assert [group.budget for group in compare([*folders, whole]).groups] == ["60 s", "30 s"]


# ---- what is compared with what ----


def test_an_unfinished_run_is_not_averaged_with_finished_ones(tmp_path: Path) -> None:
    folders = seeds(tmp_path, "dcgan", [0.5, 0.6])
    young = write(tmp_path / "young", "dcgan", 2, [])
    for folder in (*folders, young):
        add(folder, 10, 0.1)
    found = compare([*folders, young])
    cell = found.rows[0].cells[0]
    assert cell is not None
    assert cell.values == (0.5, 0.6)
    assert "(n = 2)" in table(found)[3]
    assert found.notes == [
        f"{young} is left out where others of its group are further: it stands at 10 images, they at 100."
    ]


def test_runs_that_still_train_are_compared_where_all_have_been(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, "dcgan", seed, []) for seed, name in enumerate("ab")]
    for folder, shift in zip(folders, (0, 0.1), strict=True):
        add(folder, 10, 0.2 + shift)
        add(folder, 20, 0.3 + shift)
    add(folders[0], 30, 0.9)
    found = compare(folders)
    assert found.rows[0].cells[0] is not None
    assert found.rows[0].cells[0].values == (0.3, 0.4)
    assert table(found)[3].endswith("at 20 images")
    found = compare([*folders, *seeds(tmp_path, "modern", B)])
    assert only(found) == ("measured before its end: nothing to compare yet",)


def test_a_diverged_run_does_not_show_an_older_value(tmp_path: Path) -> None:
    folders = seeds(tmp_path, "dcgan", [0.5, 0.6]) + seeds(tmp_path, "modern", B)
    sick = write(tmp_path / "sick", "dcgan", 2, [0.7, float("nan")])
    found = compare([*folders, sick])
    assert "not finite in 1 of 3" in table(found)[3]
    assert only(found) == ("not finite: nothing to compare",)


def test_raw_and_averaged_weights_are_two_rows(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "dcgan", 0, [0.5])
    add(folder, BUDGET, 0.9, weights="raw")
    lines = table(compare([folder]))
    assert [line.split()[-1] for line in lines if line.startswith("coverage (p)")] == ["0.5"]
    assert [line.split()[-1] for line in lines if line.startswith("coverage (p, raw)")] == ["0.9"]


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ({"detector": "inception@aaa"}, {"detector": "inception@bbb"}, "inception@bbb"),
        ({"data": "a", "identity": "1" * 64}, {"data": "b", "identity": "2" * 64}, f"against b@{'2' * 12}"),
        ({}, {"detector": "inception@bbb"}, "detector unknown"),
    ],
)
def test_other_detectors_and_other_real_pictures_are_other_numbers(
    one: dict[str, str], other: dict[str, str], shown: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "a", "dcgan", 0, [0.5])
    Run(folder).metrics.unlink()
    add(folder, BUDGET, 0.5, **one)
    add(folder, BUDGET, 0.9, **other)
    found = compare([folder])
    assert [cell.values for row in found.rows for cell in row.cells if cell] == [(0.5,), (0.9,)]
    assert shown in "\n".join(table(found))


def test_data_and_classifiers_are_the_same_under_another_name(tmp_path: Path) -> None:
    for name, seed in (("photos", 0), ("moved", 1)):
        folder = write(tmp_path / name, "dcgan", seed, [])
        add(folder, BUDGET, 0.5, data=name, identity="1" * 64, detector=f"classifier-{name}@abc")
    found = compare([tmp_path / "photos", tmp_path / "moved"])
    (row,) = found.rows
    assert row.cells[0] is not None
    assert len(row.cells[0].values) == 2


# ---- many comparisons ----


def test_every_further_group_stands_beside_the_first(tmp_path: Path) -> None:
    found = compare(
        seeds(tmp_path, "dcgan", A) + seeds(tmp_path, "modern", B) + seeds(tmp_path, "lsgan", [0.5, 0.51, 0.54])
    )
    modern, lsgan = only(found)
    assert modern.startswith("modern on digits: different")
    assert lsgan.startswith("lsgan on digits: no significant difference")


def test_many_comparisons_are_corrected(tmp_path: Path) -> None:
    """One metric of twenty at p = .02 is what chance does."""
    a, b = [0.50, 0.52, 0.54], [0.56, 0.58, 0.62]
    folders = seeds(tmp_path, "dcgan", a) + seeds(tmp_path, "modern", b)
    assert only(compare(folders))[0].startswith("different")
    for seed in range(3):
        for number in range(19):
            value = ((7 * seed + 3 * number) % 5) / 10
            add(tmp_path / f"dcgan-{seed}", BUDGET, value, metric=f"m{number}")
            add(tmp_path / f"modern-{seed}", BUDGET, value + 0.01 * seed, metric=f"m{number}")
    found = compare(folders)
    (row,) = [row for row in found.rows if row.key.metric == "coverage"]
    chance = row.verdicts[0].chance
    assert chance is not None
    assert chance < 0.05
    assert row.verdicts[0].corrected == pytest.approx(20 * chance)
    (line,) = [line for line in table(found) if line.startswith("coverage")]
    assert f"no significant difference (p = {chance:.2g}, {20 * chance:.2g} corrected)" in line
    assert "20 comparisons by Welch's test" in table(found)[-1]


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


# ---- names ----


def test_names_are_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metric = "a_metric_whose_name_is_longer_than_anyone_thought"
    data = "a_folder_of_pictures_whose_name_is_long_as_well"
    one, other = (write(tmp_path / f, f, 0, [0.5], metric=metric, data=data) for f in ("dcgan", "modern"))
    assert main(["compare", str(one), str(other)]) == 0
    said = capsys.readouterr().out
    assert f"{metric} (p)" in said
    assert f"  dcgan on {data}  " in said
    assert f"  modern on {data}\n" in said


def test_columns_do_not_touch(tmp_path: Path) -> None:
    found = compare(seeds(tmp_path, "dcgan", [123456.5, 1e-7, 3e-5]) + seeds(tmp_path, "modern", [1e-9, -3e-7, 4e-8]))
    width = {len(line.split("  different")[0].split("  no sig")[0]) for line in table(found)[:4]}
    assert len(width) == 1
    assert "]  " in table(found)[3]


def test_groups_are_told_apart_by_name(tmp_path: Path) -> None:
    """By what differs: the budget, else the folder, else its whole path."""
    folders = [write(tmp_path / "x" / "run", "dcgan", 0, [0.5], budget=budget) for budget in (100,)]
    folders += [write(tmp_path / "y" / "run", "dcgan", 0, [0.5], budget=200)]
    assert [group.name for group in compare(folders).groups] == [
        "dcgan on digits, 100 images",
        "dcgan on digits, 200 images",
    ]
    for name in ("z/run", "w/run", "w/walk"):
        folder = write(tmp_path / name, "dcgan", 0, [0.5])
        content = Run(folder).read()
        Run(folder).write(content | {"resolved": {"recipe": "dcgan", "width": name}})
        folders.append(folder)
    names = [group.name for group in compare(folders[2:]).groups]
    assert names == [
        f"{tmp_path}/z/run, dcgan on digits",
        f"{tmp_path}/w/run, dcgan on digits",
        "walk, dcgan on digits",
    ]


# ---- the plot ----


def drawn(svg: str, kind: str) -> list[dict[str, str]]:
    return [node.attrib for node in ElementTree.fromstring(svg).iter() if node.tag.endswith(kind)]


def points(attributes: dict[str, str]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (place.split(",") for place in attributes["points"].split())]


def test_the_plot_is_a_picture_of_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [write(tmp_path / f"a{seed}", "dcgan", seed, [0.1, 0.3 + seed / 50, 0.5]) for seed in range(3)]
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *map(str, folders), "--plot", "coverage", "-o", "c.svg"]) == 0
    svg = (tmp_path / "c.svg").read_text()
    *runs, mean = drawn(svg, "polyline")
    assert len(runs) == 3
    heights = [y for _, y in points(runs[0])]
    assert heights == sorted(heights, reverse=True)  # higher values stand higher
    assert [x for x, _ in points(mean)] == [x for x, _ in points(runs[0])]
    assert points(mean)[1][1] == pytest.approx(sum(points(run)[1][1] for run in runs) / 3, abs=0.11)
    (band,) = drawn(svg, "polygon")
    edge = points(band)
    up, down = edge[:3], edge[:2:-1]
    scale = (points(runs[0])[1][1] - points(runs[2])[1][1]) / 0.04  # pixels for a value of 1
    reach = stats.t.ppf(0.975, 2) * 0.02 / 3**0.5
    assert (down[1][1] - up[1][1]) / scale == pytest.approx(2 * reach, rel=0.02)
    assert down[0] == pytest.approx(up[0])  # the first values are equal
    said = [node.text for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")]
    assert "dcgan on digits (3 runs, mean and 95 % interval)" in said


def test_every_protocol_of_a_metric_is_a_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "a", "dcgan", 0, [0.1, 0.3])
    for images, value in ((50, 5.0), (100, 6.0)):
        add(folder, images, value, protocol="other")
        add(folder, images, value, metric="recall", protocol="other")
    monkeypatch.chdir(tmp_path)
    for name, count in (("coverage", 2), ("other", 2), ("coverage (other)", 1)):
        assert main(["compare", str(folder), "--plot", name]) == 0
        assert len(drawn((tmp_path / "compare.svg").read_text(), "polyline")) == count
    found = compare([folder])
    assert [key[:2] for key in chosen(found.rows, None)] == [("coverage", "p")]
    with pytest.raises(UserError, match="No run has a metric 'nonsense': there are coverage, recall"):
        chosen(found.rows, "nonsense")


def test_groups_are_told_apart_without_colours(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, name, 0, [0.1, value]) for name, value in (("a", 0.2), ("b", 0.3), ("<&>", 0.4))]
    found = compare(folders)
    svg = plot(found.groups, [found.rows[0].key])
    lines = drawn(svg, "polyline")
    assert len({line["stroke"] for line in lines}) == 3
    assert len({line["stroke-dasharray"] for line in lines}) == 3
    assert "&lt;&amp;&gt; on digits" in svg


def test_values_that_are_not_finite_are_not_drawn(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "dcgan", 0, [0.1, 0.3, float("nan")])
    found = compare([folder])
    (line,) = drawn(plot(found.groups, [found.rows[0].key]), "polyline")
    assert len(points(line)) == 2
    sick = compare([write(tmp_path / "b", "dcgan", 0, [float("nan")])])
    with pytest.raises(UserError, match="No run has finite values of coverage"):
        plot(sick.groups, [sick.rows[0].key])


def test_single_values_are_dots_with_a_bar(tmp_path: Path) -> None:
    found = compare(seeds(tmp_path, "dcgan", [0.5, 0.6]))
    svg = plot(found.groups, [found.rows[0].key])
    assert len(drawn(svg, "circle")) == 3
    assert "nan" not in svg


@pytest.mark.parametrize(("low", "high"), [(0, 100), (0, 64_000), (-0.03, 0.61), (0.451, 0.4511), (-5e9, 7e10)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 7
    assert all(low - 1e-9 * (high - low) <= value <= high + 1e-9 * (high - low) for value in found)
    assert all(len(f"{value:.6g}".lstrip("-0.").replace(".", "").split("e")[0].rstrip("0")) <= 6 for value in found)


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="is not a run"):
        compare([tmp_path])
    empty = write(tmp_path / "empty", "dcgan", 0, [])
    with pytest.raises(UserError, match="None of these runs has metrics"):
        compare([empty])
    assert main(["compare"]) == 2
    assert "name at least one run" in capsys.readouterr().err


def test_lines_of_an_older_version_are_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "dcgan", 0, [])
    Run(folder).metrics.write_text(
        json.dumps({"images": 100, "metric": "coverage", "value": 0.5, "protocol": "p"})
        + "\n"
        + '{"images": 1, "value": "x"}\n'
    )
    assert only(compare([folder])) == ()
    assert table(compare([folder]))[3].split() == ["coverage", "(p)", "0.5"]
