"""Which bits are used where."""

from __future__ import annotations

import torch

from zerosum.networks.precision import factors


def test_tf32_is_used_where_it_was_asked_for_and_nowhere_else():
    def now() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before = now()
    with factors(torch.device("cuda"), tf32=True):
        assert now() == ("high", True)
        with factors(torch.device("cuda"), tf32=False):
            assert now() == ("highest", False)
        assert now() == ("high", True)
    assert now() == before
    with factors(torch.device("cpu"), tf32=True):
        assert now() == before
