"""Convolutions as products of matrices are the library's convolutions, with all their derivatives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zerosum.networks import convolution
from zerosum.networks.convolution import Products, convolve, products, spread

FORMS = [  # stride, padding, kernel, side: even and odd ones, with a line left over, and with a single place
    (1, 1, 3, 5),
    (2, 1, 4, 6),
    (2, 0, 5, 8),
    (2, 1, 3, 6),
    (1, 0, 4, 4),
    (3, 2, 5, 7),
]
CHOICES: list[Products] = ["weight", "all"]


@pytest.fixture
def choose(monkeypatch):
    def choose(chosen: Products) -> None:
        monkeypatch.setattr(convolution, "products", lambda *args, **kwargs: chosen)

    return choose


def given(channels: int, maps: int, kernel: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, channels, side, side + 1, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(maps, channels, kernel, kernel, dtype=torch.float64, requires_grad=True)
    return x, weight, torch.randn(maps, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize(("stride", "padding", "kernel", "side"), FORMS)
def test_products_are_the_convolution(choose, stride, padding, kernel, side, channels):
    x, weight, bias = given(channels, 5, kernel, side)
    expected = F.conv2d(x, weight, bias, stride, padding)
    slopes = torch.autograd.grad(expected.square().sum(), (x, weight, bias))
    for chosen in CHOICES:
        choose(chosen)
        found = convolve(x, weight, bias, stride, padding)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found.square().sum(), (x, weight, bias)), slopes)


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize(("stride", "padding", "kernel", "side"), FORMS)
def test_products_are_the_transposed_convolution(choose, stride, padding, kernel, side, channels):
    x, _, _ = given(5, 1, kernel, side)
    _, weight, bias = given(channels, 5, kernel, side)
    bias = bias[:1].expand(channels)
    expected = F.conv_transpose2d(x, weight, bias, stride, padding)
    slopes = torch.autograd.grad(expected.square().sum(), (x, weight))
    for chosen in CHOICES:
        choose(chosen)
        found = spread(x, weight, bias, stride, padding)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found.square().sum(), (x, weight)), slopes)


@pytest.mark.parametrize("function", [convolve, spread])
@pytest.mark.parametrize("chosen", CHOICES)
def test_second_derivatives(choose, function, chosen):
    choose(chosen)
    x, weight, _ = given(2, 2, 3, 2)
    assert torch.autograd.gradcheck(lambda x, weight: function(x, weight, None, 2, 1), (x, weight))
    assert torch.autograd.gradgradcheck(lambda x, weight: function(x, weight, None, 2, 1), (x, weight))


@pytest.mark.parametrize(
    ("kind", "size", "stride", "places", "quick", "expected"),
    [
        (torch.bfloat16, (512, 256, 4, 4), 2, 16, False, "all"),
        (torch.bfloat16, (256, 128, 4, 4), 2, 64, False, "weight"),
        (torch.bfloat16, (256, 256, 3, 3), 1, 64, False, "none"),
        (torch.bfloat16, (128, 64, 4, 4), 2, 256, False, "none"),
        (torch.float32, (512, 256, 4, 4), 2, 16, True, "all"),
        (torch.float32, (512, 256, 4, 4), 2, 16, False, "none"),
        (torch.float32, (256, 128, 4, 4), 2, 64, True, "none"),
        (torch.float32, (8, 4, 3, 3), 1, 16, True, "none"),
    ],
)
def test_what_pays(kind, size, stride, places, quick, expected):
    assert products(kind, size, stride, places, quick=quick) == expected


def test_it_goes_with_autocast():
    torch.manual_seed(0)
    layer = convolution.Conv2d(128, 256, 4, stride=2, padding=1)
    x = torch.randn(8, 128, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    expected = F.conv2d(x, layer.weight, layer.bias, 2, 1)
    assert (y.float() - expected).norm() < 0.01 * expected.norm()
    slope = torch.autograd.grad(expected.square().sum(), layer.weight)[0]
    assert (layer.weight.grad - slope).norm() < 0.02 * slope.norm()


@pytest.mark.parametrize("function", [convolve, spread])
def test_maps_keep_the_layout_of_pictures(choose, function):
    choose("all")
    x = torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(8, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    assert function(x, weight, None, 2, 1).is_contiguous(memory_format=torch.channels_last)
