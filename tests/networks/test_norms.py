"""Conditional batch norm and layer norm against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zerosum.networks.norms import ConditionalBatchNorm2d, critic_norm, generator_norm, layer_norm
from zerosum.training.ema import re_estimate

LABELS = torch.tensor([2, 0, 0, 1, 2])


def conditional() -> ConditionalBatchNorm2d:
    torch.manual_seed(0)
    norm = ConditionalBatchNorm2d(4, 3).double()
    nn.init.normal_(norm.gain)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("places", [(), (6, 5)], ids=["numbers", "maps"])
def test_conditional_batch_norm_is_batch_norm_with_the_classs_own_gain_and_bias(places: tuple[int, ...]) -> None:
    norm = conditional()
    x = 3 + 2 * torch.randn(5, 4, *places, dtype=torch.float64)
    over = [0, *range(2, x.ndim)]
    mean, variance = x.mean(over, keepdim=True), x.var(over, correction=0, keepdim=True)
    normed = (x - mean) / (variance + 1e-5).sqrt()
    for index, label in enumerate(LABELS):
        own = [table[label].view(-1, *[1] * len(places)) for table in (norm.gain, norm.bias)]
        torch.testing.assert_close(norm(x, LABELS)[index], own[0] * normed[index] + own[1])


def test_it_starts_as_batch_norm() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 4, 3, 3)
    norm, plain = ConditionalBatchNorm2d(4, 3), nn.BatchNorm2d(4)
    torch.testing.assert_close(norm(x, LABELS), plain(x))
    torch.testing.assert_close(norm.eval()(x, LABELS), plain.eval()(x))
    assert torch.equal(norm.gain, torch.ones(3, 4))
    assert torch.equal(norm.bias, torch.zeros(3, 4))


def test_it_needs_labels() -> None:
    with pytest.raises(ValueError, match="needs labels"):
        conditional()(torch.randn(5, 4, 2, 2), None)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = ConditionalBatchNorm2d(4, 3)

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        return self.norm(latents, labels)


def test_its_statistics_are_estimated_anew_for_averaged_weights() -> None:
    torch.manual_seed(0)
    net = Net()
    batches = [(2 + 3 * torch.randn(5, 4, 8, 8), LABELS) for _ in range(4)]
    re_estimate(net, batches)
    every = torch.stack([latents for latents, _ in batches])
    torch.testing.assert_close(net.norm.norm.running_mean, every.mean((0, 1, 3, 4)))
    torch.testing.assert_close(net.norm.norm.running_var, every.var((1, 3, 4)).mean(0))


def test_layer_norm_is_over_channels_and_places_with_a_gain_and_bias_per_channel() -> None:
    torch.manual_seed(0)
    norm = layer_norm(4).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    assert sum(parameter.numel() for parameter in norm.parameters()) == 8
    for places in ((), (6, 5)):
        x = 3 + 2 * torch.randn(5, 4, *places, dtype=torch.float64)
        for sample, found in zip(x, norm(x), strict=True):
            normed = (sample - sample.mean()) / (sample.var(correction=0) + 1e-5).sqrt()
            gain, bias = (table.view(-1, *[1] * len(places)) for table in (norm.weight, norm.bias))
            torch.testing.assert_close(found, gain * normed + bias)


def test_what_the_fields_ask_for() -> None:
    assert [type(layer) for layer in critic_norm("batch", 4)] == [nn.BatchNorm2d]
    assert [type(layer) for layer in critic_norm("layer", 4)] == [nn.GroupNorm]
    assert critic_norm("none", 4) == critic_norm("spectral", 4) == generator_norm("none", 4, 3, "norm") == []
    for classes, labels, kind in ((0, "norm", nn.BatchNorm2d), (3, "concat", nn.BatchNorm2d)):
        assert [type(layer) for layer in generator_norm("batch", 4, classes, labels)] == [kind]
    assert [type(layer) for layer in generator_norm("batch", 4, 3, "norm")] == [ConditionalBatchNorm2d]
