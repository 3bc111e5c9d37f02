"""From a recipe's description of the players to networks with their first weights and the optimizers that move them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from zerosum import streams
from zerosum.game.player import Player
from zerosum.networks.layout import channels_last
from zerosum.recipe import SGD, Adam, Optimizer, Recipe, RMSprop


def build(
    recipe: Recipe, seed: int, device: torch.device, layout: torch.memory_format, *, captured: bool = False
) -> dict[str, Player]:
    """The players at the start: each one's weights are a function of the seed and its name.

    Optimizers that are ``captured`` in a CUDA graph keep all that changes on the device.
    """
    players = {}
    for name, spec in recipe.players.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.seed_of(seed, f"weights/{name}"))
            net = spec.net.build()
        if device.type != "cpu":  # they are made there, and FakeTensorMode cannot move them
            net = net.to(device)
        if layout == torch.channels_last:
            channels_last(net)
        momentum = spec.optimizer.momentum if isinstance(spec.optimizer, SGD) else None
        moved = optimizer(spec.optimizer, net.parameters(), captured=captured)
        players[name] = Player(
            net,
            moved,
            spec.optimizer.rate,
            momentum,
            spec.clip,
            bfloat16=recipe.precision == "bf16",
            checkpoint=recipe.checkpoint,
        )
    return players


def optimizer(spec: Optimizer, parameters: Iterable[nn.Parameter], *, captured: bool = False) -> torch.optim.Optimizer:
    """torch's own; the player sets its rate (and momentum) before each step."""
    match spec:
        case Adam():
            betas = spec.beta1, spec.beta2
            return torch.optim.Adam(parameters, lr=1.0, betas=betas, eps=spec.eps, fused=True, capturable=captured)
        case SGD():
            return torch.optim.SGD(parameters, lr=1.0, fused=True)
        case RMSprop():
            return torch.optim.RMSprop(
                parameters, lr=1.0, alpha=spec.decay, eps=spec.eps, foreach=True, capturable=captured
            )


def gate(player: Player, healthy: torch.Tensor) -> None:
    """Let the player's next step change no weight unless ``healthy`` (0-D, on the device) is 1."""
    if player.optimizer.defaults.get("fused"):
        # the fused optimizers' own switch: a step with found_inf set changes nothing
        setattr(player.optimizer, "found_inf", 1 - healthy)  # noqa: B010 - no typed field
    else:
        for parameter in player.net.parameters():
            if parameter.grad is not None:
                parameter.grad = torch.where(healthy > 0, parameter.grad, 0)
