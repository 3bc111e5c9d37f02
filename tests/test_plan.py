"""Choices that are made for the user, and recipes of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

import zerosum
from zerosum.errors import UserError
from zerosum.plan import Request, make_plan
from zerosum.recipe import Recipe, describe
from zerosum.recipes import modern


def reasons(request: Request) -> dict[str, str]:
    return {reason.what: reason.value for reason in make_plan(request).reasons}


def test_the_default_for_digits() -> None:
    plan = make_plan(Request("digits"))
    assert plan.recipe.name == "modern"
    assert (plan.recipe.width, plan.recipe.height, plan.recipe.channels, plan.recipe.classes) == (12, 12, 1, 10)
    assert all(reason.why for reason in plan.reasons)


def test_a_folder_called_digits_is_not_the_digits(tmp_path: Path, labelled_data: Path) -> None:
    mine = labelled_data.rename(tmp_path / "digits")
    assert "images" not in reasons(Request(str(mine)))
    assert "images" in reasons(Request("digits"))


def test_labels_condition_unless_refused(labelled_data: Path, plain_data: Path) -> None:
    assert make_plan(Request(str(labelled_data))).recipe.classes == 3
    assert make_plan(Request(str(labelled_data), settings={"conditional": "false"})).recipe.classes == 0
    assert make_plan(Request(str(plain_data))).recipe.classes == 0
    with pytest.raises(UserError, match="not every picture has a label"):
        make_plan(Request(str(plain_data), settings={"conditional": "true"}))


def test_a_recipe_function_of_ones_own(plain_data: Path, tmp_path: Path) -> None:
    def mine(power: int = 3) -> Recipe:
        return modern(resolution=(12, 12), channels=1, width=2**power, batch=16, images=160)

    run = zerosum.train(plain_data, mine, out=tmp_path / "run", settings={"power": "2"})
    assert run.read()["dials"] == {"power": 2}
    assert zerosum.load(run).sample(2).shape == (2, 1, 12, 12)


def test_a_complete_recipe(plain_data: Path, tmp_path: Path) -> None:
    recipe = modern(resolution=(12, 16), channels=1, width=4, batch=16, images=160)
    run = zerosum.train(plain_data, recipe, out=tmp_path / "run")
    assert run.read()["resolved"] == describe(recipe)
    with pytest.raises(UserError, match="its own resolution"):
        zerosum.train(plain_data, recipe, out=tmp_path / "other", resolution="24")


def test_gamma_grows_with_the_pixels() -> None:
    def weight(size: int) -> float:
        description = describe(modern(resolution=(size, size)).moves)
        assert isinstance(description, list)
        return description[0][0]["loss"]["game"]["penalties"][0]["weight"]["start"]  # type: ignore[index,call-overload]

    assert weight(12) == pytest.approx(1.44 / 2)
    assert weight(24) == pytest.approx(4 * weight(12))
