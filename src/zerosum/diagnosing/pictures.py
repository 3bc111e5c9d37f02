"""Generated pictures beside real ones, from anywhere or drawn from a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zerosum.advice import size_for
from zerosum.data.cache import cache_folder
from zerosum.data.find import find
from zerosum.data.fit import Shape
from zerosum.data.prepare import prepare
from zerosum.data.source import Bytes
from zerosum.data.survey import survey
from zerosum.data.telling import Progress, Say
from zerosum.diagnose import looked as looking
from zerosum.diagnose.data import of_pictures
from zerosum.diagnose.looked import LOOKED_AT, Made
from zerosum.diagnose.remedies import advice
from zerosum.diagnosing.found import Diagnosed, Found
from zerosum.diagnosing.logs import content_of
from zerosum.errors import UserError
from zerosum.generate import load
from zerosum.metrics.samples import of_generator
from zerosum.run import Run

SNAPSHOT = ".safetensors"
LEAST, FEW = 10, 100  # pictures on either side, without which nothing or little can be said


def of_pictures_against(target: str, against: str, data_root: str | None, say: Say, looked: Progress) -> Diagnosed:
    """Generated pictures beside real ones: what a single look can tell.

    Raises:
        UserError: there are no such pictures, or fewer than ten.
    """
    path = Path(target)
    run = Run(path) if path.is_dir() and Run(path).exists() else None
    content = None if run is None else content_of(run)
    source = find(against, data_root, say)
    seen = survey(source, cache_folder(), looked)
    if run is not None or path.suffix == SNAPSHOT:
        made = _sampled(path, looked)
        shape = Shape(made.pixels.shape[3], made.pixels.shape[2], made.pixels.shape[1])
    else:
        (width, height), channels = size_for(source, seen, None)
        shape = Shape(width, height, channels)
        made = looking.drawn(target, shape, data_root, say, looked)
    real = prepare(source, seen, shape, broken="skip", cache=cache_folder(), progress=looked)
    least = min(len(made.pixels), len(real.train))
    if least < LEAST:
        raise UserError(f"{least} pictures are too few to say anything: give at least ten.")
    say(
        f"{made.name}, beside {len(real.train):,} real pictures and {len(real.held_out):,} held-out ones of "
        f"{real.name}, at {shape.width}x{shape.height}."
    )
    if made.resized:
        say(f"{made.resized} of the generated ones had another size and were resized: a grid is not looked for.")
    if least < FEW:
        say(f"{least} pictures are few: only what is wrong with most of them shows.")
    found = looking.look(real, made.pixels, resized=made.resized > 0)
    pairs = [f"{made.called[one]} ~ {looking.called(source, real, other)}" for one, other in found.pairs]

    def remedy(name: str) -> str:
        if content is not None:
            return advice(name, content, target)
        return looking.answer(name, target, against, min(made.total, len(real.held_out)), pairs)

    told = [one for one in of_pictures(real) if one.level != "note"] + looking.verdicts(found.check)
    return Diagnosed(tuple(Found(one, remedy(one.name), looked=True) for one in told), 1)


def _sampled(path: Path, looked: Progress) -> Made:
    """Pictures of a run's newest snapshot, or of a snapshot, by seeds."""
    generator = load(path)
    blocks: list[Bytes] = []
    for pixels, _ in of_generator(generator, path.name, "ema").blocks(0, LOOKED_AT):
        blocks.append(pixels)
        looked(sum(map(len, blocks)), LOOKED_AT)
    name = f"{LOOKED_AT} pictures of {path.name} (averaged weights at {int(str(generator.header['images'])):,} images)"
    return Made(np.concatenate(blocks), [f"seed {seed}" for seed in range(LOOKED_AT)], name, total=2**60)
