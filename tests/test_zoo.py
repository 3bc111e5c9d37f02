"""Trainings that are made to fail are named, healthy ones left in peace: a quick part of the zoo, on digits."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

QUICK = {
    "not finite": 2_000,
    "diverged": 10_000,
    "vanished gradient": 20_000,
    "generator stuck": 20_000,
    "critic too weak": 20_000,
    "few pictures": 640,
    "twins": 640,
    "blank pictures": 640,
    "healthy dcgan": 20_000,
}


def loaded() -> ModuleType:
    path = Path(__file__).parents[1] / "bench" / "zoo.py"
    spec = importlib.util.spec_from_file_location("zoo", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["zoo"] = module
    spec.loader.exec_module(module)
    return module


zoo = loaded()
CASES = {case.name: case for case in zoo.CASES}


def play(name: str, folder: Path, images: int | None = None) -> dict[str, str]:
    case = CASES[name]
    zoo.play(case._replace(images=images or case.images), "digits", 11, folder)
    said: dict[str, str] = zoo.named(folder)
    return said


@pytest.fixture(autouse=True)
def at_any_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "SHARE", 1e9)
    monkeypatch.setattr(zoo, "MOST_SECONDS", 1e9)


@pytest.mark.parametrize("name", QUICK)
def test_what_is_said(name: str, tmp_path: Path) -> None:
    said = play(name, tmp_path, QUICK[name])
    assert set(CASES[name].names) & said.keys() if CASES[name].names else not said


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in QUICK])
def test_the_others_too(name: str, tmp_path: Path) -> None:
    said = play(name, tmp_path)
    assert set(CASES[name].names) & said.keys() if CASES[name].names else not said


def test_the_zoo_is_as_large_as_promised() -> None:
    assert sum(bool(case.names) for case in zoo.CASES) >= 14
    assert sum(not case.names for case in zoo.CASES) >= 8


def test_an_interval_as_in_tables() -> None:
    assert zoo.interval(0, 80) == " (0.0%; 95 % interval 0.0% to 4.5%)"
    assert zoo.interval(0, 0) == ""
