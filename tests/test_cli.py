"""The command line as a stranger meets it: mistakes get a sentence and exit code 2, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zerosum.cli import main
from zerosum.commands import say
from zerosum.errors import UserError
from zerosum.options.texts import parse_settings, parse_time
from zerosum.recipe import describe
from zerosum.recipes import CATALOGUE, dcgan


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says when it refuses with exit code 2."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.err.startswith("zerosum: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digit"], "did you mean digits?"),
        (["digits", "--resolution", "37"], "nearest that work are 40, 32, 28"),
        (["digits", "--resolution", "huge"], "expected a size such as 64 or 256x384"),
        (["digits", "--set", "widht=8"], "did you mean width?"),
        (["digits", "--set", "players.critic.optimiser.rate=1"], "did you mean optimizer?"),
        (["digits", "--set", "width"], "expected NAME=VALUE"),
        (["digits", "--set", "width=wide"], "expected a whole number"),
        (["digits", "--recipe", "dcgan", "--set", "kernel=6"], "expected one of 4, 5"),
        (["digits", "--recipe", "pacgan", "--set", "conditional=true"], "takes no labels"),
        (["digits", "--recipe", "dcgam"], "did you mean dcgan?"),
        (["digits", "--images", "-5"], "the budget is a positive number"),
        (["digits", "--images", "0"], "the budget is a positive number"),
        (["digits", "--for", "soon"], "expected a time such as 60s, 5m or 2h"),
        (["digits", "--for", "0s"], "the time is positive"),
        (["digits", "--for", "5m", "--images", "10"], "exclude each other"),
        (["digits", "--seed", "-1"], "seeds start at 0"),
        (["digits", "--device", "tpu"], "no device 'tpu'"),
        (["digits", "--fork", "new"], "name that run with --out"),
        (["digits", "--device", "cpu:nonsense"], "The device 'cpu:nonsense' is not there"),
        (["digits", "--set", "classes=2"], "the pictures have 10 classes"),
        (["digits", "--set", "classes=-1"], "classes is a whole number of at least 0"),
        (["digits", "--set", "classes=10", "--set", "conditional=false"], "contradict each other"),
        (["digits", "--set", "batch=0"], "batch is at least 1"),
        (["digits", "--set", "width=0"], "width is a whole number of at least 1"),
        (["digits", "--set", "penalty_every=0"], "n >= 1"),
        (["digits", "--set", "moves.0.0.every=0"], "at least 1"),
        (["digits", "--set", "moves.0.0.player=x"], "the players are generator, critic"),
        (["digits", "--set", "latent.size=7"], "use the recipe's dial"),
        (["digits", "--set", "players.critic.optimizer.beta1=1"], "betas in [0, 1)"),
        (["digits", "--set", "strength=7"], "is a probability"),
        (["digits", "--set", "ema.half_life=-3"], "half_life > 0"),
        (["digits", "--set", "images=-5"], "the budget is a positive number"),
        (["digits", "--set", "images=5", "--images", "5"], "exclude each other"),
    ],
)
def test_mistakes(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in complaint(["train", *arguments], capsys)
    assert list(tmp_path.iterdir()) == [], "a mistake leaves nothing behind"


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "The device 'cuda' is not there" in complaint(["train", "digits", "--device", "cuda"], capsys)


def test_bad_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "it is empty" in complaint(["train", str(empty)], capsys)
    (empty / "notes.txt").write_text("no picture")
    assert "holds only .txt" in complaint(["train", str(empty)], capsys)
    (empty / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    assert "can be read. broken.png: it is damaged" in complaint(["train", str(empty)], capsys)


def test_no_write_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str], plain_data: Path) -> None:
    (tmp_path / "file").write_text("")
    said = complaint(["train", str(plain_data), "-o", str(tmp_path / "file" / "run"), "--images", "64"], capsys)
    assert "may not be written to" in said


def test_an_unreadable_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the refusal is injected."""

    def refused(self: Path, *arguments: object, **named: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", refused)
    assert "may not be read or written (Permission denied)" in complaint(["train", str(tmp_path / "x")], capsys)


def test_an_unknown_option_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "digits", "--imagse", "5"])
    assert end.value.code == 2
    assert "--imagse" in capsys.readouterr().err


