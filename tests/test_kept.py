"""Compiled code is run, so its folder is one that nobody else can write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zerosum.kept import NAME, keep_code, processor

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners here")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(NAME, "x")
    monkeypatch.delenv(NAME)
    return tmp_path / "zerosum-compiled"


def test_a_folder_of_ones_own_for_this_processor(home: Path) -> None:
    keep_code()
    assert os.environ[NAME] == str(home / processor())
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_users_own_place_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "mine")
    keep_code()
    assert os.environ[NAME] == "mine"


def test_a_folder_that_others_may_write_to_is_left(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)
    keep_code()
    assert NAME not in os.environ


def test_a_link_is_left(home: Path) -> None:
    (home.parent / "elsewhere").mkdir()
    home.symlink_to(home.parent / "elsewhere")
    keep_code()
    assert NAME not in os.environ
