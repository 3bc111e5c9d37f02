"""The body of a network: layers in a row, whose activations are kept for the backward pass or computed again."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from zerosum.game.recompute import recomputed
from zerosum.networks.norms import ConditionalBatchNorm2d


def run(layers: Iterable[nn.Module], x: Tensor, labels: Tensor | None = None, *, recompute: bool = False) -> Tensor:
    """Layer after layer, as ``nn.Sequential``, with the labels for those that take them.

    With ``recompute`` nothing is kept but what goes into each of the ``segments``.
    """
    if not recompute:
        return _run(layers, x, labels)
    for segment in segments(list(layers)):
        if _is_random(segment[0]):
            x = _run(segment, x, labels)
        else:
            x = recomputed(functools.partial(_run, segment), segment, x, labels)
    return x


def segments(layers: Sequence[nn.Module]) -> list[list[nn.Module]]:
    """The same layers, cut into what is computed again together.

    A layer that draws random numbers stands alone, for it is never computed again: it would draw others. Between them
    every layer that is made of layers (a block) begins a segment; where there are none, each sqrt(n)-th of n layers
    with weights. So none begins with an activation, which may change what it is given in place; networks put no such
    activation right behind a random layer.
    """
    stretches: list[list[nn.Module]] = []
    for layer in layers:
        if not stretches or _is_random(layer) or _is_random(stretches[-1][0]):
            stretches.append([])
        stretches[-1].append(layer)
    return [segment for stretch in stretches for segment in _cut(stretch)]


def _cut(layers: list[nn.Module]) -> list[list[nn.Module]]:
    heads = [index for index, layer in enumerate(layers) if _is_block(layer)]
    if not heads:
        heads = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd)]
        heads = heads[:: max(1, round(math.sqrt(len(heads))))]
    return [layers[begin:end] for begin, end in itertools.pairwise([0, *heads[1:], len(layers)])]


def _is_block(layer: nn.Module) -> bool:
    return any(True for _ in layer.children()) and not isinstance(layer, ConditionalBatchNorm2d)


def _is_random(layer: nn.Module) -> bool:
    """Whether it, or a layer in it, draws from a ``noise``."""
    return any(hasattr(module, "noise") for module in layer.modules())


def _run(layers: Iterable[nn.Module], x: Tensor, labels: Tensor | None) -> Tensor:
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            x = _run(layer, x, labels)
        else:
            x = layer(x, labels) if getattr(layer, "takes_labels", False) else layer(x)
    return x
