"""Where a network that computes in fewer bits does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor


def full_precision(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Inside it operations on tensors like ``x`` keep their precision, whatever is asked for outside.

    For the last layers of a critic: a score of 8 significant bits would be too coarse.
    """
    if x.device.type == "meta":  # which knows no other precision
        return contextlib.nullcontext()
    return torch.autocast(x.device.type, enabled=False)


@contextlib.contextmanager
def factors(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Whether an NVIDIA GPU may round the factors of products and convolutions to 10 bits (TF32); torch's default
    differs between the two. Inside, the quickest of cuDNN's ways is found by trying.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=tf32):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
