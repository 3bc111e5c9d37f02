"""Schedules: end points, shapes, and what an unknown budget means."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum.game.schedules import START, Clock, Ramp, cosine, depends_on_budget, linear, value

numbers = st.floats(-1e6, 1e6)
moments = st.integers(0, 10**9)


def at(images: int, budget: int | None = None) -> Clock:
    return Clock(images=images, budget=budget)


@given(numbers, moments, st.none() | st.integers(1, 10**9))
def test_constant(constant: float, images: int, budget: int | None) -> None:
    assert value(constant, at(images, budget)) == constant


def test_linear_warm_up() -> None:
    ramp = linear(0.0, 2e-4, images=10_000)
    shares = [value(ramp, at(images)) / 2e-4 for images in (0, 2500, 5000, 7500, 10_000, 10_001, 10**8)]
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1])


@pytest.mark.parametrize("budget", [None, 100, 10**6])
def test_images_do_not_depend_on_the_budget(budget: int | None) -> None:
    assert value(linear(1.0, 3.0, images=1000), at(500, budget)) == 2.0


def test_cosine_end_points_and_middle() -> None:
    ramp = cosine(1.0, 0.2)
    found = [value(ramp, at(images, 800)) for images in (0, 200, 400, 600, 800)]
    expected = [0.6 + 0.4 * math.cos(math.pi * share) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert found == pytest.approx(expected)
    assert found[0] == 1.0
    assert found[2] == pytest.approx(0.6)
    assert found[4] == pytest.approx(0.2)


def test_cosine_is_flat_at_both_ends_and_steepest_in_the_middle() -> None:
    ramp = cosine(0.0, 1.0)
    steps = [value(ramp, at(images + 1, 100)) - value(ramp, at(images, 100)) for images in range(100)]
    assert steps[0] == pytest.approx(steps[-1])
    assert steps[0] < 0.02 * max(steps)
    assert max(steps) == pytest.approx(math.pi / 200, rel=1e-3)


def test_cosine_that_begins_late() -> None:
    ramp = cosine(1.0, 0.0, begin=0.5)
    found = [value(ramp, at(images, 1000)) for images in (0, 499, 500, 750, 1000)]
    assert found == pytest.approx([1, 1, 1, 0.5, 0], abs=1e-12)


@pytest.mark.parametrize("images", [0, 1, 10**9])
def test_unknown_budget_counts_as_infinite(images: int) -> None:
    assert value(cosine(0.7, 0.1), at(images, None)) == 0.7
    assert value(Ramp(0.7, 0.1), at(images, None)) == 0.7


def test_constant_outside_the_ramp() -> None:
    ramp = Ramp(3.0, 5.0, begin=100, until=200, unit="images")
    assert [value(ramp, at(images)) for images in (0, 99, 100, 200, 201, 10**9)] == [3, 3, 3, 5, 5, 5]
    beyond = Ramp(3.0, 5.0, until=0.5)
    assert value(beyond, at(2000, 1000)) == value(beyond, at(500, 1000)) == 5.0


def test_start_is_the_beginning_with_no_budget() -> None:
    assert Clock(images=0, round=0, budget=None) == START


@pytest.mark.parametrize(("begin", "until"), [(0.5, 0.5), (0.6, 0.5), (-0.1, 0.5), (0.0, 0.0), (1.0, 0.5)])
def test_impossible_ramps_are_refused(begin: float, until: float) -> None:
    with pytest.raises(ValueError, match="0 <= begin < until"):
        Ramp(0.0, 1.0, begin=begin, until=until)


def test_helpers_refuse_an_empty_span() -> None:
    with pytest.raises(ValueError, match="begin < until"):
        linear(0.0, 1.0, images=0)
    with pytest.raises(ValueError, match="begin < until"):
        cosine(0.0, 1.0, begin=1.0)


def test_depends_on_budget() -> None:
    assert depends_on_budget(cosine(1.0, 0.0))
    assert depends_on_budget(Ramp(1.0, 0.0))
    assert not depends_on_budget(linear(0.0, 1.0, images=10))
    assert not depends_on_budget(0.5)


@given(
    start=numbers,
    end=numbers,
    shape=st.sampled_from(["linear", "cosine"]),
    unit=st.sampled_from(["images", "budget"]),
    begin=st.floats(0, 1e6),
    span=st.floats(1e-3, 1e6),
    images=moments,
    budget=st.none() | st.integers(1, 10**9),
)
def test_always_between_start_and_end(
    start: float, end: float, shape: str, unit: str, begin: float, span: float, images: int, budget: int | None
) -> None:
    ramp = Ramp(start, end, shape, begin, begin + span, unit)
    rounding = 1e-12 * max(abs(start), abs(end))
    assert min(start, end) - rounding <= value(ramp, at(images, budget)) <= max(start, end) + rounding


@given(
    start=st.floats(-1, 1),
    end=st.floats(-1, 1),
    shape=st.sampled_from(["linear", "cosine"]),
    pair=st.tuples(st.integers(0, 2000), st.integers(0, 2000)),
)
def test_never_turns_back(start: float, end: float, shape: str, pair: tuple[int, int]) -> None:
    ramp = Ramp(start, end, shape, 0.1, 0.9)
    earlier, later = (value(ramp, at(images, 1000)) for images in sorted(pair))
    assert abs(later - end) <= abs(earlier - end) + 1e-12
