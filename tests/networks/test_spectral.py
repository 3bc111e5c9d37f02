"""Spectral normalisation: sigma against the singular values, its gradient, and who moves u and v."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from zerosum.networks.layout import channels_last
from zerosum.networks.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear

MAKERS = {
    "conv": functools.partial(SpectralConv2d, 3, 5, 3, padding=1),
    "strided": functools.partial(SpectralConv2d, 2, 40, 4, stride=2, padding=1),  # more rows than columns
    "linear": functools.partial(SpectralLinear, 7, 4),
    "last": functools.partial(SpectralLinear, 12, 1, bias=False),
    "embedding": functools.partial(SpectralEmbedding, 9, 6),
}
every_layer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def layer_of(make, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return make().double()


def given(layer: nn.Module) -> Tensor:
    if isinstance(layer, SpectralEmbedding):
        return torch.tensor([0, 3, 3, 8])
    if isinstance(layer, SpectralLinear):
        return torch.randn(4, layer.in_features, dtype=torch.float64)
    return torch.randn(4, layer.in_channels, 6, 6, dtype=torch.float64)


def largest(weight: Tensor) -> Tensor:
    """The largest singular value, by a full decomposition."""
    return torch.linalg.svdvals(weight.flatten(1))[0]


def sigma(layer) -> Tensor:
    return torch.dot(layer.u, layer.weight.flatten(1) @ layer.v)


def advanced(layer, times: int = 2000):
    for _ in range(times):
        layer.advance()
    return layer


# --- sigma ---


@every_layer
def test_sigma_is_right_to_a_hundredth_from_the_start(make) -> None:
    for seed in range(20):
        layer = layer_of(make, seed)
        assert abs(sigma(layer) / largest(layer.weight) - 1) < 0.01


@pytest.mark.parametrize(("rows", "columns"), [(96, 300), (300, 96), (200, 200)])
@pytest.mark.parametrize("second", [1.0, 0.999, 0.98, 0.5])
def test_however_close_the_second_singular_value_is(rows: int, columns: int, second: float) -> None:
    torch.manual_seed(0)
    values = torch.cat([torch.tensor([1.0, second]), second * torch.linspace(0.99, 0, min(rows, columns) - 2)])
    left, right = (torch.linalg.qr(torch.randn(side, len(values)))[0] for side in (rows, columns))
    layer = SpectralLinear(columns, rows, draw=lambda weight: weight.copy_(left @ torch.diag(values) @ right.T))
    assert sigma(layer).item() == pytest.approx(1, abs=0.01)


def test_the_drawn_weights_are_the_ones_that_count() -> None:
    layer = SpectralConv2d(3, 5, 3, draw=lambda weight: nn.init.constant_(weight, 2.0))
    assert torch.equal(layer.weight, torch.full_like(layer.weight, 2.0))
    assert sigma(layer).item() == pytest.approx(2 * (5 * 27) ** 0.5, rel=1e-4)  # a matrix of twos has rank one


@every_layer
def test_the_norm_is_one_after_many_iterations(make) -> None:
    layer = advanced(layer_of(make))
    assert sigma(layer).item() == pytest.approx(largest(layer.weight).item(), rel=1e-9)
    assert torch.linalg.matrix_norm(layer.normalised().flatten(1), 2).item() == pytest.approx(1, abs=1e-9)
    for vector in (layer.u, layer.v):
        assert vector.norm().item() == pytest.approx(1, abs=1e-12)


def test_one_iteration_is_one_iteration() -> None:
    layer = layer_of(MAKERS["conv"])
    nn.init.normal_(layer.weight)
    matrix, u = layer.weight.detach().flatten(1), layer.u.clone()
    layer.advance()
    v = F.normalize(matrix.T @ u, dim=0)
    torch.testing.assert_close(layer.v, v, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.u, F.normalize(matrix @ v, dim=0), rtol=1e-12, atol=1e-12)


def test_iterations_follow_weights_that_move() -> None:
    layer = layer_of(MAKERS["conv"])
    nn.init.normal_(layer.weight)
    assert abs(sigma(layer) / largest(layer.weight) - 1) > 0.01
    advanced(layer)
    assert sigma(layer).item() == pytest.approx(largest(layer.weight).item(), rel=1e-9)
    nn.init.normal_(layer.weight)
    layer.settle()
    assert abs(sigma(layer) / largest(layer.weight) - 1) < 0.01


# --- forward ---


@every_layer
def test_forward_is_the_plain_layer_with_the_weight_divided(make) -> None:
    layer = layer_of(make)
    x = given(layer)
    weight = layer.weight / sigma(layer)
    if isinstance(layer, SpectralEmbedding):
        expected = weight[x]
    elif isinstance(layer, SpectralLinear):
        expected = x @ weight.T + (0 if layer.bias is None else layer.bias)
    else:
        expected = F.conv2d(x, weight, layer.bias, layer.stride, layer.padding)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@every_layer
def test_forward_changes_no_buffer(make) -> None:
    layer = layer_of(make)
    x = given(layer)
    before = copy.deepcopy(layer.state_dict())
    for net in (layer.train(), layer.eval()):
        first = net(x)
        first.sum().backward()
        assert torch.equal(net(x), first)
    assert all(torch.equal(tensor, before[key]) for key, tensor in layer.state_dict().items())
    assert set(before) == {"weight", "u", "v"} | ({"bias"} if getattr(layer, "bias", None) is not None else set())


# --- gradients ---


@every_layer
def test_the_gradient_is_that_of_the_spectral_norm_itself(make) -> None:
    """At convergence u v^T is the norm's derivative, so constant u and v lose nothing."""
    layer = advanced(layer_of(make))
    way = torch.randn_like(layer.weight)
    (found,) = torch.autograd.grad((layer.normalised() * way).sum(), layer.weight)
    weight = layer.weight.detach().clone().requires_grad_()
    exact = weight / torch.linalg.matrix_norm(weight.flatten(1), 2)
    (expected,) = torch.autograd.grad((exact * way).sum(), weight)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


