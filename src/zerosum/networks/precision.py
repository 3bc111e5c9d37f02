"""Where a network that computes in 16 bits does not."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor


def full_precision(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Inside it operations on tensors like ``x`` keep their precision, whatever is asked for outside.

    For the last layers of a critic: a score of 8 significant bits would be too coarse.
    """
    if x.device.type == "meta":  # which knows no other precision
        return contextlib.nullcontext()
    return torch.autocast(x.device.type, enabled=False)
