"""Choices that are made for the user, and recipes of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import zerosum
from zerosum.cli import main
from zerosum.data.fit import Fit
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


def test_how_labels_enter_where_none_do(labelled_data: Path, plain_data: Path) -> None:
    """A dial that would do nothing is refused, with the reason why there are no labels."""
    for data, words in ((plain_data, "the pictures have no labels"), (labelled_data, "plays without labels by itself")):
        with pytest.raises(UserError, match=f"critic_labels=projection says how labels enter, and none do: .*{words}"):
            make_plan(Request(str(data), "dcgan", settings={"critic_labels": "projection"}))
    settings = {"critic_labels": "projection", "conditional": "true"}
    assert make_plan(Request(str(labelled_data), "dcgan", settings=settings)).recipe.classes == 3


def test_settings_of_every_recipe(labelled_data: Path) -> None:
    for recipe in ("modern", "wgan", modern((12, 12), 1)):
        made = make_plan(Request(str(labelled_data), recipe, settings={"mirror": "yes", "balanced": "true"})).recipe
        assert (made.mirror, made.balanced) == (True, True)
        with pytest.raises(UserError, match="mirror=left is not possible: expected true or false"):
            make_plan(Request(str(labelled_data), recipe, settings={"mirror": "left"}))


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


def test_rounded_factors_need_a_gpu() -> None:
    with pytest.raises(UserError, match="precision=tf32 is not possible: NVIDIA GPUs know it, and this run is on cpu"):
        make_plan(Request("digits", device="cpu", settings={"precision": "tf32"}))


def test_gamma_grows_with_the_pixels() -> None:
    def weight(size: int) -> float:
        description = describe(modern(resolution=(size, size)).moves)
        assert isinstance(description, list)
        return description[0][0]["loss"]["game"]["penalties"][0]["weight"]["start"]  # type: ignore[index,call-overload]

    assert weight(12) == pytest.approx(1.44 / 2)
    assert weight(24) == pytest.approx(4 * weight(12))


def test_broken_pictures_are_refused_by_their_headers_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan decodes nothing, and says so; training finds out."""
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(12):
        Image.effect_noise((20, 20), 50 + index).save(folder / f"{index}.png")
    command = ["train", str(folder), "--broken", "stop", "-o", str(tmp_path / "run"), "--images", "16"]
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[:-60])
    assert main([*command, "-n"]) == 0
    said = capsys.readouterr().out
    assert "broken      stop  (so far only headers were looked at; what is broken behind them is refused" in said
    assert main(command) == 2
    assert "3.png: it is damaged" in capsys.readouterr().err
    (folder / "3.png").write_bytes(b"nonsense")
    for more in (["-n"], []):
        assert main([*command, *more]) == 2
        assert "1 of the 12 pictures cannot be read (3.png: it is no picture" in capsys.readouterr().err
    capsys.readouterr()
    assert main(["train", str(folder), "-n"]) == 0
    assert "broken      stop" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fit", "words"),
    [("crop", "centre crop to a square"), ("pad", "padded to a square"), ("stretch", "stretched to a square")],
)
def test_the_reason_for_a_square_says_how_it_becomes_one(tmp_path: Path, fit: Fit, words: str) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        Image.effect_noise((20 + index, 30), 50).save(folder / f"{index}.png")
    (why,) = (reason.why for reason in make_plan(Request(str(folder), fit=fit)).reasons if reason.what == "resolution")
    assert why.startswith(f"{words}; ")
