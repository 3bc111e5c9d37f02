"""What is wrong with pictures before a training has begun, as far as the prepared ones show it.

Sizes, proportions and files that cannot be read are no longer to be seen in them: ``zerosum data check`` tells those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zerosum.data.checking.look import boxed
from zerosum.data.pictures import Pictures
from zerosum.data.pixels import to_image
from zerosum.data.source import Bytes
from zerosum.diagnose.rules import Level
from zerosum.diagnose.verdicts import Verdict

BYTES, LEAST = 64 << 20, 100  # of pictures that are looked at, and pictures at least
BLOCK = 8 << 20  # bytes of them in memory at a time
FRAMES = 500  # pictures in which bars are looked for, about: that takes longer
FEW, TWINS, BLANK, BARS = 200, 0.05, 0.02, 0.2
RARE = 10  # times as many pictures of one class as of another
LEVEL = 4.0  # grey levels: pictures that vary less are blank
RANGE = 64  # grey levels that all pictures together should use at least
TINT = 2  # grey levels: what JPEG adds to grey pictures that are stored in colour


class _Look(NamedTuple):
    """What some pictures show: digests and blank are (N,), barred is of every so many of them, the rest of all."""

    digests: list[bytes]
    blank: npt.NDArray[np.bool_]
    barred: npt.NDArray[np.bool_]
    lowest: int
    highest: int
    grey: bool
    opaque: bool


def of_pictures(pictures: Pictures) -> list[Verdict]:
    """Verdicts on the training pictures, from a spread of them: 64 MiB, but at least 100.

    No more than some 50 MiB are in memory at a time.
    """
    size = int(np.prod(pictures.pixels.shape[1:]))
    places = pictures.some(max(LEAST, BYTES // size))
    blocks = np.array_split(places, -(-len(places) * size // BLOCK))
    looks = [_look(pictures.take("train", block)[0], -(-len(places) // FRAMES)) for block in blocks]
    return [*_of_number(pictures, looks), *_of_looks(looks), *_of_classes(pictures)]


def _of_number(pictures: Pictures, looks: list[_Look]) -> Iterator[Verdict]:
    """How many pictures there are, and how many different ones."""
    count, digests = len(pictures.train), [digest for look in looks for digest in look.digests]
    if count < FEW:
        says = f"There are {count} pictures to train on: the critic will soon know them by heart."
        yield _verdict("few pictures", says, {"pictures": float(count)})
    part = len(digests) / max(1, count)  # of which few meet their twins
    twins = min(1.0, (1 - len(set(digests)) / len(digests)) / part)
    if twins > TWINS:
        says = f"{twins:.0%} of the pictures are copies of others among them, and will be drawn that much more often."
        yield _verdict("twins", says, {"share": round(twins, 4), "looked at": float(len(digests))})


def _of_looks(looks: list[_Look]) -> Iterator[Verdict]:
    """What is seen in the pixels."""
    blank, barred = (
        np.concatenate(found) for found in zip(*[(look.blank, look.barred) for look in looks], strict=True)
    )
    if blank.mean() > BLANK:
        says = f"{blank.mean():.0%} of the pictures are of one colour: the generator will learn to make such."
        yield _verdict("blank pictures", says, _share(blank))
    if barred.mean() > BARS:
        says = f"{barred.mean():.0%} of the pictures have bars or a frame of one colour: the generator will make them."
        yield _verdict("bars", says, _share(barred))
    lowest, highest = min(look.lowest for look in looks), max(look.highest for look in looks)
    if LEVEL < highest - lowest < RANGE:
        says = f"All pictures lie between the values {lowest} and {highest} of 0 to 255: they hardly differ."
        yield _verdict("dim pictures", says, {"lowest": float(lowest), "highest": float(highest)})
    evidence = {"looked at": float(len(blank))}
    if all(look.grey for look in looks):
        says = "All pictures are grey, and the networks have colour to learn: channels that are always equal."
        yield _verdict("grey pictures", says, evidence, "note")
    if all(look.opaque for look in looks):
        says = "Nothing in the pictures is transparent: their fourth channel is full everywhere."
        yield _verdict("full alpha", says, evidence, "note")


def _of_classes(pictures: Pictures) -> Iterator[Verdict]:
    """How the training pictures are spread over the classes that have any."""
    if pictures.labels is None:
        return
    counts = np.bincount(pictures.labels[pictures.train], minlength=len(pictures.classes))
    some = np.flatnonzero(counts)
    least, most = int(some[counts[some].argmin()]), int(some[counts[some].argmax()])
    if len(some) == 1:
        says = f"All pictures are of one class ({pictures.classes[most]}): labels say nothing about them."
        yield _verdict("one class", says, {"pictures": float(counts[most])}, "note")
    elif counts[most] >= RARE * counts[least]:
        few, many = (f"{pictures.classes[kind]} {counts[kind]:,}" for kind in (least, most))
        says = f"Classes are very unequal ({few}, {many} pictures): the rare ones will look worse."
        yield _verdict("unequal classes", says, {"least": float(counts[least]), "most": float(counts[most])}, "note")


def _look(pixels: Bytes, step: int) -> _Look:
    """What pictures (N, C, H, W) show; bars are looked for in each ``step``-th."""
    colours, alpha = (pixels[:, :3], pixels[:, 3]) if pixels.shape[1] == 4 else (pixels, None)
    rows = np.ascontiguousarray(colours).reshape(len(pixels), -1)
    clear = np.zeros(len(pixels), np.bool_) if alpha is None else alpha.max(axis=(1, 2)) == 0
    return _Look(
        digests=[hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=16).digest() for picture in pixels],
        blank=(rows.std(axis=1, dtype=np.float32) < LEVEL) | clear,
        barred=np.array([_barred(picture) for picture in colours[::step]]),
        lowest=int(rows.min()),
        highest=int(rows.max()),
        grey=colours.shape[1] == 3 and bool((colours.max(axis=1) - colours.min(axis=1)).max() <= TINT),
        opaque=alpha is not None and bool(alpha.min() == 255),
    )


def _barred(picture: Bytes) -> bool:
    """Whether a picture (C, H, W) has bars."""
    image = to_image(picture)
    return boxed(np.atleast_3d(np.asarray(image)), np.asarray(image.convert("L")))


def _share(mask: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {"share": round(float(mask.mean()), 4), "looked at": float(len(mask))}


def _verdict(name: str, says: str, evidence: dict[str, float], level: Level = "warn") -> Verdict:
    return Verdict(name, level, says, evidence, confidence=1.0, images=0, since=0)
