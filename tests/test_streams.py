"""Random numbers are functions of (seed, stream, position)."""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum import streams

DRAWS = {"uniforms": streams.uniforms, "normals": streams.normals}


@pytest.fixture(params=sorted(DRAWS))
def draw(request):
    return DRAWS[request.param]


@pytest.mark.parametrize("name", sorted(DRAWS))
@settings(deadline=None, max_examples=60)
@given(
    start=st.integers(0, 2**40),
    before=st.integers(0, 20),
    count=st.integers(1, 20),
    after=st.integers(0, 20),
    width=st.integers(1, 11),
)
def test_a_slice_of_a_larger_request(name, start, before, count, after, width):
    larger = DRAWS[name](5, "s", start, before + count + after, width)
    own = DRAWS[name](5, "s", start + before, count, width)
    assert own.shape == (count, width)
    assert own.dtype == np.float32
    np.testing.assert_array_equal(own, larger[before : before + count])


def test_batches_of_any_size_are_one_sequence(draw):
    whole = draw(1, "latents", 100, 60, 7)
    edges = [0, 1, 4, 5, 30, 60]
    pieces = [draw(1, "latents", 100 + a, b - a, 7) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_positions_beyond_64_bits_go_on(draw):
    whole = draw(0, "far", 2**64 - 2, 4, 9)
    np.testing.assert_array_equal(draw(0, "far", 2**64, 2, 9), whole[2:])
    assert len(np.unique(whole)) == whole.size


@pytest.mark.parametrize("other", [(1, "a", 0), (2, "b", 0), (1, "b", 10_000), (1, "b ", 0), (-1, "b", 0), (1, "B", 0)])
def test_seeds_streams_and_positions_are_independent(draw, other):
    count = 10_000
    x = draw(1, "b", 0, count, 2)
    y = draw(*other, count, 2)
    assert not np.isin(x, y).mean() > 0.01  # 24 bits collide now and then
    for a in (x[:, 0], x[:, 1]):
        for b in (y[:, 0], y[:, 1]):
            assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(count)


def test_neighbours_are_uncorrelated(draw):
    x = draw(0, "latents", 0, 20_000, 8).astype(np.float64)
    columns = np.corrcoef(x.T) - np.eye(8)
    assert np.abs(columns).max() < 4.5 / math.sqrt(len(x))
    lag = [np.corrcoef(x[:-1, column], x[1:, column])[0, 1] for column in range(8)]
    assert np.abs(lag).max() < 4.5 / math.sqrt(len(x))


def _largest_deviation(sample, cdf):
    """Kolmogorov and Smirnov's statistic."""
    ordered = np.sort(sample)
    expected = np.array([cdf(value) for value in ordered])
    count = len(ordered)
    return max((np.arange(1, count + 1) / count - expected).max(), (expected - np.arange(count) / count).max())


@pytest.mark.parametrize("width", [1, 3, 4])
def test_uniforms_are_uniform(width):
    x = streams.uniforms(11, "u", 0, 60_000 // width, width)
    assert x.min() >= 0
    assert x.max() < 1
    flat = x.ravel().astype(np.float64)
    assert flat.mean() == pytest.approx(1 / 2, abs=4 * math.sqrt(1 / 12 / flat.size))
    assert flat.var() == pytest.approx(1 / 12, abs=4 * math.sqrt(1 / 180 / flat.size))
    assert _largest_deviation(flat, lambda v: v) < 1.95 / math.sqrt(flat.size)


def test_uniforms_never_round_up_to_one():
    # the word here is 0.99999999905 in double precision, which is nearer to 1 than to the float32 below it
    assert streams.uniforms(0, "hit", 2_639_458, 1, 4).max() < 1


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_normals_are_normal(width):
    x = streams.normals(11, "n", 0, 60_000 // width, width).ravel().astype(np.float64)
    assert np.isfinite(x).all()
    assert x.mean() == pytest.approx(0, abs=4 / math.sqrt(x.size))
    assert x.var() == pytest.approx(1, abs=4 * math.sqrt(2 / x.size))
    assert (x**4).mean() == pytest.approx(3, abs=4 * math.sqrt(96 / x.size))
    assert _largest_deviation(x, lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2)))) < 1.95 / math.sqrt(x.size)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**63), epoch=st.integers(0, 2**40), size=st.integers(1, 300))
