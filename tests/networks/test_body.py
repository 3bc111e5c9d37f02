"""How bodies are cut, and that every network computes again what it computed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from small_networks import CRITICS, GENERATORS, built, every_network, first_of, given, spec_of
from torch import Tensor, nn

from zerosum.networks import CATALOGUE
from zerosum.networks.body import run, segments
from zerosum.networks.dropout import Dropout
from zerosum.networks.norms import ConditionalBatchNorm2d


class Drawn:
    """Other numbers at each question."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)


def lengths(*layers: nn.Module) -> list[int]:
    cut = segments(layers)
    assert [layer for segment in cut for layer in segment] == list(layers)
    return [len(segment) for segment in cut]


def test_where_a_body_is_cut() -> None:
    conv, act, norm = nn.Conv2d(2, 2, 1), nn.ReLU(inplace=True), ConditionalBatchNorm2d(2, 3)
    block, drop = nn.Sequential(conv, act), Dropout(0.5)
    assert lengths(conv) == [1]
    assert lengths(*[conv, norm, act] * 2) == [3, 3]
    assert lengths(*[conv, norm, act] * 3) == [6, 3]
    assert lengths(*[conv, norm, act] * 4) == [6, 6]
    assert lengths(*[conv, norm, act] * 10) == [9, 9, 9, 3]
    assert lengths(nn.Flatten(), conv, act, conv, act) == [3, 2]  # what leads in goes with the first
    assert lengths(block, block, nn.AvgPool2d(2), conv, block, act) == [1, 3, 2]
    assert lengths(conv, block, block) == [2, 1]
    assert lengths(drop, conv, act, drop, drop, conv, act, block) == [1, 2, 1, 1, 3]
    assert lengths(nn.Sequential(drop), conv) == [1, 1]
    assert lengths(act, norm) == [2]


def owners(net: nn.Module) -> list[Any]:
    return [module for module in net.modules() if hasattr(module, "recompute")]


def played(net: nn.Module, inputs: tuple[Tensor, Tensor | None], *, recompute: bool) -> dict[str, Tensor]:
    """A loss of outputs and slopes, and everything that comes of it."""
    for owner in owners(net):
        owner.recompute = recompute
    noise = Drawn()
    for module in net.modules():
        if hasattr(module, "noise"):
            module.noise = noise
    x = inputs[0].clone().requires_grad_()
    output = net(x, inputs[1])
    parts = [part for part in (output if isinstance(output, tuple) else (output,)) if part is not None]
    score = sum(part.square().sum() for part in parts)
    (slopes,) = torch.autograd.grad(score, x, create_graph=True)
    loss = score + slopes.square().sum() + first_of(net(inputs[0] / 2, inputs[1])).sum()
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}
    return {"loss": loss.detach(), "slopes": slopes.detach(), **gradients, **dict(net.named_buffers())}


@every_network
def test_every_network_computes_again_what_it_computed(name: str, fields: dict[str, Any]) -> None:
    """Losses, slopes, gradients and buffers bit for bit; dropout draws no other numbers."""
    net = built(spec := spec_of(name, **fields))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # some start at zero
    assert len(owners(net)) == 1
    inputs = given(spec, dtype=torch.float32)
    plain, found = (played(copy.deepcopy(net), inputs, recompute=recompute) for recompute in (False, True))
    assert plain.keys() == found.keys()
    assert [key for key in plain if not torch.equal(plain[key], found[key])] == []


def kept(net: nn.Module, inputs: tuple[Tensor, Tensor | None], *, recompute: bool) -> int:
    """Bytes that wait for the backward pass, weights aside."""
    for owner in owners(net):
        owner.recompute = recompute
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = first_of(net(*inputs))
    assert output.requires_grad
    return sum(found.values())


@pytest.mark.parametrize("name", [name for name in (*GENERATORS, *CRITICS) if not name.startswith("Goodfellow")])
def test_less_is_kept(name: str) -> None:
    sizes = {"width": 8, "image_width": 32, "image_height": 32, "layers": 9, "latent": 8}
    net = built(spec := CATALOGUE[name](**{key: sizes[key] for key in sizes if key in CATALOGUE[name].__annotations__}))
    inputs = given(spec, count=8, dtype=torch.float32)
    plain, less = (kept(net, inputs, recompute=recompute) for recompute in (False, True))
    assert less <= 0.65 * plain


def test_gradients_off_is_a_plain_pass() -> None:
    layers = [nn.Linear(2, 2), nn.BatchNorm1d(2)]
    with torch.no_grad():
        assert not run(layers, torch.randn(4, 2), recompute=True).requires_grad
    assert layers[1].num_batches_tracked == 1
