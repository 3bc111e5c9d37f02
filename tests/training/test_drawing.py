"""What a round is played on: every draw, and every part of one, has its own place in each stream."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from zerosum import conformance, streams
from zerosum.game.schedules import Clock
from zerosum.recipes import sngan
from zerosum.run import Run
from zerosum.training.trainer import Choices, Trainer

SEED = 5


@pytest.mark.parametrize("parts", [1, 2])
def test_pictures_latents_and_noise_go_on_from_draw_to_draw_and_round_to_round(parts: int, tmp_path: Path) -> None:
    """Draws of 8, 8 and 12: round r begins at 28 r in every stream, whole or in parts."""
    recipe = sngan((16, 16), 1, width=2, batch=8, generator_batch=12, critic_turns=2)
    recipe = dataclasses.replace(recipe, accumulate=parts)
    one = Trainer(recipe, conformance.noise(recipe, 128), Run(tmp_path), SEED, Choices())
    place, seen = 0, []
    for index in range(3):
        draws = one.draws(Clock(round=index))
        assert list(draws) == [0, 1, 2]
        for number, size in enumerate((8 // parts, 8 // parts, 12 // parts)):
            played = (draws[number], *draws[number].rest)
            assert len(played) == parts
            for draw in played:
                uniform, normal = draw.noise.uniform(size, 3), draw.noise.normal(size, 3)
                for found, expected in (
                    (draw.latents, streams.normals(SEED, "latents", place, size, 128)),
                    (uniform, streams.uniforms(SEED, f"noise/{number}/1", place, size, 3)),
                    (normal, streams.normals(SEED, f"noise/{number}/2", place, size, 3)),
                ):
                    assert torch.equal(found, torch.from_numpy(expected))
                assert torch.equal(draw.real.x, one.loader.batch(place, size)[0])
                seen.append(torch.cat([draw.latents, uniform, normal, draw.real.x.flatten(1)], dim=1))
                place += size
    assert place == 3 * 28
    for first, last in ((0, 128), (128, 131), (131, 134), (134, None)):  # none is drawn twice
        rows = torch.cat(seen)[:, first:last]
        assert len(rows.unique(dim=0)) == len(rows) == 84