def test_a_permutation_is_a_permutation(seed, epoch, size):
    order = streams.permutation(seed, "order", epoch, size)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_permutations_differ_by_seed_stream_and_epoch():
    first = streams.permutation(0, "order", 0, 50)
    for other in [(1, "order", 0, 50), (0, "other", 0, 50), (0, "order", 1, 50)]:
        assert not np.array_equal(first, streams.permutation(*other))
    np.testing.assert_array_equal(first, streams.permutation(0, "order", 0, 50))


def test_every_item_is_equally_often_in_every_place():
    counts = np.zeros((5, 5))
    for epoch in range(2000):
        counts[np.arange(5), streams.permutation(0, "fair", epoch, 5)] += 1
    assert np.abs(counts - 400).max() < 4.5 * math.sqrt(400 * 0.8)


def test_a_caller_cannot_change_the_order_of_others():
    with contextlib.suppress(ValueError):  # a read-only array is as good as a copy
        streams.permutation(0, "mine", 0, 20)[:] = 0
    np.testing.assert_array_equal(np.sort(streams.permutation(0, "mine", 0, 20)), np.arange(20))


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 1000),
    size=st.integers(1, 30),
    first=st.integers(0, 10_000),
    batches=st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_a_walk_shows_every_item_once_a_pass_whatever_the_batches(seed, size, first, batches):
    start = first * size
    pieces, at = [], start
    for count in batches:
        pieces.append(streams.positions(seed, "walk", at, count, size))
        at += count
    walk = np.concatenate(pieces)
    np.testing.assert_array_equal(walk, streams.positions(seed, "walk", start, sum(batches), size))
    for index in range(len(walk) // size):
        np.testing.assert_array_equal(np.sort(walk[index * size : (index + 1) * size]), np.arange(size))
    rest = walk[len(walk) // size * size :]
    assert len(set(rest.tolist())) == len(rest)


def test_passes_differ():
    walk = streams.positions(0, "walk", 0, 60, 20).reshape(3, 20)
    assert len({tuple(row) for row in walk.tolist()}) == 3


def test_the_generator_has_not_changed():
    """Runs made by an older zerosum go on with the same numbers."""
    np.testing.assert_allclose(
        streams.uniforms(0, "latents", 0, 2, 3),
        [[0.731384, 0.2998633, 0.13823158], [0.1994097, 0.23475543, 0.96782476]],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        streams.uniforms(7, "mirror", 10**12, 1, 5),
        [[0.6387283, 0.11052001, 0.034685835, 0.9318234, 0.2624713]],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        streams.normals(0, "latents", 0, 2, 3),
        [[1.047338, -0.7186229, 1.2377511], [0.6533596, 0.11913605, -0.13391453]],
        atol=2e-6,
    )
    assert streams.permutation(0, "data order", 0, 10).tolist() == [0, 4, 1, 6, 2, 7, 3, 8, 9, 5]
    assert streams.permutation(3, "data order", 2, 7).tolist() == [4, 3, 1, 0, 5, 2, 6]
    assert streams.positions(1, "data order", 5, 12, 6).tolist() == [3, 5, 4, 1, 0, 2, 3, 2, 4, 5, 3, 1]
    assert streams.seed_of(0, "weights/generator") == 8558571753266008143
    assert streams.seed_of(1, "weights/critic") == 4379509891070983683


def test_seeds_for_other_libraries_fit_in_63_bits():
    seeds = {streams.seed_of(seed, stream) for seed in range(200) for stream in ("a", "b")}
    assert len(seeds) == 400
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
