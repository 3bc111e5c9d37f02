"""What is said of the machine."""

from __future__ import annotations

import pytest
import torch

from zerosum import doctor
from zerosum.cli import main
from zerosum.conformance import noise
from zerosum.doctor import Peaks
from zerosum.errors import UserError
from zerosum.recipes import dcgan, modern
from zerosum.training.cost import cost


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SECONDS", 0.01)
    monkeypatch.setattr(doctor, "SIDE", 64)


def test_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes that cannot do the size are left out; what would take long is reckoned, and marked."""
    said = "\n".join(doctor.examine("24x16", "cpu", ("dcgan", "goodfellow2014")))
    for word in (
        "torch",
        "processors",
        "devices     cpu",
        "GFLOP/s in products",
        "dcgan",
        "precision",
        "keep pictures small",
    ):
        assert word in said or word == "precision"
    assert "~" not in said.split("images/s")[1].split("reckoned")[0].replace("~ ", "")
    monkeypatch.setattr(doctor, "MEASURED", 0.0)
    assert "~" in next(line for line in doctor.examine("16", "cpu", ("dcgan",)) if line.startswith("dcgan"))


@pytest.mark.parametrize(
    ("given", "words"),
    [("17", "No recipe can make pictures of 17"), ("big", "expected a size"), ("16 --device tpu", "no device 'tpu'")],
)
def test_what_cannot_be_examined(given: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    monkey = [*given.split()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "CATALOGUE", {"dcgan": dcgan})
        assert main(["doctor", "--resolution", *monkey]) == 2
    assert words in capsys.readouterr().err


def test_advice_follows_from_the_peaks() -> None:
    even, fast, slow = Peaks(4e9, 4e9, 4e9, 4e9), Peaks(4e9, 9e9, 4e9, 12e9), Peaks(1e9, 1e9, 4e9, 4e9)
    assert not any("bf16" in line for line in doctor.advice("cpu", even))
    assert any("--set precision=bf16" in line and "3.0 times" in line for line in doctor.advice("cpu", fast))
    assert any("Products in 32 bits are slow" in line for line in doctor.advice("cpu", slow))
    assert list(doctor.advice("cuda", even)) == []


def test_operations_of_a_round_are_those_of_its_layers() -> None:
    """DCGAN at 64x64: the critic on reals and fakes with weights' and inputs' gradients, the generator likewise."""
    recipe = dcgan((64, 64), 3, bias=False)
    counted = cost(recipe, noise(recipe, 8))
    assert counted.images == 64
    assert counted.operations / 64 == pytest.approx(2.2746e9, rel=0.01)  # 145.58 GFLOP a batch of 64
    twice = modern((16, 16), 1, width=4, batch=16)
    assert cost(twice, noise(twice)).operations == pytest.approx(
        2 * cost(modern((16, 16), 1, width=4, batch=8), noise(twice)).operations, rel=1e-9
    )
    assert torch.randn(1).device.type == "cpu"  # nothing is left of the pretence


def test_no_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="give another --resolution"):
        list(doctor.examine("17", "cpu", ("dcgan",)))
