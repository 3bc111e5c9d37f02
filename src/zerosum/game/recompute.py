"""Activation checkpointing (Chen et al. 2016): what a pass keeps for the backward pass is computed again there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Rewound:
    """While it is entered, these layers have copies of the buffers that they had when it was made.

    So what is computed again reads what was read the first time, and what it writes (batch norm's running statistics)
    is thrown away.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        modules = [module for layer in layers for module in layer.modules()]
        self.copies = [
            (module, name, buffer.clone())
            for module in modules
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]
        self.own: list[Tensor | None] = []

    def __enter__(self) -> None:
        self.own = [module._buffers[name] for module, name, _ in self.copies]
        for module, name, copy in self.copies:
            module._buffers[name] = copy.clone()  # for it may be entered again: a slope is a backward pass too

    def __exit__(self, *raised: object) -> None:
        for (module, name, _), buffer in zip(self.copies, self.own, strict=True):
            module._buffers[name] = buffer


def recomputed(
    function: Callable[..., Any], layers: Iterable[nn.Module], *given: Any, torch_random: bool = False
) -> Any:
    """``function(*given)``, which runs these layers; of what backward passes need only ``given`` is kept.

    The result is the same bit for bit, slopes of slopes included, as long as the layers' result depends on ``given``,
    their weights and their buffers alone (with ``torch_random``, on torch's global generator too), and until a backward
    pass the weights stay as they are and take gradients as they did. Layers do not change ``given`` in place.
    """
    if not torch.is_grad_enabled():
        return function(*given)
    contexts = contextlib.nullcontext(), Rewound(layers)
    return checkpoint(
        function, *given, use_reentrant=False, preserve_rng_state=torch_random, context_fn=lambda: contexts
    )
