"""What a look at every picture found, as lines to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerosum.data.checking.findings import Findings, Twins

Lines = list[tuple[str, str]]
NOTES = 6
SHOWN = 3  # names in a line
LONGEST = 45  # letters of names in a line
FEW = 0.01  # share of the pictures below which bars matter little
DARK, BRIGHT = 64, 192  # levels: no picture has all its values on one side of either
RARE = 10  # times the pictures of the smallest class


def lines(found: Findings) -> list[str]:
    """What a user should know, one screen; what matters comes with what training does about it, or what to do."""
    told = [("data", note) for note in found.notes[:NOTES]] + _of_pictures(found)
    if found.readable:
        told += [*_of_sizes(found), *_of_channels(found), *_of_classes(found), *_of_values(found), *_of_twins(found)]
    return [f"{what:<12}{text}" for what, text in told]


def _of_pictures(found: Findings) -> Lines:
    if not found.broken.count:
        return [("pictures", f"{found.count:,}, all of them can be read")]
    lines = [
        ("pictures", f"{found.readable:,} that can be read"),
        ("broken", f"{found.broken.count:,} cannot be read: training leaves them out (--broken stop refuses them)"),
    ]
    reasons = list(zip(found.broken.names, found.reasons, strict=True))[: 2 * SHOWN]
    lines += [("", f"{_short(name)}: {why}") for name, why in reasons]
    more = found.broken.count - len(reasons)
    return [*lines, ("", f"and {more:,} more, which --json names")] if more else lines


def _of_sizes(found: Findings) -> Lines:
    width, height, number = found.sizes[0]
    if len(found.sizes) == 1:
        return [("sizes", f"all {width}x{height}")]
    small, large = found.ends
    text = f"{len(found.sizes):,} sizes from {small[0]}x{small[1]} to {large[0]}x{large[1]}"
    lines = [("sizes", f"{text}, most often {width}x{height} ({number:,} of {found.readable:,})")]
    if found.shapes is not None and found.shapes.others.count:
        usual = f"(width / height {found.shapes.usual:.2f})"
        text = f"{_are(found.shapes.others.count)} wider or narrower than most {usual}"
        lines.append(("proportions", f"{text}: training crops the centre (--fit pad or stretch change that)"))
    return lines


def _of_channels(found: Findings) -> Lines:
    lines: Lines = []
    if found.clear.count:
        text = f"{found.clear.count:,} of {found.readable:,} pictures have transparency{_examples(found.clear.names)}"
        lines.append(("channels", f"{text}: it is laid on white (--set channels=4 keeps it)"))
    grey = found.channels[1] + found.greyish.count
    if found.channels[1] == found.readable:
        return [("channels", "all grey: training uses one channel")]
    if grey == found.readable:
        text = "all grey, but stored as colour: --set channels=1 is quicker and loses nothing"
    elif grey:
        text = f"{grey:,} of {found.readable:,} pictures are grey: training treats them as colour and learns both"
    else:
        text = "" if lines else "colour"
    return [*lines, ("" if lines else "channels", text)] if text else lines


def _of_classes(found: Findings) -> Lines:
    some = sorted((number, name) for name, number in found.classes if number)
    if not some:
        return [("classes", "none")]
    (fewest, rare), (most, common) = some[0], some[-1]
    if fewest == most:
        text = f"{_counted(len(some), 'class', 'classes')} of {_pictures(most)} each"
    else:
        text = f"{len(some):,} classes from {fewest:,} ({_short(rare)}) to {most:,} pictures ({_short(common)})"
    if most >= RARE * fewest:
        text += f": {_short(rare)} will look worse, add pictures of it"
    lines = [("classes", text)]
    empty = [name for name, number in found.classes if not number]
    return [*lines, ("", f"{len(empty):,} more without pictures{_examples(empty)}")] if empty else lines


def _of_values(found: Findings) -> Lines:
    lines: Lines = []
    between = f"all between {found.lowest} and {found.highest}, where 0 is black and 255 is white"
    if found.highest <= 1:
        lines.append(("values", f"{between}: multiply them by 255"))
    elif found.highest < DARK or found.lowest > BRIGHT:
        lines.append(("values", f"{between}: check how the pictures were written"))
    if found.constant.count:
        text = f"{_are(found.constant.count)} of one colour only{_examples(found.constant.names)}"
        lines.append(("blank", f"{text}: take them out, there is nothing to learn from"))
    if found.boxed.count:
        have = "has" if found.boxed.count == 1 else "have"
        text = f"{_pictures(found.boxed.count)} {have} bars or a frame of one colour{_examples(found.boxed.names)}"
        few = found.boxed.count < FEW * found.readable
        todo = "few enough to leave as they are" if few else "crop them, or training learns the bars"
        lines.append(("bars", f"{text}: {todo}"))
    return lines


def _of_twins(found: Findings) -> Lines:
    if not found.copies.count:
        lines = [("copies", "none")]
    else:
        text = f"{_are(found.copies.count)} the same as another{_examples(_pairs(found.copies, '='))}"
        side = "" if found.parts else ": copies stay on one side of the hold-out"
        lines = [("copies", text + side)]
    if found.torn.count:
        text = f"{found.torn.count:,} of them in another class than the first{_examples(found.torn.names)}"
        lines.append(("", f"{text}: decide for one class"))
    if found.leaks.count:
        text = f"{found.leaks.count:,} of them both in training and in the test part{_examples(found.leaks.names)}"
        lines.append(("", f"{text}: take them out of one, or results look too good"))
    if found.alike.count:
        text = f"{_are(found.alike.count)} nearly the same as another{_examples(_pairs(found.alike, '~'))}"
        lines.append(("look-alikes", f"{text}: take out what is the same picture again"))
    return lines


def _pictures(count: int) -> str:
    return _counted(count, "picture", "pictures")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _are(count: int) -> str:
    return f"{_pictures(count)} {'is' if count == 1 else 'are'}"


def _pairs(twins: Twins, sign: str) -> list[str]:
    return [f"{_short(names[0])} {sign} {_short(names[1])}" for names in twins.names]


def _examples(names: Sequence[str]) -> str:
    """The first names in brackets, as many as a line bears."""
    shown = [_short(name) for name in names[:SHOWN]]
    while len(shown) > 1 and len(", ".join(shown)) > LONGEST:
        shown.pop()
    return f" ({', '.join(shown)}{', ...' if len(names) > len(shown) else ''})" if shown else ""


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"...{name[3 - LONGEST :]}"
