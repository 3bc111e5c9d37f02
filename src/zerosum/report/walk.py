"""Between the pictures of seeds: rows of pictures from one latent to the next, of the newest snapshot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zerosum.errors import UserError
from zerosum.report.embedding import webp
from zerosum.report.facts import Facts
from zerosum.report.html import picture, said

if TYPE_CHECKING:
    import torch

    from zerosum.generate import Generator

ROWS, STEPS = 5, 9
PIXELS = 1 << 19  # of a picture; larger ones get fewer rows
LARGEST = 2 << 30  # bytes of a snapshot
BYTES = 200_000  # of the sheet


def html(facts: Facts, most: int = BYTES) -> str:
    """The sheet, of ``most`` bytes if possible, or the reason why there is none."""
    if not facts.snapshots:
        return said("There are no interpolations: the run has no snapshot yet.")
    newest = facts.snapshots[-1]
    if newest.path.stat().st_size > LARGEST:
        return said("There are no interpolations: the snapshot is too large to be loaded for a page.")
    try:
        from zerosum.generate import load

        generator = load(newest.path)
        source = webp(_sheet(generator), most)
    except UserError as error:
        return said(f"There are no interpolations: {error}")
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError, MemoryError) as error:
        return said(f"There are no interpolations: the snapshot cannot be used ({type(error).__name__}).")
    label = " Each row keeps one class." if generator.classes else ""
    words = (
        f"Averaged weights at {newest.images:,} images. Each row goes from one seed's picture to the next one's, "
        f"{_way(generator)}.{label} Smooth changes speak against memorised pictures, jumps for them."
    )
    return picture(source, "Interpolations between seeds", words, "wide")


def between(start: torch.Tensor, end: torch.Tensor, share: float, distribution: str) -> torch.Tensor:
    """Latents (N, size) on the way from ``start`` to ``end``.

    Of normal ones along cos and sin, so that they stay normal: a straight line would lead through lengths that were
    never drawn (White 2016, "Sampling Generative Networks"). Of uniform ones straight, so that they stay in the cube.
    """
    if distribution == "normal":
        return start * math.cos(share * math.pi / 2) + end * math.sin(share * math.pi / 2)
    return start * (1 - share) + end * share


def _way(generator: Generator) -> str:
    return "along the great circle" if generator.latent.distribution == "normal" else "in a straight line"


def _sheet(generator: Generator) -> bytes:
    """A PNG: ``ROWS`` rows of ``STEPS`` pictures, between seeds 0 and 1, 1 and 2 and so on."""
    import torch

    from zerosum.data.pixels import grid, to_bytes

    _, height, width = generator.size
    rows = max(1, min(ROWS, ROWS * PIXELS // (8 * max(1, width * height))))
    latents = [generator.latent.draw(0, "sample", seed, 1) for seed in range(rows + 1)]
    kind = generator.latent.distribution
    labels = generator.labels(range(rows))
    made = []
    with torch.no_grad():
        for row in range(rows):
            steps = [between(latents[row], latents[row + 1], step / (STEPS - 1), kind) for step in range(STEPS)]
            label = None if labels is None else labels[row : row + 1].expand(STEPS)
            made.append(generator.net(torch.cat(steps), label))
    return grid(to_bytes(torch.cat(made)), STEPS)
