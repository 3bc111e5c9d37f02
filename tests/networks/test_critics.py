"""What holds for every critic of the catalogue: what it returns, its slopes, and whether samples meet in it."""

from __future__ import annotations

import itertools
import typing

import torch
from small_networks import (
    CLASSES,
    CONV_SHAPES,
    COUNT,
    CRITICS,
    SHAPES,
    built,
    choices,
    every_critic,
    given,
    shape_of,
    spec_of,
    still,
    stirred,
)
from torch import Tensor, nn

from zerosum.game.critic import Output, output_of, slopes_of
from zerosum.networks import CATALOGUE
from zerosum.networks.minibatch import Deviation, Discrimination


@every_critic
def test_critics_return_an_output(name: str, fields: dict) -> None:
    for shape in CONV_SHAPES if "Conv" in name else SHAPES:
        spec = spec_of(name, shape, **fields)
        with torch.no_grad():
            output = built(spec)(*given(spec, dtype=torch.float32))
        assert isinstance(output, Output)
        assert output.scores.shape == (COUNT,)
        assert output.scores.isfinite().all()
        assert output.features is not None
        assert len(output.features) == COUNT
        assert output.features.ndim in (2, 4)
        if fields.get("labels") == "classifier":
            assert output.logits is not None
            assert output.logits.shape == (COUNT, CLASSES)
        else:
            assert output.logits is None


@every_critic
def test_slopes_can_be_differentiated(name: str, fields: dict) -> None:
    """The penalty's gradient against a difference of penalties, along one direction of the weights."""
    spec = spec_of(name, **fields)
    net = still(stirred(spec))
    x, labels = given(spec)

    def penalty() -> Tensor:
        return slopes_of(lambda point: net(point, labels), x).squared_norms().mean()

    parameters = list(net.parameters())
    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True, materialize_grads=True)
    assert all(gradient.isfinite().all() for gradient in gradients)
    directions = [torch.randn_like(parameter) for parameter in parameters]
    expected = sum((gradient * way).sum() for gradient, way in zip(gradients, directions, strict=True))
    step, ends = 1e-7, []
    for sign in (1, -2):
        with torch.no_grad():
            for parameter, way in zip(parameters, directions, strict=True):
                parameter.add_(sign * step * way)
        ends.append(penalty().detach())
    torch.testing.assert_close((ends[0] - ends[1]) / (2 * step), expected, rtol=1e-3, atol=1e-4)


@every_critic
def test_samples_meet_in_batch_norm_and_minibatch_layers_alone(name: str, fields: dict) -> None:
    spec = spec_of(name, **fields)
    layers = list(spec.build().modules())
    meets = any(isinstance(layer, nn.modules.batchnorm._BatchNorm | Deviation | Discrimination) for layer in layers)
    net = still(stirred(spec))
    x, labels = given(spec)
    scores = net(x, labels).scores
    changed = torch.cat([x[:-1], 2 * torch.randn_like(x[-1:])])
    difference = (net(changed, labels).scores - scores).abs()
    assert difference[-1] > 1e-6
    assert (difference[:-1].max() > 1e-6) == meets
    assert output_of(lambda point: net(point, labels), x).scores.shape == (COUNT,)


def test_all_pairs_of_norm_and_minibatch_can_be_built() -> None:
    for name in CRITICS:
        if {"norm", "minibatch"} <= choices(name).keys():
            hints = typing.get_type_hints(CATALOGUE[name])
            for norm, minibatch in itertools.product(*(typing.get_args(hints[key]) for key in ("norm", "minibatch"))):
                spec = spec_of(name, norm=norm, minibatch=minibatch, labels="projection", classes=CLASSES)
                with torch.device("meta"):
                    net = spec.build()
                    x = torch.empty(COUNT, *shape_of(spec))
                    assert net(x, torch.zeros(COUNT, dtype=torch.int64)).scores.shape == (COUNT,)
