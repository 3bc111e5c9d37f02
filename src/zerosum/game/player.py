"""A player: a network, and how it moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.game.critic import Noise
from zerosum.game.recompute import recomputed
from zerosum.game.schedules import Clock, Schedule, value


@dataclass
class Player:
    """A network, the optimizer that moves it, and its learning rate. Weights that are frozen now stay frozen.

    Attributes:
        momentum: the optimizer's, where it changes.
        bfloat16: whether it computes in 16 bits, with weights, scores and pictures in 32.
        clip: after each step every weight is clamped to [-clip, clip] (Arjovsky et al. 2017).
        checkpoint: whether activations are computed again instead of being kept. Networks of our own do that in
            segments, where they have a switch ``recompute`` for it; another one is computed again as a whole.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    rate: Schedule
    momentum: Schedule | None = None
    clip: float | None = None
    bfloat16: bool = False
    checkpoint: bool = False

    def __post_init__(self) -> None:
        self._movable = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        # layers with a step of their own (spectral norm's power iteration), and with random numbers (dropout)
        self._advancing: list[Any] = [layer for layer in self.net.modules() if hasattr(layer, "advance")]
        self._random: list[Any] = [layer for layer in self.net.modules() if hasattr(layer, "noise")]
        switches: list[Any] = [layer for layer in self.net.modules() if hasattr(layer, "recompute")]
        for layer in switches:
            layer.recompute = self.checkpoint
        self._as_a_whole = self.checkpoint and not switches
        self.still = False

    def play(self, x: Tensor, labels: Tensor | None, noise: Noise) -> Any:
        """What the network makes of ``x``, with these random numbers."""
        for layer in self._random:
            layer.noise = noise
        if not self.bfloat16:
            return self._pass(x, labels)
        with torch.autocast(x.device.type, torch.bfloat16):
            return self._pass(x, labels)

    def _pass(self, x: Tensor, labels: Tensor | None) -> Any:
        if self._as_a_whole:
            return recomputed(self.net, [self.net], x, labels, torch_random=True)
        return self.net(x, labels)

    def step(self, clock: Clock) -> None:
        """Move along the gradients, and what follows from having moved."""
        for group in self.optimizer.param_groups:
            group["lr"] = value(self.rate, clock)
            if self.momentum is not None:
                group["momentum"] = value(self.momentum, clock)
        self.optimizer.step()
        if self.clip is not None:
            with torch.no_grad():
                for parameter in self._movable:
                    parameter.clamp_(-self.clip, self.clip)
        for layer in self._advancing:
            layer.advance()

    def hold(self, still: bool) -> None:
        """Let no gradient reach the weights (``still``), or let it again."""
        self.still = still
        for parameter in self._movable:
            parameter.requires_grad_(not still)


Players = Mapping[str, Player]


@contextmanager
def held(player: Player, *, still: bool) -> Iterator[None]:
    """Hold a player still, or let it move, for a while."""
    before = player.still
    player.hold(still)
    try:
        yield
    finally:
        player.hold(before)


@contextmanager
def only_moves(players: Players, name: str) -> Iterator[None]:
    """Hold every other player still: its weights take no gradient, and none is computed."""
    for other, player in players.items():
        player.hold(other != name)
    try:
        yield
    finally:
        for player in players.values():
            player.hold(False)
