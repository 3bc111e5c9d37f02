"""Trainings of a second, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import zerosum
from zerosum import files
from zerosum.run import Run

SMALL = {"width": "4", "batch": "16"}


def train(data: Path, out: Path, **changes: Any) -> Run:
    """A small training, quietly."""
    arguments: dict[str, Any] = {
        "recipe": "modern",
        "images": 1600,
        "settings": SMALL,
        "say": lambda said: None,
    } | changes
    return zerosum.train(data, out=out, **arguments)


def weights(run: Run) -> dict[str, torch.Tensor]:
    """Of the newest state."""
    return files.read_tensors(run.states()[-1]).tensors
