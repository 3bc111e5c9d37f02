"""Dropout with numbered random numbers, and maxout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zerosum.networks.dropout import Dropout, Maxout


class Numbered:
    """Numbers of our own, and what was asked for."""

    def __init__(self, seed: int = 0) -> None:
        self.source = torch.Generator().manual_seed(seed)
        self.asked: list[tuple[int, ...]] = []

    def uniform(self, *shape: int) -> Tensor:
        self.asked.append(shape)
        return torch.rand(shape, generator=self.source)

    def normal(self, *shape: int) -> Tensor:
        raise AssertionError("dropout needs no normal numbers")


@pytest.mark.parametrize("keep", [0.8, 0.5])
def test_a_share_is_kept_and_the_mean_stays(keep: float) -> None:
    torch.manual_seed(0)
    found = Dropout(keep)(torch.ones(200, 500))
    assert (found != 0).float().mean().item() == pytest.approx(keep, abs=0.01)
    assert found.mean().item() == pytest.approx(1, abs=0.01)
    assert found.unique().tolist() == pytest.approx([0.0, 1 / keep])


def test_numbers_come_from_the_noise_it_was_given() -> None:
    x = torch.randn(3, 2, 4, 4)
    layer = Dropout(0.5)
    layer.noise = noise = Numbered()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = layer(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert noise.asked == [(3, 2, 4, 4)]
    kept = Numbered().uniform(3, 2, 4, 4) < 0.5
    assert torch.equal(found, torch.where(kept, 2 * x, 0))
    assert not torch.equal(layer(x), found)  # the next question has another answer


def test_without_noise_numbers_come_from_torch() -> None:
    layer, found = Dropout(0.5), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(layer(torch.ones(50)))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_identity_in_eval_mode_and_where_all_is_kept() -> None:
    x = torch.randn(5, 3)
    layer = Dropout(0.5).eval()
    layer.noise = Numbered()
    assert layer(x) is x
    assert Dropout(1.0)(x) is x
    assert layer.noise.asked == []


def test_dtype_and_second_derivative() -> None:
    assert Dropout(0.5)(torch.ones(4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    layer = Dropout(0.5)
    x = torch.randn(40, dtype=torch.float64, requires_grad=True)
    layer.noise = Numbered()
    (first,) = torch.autograd.grad(layer(x).pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second, torch.where(first == 0, 0, 8 * 6 * x))


@pytest.mark.parametrize("keep", [0.0, -0.5, 1.1])
def test_impossible_shares(keep: float) -> None:
    with pytest.raises(ValueError, match="in \\(0, 1\\]"):
        Dropout(keep)


@pytest.mark.parametrize("places", [(), (2, 4)], ids=["numbers", "maps"])
def test_maxout_takes_the_largest_of_neighbouring_pieces(places: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6, *places)
    found = Maxout(3)(x)
    assert torch.equal(found, torch.stack([x[:, :3].max(dim=1).values, x[:, 3:].max(dim=1).values], dim=1))
