"""A training whose activations are computed again: the same training in less memory."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zerosum import conformance
from zerosum.errors import UserError
from zerosum.plan import Request, make_plan
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes import CATALOGUE, compose
from zerosum.run import Run
from zerosum.training import checkpoint, fixed
from zerosum.training.captured import Captured
from zerosum.training.cost import cost
from zerosum.training.engine import refusal
from zerosum.training.trainer import Budget, Choices, Trainer


def small(name: str, **fields: Any) -> Recipe:
    dials = {"width": 10} if name == "goodfellow2014" else {"width": 4}
    recipe = CATALOGUE[name](resolution=(16, 16), channels=1, **dials, batch=8, images=800)
    return dataclasses.replace(recipe, **fields)


def trainers(recipe: Recipe, folder: Path) -> tuple[Trainer, Trainer]:
    """Without and with."""
    pictures = conformance.noise(recipe)
    recipes = recipe, dataclasses.replace(recipe, checkpoint=True)
    one, two = (Trainer(each, pictures, Run(folder), 0, Choices()) for each in recipes)
    return one, two


def state(one: Trainer) -> dict[str, Tensor]:
    gradients = {
        f"{name}.{key}.grad": parameter.grad
        for name, player in one.players.items()
        for key, parameter in player.net.named_parameters()
        if parameter.grad is not None
    }
    return {**checkpoint.gather(one.players, one.average, one.memory), **one.sums, **gradients}


def assert_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("dcgan", {"precision": "bf16"}),
        ("goodfellow2014", {"precision": "bf16"}),
        ("modern", {"precision": "bf16", "accumulate": 4}),
    ],
    ids=str,
)
def test_in_16_bits_and_in_parts(name: str, fields: dict[str, Any], tmp_path: Path) -> None:
    """Losses, gradients, buffers and weights, bit for bit; in 32 bits the check of conformance sees to it."""
    one, two = trainers(small(name, **fields), tmp_path)
    for each in (one, two):
        for _ in range(2):
            each.play_round(Budget(800))
    assert_same(state(one), state(two))


@pytest.mark.parametrize("name", ["dcgan", "goodfellow2014"])
def test_a_round_from_tensors_that_stay_computes_again_too(name: str, tmp_path: Path) -> None:
    """What the engine graph captures."""
    one, two = trainers(small(name), tmp_path)
    two.engine = Captured(fixed.ramps(two.recipe), captures=False)
    for each in (one, two):
        for _ in range(3):
            each.play_round(Budget(800))
    assert_same(state(one), state(two))


def test_a_compiler_is_refused_in_words() -> None:
    for name in ("dcgan", "modern"):
        assert "(checkpoint=true)" in (refusal("compile", small(name, checkpoint=True), "cuda") or "")
        assert refusal("compile", small(name), "cuda") is None
        assert refusal("graph", small(name, checkpoint=True), "cuda") is None
    settings = {"checkpoint": "true"}
    assert make_plan(Request("digits", settings=settings)).recipe.checkpoint
    with pytest.raises(UserError, match="--engine compile is not possible: torch's compiler does not follow"):
        make_plan(Request("digits", settings=settings, engine="compile"))


class Peak(TorchDispatchMode):
    """The most bytes of tensors that were there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and (key := tensor.untyped_storage()._cdata) not in self.alive:
                size = tensor.untyped_storage().nbytes()
                self.alive.add(key)
                self.now += size
                weakref.finalize(tensor.untyped_storage(), self._ends, key, size)
        self.most = max(self.most, self.now)
        return out

    def _ends(self, key: int, size: int) -> None:
        self.alive.remove(key)
        self.now -= size


@pytest.mark.parametrize(("name", "share"), [("dcgan", 0.55), ("modern", 0.75)])
def test_a_round_takes_less_memory(name: str, share: float, tmp_path: Path) -> None:
    """At published widths, without memory: the peak above weights and what the optimizers keep."""
    recipe = CATALOGUE[name](resolution=(64, 64), channels=3, images=6400)
    above = []
    with FakeTensorMode(), mock.patch("torch.nn.init.trunc_normal_"):
        for one in trainers(recipe, tmp_path):
            with Peak() as peak:
                one.play_round(Budget(6400))
                above.append(peak.most - peak.now)
    assert above[1] < share * above[0]


def test_what_is_computed_again_is_counted() -> None:
    recipe = small("dcgan")
    once, again = (
        cost(dataclasses.replace(recipe, checkpoint=on), conformance.noise(recipe)).operations for on in (False, True)
    )
    assert 1.1 * once < again < 1.4 * once


class Stranger(nn.Module):
    """A critic with all that torch offers to make a second pass another one."""

    def __init__(self) -> None:
        super().__init__()
        first = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(64, 8))
        self.layers = nn.Sequential(nn.Flatten(), first, nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(inplace=True))
        self.last = nn.Linear(8, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.last(self.layers(x)).squeeze(1)


@dataclasses.dataclass(frozen=True)
class Own:
    def build(self) -> nn.Module:
        return Stranger()


def test_a_strangers_network_is_computed_again_as_a_whole(tmp_path: Path) -> None:
    base = compose((8, 8), 1, width=2, latent_size=4, batch=8, images=800, norm="batch", loss="hinge")
    players = {**base.players, "critic": PlayerSpec(Own(), Adam(1e-2))}
    found = []
    for one in trainers(dataclasses.replace(base, players=players), tmp_path):
        torch.manual_seed(0)
        for _ in range(3):
            one.play_round(Budget(800))
        found.append(state(one))
    assert_same(*found)
