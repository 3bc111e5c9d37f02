"""What is wrong with pictures before a training has begun."""

from __future__ import annotations

import numpy as np

from zerosum.data.pictures import Pictures
from zerosum.diagnose.verdicts import Verdict

BYTES = 64 << 20  # of pictures that are looked at
FEW, TWINS, BLANK = 200, 0.05, 0.02
LEVEL = 4.0  # grey levels: pictures that vary less are blank
RANGE = 64  # grey levels that all pictures together should use at least


def of_pictures(pictures: Pictures) -> list[Verdict]:
    """Verdicts on the training pictures, from a spread of at most 64 MiB of them."""
    count = max(100, BYTES // max(1, int(np.prod(pictures.pixels.shape[1:]))))
    pixels = pictures.take("train", pictures.some(count))[0]
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    kinds = len({row.tobytes() for row in rows})
    part = len(rows) / max(1, len(pictures.train))  # of which few meet their twins
    twins = min(1.0, (1 - kinds / len(rows)) / part)
    blocks = np.array_split(rows, max(1, len(rows) // 1000))
    blank = float(np.concatenate([block.std(axis=1) < LEVEL for block in blocks]).mean())
    found = []
    if len(pictures.train) < FEW:
        says = f"There are {len(pictures.train)} pictures to train on: the critic will soon know them by heart."
        found.append(_verdict("few pictures", says, {"pictures": float(len(pictures.train))}))
    if twins > TWINS:
        says = f"{twins:.0%} of the pictures are copies of others among them, and will be drawn that much more often."
        found.append(_verdict("twins", says, {"share": round(twins, 4), "looked at": float(len(rows))}))
    if blank > BLANK:
        says = f"{blank:.0%} of the pictures are of one colour: the generator will learn to make such."
        found.append(_verdict("blank pictures", says, {"share": round(blank, 4), "looked at": float(len(rows))}))
    lowest, highest = int(rows.min()), int(rows.max())
    if LEVEL < highest - lowest < RANGE:
        says = f"All pictures lie between the values {lowest} and {highest} of 0 to 255: they hardly differ."
        found.append(_verdict("dim pictures", says, {"lowest": float(lowest), "highest": float(highest)}))
    return found


def _verdict(name: str, says: str, evidence: dict[str, float]) -> Verdict:
    return Verdict(name, "warn", says, evidence, confidence=1.0, images=0, since=0)
