"""Which bits are used where."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from zerosum.networks.precision import factors

CUDA = torch.device("cuda")


def now() -> tuple[Any, ...]:
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(cudnn, "conv") and hasattr(products, "fp32_precision"):
        return products.fp32_precision, cudnn.conv.fp32_precision, cudnn.benchmark
    return products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark


def test_tf32_is_used_where_it_was_asked_for_and_nowhere_else():
    before = now()
    with factors(CUDA, tf32=True):
        assert now()[:2] in (("tf32", "tf32"), (True, True))
        with factors(CUDA):
            assert now()[:2] in (("ieee", "ieee"), (False, False))
        assert now()[:2] in (("tf32", "tf32"), (True, True))
    assert now() == before
    with factors(torch.device("cpu"), tf32=True):
        assert now() == before


def test_ways_are_tried_in_training_alone_and_never_against_the_users_wish(monkeypatch: pytest.MonkeyPatch):
    with factors(CUDA):
        assert not torch.backends.cudnn.benchmark
    with factors(CUDA, tried=True):
        assert torch.backends.cudnn.benchmark
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    with factors(CUDA, tried=True):
        assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.deterministic


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="this torch has the older switches alone")
@pytest.mark.parametrize("wish", ["tf32", "ieee"])
def test_a_users_wish_for_all_of_torch_does_not_slip_through_and_is_put_back(wish: str):
    before = torch.backends.fp32_precision
    try:
        torch.backends.fp32_precision = wish
        outside = now()
        with factors(CUDA):
            assert now()[:2] == ("ieee", "ieee")
        assert now() == outside
    finally:
        torch.backends.fp32_precision = before
