"""What a generator starts from: the published distributions of its latents."""

from __future__ import annotations

import math

import pytest

from zerosum.networks.latent import Latent


@pytest.mark.parametrize(
    ("name", "reach", "deviation"),
    [("uniform", 1.0, 1 / math.sqrt(3)), ("unit-uniform", math.sqrt(3), 1.0), ("normal", None, 1.0)],
)
def test_latents_have_the_reach_and_deviation_of_their_distribution(name, reach, deviation):
    drawn = Latent(4, name).draw(0, "latents", 0, 5_000)
    assert abs(drawn.mean().item()) < 0.02
    assert drawn.std().item() == pytest.approx(deviation, rel=0.02)
    if reach is not None:
        assert 0.99 * reach < drawn.max().item() <= reach
        assert -reach <= drawn.min().item() < -0.99 * reach
