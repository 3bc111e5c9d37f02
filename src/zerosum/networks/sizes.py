"""Which picture sizes the strided networks can make: base x 2^n with a base of 3 to 8 on both sides."""

from __future__ import annotations

import typing
from typing import Literal, NamedTuple

from zerosum.errors import UserError

SMALLEST_BASE, LARGEST_BASE = 3, 8
LEAST = dict.fromkeys(
    ("image_width", "image_height", "channels", "latent", "width", "blocks", "most", "dims", "layers", "units"), 1
) | {"classes": 0, "halvings": 0}


class Stages(NamedTuple):
    """``count`` halvings lead from the picture to ``width`` x ``height``."""

    count: int
    width: int
    height: int


def check(spec: object) -> None:
    """Refuse a network's description that cannot be built: sizes, counts below 1, choices that are not there.

    Raises:
        UserError: an impossible size.
        ValueError: another impossible value.
    """
    values: dict[str, object] = vars(spec)
    stages(int(str(values["image_width"])), int(str(values["image_height"])))
    check_values(spec)


def check_values(spec: object) -> None:
    """The part of ``check`` for networks that are not bound to these sizes.

    Raises:
        ValueError: an impossible value.
    """
    values: dict[str, object] = vars(spec)
    for name, value in values.items():
        least = LEAST.get(name)
        if least is not None and (not isinstance(value, int) or value < least):
            raise ValueError(f"{name} is a whole number of at least {least}, not {value}")
    for name, kind in typing.get_type_hints(type(spec)).items():
        if typing.get_origin(kind) is Literal and values[name] not in typing.get_args(kind):
            choices = " or ".join(str(choice) for choice in typing.get_args(kind))
            raise ValueError(f"{name} is {choices}, not {values[name]}")


def stages(width: int, height: int) -> Stages:
    """The largest common number of halvings that leaves both bases at 3 to 8: 64 -> 4, 28 -> 7, 256x384 -> 4x6.

    Raises:
        UserError: there is none; names the nearest sizes that work.
    """
    found = _stages(width, height)
    if found is None:
        near = ", ".join(_name(*size) for size in _nearest(width, height))
        raise UserError(
            f"Resolution {_name(width, height)} is not possible: each side must be 3 to 8 times the same power of two; "
            f"the nearest that work are {near} (--resolution)."
        )
    return found


def _stages(width: int, height: int) -> Stages | None:
    for count in range(12, 0, -1):
        step = 2**count
        if width % step == 0 and height % step == 0:
            bases = width // step, height // step
            if all(SMALLEST_BASE <= base <= LARGEST_BASE for base in bases):
                return Stages(count, *bases)
    return None


def _nearest(width: int, height: int) -> list[tuple[int, int]]:
    """Up to three possible sizes, the nearest first; of the same aspect where the picture is square."""
    bases = range(SMALLEST_BASE, LARGEST_BASE + 1)
    sizes = {
        (a * 2**count, b * 2**count)
        for count in range(1, 13)
        for a in bases
        for b in bases
        if width != height or a == b
    }
    return sorted(sizes, key=lambda size: (abs(size[0] - width) + abs(size[1] - height), size))[:3]


def _name(width: int, height: int) -> str:
    return str(width) if width == height else f"{width}x{height}"
