"""Moments of features counted in parts, and the Fréchet distance class by class."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.metrics import frechet
from zerosum.metrics.frechet import class_frechet_distance, frechet_distance, moments_of


def normal(count, width, seed):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---- moments ----


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=8), st.sampled_from([0.0, 1e4]), st.integers(0, 2**30))
def test_blocks_in_any_order_are_the_whole(sizes, offset, seed):
    x = normal(sum(sizes), 5, seed) + offset
    parts = x.split(sizes)
    whole = moments_of(x)
    close = {"rtol": 1e-9, "atol": 1e-9 + 1e-14 * offset**2}
    forward, backward = moments_of(parts[0]), moments_of(parts[-1])
    for part in parts[1:]:
        forward = forward.add(part)
    for part in reversed(parts[:-1]):
        backward = backward.merge(moments_of(part))
    for found in (forward, backward):
        assert found.count == len(x)
        torch.testing.assert_close(found.mean, whole.mean, **close)
        torch.testing.assert_close(found.scatter, whole.scatter, **close)
    torch.testing.assert_close(whole.scatter / (len(x) - 1), x.T.cov().reshape(5, 5), **close)


def test_moments_read_large_sets_in_blocks(monkeypatch):
    x = normal(50, 4, 0)
    whole = moments_of(x)
    monkeypatch.setattr(frechet, "_BLOCK", 7)
    found = moments_of(x)
    torch.testing.assert_close(found.mean, whole.mean)
    torch.testing.assert_close(found.scatter, whole.scatter)


def test_moments_are_not_changed_by_adding():
    first = moments_of(normal(10, 3, 0))
    mean, scatter = first.mean.clone(), first.scatter.clone()
    first.add(normal(5, 3, 1))
    assert torch.equal(first.mean, mean)
    assert torch.equal(first.scatter, scatter)


# ---- classes ----


def test_classes_are_compared_each_with_its_own():
    a, b = normal(60, 4, 0), normal(50, 4, 1)
    a_labels, b_labels = torch.arange(60) % 3, torch.arange(50) % 3
    a += 10 * a_labels[:, None]
    b += 10 * b_labels[:, None]
    found = class_frechet_distance(real=a, fake=b, real_labels=a_labels, fake_labels=b_labels)
    each = [frechet_distance(real=a[c::3], fake=b[c::3]) for c in range(3)]
    assert found.value == pytest.approx(sum(each) / 3, rel=1e-12)
    assert found.least == 16
    mixed = class_frechet_distance(real=a, fake=b, real_labels=a_labels, fake_labels=(b_labels + 1) % 3)
    assert mixed.value > 100


def test_small_classes_are_named():
    a, b = normal(6, 2, 0), normal(6, 2, 1)
    labels, others = torch.tensor([0, 0, 7, 7, 9, 9]), torch.tensor([0, 0, 7, 0, 9, 9])
    with pytest.raises(ValueError, match=r"fewer than 2 points on a side: 7 \(2 real, 1 fake\)$"):
        class_frechet_distance(real=a, fake=b, real_labels=labels, fake_labels=others)
    with pytest.raises(ValueError, match=r"7 \(2 real, 0 fake\), 8 \(0 real, 2 fake\)"):
        class_frechet_distance(real=a, fake=b, real_labels=labels, fake_labels=torch.tensor([0, 0, 8, 8, 9, 9]))
    with pytest.raises(ValueError, match="must be 6 integers"):
        class_frechet_distance(real=a, fake=b, real_labels=labels, fake_labels=others[:5])
    with pytest.raises(ValueError, match="must be 6 integers"):
        class_frechet_distance(real=a, fake=b, real_labels=labels.float(), fake_labels=others)
