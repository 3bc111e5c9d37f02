"""``zerosum data``, through the public door."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum.cli import main
from zerosum.data.prepared import is_prepared


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """120 pictures of several sizes in two classes, one broken, one twin, two with transparency."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for index in range(120):
        size = (40, 30) if index % 3 else (24, 24)
        picture = random.integers(0, 256, (*size, 4 if index < 2 else 3), dtype=np.uint8)
        path = folder / ("cats" if index % 2 else "dogs") / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (folder / "cats" / "twin.png").write_bytes((folder / "cats" / "005.png").read_bytes())
    (folder / "dogs" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    return folder


def test_check_says_what_is_there(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(photos), "--json", str(tmp_path / "f.json"), "-o", str(tmp_path / "s.png")]) == 0
    said = capsys.readouterr().out
    for word in (
        "121",
        "broken.jpg",
        "twin.png",
        "transparency",
        "cats",
        "dogs",
        "24x24",
        "30x40",
        "hold-out",
        "training",
    ):
        assert word in said, said
    assert len(said.splitlines()) <= 30
    found = json.loads((tmp_path / "f.json").read_text())
    assert "broken.jpg" in json.dumps(found)
    assert Image.open(io.BytesIO((tmp_path / "s.png").read_bytes())).size[0] > 200


def test_prepare_and_train_on_it(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small"
    assert main(["data", "prepare", str(photos), "--resolution", "16", "--fit", "pad", "-o", str(out)]) == 0
    assert is_prepared(out)
    assert "121 pictures" in capsys.readouterr().out
    run = zerosum.train(out, "dcgan", out=tmp_path / "run", images=256, settings={"width": "8"})
    content = run.read()
    assert (content["resolved"]["width"], content["resolved"]["height"]) == (16, 16)
    assert content["data"]["pictures"] == 121
    again = zerosum.train(out, "dcgan", out=tmp_path / "run", images=512, settings={"width": "8"})
    assert again.finished_at() == 512


def test_prepare_without_out_fills_the_cache_that_train_uses(photos: Path, tmp_path: Path) -> None:
    assert main(["data", "prepare", str(photos), "--resolution", "16"]) == 0
    made = {path.name for path in (tmp_path / "cache" / "prepared").iterdir()}
    zerosum.train(photos, "dcgan", out=tmp_path / "run", images=64, resolution="16", settings={"width": "8"})
    assert {path.name for path in (tmp_path / "cache" / "prepared").iterdir()} == made


def test_training_lists_what_it_left_out(photos: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run = zerosum.train(
        photos, "dcgan", out=tmp_path / "run", images=64, resolution="16", settings={"width": "8"}, say=said.append
    )
    (lost,) = json.loads((run.folder / "data.json").read_text())["skipped"]
    assert lost["picture"] == "dogs/broken.jpg"
    assert any("left out" in line for line in said)
    with pytest.raises(zerosum.UserError, match=r"broken\.jpg"):
        zerosum.train(photos, out=tmp_path / "other", images=64, broken="stop")


def test_a_changed_folder_is_named_and_another_data_set(photos: Path, tmp_path: Path) -> None:
    options = {"recipe": "dcgan", "images": 64, "resolution": "16", "settings": {"width": "8"}}
    zerosum.train(photos, out=tmp_path / "run", **options)  # type: ignore[arg-type]
    Image.new("RGB", (30, 30), "red").save(photos / "cats" / "new.png")
    (photos / "dogs" / "000.png").unlink()
    said: list[str] = []
    with pytest.raises(zerosum.UserError, match="data"):
        zerosum.train(photos, out=tmp_path / "run", say=said.append, **options)  # type: ignore[arg-type]
    assert any("1 added" in line and "new.png" in line for line in said)
    assert any("1 removed" in line and "000.png" in line for line in said)


def test_looking_alone_swallows_no_change(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changed is named by every look, until a run has been started on it."""
    monkeypatch.chdir(tmp_path)
    train = ["train", str(photos), "--recipe", "dcgan", "--images", "64", "--resolution", "16", "--set", "width=8"]

    def says(command: list[str], code: int = 0) -> bool:
        assert main(command) == code
        return "1 added since the last time (cats/new.png)" in capsys.readouterr().out

    assert not says(["data", "check", str(photos)])
    assert not says([*train, "-o", "one"])
    Image.new("RGB", (30, 30), "red").save(photos / "cats" / "new.png")
    assert says(["data", "check", str(photos)])
    assert says([*train, "-n"])
    assert says([*train, "-o", "one"], 2)  # other data than this run's
    assert says([*train, "-o", "one"], 2)
    assert says([*train, "-o", "two"])
    assert not says([*train, "-o", "two"])
    assert not says(["data", "check", str(photos)])


def test_preparing_names_what_changed(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare = ["data", "prepare", str(photos), "--resolution", "16"]
    assert main(prepare) == 0
    Image.new("RGB", (30, 30), "red").save(photos / "cats" / "new.png")
    for named in (True, False):
        capsys.readouterr()
        assert main(prepare) == 0
        assert ("1 added since the last time (cats/new.png)" in capsys.readouterr().out) == named


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["check", "nowhere"], "no data named"),
        (["check", "mnits"], "did you mean mnist"),
        (["prepare", "PHOTOS", "--resolution", "0"], "sides are 1 to"),
        (["prepare", "PHOTOS", "--resolution", "wide"], "resolution"),
        (["prepare", "PHOTOS", "--broken", "stop"], "broken.jpg"),
        (["prepare", "PHOTOS", "-o", "PHOTOS"], "holds something else"),
    ],
)
def test_mistakes_end_in_a_sentence(
    photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert main(["data", *(str(photos) if text == "PHOTOS" else text for text in arguments)]) == 2
    assert expected.lower() in capsys.readouterr().err.lower()
