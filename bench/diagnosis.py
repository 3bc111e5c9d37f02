"""What the diagnosis costs a training: with and without it, whole trainings in turn.

    python bench/diagnosis.py --data digits mnist --recipes dcgan modern --seconds 60 --repeats 3

A first training of each kind finds how many images take so long, and the others see as many. Prints the ratio of the
times (medians), what the checks say they took of it, and how many they were. Asserts nothing.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import platform
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

BATCH = "64"


class Took(NamedTuple):
    """Seconds of a training and of its checks, and how many checks and images there were."""

    seconds: float
    checking: float
    checks: int
    images: int


def play(connection: Connection[Any, Any], data: str, recipe: str, images: int, seconds: float, watched: bool) -> None:
    """A training of ``images``, or for ``seconds`` if that is 0."""
    from zerosum.files import read_lines
    from zerosum.plan import Request, make_plan
    from zerosum.run import Run
    from zerosum.training.trainer import Budget, Trainer, train
    from zerosum.watching import Watch

    plan = make_plan(Request(data, recipe, images or None, settings={"batch": BATCH}), lambda said: None)
    pictures = plan.pictures(lambda done, total: None)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        trainer = Trainer(plan.recipe, pictures, run, 0, plan.choices)
        began = time.monotonic()
        watchers = (Watch(trainer, run),) if watched else ()
        deadline = None if images else began + seconds
        train(trainer, Budget(images) if images else None, deadline=deadline, watchers=watchers)
        took = time.monotonic() - began
        lines = read_lines(run.signals)
    checking = sum(float(str(line["seconds"])) for line in lines)
    connection.send(Took(took, checking, len(lines), trainer.images))


def one(data: str, recipe: str, images: int, seconds: float, watched: bool) -> Took:
    """``play`` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=play, args=(theirs, data, recipe, images, seconds, watched))
    process.start()
    took: Took = ours.recv()
    process.join()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits", "mnist"])
    parser.add_argument("--recipes", nargs="+", default=["dcgan", "modern"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    import torch

    print(
        f"{datetime.date.today()}, torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads"
    )
    print("\n| data | recipe | images | without, s | with, s | ratio | checks | of the time |\n" + "|---" * 8 + "|")
    for data in given.data:
        for recipe in given.recipes:
            images = one(data, recipe, 0, given.seconds, False).images
            pairs = [[one(data, recipe, images, 0.0, side) for side in (False, True)] for _ in range(given.repeats)]
            without, watched = (statistics.median(pair[side].seconds for pair in pairs) for side in (0, 1))
            ratio = statistics.median(pair[1].seconds / pair[0].seconds for pair in pairs)
            share = statistics.median(pair[1].checking / pair[1].seconds for pair in pairs)
            checks = statistics.median(pair[1].checks for pair in pairs)
            cells = (data, recipe, f"{images:,}", f"{without:.1f}", f"{watched:.1f}", f"{ratio:.3f}", f"{checks:.0f}")
            print(f"| {' | '.join(cells)} | {share:.2%} |", flush=True)


if __name__ == "__main__":
    main()
