"""The running average of the generator, and the batch-norm statistics that belong to it."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from zerosum.recipe import EMA


class Average:
    """Averaged weights with a half-life in images (Karras et al. 2020): w <- b w + (1 - b) now, b = 0.5^(batch / h)."""

    def __init__(self, net: nn.Module, spec: EMA) -> None:
        self.spec = spec
        self.weights = {name: tensor.detach().clone() for name, tensor in net.named_parameters()}

    @torch.no_grad()
    def update(self, net: nn.Module, images: int, batch: int) -> None:
        """Move towards the network after ``batch`` more images; ``images`` counts them in."""
        half_life = min(self.spec.half_life, self.spec.ramp * images) if self.spec.ramp > 0 else self.spec.half_life
        kept = 0.5 ** (batch / max(half_life, 1e-8))
        now = dict(net.named_parameters())
        torch._foreach_lerp_(list(self.weights.values()), [now[name].detach() for name in self.weights], 1 - kept)

    @torch.no_grad()
    def network(self, net: nn.Module, batches: Iterable[tuple[Tensor, Tensor | None]]) -> nn.Module:
        """A copy of the generator with averaged weights, ready to sample from (eval mode).

        Statistics of batch norm belong to the weights that made them, so they are estimated anew for the averaged
        weights, as plain means over ``batches`` of (latents, labels). Other buffers are copied.
        """
        average = copy.deepcopy(net)
        for name, parameter in average.named_parameters():
            parameter.copy_(self.weights[name])
        re_estimate(average, batches)
        return average.eval().requires_grad_(False)


@torch.no_grad()
def re_estimate(net: nn.Module, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Replace the statistics of every batch norm by their mean over ``batches``; nothing happens without batch norm."""
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    net.train()
    for latents, labels in batches:
        net(latents, labels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
