"""Memory that is not enough becomes a plan."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import zerosum
from zerosum import conformance, launch
from zerosum.cli import main
from zerosum.data.pictures import Pictures
from zerosum.errors import Stopped, UserError
from zerosum.plan import Request, make_plan
from zerosum.recipes import pacgan, sngan
from zerosum.training import fitting
from zerosum.training.trainer import Budget, Choices, Trainer

WORDS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    MemoryError(),
]


def holds(most: int) -> type[Trainer]:
    """A trainer on a machine that holds so many pictures at once."""

    class Holding(Trainer):
        def play_round(self, budget: Budget) -> None:
            if max(self.draw_sizes.values()) // self.recipe.accumulate > most:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            super().play_round(budget)

    return Holding


@pytest.mark.parametrize("error", WORDS, ids=lambda error: type(error).__name__)
def test_memory_is_told_from_other_mistakes(error: Exception) -> None:
    assert fitting.is_out_of_memory(error)
    assert not fitting.is_out_of_memory(RuntimeError("size mismatch"))
    assert not fitting.is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize(("most", "parts"), [(100, 1), (12, 1), (11, 2), (6, 2), (5, 4), (3, 4), (2, None)])
def test_the_least_number_of_parts_that_divides_every_batch(
    most: int, parts: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = sngan((16, 16), 1, width=4, batch=8, generator_batch=12, images=800)
    monkeypatch.setattr(fitting, "Trainer", holds(most))
    assert fitting.parts_that_fit(recipe, conformance.noise(recipe), Choices()) == parts


def test_packs_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = pacgan((16, 16), 1, pack=4, width=4, batch=16, images=800)
    monkeypatch.setattr(fitting, "Trainer", holds(4))
    assert fitting.parts_that_fit(recipe, conformance.noise(recipe), Choices()) is None  # batch norm needs two packs
    monkeypatch.setattr(fitting, "Trainer", holds(8))
    assert fitting.parts_that_fit(recipe, conformance.noise(recipe), Choices()) == 2


def test_a_mistake_in_a_round_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Trainer):
        def play_round(self, budget: Budget) -> None:
            raise RuntimeError("size mismatch")

    recipe = sngan((16, 16), 1, width=4, batch=8, images=800)
    monkeypatch.setattr(fitting, "Trainer", Broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        fitting.parts_that_fit(recipe, conformance.noise(recipe), Choices())


def test_a_run_that_lacks_memory_says_what_fits(
    plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here, and with that setting it does run; --batch auto finds it before the start and keeps it on resume."""
    settings = {"width": "4", "batch": "16"}
    for module in (fitting, launch):
        monkeypatch.setattr(module, "Trainer", holds(4))
    with pytest.raises(Stopped, match=r"batch of 16 in 1 parts; batch 4 x 4 fits: --set accumulate=4, or --batch auto"):
        zerosum.train(plain_data, out=tmp_path / "run", images=160, settings=settings)
    zerosum.train(plain_data, out=tmp_path / "parts", images=160, settings=settings | {"accumulate": "4"})
    run = zerosum.train(plain_data, out=tmp_path / "auto", images=160, settings=settings, batch="auto")
    assert run.read()["resolved"]["accumulate"] == 4
    said: list[str] = []
    zerosum.train(plain_data, out=tmp_path / "auto", images=160, settings=settings, batch="auto", say=said.append)
    assert any("finished" in line for line in said)


def test_nothing_fits(plain_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "Trainer", holds(0))
    words = "--batch auto: not even the smallest part .* take a smaller width or resolution"
    with pytest.raises(UserError, match=rf"{words}, or --set checkpoint=true\.$"):
        make_plan(Request(str(plain_data), batch="auto"))
    with pytest.raises(UserError, match=rf"{words}\.$"):
        make_plan(Request(str(plain_data), settings={"checkpoint": "true"}, batch="auto"))


def test_a_network_that_no_machine_holds(plain_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The allocator's own words never reach the user."""
    command = ["train", str(plain_data), "--recipe", "dcgan", "--images", "64", "--out", str(tmp_path / "run")]
    assert main([*command, "--set", "width=99999999"]) == 1
    words = "smaller parts do not fit either: take a smaller width or resolution, or --set checkpoint=true."
    assert words in capsys.readouterr().err


def test_the_batch_as_an_option(plain_data: Path) -> None:
    assert make_plan(Request(str(plain_data), batch="16")).recipe.batch == 16
    for settings, batch, words in (
        ({"batch": "8"}, "16", "exclude each other"),
        ({}, "many", "expected a whole number"),
    ):
        with pytest.raises(UserError, match=words):
            make_plan(Request(str(plain_data), settings=settings, batch=batch))


def test_what_fits_is_not_cut(plain_data: Path) -> None:
    plan = make_plan(Request(str(plain_data), settings={"width": "4"}, batch="auto"))
    assert plan.recipe.accumulate == 1
    assert "accumulate" not in plan.fields
    assert any(reason.what == "accumulate" for reason in plan.reasons)
    pictures: Pictures = conformance.noise(plan.recipe)
    assert fitting.parts_that_fit(plan.recipe, pictures, Choices()) == 1
