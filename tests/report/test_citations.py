"""Every part that has a paper is cited where it is used, and nowhere else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import making
import pytest

from zerosum.game import losses, terms
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.minibatch import Minibatch
from zerosum.networks.norms import CriticNorm
from zerosum.recipe import describe
from zerosum.recipes import CATALOGUE
from zerosum.report import citations
from zerosum.report.facts import read


def keys(folder: Path, recipe: str, **dials: Any) -> set[str]:
    """The keys of what a recipe cites beside its own."""
    resolved = {**describe(CATALOGUE[recipe](resolution=(32, 32), **dials)), "citation": ""}
    run = making.run(folder / "run", resolved=resolved)
    return {entry.partition("{")[2].partition(",")[0] for entry in citations.further(read(run))}


def values() -> list[tuple[str, str]]:
    kinds = ((CriticNorm, "norm"), (Minibatch, "minibatch"), (CriticLabels, "labels"), (GeneratorLabels, "labels"))
    found = [(field, value) for choices, field in kinds for value in get_args(choices) if value != "none"]
    found += [("kind", name) for name, kind in vars(terms).items() if dataclasses.is_dataclass(kind)]
    return found + [("loss", "fgan" if name.startswith("fgan_") else name) for name in losses.CATALOGUE]


@pytest.mark.parametrize("part", values(), ids="-".join)
def test_every_part_has_a_source(part: tuple[str, str]) -> None:
    assert part in citations.USED


def test_labels_count_where_there_are_classes(tmp_path: Path) -> None:
    assert not {"miyato2018projection", "dumoulin2017learned"} & keys(tmp_path / "none", "sngan")
    assert {"miyato2018projection", "dumoulin2017learned"} <= keys(tmp_path / "ten", "sngan", classes=10)
    assert {"miyato2018projection", "zhang2019fixup"} <= keys(tmp_path / "own", "modern", classes=10)
    assert "miyato2018projection" not in keys(tmp_path / "plain", "modern")


def test_numbers_count_where_they_do_something(tmp_path: Path) -> None:
    parts = {"pack": 2, "instance_noise": 0.1, "top": 0.5, "minibatch": "deviation", "loss": "fgan_kl"}
    cited = {
        "lin2018pacgan",
        "sonderby2017amortised",
        "sinha2020topk",
        "karras2018progressive",
        "nowozin2016fgan",
    }
    assert cited <= keys(tmp_path / "with", "compose", **parts)
    assert not cited & keys(tmp_path / "without", "compose")
