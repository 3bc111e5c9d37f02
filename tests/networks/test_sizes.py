"""Which picture sizes the strided networks can make."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum.errors import UserError
from zerosum.networks.sizes import Stages, stages

BASES = range(3, 9)
sides = st.integers(1, 600) | st.builds(lambda base, count: base * 2**count, st.integers(2, 9), st.integers(0, 9))


def options(width: int, height: int) -> list[Stages]:
    """Every way to halve both sides down to a base of 3 to 8, by trying."""
    found = []
    for count in range(1, 13):
        bases = width / 2**count, height / 2**count
        if all(base in BASES for base in bases):
            found.append(Stages(count, int(bases[0]), int(bases[1])))
    return found


def named(message: str) -> list[tuple[int, int]]:
    """The sizes that a refusal offers."""
    offered = re.search(r"nearest that work are (.*) \(--resolution\)", message)
    assert offered is not None
    names = offered[1].split(", ")
    assert all(re.fullmatch(r"\d+(x\d+)?", name) for name in names)
    return [(int(name.split("x")[0]), int(name.split("x")[-1])) for name in names]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 64), (4, 4, 4)),
        ((28, 28), (2, 7, 7)),
        ((48, 48), (4, 3, 3)),
        ((32, 32), (3, 4, 4)),
        ((256, 256), (6, 4, 4)),
        ((256, 384), (6, 4, 6)),
        ((384, 256), (6, 6, 4)),
        ((16, 6), (1, 8, 3)),
        ((32, 6), None),
        ((12, 8), (1, 6, 4)),
        ((6, 6), (1, 3, 3)),
        ((8192, 8192), (11, 4, 4)),
    ],
)
def test_known_sizes(size: tuple[int, int], expected: tuple[int, int, int] | None) -> None:
    if expected is None:
        with pytest.raises(UserError):
            stages(*size)
    else:
        assert stages(*size) == Stages(*expected)
        assert stages(*size).count == expected[0]
        assert (stages(*size).width, stages(*size).height) == expected[1:]


@given(sides, sides)
def test_accepted_exactly_where_it_is_possible_with_the_most_halvings(width: int, height: int) -> None:
    possible = options(width, height)
    if possible:
        found = stages(width, height)
        assert found.width * 2**found.count == width
        assert found.height * 2**found.count == height
        assert found.width in BASES
        assert found.height in BASES
        assert found == max(possible)
    else:
        with pytest.raises(UserError, match="is not possible"):
            stages(width, height)


@given(sides, sides)
def test_a_refusal_names_the_nearest_sizes_and_they_work(width: int, height: int) -> None:
    if options(width, height):
        return
    with pytest.raises(UserError) as refusal:
        stages(width, height)
    offered = named(str(refusal.value))
    assert len(offered) == 3
    distances = [abs(w - width) + abs(h - height) for w, h in offered]
    assert distances == sorted(distances)
    for w, h in offered:
        assert options(w, h)
        assert stages(w, h)
    if width == height:
        assert all(w == h for w, h in offered)
        working = [side for side in range(1, 2 * width + 50) if options(side, side)]
        assert distances[0] == min(2 * abs(side - width) for side in working)


@pytest.mark.parametrize(
    ("size", "name", "nearest"),
    [((100, 100), "100", [96, 112, 80]), ((30, 30), "30", [28, 32, 24]), ((1, 1), "1", [6, 8, 10])],
)
def test_refusals_of_squares(size: tuple[int, int], name: str, nearest: list[int]) -> None:
    with pytest.raises(UserError, match=f"^Resolution {name} is not possible") as refusal:
        stages(*size)
    assert named(str(refusal.value)) == [(side, side) for side in nearest]


def test_refusal_of_a_rectangle_names_it_as_width_by_height() -> None:
    with pytest.raises(UserError, match=r"^Resolution 250x380 is not possible") as refusal:
        stages(250, 380)
    assert named(str(refusal.value))[0] == (256, 384)
