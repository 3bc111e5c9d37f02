"""Runs of our own making to write pages about: no training, every log as it may be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from zerosum.run import Run

BUDGET = 64_000
RESOLVED: dict[str, Any] = {
    "kind": "Recipe",
    "name": "dcgan",
    "players": {
        name: {"net": {"kind": f"DCGAN{name}", "width": 32}, "optimizer": {"kind": "Adam", "rate": 2e-4}, "clip": None}
        for name in ("generator", "critic")
    },
    "moves": [
        [{"player": name, "loss": {"game": {"loss": "non_saturating", "penalties": [], "terms": [], "weight": 1.0}}}]
        for name in ("critic", "generator")
    ],
    "width": 28,
    "height": 28,
    "channels": 1,
    "classes": 0,
    "batch": 64,
    "images": BUDGET,
    "citation": "@article{radford2015dcgan, title={Unsupervised}, author={Radford}, year={2015}}",
}


def run(folder: Path, **changed: object) -> Path:
    """A folder with a recipe.json, of which parts may be ``changed``."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "recipe": "dcgan",
        "dials": {"resolution": [28, 28], "channels": 1, "classes": 0, "width": 32},
        "set": {"players.critic.optimizer.beta1": "0.3"},
        "resolved": RESOLVED,
        "seed": 3,
        "data": {"name": "shapes", "identity": "ab40b38f81c8", "pictures": 70_000},
        "budget": {"images": BUDGET, "since": 0, "seconds": None},
        "choices": {"device": "cpu", "threads": 1},
        "versions": {"zerosum": "0.1.0", "torch": "2.13.0"},
    }
    Run(folder).write({**content, **changed})
    return folder


def write_lines(file: Path, records: Iterable[Mapping[str, object]]) -> None:
    """A log."""
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def add_stats(folder: Path, count: int = 100) -> None:
    """Lines of a game that nears its equilibrium, with a spike in the middle."""
    step = BUDGET // max(count, 1)
    write_lines(
        folder / "stats.jsonl",
        (
            {
                "images": step * (place + 1),
                "seconds": 0.5 * (place + 1),
                "images_per_second": 500.0 + 20 * math.sin(place),
                "critic.game": 1.3 - 0.6 * math.exp(-place / 20) + (3 if place == count // 2 else 0),
                "critic.loss": 1.3 - 0.6 * math.exp(-place / 20),
                "generator.loss": 0.7 + math.exp(-place / 20) * (1 + 0.2 * math.sin(3 * place)),
                "critic.penalty_real": 0.1,
                "critic.oddity": 0.2,
                "critic.gradient": 2.0 + math.cos(place),
                "generator.gradient": 300 * math.exp(-place / 10) + 0.5,
            }
            for place in range(count)
        ),
    )


def check(images: int, share: float) -> dict[str, object]:
    """A line of signals.jsonl, ``share`` of the way through an overfitting training."""
    sides = {"train": 1.0 + 3 * share, "held": 1.0 - share, "fake": -1.0 - 2 * share}
    return {
        "images": images,
        "seconds": 0.25,
        "accuracy_train": 0.7 + 0.29 * share,
        "accuracy_held": 0.7 - 0.3 * share,
        "accuracy_fake": 0.72,
        "separates": 0.8 - 0.2 * share,
        "round": images // 64,
        "gap": 2 + 5 * share,
        "spread": 1.5,
        "remembers": 0.5 + 0.4 * share,
        "r_v": share,
        "r_t": 0.4 + 0.5 * share,
        "scores": {side: [middle + (d - 5) * 0.4 for d in range(11)] for side, middle in sides.items()},
        "weights.critic": 10 + 20 * share,
        "weights.generator": 12.0,
        "sigma.critic": 2 + 50 * share,
        "sigma.generator": 3.0,
        "diversity_raw": 0.9 - 0.3 * share,
        "diversity_ema": 0.95 - 0.3 * share,
        "coverage_ema": 0.5 + 0.3 * share,
        "coverage_raw": 0.5,
        "precision_ema": 0.7,
        "nearest": 1.0 - 0.2 * share,
        "nearest_train": 2.0 - share,
        "copies": 0.05 * share,
        "moved": 0.4,
        "grid": 0.002,
        "saturated": -0.1,
        "leak_augment": 0.1,
        "waiting": 0.02,
        "memory_free": 0.6 - 0.1 * share,
        "disk_free_mib": 50_000.0,
        "saved_mib": 30.0,
        "share": share,
        "next": images + 1,
        "mystery": 3.0,
        "spectrum": {"real": [6 - 0.2 * b for b in range(15)], "fake": [6 - 0.25 * b for b in range(14)] + [4.0]},
        "checkerboard": 0.017,
        "classes": {str(digit): 0.3 + 0.07 * digit for digit in range(10)},
        "classes_fake": {str(digit): 0.1 for digit in range(10)},
    }


def add_signals(folder: Path, count: int = 20) -> None:
    """Checks at even distances."""
    write_lines(folder / "signals.jsonl", (check(BUDGET * (n + 1) // count, (n + 1) / count) for n in range(count)))


def verdict(images: int, name: str, **more: object) -> dict[str, object]:
    """A line of events.jsonl."""
    return {
        "images": images,
        "event": "verdict",
        "verdict": name,
        "level": "act",
        "confidence": 0.9,
        "evidence": {"accuracy_train": 0.99, "accuracy_held": 0.41},
        "says": "The critic knows the training pictures by heart.",
        "remedy": "zerosum train shapes --set strength=0.5",
        **more,
    }


def add_events(folder: Path) -> None:
    """A verdict that is over, one that holds, a change and a return."""
    write_lines(
        folder / "events.jsonl",
        [
            {"images": 0, "event": "started"},
            verdict(10_000, "checkerboard", level="warn"),
            {"images": 30_000, "event": "recovered", "verdict": "checkerboard"},
            verdict(40_000, "critic overfits"),
            {"images": 41_000, "event": "amended", "settings": {"players.critic.rate": "0.0001"}, "why": "it overfits"},
            {"images": 38_000, "event": "rolled back", "from": 41_000, "why": "not finite"},
            {"images": BUDGET, "event": "finished"},
        ],
    )


def add_metrics(folder: Path) -> None:
    """The tracking metric five times, and one number with an interval."""
    tracked = [
        {"images": BUDGET * n // 5, "metric": "kernel", "value": 0.01 / n, "protocol": "track400", "weights": "ema",
         "detector": "random@1", "real": 2000, "fake": 400, "seconds": 0.5}
        for n in range(1, 6)
    ]  # fmt: skip
    last = {"images": BUDGET, "metric": "coverage", "value": 0.56, "low": 0.51, "high": 0.61, "baseline": 0.95,
            "beside": "held-out pictures", "protocol": "shapes-k5", "weights": "ema", "detector": "own@2",
            "fake": 500, "real": 500, "draws": 5, "seconds": 2.0}  # fmt: skip
    write_lines(folder / "metrics.jsonl", [*tracked, last])


def add_grids(folder: Path, count: int = 5, size: int = 32) -> None:
    """Grey grids, the same file under many names, and the real one."""
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    Image.new("L", (size, size), 200).save(samples / "real.png")
    Image.new("L", (size, size), 90).save(samples / "nearest.png")
    for place in range(count):
        (samples / f"{BUDGET * place // count:012d}.png").write_bytes((samples / "real.png").read_bytes())


def whole(folder: Path) -> Path:
    """A run with everything."""
    run(folder)
    for add in (add_stats, add_signals, add_events, add_metrics, add_grids):
        add(folder)
    return folder
