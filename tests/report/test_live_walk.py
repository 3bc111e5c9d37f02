"""A walk through the latents: what it shows, and that it is made when it is asked for and not before."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from live_pages import key_of, served, wait_for, write_run
from PIL import Image

from zerosum import files, recipes
from zerosum.errors import UserError
from zerosum.recipe import describe
from zerosum.report.live import walk
from zerosum.report.live.walk import STEPS, STOPS, Walks
from zerosum.report.walk import between


def write_model(path: Path, distribution: str = "uniform", classes: tuple[str, ...] = ()) -> Path:
    """A small generator that nobody has trained."""
    recipe = recipes.dcgan(resolution=(16, 16), channels=1, classes=0, width=4)
    net = recipe.players["generator"].net.build()
    with torch.no_grad():
        for own in net.parameters():
            own.mul_(20)  # so that the pictures differ
    header = {
        "kind": "generator", "images": 100, "recipe": "dcgan", "data": "x", "range": [-1, 1],
        "network": describe(recipe.players["generator"].net), "width": 16, "height": 16, "channels": 1,
        "latent": {**describe(recipe.latent), "distribution": distribution}, "classes": list(classes), "shares": [],
    }  # fmt: skip
    return files.write_tensors(path, {f"ema.{name}": own for name, own in net.state_dict().items()}, header)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "snapshots" / f"{100:012d}.safetensors")


def frames(content: bytes) -> list[np.ndarray]:
    image = Image.open(io.BytesIO(content))
    found = []
    for place in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(place)
        found.append(np.asarray(image.convert("L"), dtype=np.float64))
    return found


def test_a_walk_is_closed_and_its_steps_are_small(model: Path) -> None:
    shown = frames(Walks().walk(model, 0))
    assert len(shown) == STOPS * STEPS
    steps = [np.abs(shown[place] - shown[place - 1]).mean() for place in range(len(shown))]  # the first: from the last
    across = np.abs(shown[0] - shown[STEPS]).mean()
    assert max(steps) < across / 2
    assert steps[0] < 2 * np.median(steps)


def test_a_seed_is_a_walk(model: Path) -> None:
    assert Walks().walk(model, 3) == Walks().walk(model, 3)
    assert Walks().walk(model, 3) != Walks().walk(model, 4)


def test_it_is_made_once_and_again_for_a_new_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(walk, "_walk", lambda snapshot, seed: made.append(seed) or b"x" * 1000)
    walks = Walks()
    for seed in (1, 2, 1, 1):
        walks.walk(model, seed)
    assert made == [1, 2]
    write_model(model)
    walks.walk(model, 1)
    assert made == [1, 2, 1]
    monkeypatch.setattr(walk, "KEPT", 2_500)
    for seed in range(10, 30):
        walks.walk(model, seed)
    assert len(walks.kept) == 2


def test_mistakes_are_said_in_words(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Seed -1"):
        Walks().walk(model, -1)
    with pytest.raises(UserError, match="gone"):
        Walks().walk(tmp_path / "nothing", 0)
    model.write_bytes(b"no model")
    with pytest.raises(UserError, match="damaged"):
        Walks().walk(model, 0)


def test_a_way_between_normal_latents_stays_normal_and_one_between_uniform_ones_in_the_cube() -> None:
    start, end = torch.randn(2, 4, 20_000)
    for share in (0.0, 0.3, 0.5):
        assert between(start, end, share, "normal").std().item() == pytest.approx(1, abs=0.02)
    assert torch.allclose(between(start, end, 1.0, "normal"), end, atol=1e-6)
    assert between(torch.ones(1, 3), -torch.ones(1, 3), 0.25, "uniform").tolist() == [[0.5, 0.5, 0.5]]


def test_the_page_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "001-a")
    path = f"/walk/{key_of('001-a')}"
    with served(tmp_path) as page:
        assert page.get(path)[0] == 404
        write_model(run.snapshot_file(100))
        write_model(run.snapshot_file(200)).write_bytes(b"damaged")
        status, headers, text = page.get(path)
        assert (status, "damaged" in text) == (422, True)
        run.snapshot_file(200).unlink()
        status, headers, _ = page.get(f"{path}?seed=5")
        assert (status, headers["content-type"]) == (200, "image/webp")
        for seed in ("-1", "x", "2147483648", "99999999999", "99999999999999999999", "1.5", "", "٣"):
            status, _, text = page.get(f"{path}?seed={seed if seed.isascii() else '%D9%A3'}")
            assert (status, "expected a whole number from 0 to 2147483647" in text) == (422, True)
        busy, done = threading.Event(), threading.Event()
        most = [0]

        def slow(snapshot: Path, seed: int) -> bytes:
            most.append(most[-1] + 1)
            busy.set()
            done.wait(20)
            most.append(most[-1] - 1)
            return b"made"

        monkeypatch.setattr(walk, "_walk", slow)
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda seed=seed: answers.append(page.get(f"{path}?seed={seed}")[0]))
            for seed in range(20, 32)
        ]
        for thread in threads:
            thread.start()
        busy.wait(20)
        assert page.get("/")[0] == 200  # the page itself does not wait
        wait_for(lambda: len(answers) >= len(threads) - 5)
        done.set()
        for thread in threads:
            thread.join(20)
        assert max(most) == 1  # one at a time
        assert sorted(answers) == [200] * 5 + [503] * 7  # that one, and four that waited