def test_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits", "-n", "--set", "width=8"]) == 0
    said = capsys.readouterr().out
    for words in ("device", "resolution", "conditional yes", "hold-out"):
        assert words in said
    recipe = json.loads(said[said.index("{\n") :])
    assert recipe["players"]["critic"]["net"]["width"] == 8
    assert recipe["classes"] == 10
    assert list(tmp_path.iterdir()) == []


def test_dry_run_of_dcgan_is_the_recipe_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "-n", "--recipe", "dcgan", "--resolution", "32", "--images", "1000"]) == 0
    said = capsys.readouterr().out
    expected = describe(dcgan(resolution=(32, 32), channels=1, images=1000))
    assert json.loads(said[said.index("{\n") :]) == expected


def test_a_whole_run_through_the_public_door(tmp_path: Path) -> None:
    """As a user: a folder of pictures in class folders, train, look, sample."""
    random = np.random.default_rng(1)
    for name, colour in (("reds", (200, 30, 30)), ("blues", (30, 30, 200))):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for index in range(60):
            pixels = np.clip(random.normal(colour, 25, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    command = [sys.executable, "-m", "zerosum"]
    common = {"capture_output": True, "text": True, "cwd": tmp_path, "check": False}
    done = subprocess.run(
        [*command, "train", "pictures", "--images", "256", "--set", "width=8", "--resolution", "12x16"], **common
    )
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "001-pictures-modern"
    assert "runs/001-pictures-modern" in done.stdout
    assert "100%" in done.stdout
    for name in ("recipe.json", "stats.jsonl", "metrics.jsonl", "events.jsonl", "samples/real.png"):
        assert (run / name).is_file(), name
    assert (run / "samples" / "000000000256.png").is_file()
    assert (run / "samples" / "000000000000.png").is_file()
    done = subprocess.run([*command, "sample", str(run), "--label", "reds", "--seeds", "0-3"], **common)
    assert done.returncode == 0, done.stderr
    with Image.open(run / "sample.png") as sheet:
        assert sheet.mode == "RGB"
    again = subprocess.run([*command, "sample", str(run), "--label", "greens"], **common)
    assert again.returncode == 2
    assert "blues, reds" in again.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break in another way there")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["train", "--help"], 0),
        (["evaluate", "list"], 0),
        (["data", "check", "digits"], 0),
        (["train", "digits", "-n"], 0),
        (["data", "check", "nowhere"], 2),
        (["data", "chekc"], 2),
    ],
)
def test_a_reader_that_has_seen_enough_is_no_error(command: list[str], code: int) -> None:
    """However little is written: what is left in a buffer must not fail when the interpreter ends."""
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-m", "zerosum", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=buffered,
    )
    os.close(writing)
    assert done.returncode == code
    assert "Broken" not in done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)


def test_settings_and_times() -> None:
    assert parse_settings(("a=1", "b.c = x=y")) == {"a": "1", "b.c": "x=y"}
    assert [parse_time(text) for text in ("90", "60s", "5m", "1.5h", "1d")] == [90, 60, 300, 5400, 86400]
    for wrong in ("", "-5s", "5w", "nan"):
        with pytest.raises(UserError):
            parse_time(wrong)


def test_recipes_are_listed_and_printed(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CATALOGUE)
    years = [int(line.split()[1]) for line in lines]
    assert years == sorted(years)
    assert main(["recipes", "sngan"]) == 0
    said = capsys.readouterr().out
    assert "def sngan(" in said
    assert "4,276,739   1,053,824" in said
    assert main(["recipes", "sngam"]) == 2
    assert "did you mean sngan?" in capsys.readouterr().err


def test_names_do_not_steer_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where they are complained of nor where something is said to have been written."""
    odd = tmp_path / "a\x1b[31m\x07b"
    assert main(["report", str(odd)]) == 2
    say(f"Report: {odd}")
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert "a [31m b" in text
        assert text.replace("\n", "").isprintable()
