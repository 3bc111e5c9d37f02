"""``zerosum evaluate``: what is compared with what, what is written down, and what is refused before work starts."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
from zerosum import evaluate as room
from zerosum import files
from zerosum.cli import main
from zerosum.data.cache import cache_folder
from zerosum.interrupt import Interrupted
from zerosum.metrics import session
from zerosum.metrics.detectors import detector
from zerosum.metrics.detectors.random_features import SHA256
from zerosum.metrics.protocol import Protocol
from zerosum.metrics.protocols import CATALOGUE

FEW = 60


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same protocols with a few samples and real pictures."""

    def fewer(protocol: Protocol) -> Protocol:
        few = dataclasses.replace(protocol, fake=min(protocol.fake, FEW), other=min(protocol.other, 10), least=0)
        real = None if protocol.real is None else min(protocol.real, 10 if protocol.part == "held-out" else FEW)
        return dataclasses.replace(few, real=real, least=20 if real is None else 0)

    monkeypatch.setattr(room, "CATALOGUE", {name: fewer(protocol) for name, protocol in CATALOGUE.items()})


def coloured(count: int = 200, size: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def folder(path: Path, pixels: np.ndarray) -> Path:
    path.mkdir()
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(path / f"{index:03d}.png")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Data in colour, a run on it in grey, and grey data of another kind."""
    home = tmp_path_factory.mktemp("runs")
    data = saved(home / "colours.npz", x=coloured())
    run = zerosum.train(
        data, "modern", out=home / "run", images=320, settings={"width": "4", "channels": "1", "batch": "16"}
    )
    return {"data": data, "run": run.folder, "other": saved(home / "other.npz", x=coloured(seed=1))}


def numbers(values: list[room.Value]) -> dict[str, float]:
    return {value.metric: value.value for value in values}


def test_grey_samples_do_not_make_the_data_grey(tmp_path: Path) -> None:
    """Grey pictures stand for themselves in three channels, beside data in colour as they are."""
    data = saved(tmp_path / "data.npz", x=coloured())
    grey = coloured(seed=2)[:, :, :, 0]
    one, three = saved(tmp_path / "one.npz", x=grey), saved(tmp_path / "three.npz", x=np.stack([grey] * 3, axis=3))
    said: list[str] = []
    own = room.evaluate(one, data, ["kd_random2k", "msssim1k"], say=said.append)
    assert any("one is grey and data in colour" in line for line in said)
    assert numbers(own) == numbers(room.evaluate(three, data, ["kd_random2k", "msssim1k"]))
    assert own[0].size == "12x12x3"


def test_a_run_that_was_trained_grey_on_these_data_is_compared_in_grey(runs: dict[str, Path]) -> None:
    own = room.evaluate(runs["run"], runs["data"], ["kd_random2k"])
    other = room.evaluate(runs["run"], runs["other"], ["kd_random2k"])
    assert (own[0].size, other[0].size) == ("12x12x1", "12x12x3")


def test_real_pictures_keep_their_size_beside_pictures(tmp_path: Path) -> None:
    """Thumbnails are far from the data, because the data are not made thumbnails too."""
    data = saved(tmp_path / "data.npz", x=coloured())
    small = np.stack([np.asarray(Image.fromarray(picture).resize((6, 6))) for picture in coloured()])
    wide = coloured().repeat(2, axis=2)
    values = {
        name: room.evaluate(saved(tmp_path / f"{name}.npz", x=pixels), data, ["kd_random2k"])[0]
        for name, pixels in (("same", coloured()), ("small", small), ("wide", wide))
    }
    assert {value.size for value in values.values()} == {"12x12x3"}
    assert values["small"].samples_size == "6x6x3"
    assert values["small"].value > 10 * abs(values["same"].value)
    with pytest.raises(zerosum.UserError, match="those of wide have 24x12 pixels, those of data 12x12: bring them to"):
        room.evaluate(tmp_path / "wide.npz", data, ["swd2k"])


def test_real_pictures_of_several_sizes_are_looked_at_as_they_are(tmp_path: Path) -> None:
    """In any order of files, and with the same value as the detector gives by hand."""
    pixels = [np.asarray(Image.fromarray(picture).resize((12 + n % 2, 12))) for n, picture in enumerate(coloured())]
    (tmp_path / "data").mkdir()
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "data" / f"{index:03d}.png")
    samples = saved(tmp_path / "samples.npz", x=coloured(seed=5))
    (value,) = room.evaluate(samples, tmp_path / "data", ["fd_random10k"])
    assert (value.size, value.part, value.real) == ("several sizes", "train", 180)
    for order in (range(200), reversed(range(200))):
        other = tmp_path / f"data{len(list(tmp_path.iterdir()))}"
        other.mkdir()
        for place, index in enumerate(order):
            Image.fromarray(pixels[index]).save(other / f"{place:03d}.png")
        assert room.evaluate(samples, other, ["fd_random10k"])[0].identity == value.identity


def test_a_generator_is_compared_at_its_own_size(runs: dict[str, Path], tmp_path: Path) -> None:
    large = saved(tmp_path / "large.npz", x=coloured(size=24)[:, :, :, 0])
    said: list[str] = []
    (value,) = room.evaluate(runs["run"], large, ["kd_random2k"], say=said.append)
    assert value.size == value.samples_size == "12x12x1"
    assert any("large is brought to the generator's 12x12" in line for line in said)


def test_a_value_says_what_it_was_made_with(runs: dict[str, Path]) -> None:
    before = len(files.read_lines(runs["run"] / "metrics.jsonl"))
    (value,) = room.evaluate(runs["run"], runs["data"], ["kd_random2k"])
    (other,) = room.evaluate(runs["run"], runs["other"], ["kd_random2k"])
    (raw,) = room.evaluate(runs["run"], runs["data"], ["kd_random2k"], which="raw")
    lines = files.read_lines(runs["run"] / "metrics.jsonl")[before:]
    assert [line["data"] for line in lines] == ["colours", "other", "colours"]
    assert lines[0] == value.record()
    record = value.record()
    assert {key: record[key] for key in ("data", "part", "images", "zerosum", "sha256", "real", "fake", "samples")} == {
        "data": "colours",
        "part": "train",
        "images": 320,
        "zerosum": zerosum.__version__,
        "sha256": SHA256,
        "real": FEW,
        "fake": FEW,
        "samples": "run",
    }
    assert value.identity == json.loads((runs["run"] / "recipe.json").read_text())["data"]["identity"]
    assert len({value.identity, other.identity}) == 2
    assert (value.weights, raw.weights) == ("ema", "raw")
    assert value.value != raw.value


def test_protocols_of_one_detector_and_count_look_once(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the values that each has alone."""
    names = ["fd_random10k", "kd_random2k", "prdc1k_random"]
    alone = [value for name in names for value in room.evaluate(runs["run"], runs["data"], [name], draws=2)]
    looked = []
    real = session.look_at

    def counting(*arguments, **options):  # type: ignore[no-untyped-def]
        looked.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(session, "look_at", counting)
    together = room.evaluate(runs["run"], runs["data"], names, draws=2)
    plain = [dict(value.record(), seconds=0) for value in alone]
    assert [dict(value.record(), seconds=0) for value in together] == plain
    assert (
        len(looked) == 2 + 2
    )  # two draws; what two of them compare with, and what one has in the cache is not looked at


def test_nothing_is_measured_before_everything_is_checked(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("something was looked at")

    monkeypatch.setattr(session, "look_at", never)
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **more: (_ for _ in ()).throw(OSError("no network")))
    labelled = saved(tmp_path / "labelled.npz", x=coloured(), y=np.arange(200) % 2)
    large = dataclasses.replace(CATALOGUE["swd2k"], fake=FEW)
    monkeypatch.setattr(room, "CATALOGUE", {**room.CATALOGUE, "swd2k": large})
    for target, metric, words in (
        (runs["run"], "fid50k_full", "pt_inception.* could not be downloaded"),
        (runs["run"], "class_fd10k", "has no labels"),
        (runs["run"], "swd2k", "swd2k needs 2,048 training pictures, and colours has 180"),
        (labelled, "ppl2_zend", "walks through"),
    ):
        with pytest.raises(zerosum.UserError, match=words):
            room.evaluate(target, runs["data"], ["kd_random2k", metric])


def test_stopped_after_some_values(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = session.Session._group

    def one_group(self, group, *more):  # type: ignore[no-untyped-def]
        if group[0].detector == "pixels":
            raise Interrupted
        yield from real(self, group, *more)

    monkeypatch.setattr(session.Session, "_group", one_group)
    arguments = ["evaluate", str(runs["run"]), "--against", str(runs["data"]), "--metrics"]
    assert main([*arguments, "kd_random2k", "msssim1k"]) == 1
    told = capsys.readouterr()
    assert "kernel" in told.out
    assert "stopped: 1 values were measured, those above and in" in told.err
    assert main([*arguments, "msssim1k"]) == 1
    assert "before there was anything to save" in capsys.readouterr().err


def test_broken_pictures_are_left_out_on_both_sides(tmp_path: Path) -> None:
    """Headers and bodies alike: counted, said, and others take their place."""
    for name, seed in (("samples", 3), ("real", 4)):
        own = folder(tmp_path / name, coloured(seed=seed))
        (own / "003.png").write_bytes((own / "003.png").read_bytes()[:200])
        (own / "004.png").write_bytes(b"no picture")
    said: list[str] = []
    every = dataclasses.replace(room.CATALOGUE["kd_random2k"], fake=198, real=170)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "CATALOGUE", {"kd_random2k": every})
        (value,) = room.evaluate(tmp_path / "samples", tmp_path / "real", ["kd_random2k"], say=said.append)
        assert (value.fake, value.real) == (198, 170)
        more = dataclasses.replace(every, fake=199)
        patch.setattr(room, "CATALOGUE", {"kd_random2k": more})
        with pytest.raises(zerosum.UserError, match="too many cannot be read: 198 are left"):
            room.evaluate(tmp_path / "samples", tmp_path / "real", ["kd_random2k"])
    text = "\n".join(said)
    assert "samples: left out because they cannot be read: 1 (004.png" in text
    assert "samples: left out because they cannot be read: 1 (003.png" in text
    assert "real: left out because they cannot be read: 2 (003.png" in text


def test_a_cache_that_cannot_be_written_costs_a_sentence(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "file" / "cache"))
    said: list[str] = []
    (value,) = room.evaluate(runs["run"], runs["data"], ["fd_random10k"], say=said.append)
    assert np.isfinite(value.value)
    assert any("is not kept (ZEROSUM_CACHE names another folder)" in line for line in said)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--metrics"], "--metrics needs at least one name"),
        (["--metrics", "fid50"], "zerosum evaluate list prints them"),
        (["--metrics", "pr50k3_full"], "take pr50k3_inception"),
        (["--device", "foo"], "There is no device 'foo'"),
        (["--device", "cuda"], "The device 'cuda' is not there"),
        (["--json", "/dev/null/x/numbers.json"], "may not be written to .*name another file"),
        (["--json", "."], "is a folder"),
        (["--which", "raw"], "--which raw chooses the weights of a run"),
        (["--against", "RUN"], "is a run: give the real pictures"),
        (["--weights", "nowhere.pth"], "nowhere.pth is not there"),
        (["--metrics", "class_fd10k"], r"colours has no labels \(or lies in a single class folder\)"),
    ],
)
def test_mistakes(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    if expected.startswith("The device") and torch.cuda.is_available():
        pytest.skip("there is one")
    given = [str(runs["run"]) if word == "RUN" else word for word in arguments]
    against = [] if "--against" in given else ["--against", str(runs["data"])]
    assert main(["evaluate", str(runs["data"]), *against, *given]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert re.search(expected, told)


def test_a_foreign_file_says_what_to_give(tmp_path: Path, runs: dict[str, Path]) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(zerosum.UserError, match=r"give a file of snapshots/"):
        room.evaluate(tmp_path / "foreign.safetensors", runs["data"], ["kd_random2k"])


def test_files_of_weights_are_known_by_what_they_hold(runs: dict[str, Path], tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        heads = detector.vgg.Heads().state_dict()
    torch.save(heads, tmp_path / "mine.pth")
    torch.save(heads, tmp_path / "also.pth")
    torch.save({"x": torch.zeros(1)}, tmp_path / "strange.pth")
    assert detector.recognised(tmp_path / "mine.pth") == detector.LPIPS
    assert detector.recognised(tmp_path / "strange.pth") is None
    pixels = saved(tmp_path / "large.npz", x=coloured(size=16))
    for names, metric, words in (
        (["mine.pth"], "kd_random2k", r"mine.pth holds the linear heads .* which these metrics do not use: leave it"),
        (["strange.pth"], "kd_random2k", "strange.pth holds none that a metric here knows"),
        (["mine.pth", "also.pth"], "lpips1k", "also.pth and .*mine.pth are both the linear heads of LPIPS"),
    ):
        with pytest.raises(zerosum.UserError, match=words):
            room.evaluate(pixels, pixels, [metric], weights_files=[tmp_path / name for name in names])


def test_what_was_kept_is_not_taken_for_something_else(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file with another key in its header is made anew, wherever it lies."""
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
    (value,) = room.evaluate(runs["run"], runs["data"], ["fd_random10k"])
    (file,) = (cache_folder() / "references").iterdir()
    tensors, header = files.read_tensors(file)
    files.write_tensors(file, {**tensors, "mean": tensors["mean"] + 1}, header)
    (poisoned,) = room.evaluate(runs["run"], runs["data"], ["fd_random10k"])
    assert poisoned.value != pytest.approx(value.value)  # it is read
    files.write_tensors(file, {**tensors, "mean": tensors["mean"] + 1}, {**header, "key": "another"})
    (again,) = room.evaluate(runs["run"], runs["data"], ["fd_random10k"])
    assert again.value == pytest.approx(value.value, rel=1e-9)
