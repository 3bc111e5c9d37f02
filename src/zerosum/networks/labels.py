"""How labels enter a network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

# One-hot numbers beside the latents (Mirza and Osindero 2014) | batch norm with gains and biases of each class.
GeneratorLabels = Literal["concat", "norm"]
# One-hot planes beside the picture's channels (cGAN) | the features' product with the class's own vector (Miyato and
# Koyama 2018) | an auxiliary classifier (ACGAN, Odena et al. 2017).
CriticLabels = Literal["concat", "projection", "classifier"]


def needed(labels: Tensor | None) -> Tensor:
    """The labels.

    Raises:
        ValueError: there are none.
    """
    if labels is None:
        raise ValueError("a conditional network needs labels (N,)")
    return labels


def appended(classes: int, labels: str) -> int:
    """How many one-hot numbers or planes stand beside what comes in."""
    return classes if labels == "concat" else 0


def append(x: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """``x`` (N, C, ...) -> (N, C + classes, ...): one-hot numbers, or planes of ones and zeros, appended.

    With 0 classes ``x`` itself, whatever the labels.
    """
    if classes == 0:
        return x
    hot = needed(labels)[:, None] == torch.arange(classes, device=x.device)
    planes = hot.to(x.dtype).view(len(x), classes, *[1] * (x.ndim - 2))
    return torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], dim=1)
