"""A run's folder without a training, and a tracker that keeps what it is told."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from zerosum import files
from zerosum.follow.items import Item
from zerosum.run import Run

VERDICT = {
    "images": 300,
    "event": "verdict",
    "verdict": "critic overfits",
    "level": "warn",
    "says": "It knows <b>99 %</b> of them.",
    "remedy": "zerosum train digits --set augment=ada",
}


def png(seed: int = 0, mode: str = "L") -> bytes:
    shape = (20, 30) if mode == "L" else (20, 30, 3)
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(file, format="PNG")
    return file.getvalue()


def stats(run: Run, *places: int, loss: float = 0.5) -> None:
    for images in places:
        line = {"images": images, "seconds": images / 10, "critic.loss": loss + images / 1000}
        files.append_line(run.stats, line)


def grid(run: Run, images: int, content: bytes | None = None) -> None:
    files.write(run.sample_file(images), png(images) if content is None else content)


def metric(images: int, value: float, **more: object) -> dict[str, object]:
    named = {"metric": "kernel", "value": value, "protocol": "track400", "weights": "ema"}
    return {"images": images, **named, **more}


def small_run(folder: Path) -> Run:
    """A run that stands at 300 images of 400."""
    run = Run(folder)
    parts = {"resolved": {"width": 12, "height": 12}, "seed": 1, "data": {"name": "digits", "identity": "ab"}}
    run.write({"recipe": "dcgan", "dials": {"width": 4}, **parts, "budget": {}, "choices": {}, "versions": {}})
    run.event("started", 0)
    stats(run, 100, 200, 300)
    run.add_metrics([metric(200, 0.25), metric(200, 0.5, weights="raw")])
    signals = {"accuracy_held": 0.75, "accuracy_fake": None, "scores": {"train": [1, 2]}, "classes": {"cat": 0.5}}
    files.append_line(folder / "signals.jsonl", {"images": 200, **signals})
    files.append_line(run.events, VERDICT)
    files.write(folder / "samples" / "real.png", png(9))
    for images in (0, 300):
        grid(run, images)
    return run


class Recorder:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.flushed = 0
        self.closed = False

    def send(self, item: Item) -> None:
        self.items.append(item)

    def flush(self) -> None:
        self.flushed = len(self.items)

    def close(self) -> None:
        self.closed = True
