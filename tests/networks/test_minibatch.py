"""Minibatch standard deviation and discrimination against their formulas, and their derivatives where samples agree."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zerosum.networks.minibatch import Deviation, Discrimination


def discrimination(features: int = 6) -> Discrimination:
    torch.manual_seed(0)
    return Discrimination(features).double()


@pytest.mark.parametrize(("count", "groups"), [(8, 2), (4, 1), (6, 2), (9, 3), (2, 1), (12, 3)])
@pytest.mark.parametrize("places", [(), (3, 2)], ids=["numbers", "maps"])
def test_deviation_is_the_mean_deviation_within_a_group(count: int, groups: int, places: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(count, 5, *places, dtype=torch.float64)
    found = Deviation()(x)
    assert found.shape == (count, 6, *places)
    assert torch.equal(found[:, :5], x)
    for index in range(count):
        group = x[index % groups :: groups]
        expected = group.std(dim=0, correction=0).mean()
        torch.testing.assert_close(found[index, 5], expected.expand(places), rtol=1e-5, atol=1e-7)


def test_a_count_without_divisors_has_no_deviation() -> None:
    found = Deviation()(torch.randn(5, 3, 2, 2, dtype=torch.float64))
    torch.testing.assert_close(found[:, 3], torch.full((5, 2, 2), 1e-4, dtype=torch.float64))


def test_discrimination_sums_over_all_samples() -> None:
    layer = discrimination()
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    found = layer(x)
    assert layer.tensor.shape == (6, 100, 5)  # A x B x C
    assert found.shape == (5, 6 + 100)
    assert torch.equal(found[:, :6], x.flatten(1))
    rows = torch.einsum("na,abc->nbc", x.flatten(1), layer.tensor)
    for i in range(5):
        expected = sum((-(rows[i] - rows[j]).abs().sum(dim=1)).exp() for j in range(5))
        torch.testing.assert_close(found[i, 6:], expected)


def test_discrimination_starts_at_distances_that_it_can_learn_from() -> None:
    torch.manual_seed(0)
    layer = Discrimination(400)
    assert layer.tensor.std().item() == pytest.approx(400**-0.5, rel=0.02)
    x = torch.randn(8, 400, requires_grad=True)
    found = layer(x)[:, 400:]
    assert 1.001 < found.mean() < 4
    found.sum().backward()
    assert layer.tensor.grad.abs().mean() > 1e-4


def test_discrimination_tells_equal_samples_from_different_ones() -> None:
    layer = discrimination()
    x = torch.randn(1, 6, dtype=torch.float64).expand(4, -1)
    torch.testing.assert_close(layer(x)[:, 6:], torch.full((4, 100), 4.0, dtype=torch.float64))
    far = 1e3 * torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(far)[:, 6:], torch.ones(4, 100, dtype=torch.float64))  # itself alone


@pytest.mark.parametrize("layer", [Deviation(), discrimination(8)], ids=["deviation", "discrimination"])
@pytest.mark.parametrize("same", [True, False])
def test_derivatives_are_finite_also_where_samples_agree(layer: nn.Module, same: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2, 2, 2, dtype=torch.float64)
    x = (x[:1].expand_as(x) if same else x).clone().requires_grad_()
    (first,) = torch.autograd.grad(layer(x)[:, 2:].sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert first.isfinite().all()
    assert second.isfinite().all()
    assert same or first.abs().max() > 0
    if not same:
        assert torch.autograd.gradgradcheck(lambda point: layer(point)[:, 2:], x, atol=1e-4)


@pytest.mark.parametrize("layer", [Deviation(), discrimination(8).float()], ids=["deviation", "discrimination"])
def test_low_precision_in_is_low_precision_out(layer: nn.Module) -> None:
    x: Tensor = torch.randn(4, 2, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), layer(x), rtol=0.1, atol=0.1)
