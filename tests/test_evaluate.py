"""``zerosum evaluate``, through the public door."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_data import shapes, write_idx

import zerosum
from zerosum import evaluate as room
from zerosum import files
from zerosum.cli import main
from zerosum.data.cache import cache_folder
from zerosum.metrics import classifier, session, sides
from zerosum.metrics.detectors import detector, vgg
from zerosum.metrics.protocol import Protocol
from zerosum.metrics.protocols import CATALOGUE


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same protocols with fewer samples."""

    def fewer(protocol: Protocol) -> Protocol:
        most = 90 if protocol.detector in ("lpips", "student") or protocol.name == "classes10k" else 300
        held_out = {"train": 200, "full": 200, "held-out": 30}
        return dataclasses.replace(
            protocol,
            fake=min(protocol.fake, most),
            other=min(protocol.other, 90 if protocol.part == "held-out" else 30),
            real=held_out[protocol.part] if protocol.real else protocol.real,
            least=20 if protocol.real is None else 0,
        )

    monkeypatch.setattr(room, "CATALOGUE", {name: fewer(protocol) for name, protocol in CATALOGUE.items()})
    monkeypatch.setattr(sides, "PAIRS", 30)


@pytest.fixture(autouse=True, scope="module")
def _briefly() -> Iterator[None]:
    """Classifiers learn these pictures in a few passes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_PASSES", 10)
        yield


SMALL = ["kd_random2k", "prdc1k_random", "msssim1k"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on what ``labelled_data`` holds, wherever that lies."""
    folder = tmp_path_factory.mktemp("trained")
    pixels, labels = shapes(300)
    write_idx(folder / "train-images-idx3-ubyte", pixels)
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    return zerosum.train(folder, "modern", out=folder / "run", images=128, settings={"width": "4"}).folder


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


@pytest.mark.parametrize("labelled", [True, False])
def test_the_judgement_of_a_run_can_be_repeated(
    labelled: bool, plain_data: Path, labelled_data: Path, tmp_path: Path
) -> None:
    """The same numbers from the same parts, in lines of the same fields."""
    data = labelled_data if labelled else plain_data
    run = zerosum.train(data, "modern", out=tmp_path / "run", images=64, settings={"width": "4"}).folder
    judged = files.read_lines(run / "metrics.jsonl")
    values = room.evaluate(run, data, ["judgement"])
    assert len(values) == (14 if labelled else 6)
    for line, value in zip(judged, values, strict=True):
        again = value.record()
        assert again.keys() == line.keys()
        for key in again.keys() - {"seconds"}:
            wanted = pytest.approx(line[key], rel=1e-6) if key in ("value", "baseline") else line[key]
            assert again[key] == wanted, key
    assert files.read_lines(run / "metrics.jsonl")[-1] == values[-1].record()
    (raw, *_) = room.evaluate(run, data, ["judgement"], which="raw")
    assert raw.weights == "raw"


