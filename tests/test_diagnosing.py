"""``zerosum diagnose``: runs that are over or still written, StyleGAN's logs, and pictures beside pictures."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum import files
from zerosum.cli import main
from zerosum.diagnose import looked
from zerosum.diagnosing import diagnose
from zerosum.errors import UserError
from zerosum.metrics.protocols import CATALOGUE
from zerosum.options.parsing import parse
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


def test_a_row_of_roll_backs_is_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    checks(run, *[FINE] * 3)
    for images in (1600, 1600, 1700):
        run.event("rolled back", 0, **{"from": images}, why="not finite", says="Broken.", evidence={"loss": images})
        run.event("amended", 0, settings={}, why="not finite")
    run.event("rolled back", 0, **{"from": 90}, why="diverged", says="It grew.", evidence={})
    found = diagnose(str(run.folder)).found
    assert [(one.verdict.name, one.backs, one.until) for one in found] == [("not finite", 3, 1700), ("diverged", 1, 90)]
    assert found[0].verdict.evidence == {"loss": 1700}
    assert found[0].record()["rolled back"] == 3
    assert main(["diagnose", str(run.folder)]) == 0
    told = capsys.readouterr().out
    assert "not finite (act; at 1,700 images; rolled back 3 times)" in told
    assert "diverged (act; at 90 images; rolled back once)" in told
    assert told.count("--set players.critic.optimizer.rate=") == 2


def test_nothing_is_said_to_be_sure_and_a_fact_has_no_confidence(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    checks(run, *[FINE] * 6, *[WEAK] * 70)
    run.event("verdict", 0, verdict="few pictures", level="warn", says="Few.", evidence={}, confidence=1.0)
    assert main(["diagnose", str(run.folder)]) == 0
    told = capsys.readouterr().out
    assert "critic too weak (warn; from 600 images; confidence 99%)" in told
    assert "few pictures (warn; at the start)" in told


@pytest.mark.parametrize("text", ['{"format": 1', '{"format": 1}', "[]", "\x00"])
def test_a_damaged_recipe_is_no_reason_to_choose_another_folder(run: Run, text: str) -> None:
    checks(run, *[FINE] * 3)
    run.recipe_file.write_text(text)
    for against in (None, "digits"):
        with pytest.raises(UserError, match=r"recipe\.json is damaged, or not of zerosum: put a copy") as refused:
            diagnose(str(run.folder), against)
        assert "--out" not in str(refused.value)


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
    (tmp_path / "metric-fid50k_full.jsonl").write_text(
        '{"results": {"fid50k_full": 9.5}, "metric": "fid50k_full", "snapshot_pkl": "network-snapshot-000020.pkl"}\n{'
    )
    for target in (path, tmp_path):
        found = diagnose(str(target)).found
        assert [(one.verdict.name, one.verdict.since) for one in found] == [("critic overfits", 40_000)]
        assert found[0].verdict.evidence["augment"] == 0.9
        assert "network-snapshot-000020.pkl (fid50k_full 9.5)" in found[0].remedy
        assert "--gamma" in found[0].remedy
        assert "held-out real pictures" not in found[0].verdict.says


def pictures(folder: Path, kinds: Sequence[np.ndarray]) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(kinds):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


def some(count: int, seed: int = 0, side: int = 16) -> list[np.ndarray]:
    """Soft pictures of four tones."""
    corners = np.random.default_rng(seed).integers(40, 216, (count, 2, 2)).astype(np.uint8)
    bilinear = Image.Resampling.BILINEAR
    return [np.asarray(Image.fromarray(one).resize((side, side), bilinear)) for one in corners]


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    return pictures(tmp_path / "real", some(300))


def names(made: Path, real: Path) -> set[str]:
    return {one.verdict.name for one in diagnose(str(made), str(real)).found}


def noise(count: int, side: int, deviation: float = 90.0) -> list[np.ndarray]:
    values = np.random.default_rng(3).normal(128, deviation, (count, side, side))
    return [one.astype(np.uint8) for one in values.clip(0, 255)]


def test_pictures_beside_pictures(real: Path, tmp_path: Path) -> None:
    one = some(1)[0].astype(int)
    alike = [np.clip(one + n % 2, 0, 255).astype(np.uint8) for n in range(200)]
    assert names(pictures(tmp_path / "new", some(200, 1)), real) == set()
    assert names(pictures(tmp_path / "copied", some(200)), real) == {"copies"}
    assert names(pictures(tmp_path / "one", alike), real) >= {"collapse"}
    part = [one for one in some(2000, 1) if one[0, 0] < 75 and one[-1, -1] < 128][:200]
    assert names(pictures(tmp_path / "part", part), real) == {"drops modes"}


@pytest.mark.parametrize("deviation", [40.0, 90.0])
def test_noise_is_nothing_like_the_real_pictures(real: Path, tmp_path: Path, deviation: float) -> None:
    made = pictures(tmp_path / "noise", noise(200, 16, deviation))
    assert names(made, real) == {"nothing like the real pictures"}


def test_noise_that_is_gone_at_a_sixteenth_of_the_size(tmp_path: Path, real: Path) -> None:
    """In such small views noise is as grey as the middle of all pictures, and lies among them."""
    tones = np.random.default_rng(0).integers(0, 256, (300, 9, 9)).astype(np.uint8)
    large = pictures(tmp_path / "large", [np.asarray(Image.fromarray(one).resize((64, 64))) for one in tones])
    found = diagnose(str(pictures(tmp_path / "noise", noise(100, 64))), str(large)).found
    assert [one.verdict.name for one in found] == ["nothing like the real pictures"]
    assert found[0].verdict.evidence["times the noise of real ones"] > 10


def test_other_pictures_are_nothing_like_them_and_that_explains_the_rest(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", "digits", "--against", str(real)]) == 0
    told = capsys.readouterr()
    assert "nothing like the real pictures (warn)\n" in told.out
    assert "collapse" not in told.out
    assert "500 of the generated ones had another size and were resized" in told.out + told.err


def test_a_grid_is_looked_for_only_in_pictures_of_the_same_size(real: Path, tmp_path: Path) -> None:
    small = np.indices((16, 16)).sum(0) % 2 * 40
    made = [np.clip(one.astype(int) + small, 0, 255).astype(np.uint8) for one in some(200, 1)]
    assert "checkerboard" in names(pictures(tmp_path / "same", made), real)
    large = [np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.NEAREST)) for one in made]
    assert "checkerboard" not in names(pictures(tmp_path / "larger", large), real)


def test_copies_are_named_in_pairs_and_one_look_has_no_confidence(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = pictures(tmp_path / "copied", some(200))
    renamed = tmp_path / "renamed"  # the same content: prepared once, in the order of the first names
    renamed.mkdir()
    for path in real.iterdir():
        (renamed / f"{999 - int(path.stem)}.png").write_bytes(path.read_bytes())
    for folder, other in ((real, lambda name: name), (renamed, lambda name: f"{999 - int(name)}")):
        assert main(["diagnose", str(made), "--against", str(folder), "--json", str(tmp_path / "found.json")]) == 0
        told = capsys.readouterr().out
        assert "copies (warn)\n" in told
        assert "samples/nearest.png" not in told
        pairs = re.findall(r"(\d+)\.png ~ (?:(\d+)\.png|a real one)", told)
        assert len(pairs) == 5
        assert all(second in ("", other(first)) for first, second in pairs)
        assert json.loads((tmp_path / "found.json").read_text())[0]["confidence"] is None
    assert "zerosum data check" in told


def test_what_is_wrong_with_the_real_pictures_comes_with_a_command(real: Path, tmp_path: Path) -> None:
    twins = pictures(tmp_path / "my twins", [*some(150), *some(150)])
    found = {one.verdict.name: one.remedy for one in diagnose(str(real), str(twins)).found}
    assert found["twins"].endswith(f"this names them: zerosum data check '{twins}'")


def test_every_answer_is_a_sentence_with_a_command_that_is_there() -> None:
    for verdict in (*(rule.name for rule in looked.RULES), "few pictures", "twins", "blank pictures", "bars"):
        for target in ("made", "snapshots/1.safetensors"):
            for count in (10, 300, 5000):
                told = looked.answer(verdict, target, "real ones", count, ["1 ~ 2"])
                command = shlex.split(told[told.index("zerosum ") :])[1:]
                assert parse(command) is not None, told
                assert "samples/" not in told
                for name in command[command.index("--metrics") + 1 :] if "--metrics" in command else []:
                    assert name in CATALOGUE


def test_a_run_beside_real_pictures_is_asked_for_pictures(
    plain_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"width": "8", "batch": "16"}
    run = zerosum.train(plain_data, "modern", out=tmp_path / "run", images=64, settings=settings, say=lambda said: None)
    for target in (run.folder, run.snapshots()[-1]):
        assert main(["diagnose", str(target), "--against", str(plain_data)]) == 0
        told = capsys.readouterr()
        assert f"500 pictures of {target.name} (averaged weights at 64 images)" in told.out + told.err
        assert "nothing like the real pictures" in told.out
    with pytest.raises(UserError, match="is a generator: give its run's folder, or --against"):
        diagnose(str(run.snapshots()[-1]))


def test_sheets_are_not_taken_for_pictures(real: Path, run: Run, tmp_path: Path) -> None:
    samples = pictures(run.folder / "samples", some(20))
    with pytest.raises(UserError, match="sheets of many pictures each: give the run's folder"):
        diagnose(str(samples), str(real))
    samples.rename(run.folder / "mine")
    assert names(run.folder / "mine", real) <= {"copies"}, "single pictures may lie in a run's folder"
    run.folder.rename(tmp_path / "001-x")
    with pytest.raises(UserError, match="is a folder of runs: give one of them"):
        diagnose(str(tmp_path), str(real))
    other = tmp_path / "00000-stylegan"
    other.mkdir()
    for name in ("fakes000200", "fakes_init", "reals"):
        Image.fromarray(some(1)[0]).save(other / f"{name}.png")
    with pytest.raises(UserError, match="holds sheets of many pictures each: give single ones"):
        diagnose(str(other), str(real))


def test_too_few_pictures(real: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="5 pictures are too few"):
        diagnose(str(pictures(tmp_path / "five", some(5, 1))), str(real))
    said: list[str] = []
    diagnose(str(pictures(tmp_path / "twelve", some(12, 1))), str(real), say=said.append)
    assert any("12 pictures are few" in line for line in said)


def test_pictures_that_cannot_be_read_are_left_out(real: Path, tmp_path: Path) -> None:
    made = pictures(tmp_path / "made", some(100, 1))
    (made / "000.png").write_bytes((made / "000.png").read_bytes()[:40])
    said: list[str] = []
    assert diagnose(str(made), str(real), say=said.append).found == ()
    assert any("000.png is left out" in line for line in said)
    assert any(line.startswith("99 pictures of 100 in made") for line in said)


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
