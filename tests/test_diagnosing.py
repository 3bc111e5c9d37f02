"""``zerosum diagnose``: runs that are over or still written, StyleGAN's logs, and pictures beside pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zerosum import files
from zerosum.cli import main
from zerosum.diagnosing import diagnose
from zerosum.errors import UserError
from zerosum.run import Run

CONTENT = {
    "recipe": "dcgan", "seed": 0, "resolved": {"players": {"critic": {"optimizer": {"rate": 2e-4}}}}, "set": {},
    "data": {"name": "x"}, "budget": {}, "choices": {}, "versions": {}, "asked": {"data": "x", "settings": {}},
}  # fmt: skip
WEAK = {"separates": 0.3, "coverage_raw": 0.0, "coverage_ema": 0.0, "moved": 0.5}
FINE = {"separates": 0.7, "coverage_raw": 0.8, "coverage_ema": 0.8, "moved": 0.3}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    run.write(CONTENT)
    return run


def checks(run: Run, *kinds: dict[str, float]) -> None:
    for number, kind in enumerate(kinds):
        files.append_line(run.signals, {"images": 100 * number, **kind})


def test_a_run_says_what_is_wrong_since_when_and_what_helps(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    checks(run, *[FINE] * 6, *[WEAK] * 5)
    found = diagnose(str(run.folder)).found
    assert [(one.verdict.name, one.verdict.since, one.until) for one in found] == [("critic too weak", 600, None)]
    assert found[0].verdict.confidence == 1 - 0.5**5
    assert main(["diagnose", str(run.folder), "--json", str(run.folder / "found.json")]) == 0
    told = capsys.readouterr().out
    assert "critic too weak (warn; from 600 images; confidence 97%)" in told
    assert "--set players.critic.optimizer.rate=0.0008" in told
    assert json.loads((run.folder / "found.json").read_text())[0]["name"] == "critic too weak"


def test_what_is_over_has_an_end(run: Run) -> None:
    checks(run, *[FINE] * 6, *[WEAK] * 5, *[FINE] * 5)
    assert diagnose(str(run.folder)).found[0].until == 1300


def test_a_healthy_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    checks(run, *[FINE] * 12)
    assert main(["diagnose", str(run.folder)]) == 0
    assert capsys.readouterr().out == "Nothing wrong at 12 checks.\n"


def test_events_are_verdicts_too(run: Run) -> None:
    checks(run, *[FINE] * 3)
    run.event(
        "verdict", 0, verdict="twins", level="warn", says="Copies.", evidence={"share": 0.5, "x": None}, confidence=1.0
    )
    run.event("rolled back", 200, **{"from": 900}, why="diverged")
    names = [(one.verdict.name, one.verdict.images) for one in diagnose(str(run.folder)).found]
    assert names == [("twins", 0), ("diverged", 900)]


@pytest.mark.parametrize(
    "line",
    [
        '{"images": NaN}',
        '{"images": 1e999}',
        '{"images": true}',
        '{"images": 300, "separates"',
        "[1, 2]",
        "x",
        '{"images": null}',
        '{"images": "9"}',
    ],
)
def test_a_run_that_is_still_written_or_torn(run: Run, line: str) -> None:
    checks(run, *[FINE] * 3)
    with open(run.signals, "a") as file:
        file.write(line)
    assert diagnose(str(run.folder)).checks == 3


def test_refusals_in_words(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no checks"):
        diagnose(str(run.folder))
    with pytest.raises(UserError, match="is no run and no stats"):
        diagnose(str(tmp_path / "nothing"))
    (tmp_path / "log.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(UserError, match="no lines of StyleGAN"):
        diagnose(str(tmp_path / "log.jsonl"))


def stylegan(kimg: float, sign: float, real: float, fake: float) -> str:
    def entry(mean: float, std: float = 0.5) -> dict[str, float]:
        return {"num": 8, "mean": mean, "std": std}

    line = {"Progress/kimg": entry(kimg), "Loss/signs/real": entry(sign), "Timing/sec_per_kimg": entry(20.0)}
    line |= {
        "Loss/scores/real": entry(real),
        "Loss/scores/fake": entry(fake),
        "Progress/augment": entry(0.9),
        "timestamp": 1,
    }
    return json.dumps(line) + "\n"


def test_a_log_of_stylegan(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    path.write_text("".join(stylegan(4 * n, 0.5, 0.3, -0.3) for n in range(20)))
    assert diagnose(str(path)).found == ()
    path.write_text(
        "".join(stylegan(4 * n, 0.5 if n < 10 else 0.97, 0.3 if n < 10 else 3, -0.3) for n in range(20)) + "{"
    )
    found = diagnose(str(path)).found
    assert [(one.verdict.name, one.verdict.since) for one in found] == [("critic overfits", 40_000)]
    assert found[0].verdict.evidence["augment"] == 0.9


def pictures(folder: Path, kinds: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(kinds):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


def test_pictures_beside_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)

    def some(count: int) -> list[np.ndarray]:
        corners = draw.integers(40, 216, (count, 2, 2))
        return [
            np.asarray(Image.fromarray(one.astype(np.uint8)).resize((16, 16), Image.Resampling.BILINEAR))
            for one in corners
        ]

    real = some(300)
    folder = pictures(tmp_path / "real", real)

    def names(made: list[np.ndarray], name: str) -> set[str]:
        return {one.verdict.name for one in diagnose(str(pictures(tmp_path / name, made)), str(folder)).found}

    assert names(some(200), "new") == set()
    assert "copies" in names(real[:200], "copied")
    assert "collapse" in names(
        [np.clip(real[0].astype(int) + n % 2, 0, 255).astype(np.uint8) for n in range(200)], "one"
    )


def test_a_log_of_stylegan_that_is_not_finite(tmp_path: Path) -> None:
    log = tmp_path / "stats.jsonl"
    broken = '{"Progress/kimg": {"mean": 12.0}, "Loss/G/loss": {"mean": NaN}, "Loss/scores/real": {"mean": NaN}}'
    log.write_text("\n".join([stylegan(4.0, 0.3, 1.0, -1.0), *[broken] * 20]) + "\n")
    found = diagnose(str(log)).found
    assert [(one.verdict.name, one.verdict.since) for one in found] == [("not finite", 12_000)]
    assert "Loss/G/loss" in found[0].verdict.says


def test_what_was_rolled_back_is_over_and_its_remedy_is_not_said_again(run: Run) -> None:
    checks(run, *[FINE] * 6, *[WEAK] * 5)
    run.event("rolled back", 500, **{"from": 900}, why="diverged", says="It grew.", evidence={"gap": 7.0})
    run.event("amended", 500, settings={"players.critic.optimizer.rate": "1e-4"}, why="diverged")
    first, second = diagnose(str(run.folder)).found
    assert (first.verdict.says, first.verdict.evidence, first.until) == ("It grew.", {"gap": 7.0}, 900)
    assert "--set players.critic.optimizer.rate=0.0004" in second.remedy


def test_texts_of_others_do_not_steer_the_terminal(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    checks(run, *[FINE] * 6)
    run.event("verdict", 0, verdict="twins\x1b[2J", says="a\x1b]0;x\x07b", level="warn")
    assert main(["diagnose", str(run.folder)]) == 0
    assert "\x1b" not in capsys.readouterr().out
