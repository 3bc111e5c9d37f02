"""What a look at every picture found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from zerosum.data.checking import sentences

NAMES = 1000  # of one kind in JSON
GROUPS = 20  # of twins in JSON


class Named(NamedTuple):
    """Pictures of one kind: how many, and what the first of them are called."""

    count: int = 0
    names: tuple[str, ...] = ()


class Twins(NamedTuple):
    """Pictures that come again: how many beside the first of each group, the number of groups, the first by name."""

    count: int = 0
    groups: int = 0
    names: tuple[tuple[str, ...], ...] = ()


class Shapes(NamedTuple):
    """Widths in heights: the most common, the median, between what nine of ten lie, and which are 5 % off the first."""

    usual: float
    median: float
    lowest: float
    highest: float
    others: Named


@dataclass(frozen=True)
class Findings:
    """What was found in a source.

    Attributes:
        name: of the source.
        count: number of pictures, broken ones included.
        notes: what was said of the source, and what changed since the last look.
        broken: pictures that cannot be read.
        reasons: why, one for every name in ``broken``.
        sizes: (width, height, number of pictures), the most common first.
        shapes: proportions; None where nothing could be read.
        channels: number of pictures with 1, 3 and 4 channels.
        clear: pictures with 4 channels of which something is transparent.
        greyish: pictures with more channels that are grey all the same.
        classes: names and numbers of readable pictures.
        copies: pictures of the same content as an earlier one.
        torn: copies in another class than the first of their kind.
        parts: whether the data come with a test part of their own.
        leaks: copies in another part of the data (of train and test) than the first of their kind.
        alike: pictures that look nearly the same as an earlier one, copies left out.
        boxed: pictures with bars of one colour around them.
        constant: pictures of one colour only.
        lowest: smallest value of all pictures, 0 to 255; ``highest`` likewise.
    """

    name: str
    count: int
    notes: tuple[str, ...]
    broken: Named
    reasons: tuple[str, ...]
    sizes: tuple[tuple[int, int, int], ...]
    shapes: Shapes | None
    channels: dict[int, int]
    clear: Named
    greyish: Named
    classes: tuple[tuple[str, int], ...]
    copies: Twins
    torn: Named
    parts: bool
    leaks: Named
    alike: Twins
    boxed: Named
    constant: Named
    lowest: int
    highest: int

    @property
    def readable(self) -> int:
        """Number of pictures that can be read."""
        return self.count - self.broken.count

    def to_json(self) -> dict[str, object]:
        """Everything, JSON-ready; lists of names end after 1,000 (groups of twins after 20), the counts do not."""
        some = [number for _, number in self.classes if number]
        small, large = self.ends if self.sizes else (None, None)
        shapes = self.shapes
        return {
            "name": self.name,
            "pictures": self.count,
            "readable": self.readable,
            "notes": list(self.notes),
            "broken": {
                "count": self.broken.count,
                "pictures": [
                    {"name": name, "why": why} for name, why in zip(self.broken.names, self.reasons, strict=True)
                ],
            },
            "sizes": {
                "count": len(self.sizes),
                "smallest": small,
                "largest": large,
                "sizes": [
                    {"width": width, "height": height, "pictures": number}
                    for width, height, number in self.sizes[:NAMES]
                ],
            },
            "width_by_height": None
            if shapes is None
            else {
                "most_common": shapes.usual,
                "median": shapes.median,
                "nine_of_ten_between": [shapes.lowest, shapes.highest],
                "more_than_5_percent_off_the_most_common": _named(shapes.others),
            },
            "channels": {
                "grey": self.channels[1],
                "colour": self.channels[3],
                "with_alpha": self.channels[4],
                "really_transparent": _named(self.clear),
                "stored_as_colour_but_grey": _named(self.greyish),
            },
            "classes": {
                "count": len(self.classes),
                "largest_by_smallest": max(some) / min(some) if some else None,
                "classes": [{"name": name, "pictures": number} for name, number in self.classes[:NAMES]],
            },
            "copies": {
                **_twins(self.copies),
                "in_another_class": _named(self.torn),
                "in_another_part": _named(self.leaks),
            },
            "look_alikes": _twins(self.alike),
            "bars": _named(self.boxed),
            "one_colour": _named(self.constant),
            "values": {"lowest": self.lowest, "highest": self.highest},
        }

    def lines(self) -> list[str]:
        """What a user should know, one screen; what matters comes with what training does about it, or what to do."""
        return sentences.lines(self)

    @property
    def ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The smallest and the largest size (width, height) by area."""
        by_area = sorted((width * height, width, height) for width, height, _ in self.sizes)
        return by_area[0][1:], by_area[-1][1:]


def _named(named: Named) -> dict[str, object]:
    return {"count": named.count, "names": list(named.names)}


def _twins(twins: Twins) -> dict[str, object]:
    return {"count": twins.count, "groups": twins.groups, "names": [list(names) for names in twins.names]}
