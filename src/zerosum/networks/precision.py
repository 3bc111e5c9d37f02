"""Where a network that computes in fewer bits does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

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
def factors(device: torch.device, *, tf32: bool = False, tried: bool = False) -> Iterator[None]:
    """Whether an NVIDIA GPU may round the factors of products and convolutions to 10 bits (TF32).

    torch's default differs between the two, so every pass of ours says it. With ``tried`` cuDNN's quickest way is found
    by trying, unless the user wants one that is always the same.
    """
    if device.type != "cuda":
        yield
        return
    backends: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv", None)]
    newer = all(hasattr(backend, "fp32_precision") for backend in backends)
    names = [(backend, "fp32_precision") for backend in backends]
    if not newer:
        names = [(torch.backends.cuda.matmul, "allow_tf32"), (torch.backends.cudnn, "allow_tf32")]
    wanted: Any = ("tf32" if tf32 else "ieee") if newer else tf32
    cudnn: Any = torch.backends.cudnn
    before, benchmark = [getattr(*name) for name in names], cudnn.benchmark
    try:
        for backend, name in names:
            setattr(backend, name, wanted)
        cudnn.benchmark = (tried and not cudnn.deterministic) or benchmark
        yield
    finally:
        for (backend, name), value in zip(names, before, strict=True):
            setattr(backend, name, value)
        cudnn.benchmark = benchmark
