"""``zerosum evaluate``, through the public door."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import shapes
from PIL import Image

import zerosum
from zerosum import evaluate as room
from zerosum import files
from zerosum.cli import main
from zerosum.data.cache import cache_folder
from zerosum.metrics.protocols import CATALOGUE


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same protocols with fewer samples."""
    few = {name: dataclasses.replace(protocol, fake=min(protocol.fake, 1_000)) for name, protocol in CATALOGUE.items()}
    monkeypatch.setattr(room, "CATALOGUE", few)


SMALL = ["kd_random2k", "prdc1k_random", "msssim1k"]


@pytest.fixture
def trained(labelled_data: Path, tmp_path: Path) -> Path:
    run = zerosum.train(labelled_data, "modern", out=tmp_path / "run", images=128, settings={"width": "4"})
    return run.folder


def test_a_run_against_its_data(trained: Path, labelled_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(files.read_lines(trained / "metrics.jsonl"))
    numbers = trained.parent / "numbers.json"
    arguments = ["evaluate", str(trained), "--against", str(labelled_data), "--metrics", *SMALL, "fd_classifier10k"]
    assert main([*arguments, "--json", str(numbers), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    found = json.loads(numbers.read_text())
    assert {value["protocol"] for value in found} == {*SMALL, "fd_classifier10k"}
    assert {value["metric"] for value in found} >= {"kernel", "precision", "recall", "density", "coverage", "frechet"}
    for value in found:
        assert {"value", "protocol", "detector", "real", "fake", "draws", "weights", "seconds"} <= value.keys() | {
            "real"
        }
        assert value["metric"] in said
    lines = files.read_lines(trained / "metrics.jsonl")[before:]
    assert [line["metric"] for line in lines] == [value["metric"] for value in found]
    assert all(line["images"] == 128 for line in lines)


def test_draws_give_an_interval(trained: Path, labelled_data: Path) -> None:
    (once,) = room.evaluate(trained, labelled_data, ["kd_random2k"])
    (value,) = room.evaluate(trained, labelled_data, ["kd_random2k"], draws=3)
    assert once.low is None
    assert value.low is not None
    assert value.high is not None
    assert value.low < value.value < value.high
    assert value.draws == 3
    (again,) = room.evaluate(trained, labelled_data, ["kd_random2k"])
    assert again.value == once.value


def test_real_pictures_are_better_than_noise(labelled_data: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for name, pixels in (("noise", random.integers(0, 256, (1000, 12, 12), dtype=np.uint8)), ("own", shapes(1000)[0])):
        (tmp_path / name).mkdir()
        for index, picture in enumerate(pixels):
            Image.fromarray(picture).save(tmp_path / name / f"{index}.png")
    good, bad = (
        {v.metric: v.value for v in room.evaluate(tmp_path / name, labelled_data, ["prdc1k_random"])}
        for name in ("own", "noise")
    )
    assert good["precision"] > bad["precision"]
    assert good["coverage"] > bad["coverage"] + 0.3


def test_pictures_of_several_sizes_are_resized_one_by_one(labelled_data: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed").mkdir()
    for index, picture in enumerate(shapes(1000)[0]):
        size = (12 + 4 * (index % 2), 12)
        Image.fromarray(picture).resize(size).save(tmp_path / "mixed" / f"{index}.png")
    said: list[str] = []
    values = room.evaluate(tmp_path / "mixed", labelled_data, ["prdc1k_random"], say=said.append)
    assert all(np.isfinite(value.value) for value in values)
    assert any("several sizes" in line for line in said)


def test_what_was_seen_of_the_reals_is_kept(
    trained: Path, labelled_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = room.evaluate(trained, labelled_data, ["fd_random10k"])
    looked = []
    real = room.look_at

    def counting(*arguments, **options):  # type: ignore[no-untyped-def]
        looked.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(room, "look_at", counting)
    again = room.evaluate(trained, labelled_data, ["fd_random10k"])
    assert len(looked) == 1  # the samples alone
    assert again[0].value == pytest.approx(first[0].value, rel=1e-9)
    for file in (cache_folder() / "references").iterdir():
        file.write_bytes(b"damaged")
    with pytest.raises(zerosum.UserError, match="damaged"):
        room.evaluate(trained, labelled_data, ["fd_random10k"])
    for file in (cache_folder() / "references").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--metrics", "fid50"], "no metric 'fid50'"),
        (["--metrics", "fid50k_full", "--draws", "0"], "--draws 0"),
        (["--metrics", "kd_random2k", "--which", "ema", "--against", "nowhere"], "no data named"),
    ],
)
def test_mistakes(
    trained: Path, labelled_data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    against = [] if "--against" in arguments else ["--against", str(labelled_data)]
    assert main(["evaluate", str(trained), *against, *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_too_few_pictures_say_how_many(labelled_data: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for index, picture in enumerate(shapes(50)[0]):
        Image.fromarray(picture).save(tmp_path / "few" / f"{index}.png")
    with pytest.raises(zerosum.UserError, match="prdc1k_random needs 1,000 pictures, and few has 50"):
        room.evaluate(tmp_path / "few", labelled_data, ["prdc1k_random"])


def test_without_labels_there_is_no_classifier(trained: Path, plain_data: Path) -> None:
    with pytest.raises(zerosum.UserError, match="no labels"):
        room.evaluate(trained, plain_data, ["fd_classifier10k"])


def test_missing_weights_say_what_to_do(trained: Path, labelled_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    def offline(*arguments, **options):  # type: ignore[no-untyped-def]
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", offline)
    with pytest.raises(zerosum.UserError, match="pt_inception-2015-12-05"):
        room.evaluate(trained, labelled_data, ["fid10k_test"])


def test_the_list_explains_every_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in CATALOGUE)