def test_the_judgement_of_pictures(labelled_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Enough of the right size; real ones are as good as real ones."""
    pixels, _ = shapes(600)
    data, few = saved(tmp_path / "data.npz", x=pixels), saved(tmp_path / "few.npz", x=pixels[:599])
    values = {
        (value.metric, value.detector.partition("-")[0]): value
        for value in room.evaluate(data, labelled_data, ["judgement", "prdc1k_random"])
    }
    assert values["precision", "pixels"].value == pytest.approx(values["precision", "pixels"].baseline, abs=0.1)
    assert values["share.1", "classifier"].value == pytest.approx(1 / 3, abs=0.02)
    assert (values["recall", "pixels"].part, values["nearest", "pixels"].part) == ("held-out", "train")
    assert not values["nearest", "pixels"].weights
    large = saved(tmp_path / "large.npz", x=pixels.repeat(2, axis=1))
    for samples, draws, words in (
        (few, 1, "judgement needs 600 pictures, and few has 599: give more"),
        (large, 1, "judgement compares pictures as they are, and those of large have 12x24 pixels, those of "),
        (data, 2, "judgement has draws of its own: measure it by itself, without --draws 2"),
    ):
        with pytest.raises(zerosum.UserError, match=words):
            room.evaluate(samples, labelled_data, ["judgement"], draws=draws)
    assert main(["evaluate", "list"]) == 0
    assert "judgement  " in capsys.readouterr().out


@pytest.fixture(scope="module")
def lpips_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """LPIPS's two files with random weights, one under another name than the published one."""
    folder = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, heads = vgg.Vgg16(), vgg.Heads()
    torch.save(net.state_dict(), folder / "net.pth")
    torch.save({name: tensor.abs() for name, tensor in heads.state_dict().items()}, folder / detector.LPIPS.file)
    return [folder / detector.LPIPS.file, folder / "net.pth"]


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A labelled set of 16x16, and a run on it that knows its classes."""
    folder = tmp_path_factory.mktemp("larger")
    pixels, labels = shapes(300, 16)
    np.savez(folder / "data.npz", x=pixels, y=labels)
    run = zerosum.train(folder / "data.npz", "modern", out=folder / "run", images=64, settings={"width": "4"})
    return run.folder, folder / "data.npz"


def test_perceptual_metrics_of_a_run(
    larger: tuple[Path, Path], lpips_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = larger
    weights = [str(path) for path in lpips_files]
    arguments = ["evaluate", str(run), "--against", str(data), "--device", "cpu", "--weights", *weights, "--metrics"]
    assert main([*arguments, "lpips1k", "class_lpips1k", "ppl2_zend"]) == 0
    said = capsys.readouterr().out.splitlines()
    said = said[1 + next(place for place, line in enumerate(said) if line.startswith("protocol")) :]
    assert [line.split()[:2] for line in said] == [
        ["lpips1k", "lpips"], ["class_lpips1k", "class_lpips"], ["ppl2_zend", "path_length"],
    ]  # fmt: skip
    assert all("lpips-0.1-vgg@" in line for line in said)
    assert ["real pictures:" in line for line in said] == [True, True, False]
    lines = {line["protocol"]: line for line in files.read_lines(run / "metrics.jsonl")[-3:]}
    assert lines["lpips1k"]["value"] > 0
    # a class is more alike than all of them; the pictures are squares at places that depend on the class
    assert lines["class_lpips1k"]["baseline"] < lines["lpips1k"]["baseline"]
    assert lines["ppl2_zend"]["value"] > 0
    assert "baseline" not in lines["ppl2_zend"]
    assert main([*arguments, "ppl2_wend"]) == 2
    assert "has none: take ppl2_zend" in capsys.readouterr().err


def test_real_pictures_have_the_diversity_of_real_pictures(larger: tuple[Path, Path], lpips_files: list[Path]) -> None:
    data = larger[1]
    for value in room.evaluate(data, data, ["lpips1k", "class_lpips1k"], weights_files=lpips_files):
        assert value.value == pytest.approx(value.baseline, rel=0.3)
        assert value.beside == "real pictures"


def test_accuracy_of_a_classifier_that_saw_samples_alone(larger: tuple[Path, Path], tmp_path: Path) -> None:
    """Real pictures with their labels teach as much as the training pictures; with wrong labels less than nothing."""
    data = larger[1]
    pixels, labels = shapes(300, 16)
    np.savez(tmp_path / "wrong.npz", x=pixels, y=(labels + 1) % 3)
    good, worst = room.evaluate(data, data, ["cas10k"])
    bad, _ = room.evaluate(tmp_path / "wrong.npz", data, ["cas10k"])
    assert (good.metric, worst.metric, good.beside) == ("accuracy", "worst_accuracy", "trained on real pictures")
    assert good.value > 0.9
    assert good.baseline == bad.baseline
    assert good.baseline > 0.9
    assert bad.value < 0.1
    there = np.flatnonzero((labels < 2) | (np.arange(300) == 2))  # one of the third class, which may not be drawn
    np.savez(tmp_path / "two.npz", x=pixels[there], y=labels[there])
    two, least = room.evaluate(tmp_path / "two.npz", data, ["cas10k"])
    assert two.value == pytest.approx(2 / 3, abs=0.1)
    assert least.value < 0.2
    assert worst.value <= good.value
    assert good.real == len(shapes(300)[0]) // 10
    assert good.detector.startswith("classifier-spec@")


def test_classes_are_counted_against_the_shares_of_the_data(larger: tuple[Path, Path], tmp_path: Path) -> None:
    """All of one class: KL is minus the log of its share."""
    data = larger[1]
    hit, divergence = room.evaluate(data, data, ["classes10k"])
    assert (hit.value, hit.baseline) == (3, 3)
    assert divergence.value < 0.05
    assert divergence.accuracy > 0.9
    pixels, labels = shapes(300, 16)
    np.save(tmp_path / "one.npy", pixels[labels == 1][:90])
    hit, divergence = room.evaluate(tmp_path / "one.npy", data, ["classes10k"])
    assert hit.value == 1
    assert divergence.value == pytest.approx(np.log(3), abs=0.05)


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
    for name, pixels in (("noise", random.integers(0, 256, (300, 12, 12), dtype=np.uint8)), ("own", shapes(300)[0])):
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
    for index, picture in enumerate(shapes(300)[0]):
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
    real = session.look_at

    def counting(*arguments, **options):  # type: ignore[no-untyped-def]
        looked.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(session, "look_at", counting)
    again = room.evaluate(trained, labelled_data, ["fd_random10k"])
    assert len(looked) == 1  # the samples alone
    assert again[0].value == pytest.approx(first[0].value, rel=1e-9)
    for file in (cache_folder() / "references").iterdir():
        file.write_bytes(b"damaged")
    again = room.evaluate(trained, labelled_data, ["fd_random10k"])
    assert len(looked) == 3  # made anew
    assert again[0].value == first[0].value
    room.evaluate(trained, labelled_data, ["fd_random10k"])
    assert len(looked) == 4


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
    with pytest.raises(zerosum.UserError, match="prdc1k_random needs 300 pictures, and few has 50"):
        room.evaluate(tmp_path / "few", labelled_data, ["prdc1k_random"])


def test_without_labels_there_is_no_classifier(trained: Path, plain_data: Path) -> None:
    with pytest.raises(zerosum.UserError, match="no labels"):
        room.evaluate(trained, plain_data, ["fd_classifier10k"])


@pytest.mark.parametrize(
    ("metric", "file"),
    [
        ("fid10k_test", "pt_inception-2015-12-05"),
        ("lpips1k", "vgg16-397923af.pth"),
        ("class_lpips1k", "vgg16-397923af.pth"),
        ("ppl2_zend", "vgg16-397923af.pth"),
    ],
)
def test_missing_weights_say_what_to_do(
    larger: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, metric: str, file: str
) -> None:
    import urllib.request

    def offline(*arguments, **options):  # type: ignore[no-untyped-def]
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", offline)
    with pytest.raises(zerosum.UserError, match=f"{file}.* put it at .*Without it the metrics on classifier"):
        room.evaluate(*larger, [metric])


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_what_cannot_be_measured_is_said_in_a_sentence(
    larger: tuple[Path, Path], labelled_data: Path, plain_data: Path, lpips_files: list[Path], tmp_path: Path
) -> None:
    run, data = larger
    pixels, labels = shapes(300, 16)
    plain = saved(tmp_path / "plain.npz", x=pixels)
    single = saved(tmp_path / "single.npz", x=pixels, y=np.zeros(300, np.int64))
    many = saved(tmp_path / "many.npz", x=pixels, y=np.arange(300) // 3)
    few = saved(tmp_path / "few.npz", x=pixels[:80], y=labels[:80])
    parts = {"x_train": pixels[:80], "y_train": labels[:80], "x_test": pixels[80:], "y_test": labels[80:]}
    little = saved(tmp_path / "little.npz", **parts)
    broken = saved(tmp_path / "broken.npz", x=np.where(pixels == 20, np.nan, pixels / 255))
    by_class = ("class_fd10k", "class_lpips1k", "cas10k")
    cases = [
        (data, data, ("ppl2_wend", "ppl2_zend"), "walks through a generator's latent space: give a run"),
        (
            run,
            data,
            ("ppl2_wend",),
            "ppl2_wend needs a generator with an intermediate latent space W, .*take ppl2_zend",
        ),
        (plain, data, by_class, "compares class by class, and plain has no labels"),
        (data, plain, by_class, "compares class by class, and plain has no labels"),
        (single, single, by_class, "compares class by class, and single has a single class"),
        (data, single, ("classes10k", "fd_classifier10k"), r"single has a single class \(0\), so it has no classifier"),
        (data, many, by_class, "the classes differ: data has 0, 1, 2, many has 0, 1, 2, 3, 4 and 95 more"),
        (
            data,
            little,
            ("cas10k",),
            "cas10k needs 90 training pictures, and little has 80: take a",
        ),
        (few, data, ("lpips1k",), "lpips1k needs 90 pictures, and few has 80"),
        (data, few, ("cas10k",), "cas10k needs 20 held-out pictures, and few has 0"),
        (
            many,
            many,
            ("class_lpips1k",),
            "at least 2 pictures of each class, and among the 200 of many there are fewer of 3 ",
        ),
        (broken, data, ("kd_random2k",), "holds NaN or infinity"),
        (plain_data, plain_data, ("lpips1k",), "at least 16 pixels a side, not 12x12"),
    ]
    for target, against, metrics, words in cases:
        for metric in metrics:
            given = lpips_files if CATALOGUE[metric].detector == "lpips" else ()
            with pytest.raises(zerosum.UserError, match=words):
                room.evaluate(target, against, [metric], weights_files=given)


def test_a_generator_that_has_diverged_is_said(larger: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = larger
    tensors, header = files.read_tensors(sorted((run / "snapshots").iterdir())[-1])
    name = next(name for name in tensors if name.startswith("ema.") and name.endswith("weight"))
    files.write_tensors(tmp_path / "bad.safetensors", {**tensors, name: tensors[name] * float("nan")}, header)
    with pytest.raises(zerosum.UserError, match=r"The ema weights in .*bad.safetensors are not finite"):
        room.evaluate(tmp_path / "bad.safetensors", data, ["kd_random2k"])
    assert room.evaluate(tmp_path / "bad.safetensors", data, ["kd_random2k"], which="raw")


def test_pixels_of_several_sizes_are_not_compared(labelled_data: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed").mkdir()
    for index, picture in enumerate(shapes(300)[0]):
        Image.fromarray(picture).resize((12 + 4 * (index % 2), 12)).save(tmp_path / "mixed" / f"{index}.png")
    with pytest.raises(
        zerosum.UserError, match="msssim1k compares pictures as they are, and mixed has pictures of several"
    ):
        room.evaluate(tmp_path / "mixed", labelled_data, ["msssim1k"])


def test_the_list_explains_every_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in CATALOGUE)
