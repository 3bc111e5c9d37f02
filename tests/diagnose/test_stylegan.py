"""Logs of StyleGAN's: what their signs, augmentation and metrics say, in that tool's own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zerosum.diagnose.stylegan import RULES, answer, checks_of, points_of
from zerosum.diagnose.verdicts import Diagnosis

Log = Callable[[int], dict[str, float]]


def lines(of: Log, count: int = 300) -> list[dict[str, Any]]:
    """A line each 4 kimg."""
    usual = {"Loss/signs/real": 0.5, "Loss/scores/real": 0.3, "Loss/scores/fake": -0.3, "Progress/augment": 0.3}
    rows = [usual | {"Progress/kimg": 4.0 * n} | of(4 * n) for n in range(count)]
    return [{name: {"num": 8, "mean": value, "std": 0.5} for name, value in row.items()} for row in rows]


def metric(of: Callable[[int], float], name: str = "fid50k_full") -> list[dict[str, Any]]:
    """A snapshot each 80 kimg."""
    return [
        {"results": {name: of(kimg)}, "metric": name, "snapshot_pkl": f"network-snapshot-{kimg:06d}.pkl"}
        for kimg in range(0, 1200, 80)
    ]


def said(of: Log, measured: list[dict[str, Any]] | None = None) -> set[str]:
    diagnosis = Diagnosis(rules=RULES)
    for check in checks_of(lines(of), points_of(measured or [])):
        diagnosis.see(check)
    return set(diagnosis.standing)


def better(kimg: int) -> float:
    return 10 + 200 * 0.5 ** (kimg / 300)


def rises(kimg: int) -> float:
    return better(min(kimg, 600)) * (1 + max(0, kimg - 600) / 600)


def test_a_healthy_log() -> None:
    assert said(lambda kimg: {}) == set()
    assert said(lambda kimg: {"Progress/augment": kimg / 3000, "Loss/signs/real": 0.61}, metric(better)) == set()


@pytest.mark.parametrize(
    "signs",
    [
        {"Loss/signs/real": 0.9, "Progress/augment": 0.0},
        {"Loss/signs/real": 0.7, "Progress/augment": 0.9},
    ],
)
def test_signs_that_stay_high_are_overfitting(signs: dict[str, float]) -> None:
    assert said(lambda kimg: signs if kimg > 400 else {}) == {"critic overfits"}
    assert said(lambda kimg: signs if kimg % 40 == 0 else {}) == set(), "a moment is none"


def test_a_rising_metric_makes_of_signs_above_the_target_overfitting() -> None:
    high = {"Loss/signs/real": 0.65}
    assert said(lambda kimg: high, metric(rises)) == {"critic overfits"}
    assert said(lambda kimg: high, metric(better)) == set()
    assert said(lambda kimg: {}, metric(rises)) == {"declines"}


def test_a_metric_that_stands_still() -> None:
    assert said(lambda kimg: {}, metric(lambda kimg: 10 + 100 * 0.5 ** (kimg / 40))) == {"flat"}


def test_nothing_is_said_of_held_out_pictures_which_a_log_does_not_have() -> None:
    rule = next(rule for rule in RULES if rule.name == "critic overfits")
    assert "takes held-out" not in rule.says


def test_the_best_snapshot_is_named_and_what_was_tried_is_not_advised() -> None:
    points = points_of([*metric(rises), *metric(better, "kid50k_full"), {"metric": 3}, {"results": None}])
    assert {point.metric for point in points} == {"fid50k_full"}
    plain, augmented = (answer("critic overfits", [{"augment": augment}], points) for augment in (0.0, 0.9))
    assert "--aug=ada" in plain
    assert "--aug=ada" not in augmented
    assert "The best snapshot is network-snapshot-000640.pkl (fid50k_full 64)." in plain
    for rule in RULES:
        assert answer(rule.name, [], []), rule.name


def test_a_metric_measured_twice_counts_as_it_was_the_last_time() -> None:
    points = points_of([*metric(rises), *metric(better)])
    assert [point.value for point in points] == [better(kimg) for kimg in range(0, 1200, 80)]
