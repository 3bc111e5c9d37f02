"""What a training writes besides its log lines: grids to look at, models to use, states to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from zerosum import files
from zerosum.data.pixels import grid, to_bytes
from zerosum.errors import UserError
from zerosum.networks.latent import draw_labels
from zerosum.networks.precision import factors
from zerosum.recipe import describe
from zerosum.training import checkpoint

if TYPE_CHECKING:
    from zerosum.training.trainer import Trainer

ROWS, COLUMNS = 8, 8
MOST_COLUMNS = 10  # with labels, a column shows one class
STATISTICS_BATCHES, STATISTICS_BATCH = 8, 64  # for batch norm in the averaged generator
MOST_LOOKED_AT = 20_000  # pictures among which those of the grid of real ones are found


def write_real(trainer: Trainer) -> None:
    """Write the grid of real pictures."""
    count, columns = _layout(trainer)
    files.write(trainer.run.folder / "samples" / "real.png", grid(_real(trainer, count, columns), columns))


def write_grids(trainer: Trainer) -> str:
    """Write the averaged generator's grid on fixed latents; return the file's name."""
    count, columns = _layout(trainer)
    latents = trainer.recipe.latent.draw(trainer.seed, "grid", 0, count).to(trainer.device)
    labels = torch.arange(count, device=trainer.device) % columns if trainer.recipe.classes else None
    with torch.no_grad(), factors(trainer.device):
        pixels = to_bytes(averaged(trainer)(latents, labels))
    path = files.write(trainer.run.sample_file(trainer.images), grid(pixels, columns))
    return str(path)


def _layout(trainer: Trainer) -> tuple[int, int]:
    """How many pictures a grid has, and in how many columns."""
    columns = min(trainer.recipe.classes, MOST_COLUMNS) if trainer.recipe.classes else COLUMNS
    return ROWS * columns, columns


def write_state(trainer: Trainer) -> None:
    """Write the resume state of this moment."""
    header = {"images": trainer.images, "rounds": trainer.rounds, "seconds": round(trainer.seconds, 3)}
    header |= trainer.notes
    tensors = checkpoint.gather(trainer.players, trainer.average, trainer.memory)
    trainer.run.save_state(trainer.images, tensors, header, trainer.safe)


def write_snapshot(trainer: Trainer) -> None:
    """Write the generator as a model that needs nothing else: averaged and raw weights, and how to use them."""
    recipe, pictures = trainer.recipe, trainer.pictures
    tensors: dict[str, Tensor] = {}
    for name, net in (("ema", averaged(trainer)), ("raw", trainer.generator)):
        tensors |= {f"{name}.{key}": tensor for key, tensor in net.state_dict().items()}
    header = {
        "kind": "generator",
        "images": trainer.images,
        "recipe": recipe.name,
        "data": pictures.name,
        "network": describe(recipe.players["generator"].net),
        "latent": describe(recipe.latent),
        "width": recipe.width,
        "height": recipe.height,
        "channels": recipe.channels,
        "range": [-1, 1],
        "classes": list(pictures.classes) if recipe.classes else [],
        "shares": shares(trainer).tolist() if recipe.classes else [],
    }
    files.write_tensors(trainer.run.snapshot_file(trainer.images), tensors, header)
    trainer.run.thin_snapshots()


def ensure_snapshot(trainer: Trainer) -> None:
    """Write the snapshot of this moment if it is not there whole (the state may have been saved without it)."""
    try:
        files.read_tensors(trainer.run.snapshot_file(trainer.images))
    except UserError:
        write_snapshot(trainer)
    if not trainer.run.sample_file(trainer.images).exists():
        write_grids(trainer)


def averaged(trainer: Trainer) -> nn.Module:
    """The averaged generator, ready to sample from."""
    with factors(trainer.device):
        return trainer.average.network(trainer.generator, _statistics(trainer))


def shares(trainer: Trainer) -> np.ndarray:
    """How often each class occurs among the training pictures."""
    labels = trainer.pictures.labels
    if labels is None:
        raise ValueError("the pictures have no labels")
    own = labels[trainer.pictures.train]
    return np.bincount(own, minlength=trainer.recipe.classes) / len(own)


def _statistics(trainer: Trainer) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Fixed seeded latents and labels, from which batch-norm statistics are estimated."""
    for start in range(0, STATISTICS_BATCHES * STATISTICS_BATCH, STATISTICS_BATCH):
        latents = trainer.recipe.latent.draw(trainer.seed, "statistics", start, STATISTICS_BATCH).to(trainer.device)
        labels = None
        if trainer.recipe.classes:
            labels = draw_labels(shares(trainer), trainer.seed, "statistics labels", start, STATISTICS_BATCH)
            labels = labels.to(trainer.device)
        yield latents, labels


def _real(trainer: Trainer, count: int, columns: int) -> np.ndarray:
    """Real training pictures in the grid's order: with labels, one class a column."""
    pictures = trainer.pictures
    if not trainer.recipe.classes or pictures.labels is None:
        return pictures.take("train", pictures.some(count))[0]
    places = pictures.some(MOST_LOOKED_AT)
    labels = pictures.labels[pictures.train[places]]
    members = [places[labels == label] for label in range(columns)]
    turns = [(members[index % columns], index // columns) for index in range(count)]
    chosen = np.array([own[turn % len(own)] if len(own) else -1 for own, turn in turns])
    pixels = pictures.take("train", chosen)[0]
    pixels[chosen < 0] = 0
    return pixels
