"""Seeds to pictures, from files that are data."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

import zerosum
from zerosum import files
from zerosum.cli import main
from zerosum.errors import UserError
from zerosum.generate import Generator, parse_seeds
from zerosum.generate.generator import CHUNK
from zerosum.run import Run
from zerosum.training.ema import re_estimate

SMALL = {"width": "8", "batch": "16"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A conditional run of the modern recipe, and an unconditional DCGAN."""
    from small_data import shapes, write_idx

    folder = tmp_path_factory.mktemp("data")
    pixels, labels = shapes(300)
    write_idx(folder / "train-images-idx3-ubyte", pixels)
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    made = {}
    for recipe in ("modern", "dcgan"):
        out = tmp_path_factory.mktemp("runs") / recipe
        made[recipe] = zerosum.train(folder, recipe, out=out, images=320, settings=SMALL)
    return made


@pytest.fixture
def modern(runs: dict[str, Run]) -> Generator:
    return zerosum.load(runs["modern"])


@pytest.mark.parametrize("recipe", ["modern", "dcgan"])
def test_picture_n_depends_on_seed_n_alone(recipe: str, runs: dict[str, Run]) -> None:
    generator = zerosum.load(runs[recipe])
    many = generator.sample(CHUNK * 2 + 3, seed=5)
    assert many.shape == (CHUNK * 2 + 3, 1, 12, 12)
    assert many.abs().max() <= 1
    assert torch.equal(generator.sample(1, seed=5 + CHUNK)[0], many[CHUNK])
    assert torch.equal(generator.sample(7, seed=20), many[15:22])
    assert not torch.equal(many[0], many[1])
    scattered = np.concatenate(list(generator.pixels([36, 5, 900])))
    assert np.array_equal(scattered[1], next(generator.pixels([5]))[0])


def test_labels(modern: Generator) -> None:
    labels = modern.labels(range(600))
    assert labels is not None
    shares = torch.bincount(labels, minlength=3) / 600
    assert (shares - 1 / 3).abs().max() < 0.07
    three = modern.sample(4, label=2)
    assert torch.equal(three, modern.sample(4, label="2"))
    assert not torch.equal(three, modern.sample(4, label=1))
    with pytest.raises(UserError, match="no label 'cat'"):
        modern.sample(1, label="cat")
    with pytest.raises(UserError, match="Seeds start at 0"):
        modern.sample(1, seed=-1)


def test_an_unconditional_generator_has_no_labels(runs: dict[str, Run]) -> None:
    with pytest.raises(UserError, match="without labels"):
        zerosum.load(runs["dcgan"]).sample(1, label=0)


def test_truncation_zero_is_one_picture_per_label(modern: Generator) -> None:
    pictures = modern.sample(5, label=0, truncation=0.0)
    assert torch.allclose(pictures[0], pictures[4])


def test_raw_weights_are_there_too(runs: dict[str, Run]) -> None:
    ema, raw = (zerosum.load(runs["modern"], weights=which) for which in ("ema", "raw"))  # type: ignore[arg-type]
    assert not torch.equal(ema.sample(1), raw.sample(1))


def test_batch_norm_of_a_snapshot_belongs_to_the_averaged_weights(runs: dict[str, Run]) -> None:
    """Estimating the statistics again, from other latents, hardly moves the pictures."""
    generator = zerosum.load(runs["dcgan"])
    before = generator.sample(16)
    batches = [(generator.latent.draw(9, "check", start, 64), None) for start in range(0, 512, 64)]
    re_estimate(generator.net, batches)
    generator.net.eval()
    assert (generator.sample(16) - before).abs().mean() < 0.02


def test_a_snapshot_is_a_complete_model(runs: dict[str, Run], tmp_path: Path) -> None:
    snapshot = runs["modern"].snapshots()[-1]
    alone = tmp_path / "mail.safetensors"
    alone.write_bytes(snapshot.read_bytes())
    assert torch.equal(zerosum.load(alone).sample(2), zerosum.load(runs["modern"]).sample(2))
    header = files.read_tensors(alone).header
    assert header["classes"] == ["0", "1", "2"]
    assert header["range"] == [-1, 1]


def test_refusals(runs: dict[str, Run], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run and no file"):
        zerosum.load(tmp_path / "nothing")
    with pytest.raises(UserError, match="not a run of zerosum"):
        zerosum.load(tmp_path)
    with pytest.raises(UserError, match="holds no generator"):
        zerosum.load(runs["modern"].states()[-1])
    tensors, header = files.read_tensors(runs["modern"].snapshots()[-1])
    network = header["network"]
    assert isinstance(network, dict)
    other = files.write_tensors(tmp_path / "o.safetensors", tensors, {**header, "network": {"kind": "os.system"}})
    with pytest.raises(UserError, match=r"os\.system"):
        zerosum.load(other)
    wide = files.write_tensors(tmp_path / "w.safetensors", tensors, {**header, "network": {**network, "width": 16}})
    with pytest.raises(UserError, match="does not fit"):
        zerosum.load(wide)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(runs: dict[str, Run], tmp_path: Path, value: float) -> None:
    tensors, header = files.read_tensors(runs["modern"].snapshots()[-1])
    name = next(name for name in tensors if name.startswith("raw.") and name.endswith("weight"))
    broken = tensors[name].clone()
    broken.view(-1)[3] = value
    bad = files.write_tensors(tmp_path / "bad.safetensors", {**tensors, name: broken}, header)
    with pytest.raises(UserError, match=r"The raw weights in .*bad.safetensors are not finite"):
        zerosum.load(bad, weights="raw")
    assert torch.isfinite(zerosum.load(bad).sample(1)).all()


def test_the_command_writes_a_sheet(runs: dict[str, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "grid.png"
    assert main(["sample", str(runs["modern"].folder), "--seeds", "0-11", "-o", str(sheet), "--label", "1"]) == 0
    assert str(sheet) in capsys.readouterr().out
    with Image.open(sheet) as image:
        assert image.width > 4 * 48
    assert main(["sample", str(runs["modern"].folder), "--seeds", "4-2", "-o", str(sheet)]) == 2
    assert main(["sample", str(runs["modern"].folder), "-o", str(tmp_path / "grid.exe")]) == 2


def test_seeds() -> None:
    assert parse_seeds("0-3") == [0, 1, 2, 3]
    assert parse_seeds("0,1,4-6") == [0, 1, 4, 5, 6]
    for wrong in ("", "-1", "3-1", "a", "1-", "0-99999999", "1.5"):
        with pytest.raises(UserError):
            parse_seeds(wrong)


@given(st.text(max_size=12))
@example("²")
@example("1-²")
def test_seeds_of_any_text(text: str) -> None:
    with contextlib.suppress(UserError):
        assert all(seed >= 0 for seed in parse_seeds(text))


@pytest.mark.parametrize(
    ("classes", "label", "index"),
    [(("0", "2", "5"), 2, 1), (("0", "2", "5"), "5", 2), (("cat", "dog"), 1, 1), (("cat", "dog"), "dog", 1)],
)
def test_a_number_is_a_name_where_classes_are_numbers(classes, label, index):
    assert Generator._class(SimpleNamespace(classes=classes), label) == index


@pytest.mark.parametrize(("classes", "label"), [(("0", "2", "5"), 1), (("cat", "dog"), 2), (("cat", "dog"), -1)])
def test_a_class_that_is_not_there(classes, label):
    with pytest.raises(zerosum.UserError, match="There is no label"):
        Generator._class(SimpleNamespace(classes=classes), label)
