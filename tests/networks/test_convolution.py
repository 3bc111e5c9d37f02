"""Convolutions as products of matrices are the library's convolutions, with all their derivatives."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.networks import convolution
from zerosum.networks.convolution import Conv2d, ConvTranspose2d, Products, convolve, products, spread

FORMS = [  # stride, padding, kernel, side: even and odd ones, with a line left over, and with a single place
    (1, 1, 3, 5),
    (2, 1, 4, 6),
    (2, 0, 5, 8),
    (2, 1, 3, 6),
    (1, 0, 4, 4),
    (3, 2, 5, 7),
    (2, 0, 4, 5),
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
        (torch.bfloat16, (512, 256, 4, 4), 2, 16, True, "all"),
        (torch.bfloat16, (512, 256, 4, 4), 2, 16, False, "none"),
        (torch.bfloat16, (256, 128, 4, 4), 2, 64, True, "weight"),
        (torch.bfloat16, (256, 256, 3, 3), 1, 64, True, "none"),
        (torch.bfloat16, (128, 64, 4, 4), 2, 256, True, "none"),
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


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("odd", [{"dilation": 2}, {"padding_mode": "circular"}, {"groups": 2}, {"output_padding": 1}])
def test_what_is_not_plain_is_the_librarys(choose, layer, odd):
    choose("all")
    transposed = layer is nn.ConvTranspose2d
    if ("output_padding" in odd and not transposed) or ("padding_mode" in odd and transposed):
        return
    own = ConvTranspose2d if transposed else Conv2d
    torch.manual_seed(0)
    one, other = layer(4, 4, 3, 2, 1, **odd), own(4, 4, 3, 2, 1, **odd)
    other.load_state_dict(one.state_dict())
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(other(x), one(x))


@pytest.mark.parametrize("chosen", CHOICES)
def test_what_comes_out_may_be_changed_in_place(choose, chosen):
    choose(chosen)
    for layer in (Conv2d(3, 4, 4, 2, 1, bias=False), ConvTranspose2d(3, 4, 4, 2, 1, bias=False)):
        x = torch.randn(2, 3, 4, 4, requires_grad=True)
        nn.functional.leaky_relu(layer(x), 0.2, inplace=True).sum().backward()
        assert x.grad is not None


def test_a_slope_at_the_pictures_computes_none_at_the_weights(choose, monkeypatch):
    choose("all")
    asked = []
    apply = convolution._Weight.apply
    monkeypatch.setattr(convolution._Weight, "apply", lambda *given: asked.append(1) or apply(*given))
    layers = nn.Sequential(Conv2d(3, 4, 3, 1, 1), nn.Tanh(), Conv2d(4, 2, 3, 1, 1))
    x = torch.randn(2, 3, 5, 5, requires_grad=True)
    (slope,) = torch.autograd.grad(layers(x).square().sum(), x, create_graph=True)
    assert not asked
    slope.square().sum().backward()
    exact = [parameter.grad.clone() for parameter in layers.parameters()]
    assert asked
    choose("none")
    layers.zero_grad()
    (slope,) = torch.autograd.grad(layers(x).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    torch.testing.assert_close(exact, [parameter.grad for parameter in layers.parameters()])


def test_no_pictures_tracing_and_functional_slopes_are_the_librarys(choose):
    choose("all")
    layer = Conv2d(3, 4, 3, 1, 1)
    assert layer(torch.zeros(0, 3, 5, 5)).shape == (0, 4, 5, 5)
    x = torch.randn(2, 3, 5, 5)
    assert torch.func.grad(lambda x: layer(x).sum())(x).shape == x.shape
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own tracing is deprecated
        torch.testing.assert_close(torch.jit.trace(layer, x)(x), layer(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.double()(x.double()).dtype == torch.float64
