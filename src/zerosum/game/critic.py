"""What a critic is to the game: a function from pictures to scores, and whatever else it tells about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

# A critic maps pictures (N, ...) to scores (N,), or to a NamedTuple whose first field is the scores, such as Output.
Critic = Callable[[Tensor], Any]


class Output(NamedTuple):
    """What a critic says about pictures.

    Attributes:
        scores: one number per picture, (N,).
        features: what the scores were made of, (N, ...).
        logits: of an auxiliary classifier, (N, classes).
    """

    scores: Tensor
    features: Tensor | None = None
    logits: Tensor | None = None


def full(x: Tensor) -> Tensor:
    """``x`` in at least 32 bits: losses, slopes and statistics are never taken in fewer."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Noise(Protocol):
    """Where random numbers come from; the trainer's are a function of (seed, position)."""

    def uniform(self, *shape: int) -> Tensor: ...

    def normal(self, *shape: int) -> Tensor: ...


class TorchNoise(NamedTuple):
    """Noise from torch's global generator: for loops of one's own and for tests."""

    like: Tensor

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, dtype=self.like.dtype, device=self.like.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, dtype=self.like.dtype, device=self.like.device)


class Slopes(NamedTuple):
    """The critic's ``output`` and ``slopes`` = d scores_i / d x_i in the shape of x, differentiable once more."""

    output: Output
    slopes: Tensor

    @property
    def scores(self) -> Tensor:
        """(N,)."""
        return self.output.scores

    def squared_norms(self) -> Tensor:
        """Squared length of each sample's slope, (N,)."""
        return full(self.slopes).flatten(1).square().sum(dim=1)


def output_of(critic: Critic, x: Tensor) -> Output:
    """What a critic says about ``x``, whatever form it says it in; scores and logits in at least 32 bits.

    Raises:
        ValueError: its scores are not of shape (N,).
    """
    output = critic(x)
    scores = output if isinstance(output, Tensor) else output[0]
    if scores.ndim != 1:
        raise ValueError(f"a critic returns scores of shape (N,), not {tuple(scores.shape)}")
    if not isinstance(output, Output):
        return Output(full(scores))
    return output._replace(scores=full(scores), logits=None if output.logits is None else full(output.logits))


def slopes_of(critic: Critic, x: Tensor) -> Slopes:
    """Output at ``x`` and its scores' derivative. Where samples influence each other (batch norm, minibatch layers)
    it is the slope of all scores together, which R1 and DRAGAN are played with and WGAN-GP's argument does not allow.
    """
    point = x.detach().requires_grad_()
    output = output_of(critic, point)
    (slopes,) = torch.autograd.grad(output.scores.sum(), point, create_graph=True)
    return Slopes(output, slopes)