@every_layer
def test_an_iteration_before_the_backward_pass_does_no_harm(make) -> None:
    layer = layer_of(make)
    x = given(layer)
    gradients = []
    for moved in (False, True):
        output = layer(x)
        (first,) = torch.autograd.grad(output.square().sum(), layer.weight, create_graph=True)
        if moved:
            nn.init.normal_(layer.u)
            advanced(layer, 3)
        gradients.append(torch.autograd.grad(first.square().sum(), layer.weight)[0])
    assert torch.equal(*gradients)


@every_layer
def test_first_and_second_derivatives(make) -> None:
    layer = layer_of(make)
    x = given(layer)

    def weighed(weight: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight}, (x,)).sum(dim=0)[..., :1]

    weight = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(weighed, weight)
    assert torch.autograd.gradgradcheck(weighed, weight)


# --- where it runs ---


def test_autocast_leaves_sigma_in_full_precision() -> None:
    torch.manual_seed(0)
    layer = SpectralConv2d(16, 16, 3, padding=1)
    x = torch.randn(2, 16, 8, 8)
    exact = layer.normalised()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.normalised(), exact)
        found = layer(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), layer(x), rtol=0.05, atol=0.05)


def test_the_layout_of_the_weight_changes_nothing() -> None:
    one = layer_of(MAKERS["conv"])
    other = channels_last(copy.deepcopy(one))
    assert other.weight.is_contiguous(memory_format=torch.channels_last)
    x = given(one)
    for _ in range(3):
        torch.testing.assert_close(other(x), one(x), rtol=1e-12, atol=1e-12)
        for layer in (one, other):
            with torch.no_grad():
                layer.weight.add_(torch.linspace(-1, 1, layer.weight.numel()).view(layer.weight.shape))
            layer.advance()
    torch.testing.assert_close(other.v, one.v, rtol=1e-12, atol=1e-12)


@every_layer
def test_without_numbers(make) -> None:
    with FakeTensorMode():
        layer = make()
        x = torch.zeros(2, dtype=torch.int64) if isinstance(layer, SpectralEmbedding) else given(layer).float()
        layer(x).sum().backward()
        layer.advance()
    with torch.device("meta"):
        assert make().u.device.type == "meta"


@every_layer
def test_it_starts_from_torchs_seed(make) -> None:
    one, same, other = (layer_of(make, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["weight"], other["weight"])
