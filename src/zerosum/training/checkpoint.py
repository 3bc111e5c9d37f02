"""Everything a training is at one moment, as named tensors, and back.

What is loaded is copied *into* existing tensors: fused Adam reads memory in storage order, so a moment whose strides
differ from its weight's (channels_last, say) would silently be applied to the wrong weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zerosum.errors import UserError
from zerosum.game.player import Players
from zerosum.game.terms import Memory
from zerosum.recipe import Recipe
from zerosum.training.ema import Average


def gather(players: Players, average: Average, memory: Memory) -> dict[str, Tensor]:
    """Weights, buffers, optimizer moments, the average and the memory by name."""
    tensors: dict[str, Tensor] = {}
    for role, player in players.items():
        tensors |= {f"{role}.net.{name}": tensor for name, tensor in player.net.state_dict().items()}
        for name, parameter in player.net.named_parameters():
            moments = player.optimizer.state.get(parameter, {})
            tensors |= {f"{role}.optimizer.{name}.{key}": moment for key, moment in moments.items()}
    tensors |= {f"ema.{name}": tensor for name, tensor in average.weights.items()}
    tensors |= {f"memory.{name}": tensor for name, tensor in memory.items()}
    return tensors


def check_fits(tensors: Mapping[str, Tensor], recipe: Recipe) -> None:
    """Whether a gathered state belongs to networks of this recipe.

    Raises:
        UserError: a tensor is missing or has another shape.
    """
    for role, spec in recipe.players.items():
        with torch.random.fork_rng(devices=[]):
            net = spec.net.build()
        for name, tensor in net.state_dict().items():
            _check(tensors, f"{role}.net.{name}", tensor)


@torch.no_grad()
def restore(tensors: Mapping[str, Tensor], players: Players, average: Average, memory: Memory) -> Memory:
    """Copy a gathered state into players and average, and return the memory.

    Raises:
        UserError: a tensor is missing or has another shape (the state belongs to another recipe).
    """

    def load(into: Tensor, name: str) -> None:
        into.copy_(_check(tensors, name, into))

    for role, player in players.items():
        for name, tensor in player.net.state_dict().items():
            load(tensor, f"{role}.net.{name}")
        for name, parameter in player.net.named_parameters():
            prefix = f"{role}.optimizer.{name}."
            for key in (key.removeprefix(prefix) for key in tensors if key.startswith(prefix)):
                saved = tensors[prefix + key]
                if saved.ndim == parameter.ndim and saved.shape == parameter.shape:
                    moment = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                else:  # Adam's step
                    moment = torch.zeros_like(saved, device=parameter.device)
                load(moment, prefix + key)
                player.optimizer.state[parameter][key] = moment
    for name, tensor in average.weights.items():
        load(tensor, f"ema.{name}")
    device = next(iter(average.weights.values())).device
    return {name.removeprefix("memory."): tensors[name].to(device) for name in tensors if name.startswith("memory.")}


def _check(tensors: Mapping[str, Tensor], name: str, like: Tensor) -> Tensor:
    found = tensors.get(name)
    if found is None or found.shape != like.shape:
        what = "is missing" if found is None else f"has shape {tuple(found.shape)}, not {tuple(like.shape)}"
        raise UserError(f"The saved state does not fit this recipe: {name} {what}.")
    return found
