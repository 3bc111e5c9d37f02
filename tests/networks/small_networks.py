"""Small networks of every kind in the catalogue, in every form, for the tests that all of them share."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from zerosum.game.critic import Output
from zerosum.networks import CATALOGUE
from zerosum.networks.dropout import Dropout

COUNT, CLASSES, LATENT = 4, 3, 5
SMALL = {"width": 3, "latent": LATENT, "units": 4, "most": 2}
SHAPES = [(12, 8, 3), (10, 14, 1), (32, 32, 4)]  # width, height, channels
CONV_SHAPES = [(14, 11, 3), (20, 14, 1), (32, 32, 4)]  # of the convolutional pair of 2014
GENERATORS = [name for name in CATALOGUE if "Generator" in name]
CRITICS = [name for name in CATALOGUE if name not in GENERATORS]


def choices(name: str) -> dict[str, list[Any]]:
    """A network's fields and what each may be besides what it is."""
    found = {}
    hints = typing.get_type_hints(CATALOGUE[name])
    for field in dataclasses.fields(CATALOGUE[name]):
        if typing.get_origin(hints[field.name]) is Literal:
            found[field.name] = [value for value in typing.get_args(hints[field.name]) if value != field.default]
        elif hints[field.name] is bool:
            found[field.name] = [not field.default]
    return found


def spec_of(name: str, shape: tuple[int, int, int] | None = None, **fields: Any) -> Any:
    """A small network of that name."""
    known = inspect.signature(CATALOGUE[name]).parameters
    width, height, channels = shape or (CONV_SHAPES if "Conv" in name else SHAPES)[0]
    values = SMALL | {"image_width": width, "image_height": height, "channels": channels}
    return CATALOGUE[name](**{key: value for key, value in values.items() if key in known} | fields)


def variants(name: str) -> list[dict[str, Any]]:
    """The network as it stands, each field changed alone, and labels in every way."""
    changed = choices(name)
    known = inspect.signature(CATALOGUE[name]).parameters
    found: list[dict[str, Any]] = [{}]
    found += [{field: value} for field, values in changed.items() if field != "labels" for value in values]
    if "labels" in known:
        hints = typing.get_type_hints(CATALOGUE[name])
        found += [{"classes": CLASSES, "labels": value} for value in typing.get_args(hints["labels"])]
        if "projection" in typing.get_args(hints["labels"]) and "norm" in known:
            found += [{"classes": CLASSES, "labels": "projection", "norm": "spectral", "minibatch": "deviation"}]
            found += [{"classes": CLASSES, "labels": "classifier", "norm": "batch", "minibatch": "discrimination"}]
        if "first_norm" in known:
            found += [{"classes": CLASSES, "labels": "norm", "first_norm": "feature"}]
    elif "classes" in known:
        found += [{"classes": CLASSES}]
    return found


def cases(names: list[str]) -> list[Any]:
    return [
        pytest.param(name, fields, id="-".join([name, *(str(value) for value in fields.values())]))
        for name in names
        for fields in variants(name)
    ]


every_network = pytest.mark.parametrize(("name", "fields"), cases(list(CATALOGUE)))
every_generator = pytest.mark.parametrize(("name", "fields"), cases(GENERATORS))
every_critic = pytest.mark.parametrize(("name", "fields"), cases(CRITICS))


def built(spec: Any, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return spec.build()


def stirred(spec: Any) -> nn.Module:
    """A network whose weights are all away from where they start (some start at zero), in float64."""
    net = built(spec).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for module in net.modules():
            if hasattr(module, "settle"):
                module.settle()
    return net


def shape_of(spec: Any) -> tuple[int, ...]:
    return (spec.dims,) if hasattr(spec, "dims") else (spec.channels, spec.image_height, spec.image_width)


def given(spec: Any, count: int = COUNT, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor | None]:
    """What a network is given: latents or samples, and labels where it takes them."""
    shape = (spec.latent,) if hasattr(spec, "latent") else shape_of(spec)
    labels = torch.arange(count) % CLASSES if spec.classes else None
    return torch.randn(count, *shape, dtype=dtype), labels


class SameNoise:
    """The same numbers at each question of one shape."""

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=torch.Generator().manual_seed(1))

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def still(net: nn.Module) -> nn.Module:
    """Let a network's dropout draw the same numbers each time."""
    for module in net.modules():
        if isinstance(module, Dropout):
            module.noise = SameNoise()
    return net


def first_of(output: Tensor | Output) -> Tensor:
    return output if isinstance(output, Tensor) else output.scores
