"""Intervals and differences over repeated draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from zerosum.metrics.draws import different, interval

numbers = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12)


def test_a_literal_interval():
    """Five draws: mean 3, deviation sqrt 2.5, t = 2.776."""
    found = interval([1, 2, 3, 4, 5])
    assert found.mean == 3
    assert found.high - 3 == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)
    assert found.low == pytest.approx(6 - found.high)
    two = interval([0, 1])  # t with one degree of freedom is 12.706
    assert two.high - 0.5 == pytest.approx(12.7062 * 0.5, rel=1e-4)


@settings(deadline=None, max_examples=50)
@given(numbers, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_scipys(values, confidence):
    found = interval(values, confidence)
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    if error > 1e-9:
        low, high = stats.t.interval(confidence, len(values) - 1, np.mean(values), error)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    else:
        assert found.high - found.low < 1e-6


def test_the_interval_holds_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(4000, 4))
    held = np.mean([low <= 0 <= high for _, low, high in map(interval, draws.tolist())])
    assert held == pytest.approx(0.95, abs=0.015)


@settings(deadline=None, max_examples=50)
@given(numbers, numbers)
def test_the_difference_is_scipys(a, b):
    found = different(a, b)
    assert 0 <= found <= 1
    assert different(b, a) == pytest.approx(found, abs=1e-12)
    if np.std(a) > 1e-6 and np.std(b) > 1e-6:
        wanted = stats.ttest_ind(a, b, equal_var=False).pvalue
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-12)


def test_constant_series():
    assert different([1, 1, 1], [1, 1]) == 1
    assert different([1, 1, 1], [2, 2]) == 0
    assert 0 < different([1, 1, 1], [2, 2.1]) < 1
    assert different([0.0, 1e-200], [0.0, 3e-200]) == pytest.approx(1, abs=0.9)


@pytest.mark.parametrize("bad", [[], [1.0], [1.0, math.nan], [math.inf, 1.0]])
def test_what_says_nothing(bad):
    with pytest.raises(ValueError, match="at least 2 finite numbers"):
        interval(bad)
    with pytest.raises(ValueError, match="a must be"):
        different(bad, [1, 2])
    with pytest.raises(ValueError, match="b must be"):
        different([1, 2], bad)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="confidence"):
        interval([1, 2], confidence)
