"""Speed and memory of the data path: preparing JPEGs, the loader's share of a round, and a cache larger than memory.

    python bench/data.py                        all three
    python bench/data.py --parts prepare        10,000 JPEGs of 128x128 to 64x64
    python bench/data.py --parts loader         rounds with the loader against rounds on one constant batch
    python bench/data.py --parts memory --gib 5 a run on a synthetic cache of 5 GiB: growth of anonymous memory

Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import io
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PICTURES = 10_000


def photographs(folder: Path, count: int, side: int = 128) -> None:
    """Smooth random JPEGs of quality 90: about as costly to decode as photographs."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for index in range(count):
        small = random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)).astype(np.int16)
        picture = (picture + random.integers(-8, 9, picture.shape)).clip(0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=90)
        (folder / f"{index:05d}.jpg").write_bytes(file.getvalue())


def prepare_speed(rounds: int) -> None:
    """Decode, resize and write 10,000 JPEGs, with one core and with all."""
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "if sys.argv[3] == '1': os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})\n"
        "from zerosum.data.fit import Shape; from zerosum.data.readers.folder import folder\n"
        "from zerosum.data.prepare import prepare; from zerosum.data.survey import survey\n"
        "began = time.perf_counter(); source = folder(Path(sys.argv[1])); seen = survey(source)\n"
        "looked = time.perf_counter(); prepare(source, seen, Shape(64, 64, 3), out=Path(sys.argv[2]))\n"
        "print(looked - began, time.perf_counter() - looked)\n"
    )
    with tempfile.TemporaryDirectory() as place:
        photographs(Path(place) / "photos", PICTURES)
        size = sum(file.stat().st_size for file in (Path(place) / "photos").iterdir()) / PICTURES
        print(f"### Preparing {PICTURES:,} JPEGs of 128x128 ({size:,.0f} bytes each) to 64x64\n")
        print("| cores | looking, images/s | decoding and writing, images/s |\n|---|---|---|")
        found: dict[str, list[tuple[float, float]]] = {"1": [], "all": []}
        for number in range(rounds):
            for cores in found:
                out = Path(place) / f"out-{cores}-{number}"
                command = [sys.executable, "-c", code, str(Path(place) / "photos"), str(out), cores]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
                found[cores].append((float(said[0]), float(said[1])))
        for cores, times in found.items():
            looking, decoding = (PICTURES / statistics.median(column) for column in zip(*times, strict=True))
            name = "1" if cores == "1" else str(len(os.sched_getaffinity(0)))
            print(f"| {name} | {looking:,.0f} | {decoding:,.0f} |")
        print()


def loader_cost(rounds: int, steps: int) -> None:
    """Rounds of dcgan with batches from a memory-mapped cache, against rounds on one batch that never changes."""
    print("### The loader's share of a round of `dcgan`\n")
    print("| data | constant batch, ms | from the cache, ms | cost |\n|---|---|---|---|")
    for side, channels, batch in ((64, 3, 64), (28, 1, 128)):
        with tempfile.TemporaryDirectory() as place:
            fixed, loading = (trainer(Path(place) / name, side, channels, batch) for name in ("fixed", "loading"))
            constant = fixed.loader.batch(0, batch)
            setattr(fixed.loader, "batch", functools.partial(unchanging, constant))  # noqa: B010 - on purpose
            times: dict[str, list[float]] = {"fixed": [], "loading": []}
            for number in range(rounds):
                pair = [("fixed", fixed), ("loading", loading)]
                for name, own in pair if number % 2 == 0 else pair[::-1]:
                    times[name] += [timed(own) for _ in range(steps)]
            medians = {name: statistics.median(own[steps:]) * 1000 for name, own in times.items()}
            cost = medians["loading"] / medians["fixed"] - 1
            times_ms = f"{medians['fixed']:.1f} | {medians['loading']:.1f}"
            print(f"| {side}x{side}x{channels}, batch {batch} | {times_ms} | {cost:+.1%} |")
    print()


def unchanging(batch: Any, start: int, count: int) -> Any:
    """A loader's batch that costs nothing."""
    return batch


def trainer(place: Path, side: int, channels: Any, batch: int) -> Any:
    """A trainer on random pictures that lie in a cache."""
    from zerosum.data import prepare as room
    from zerosum.data.fit import Shape
    from zerosum.data.source import from_array
    from zerosum.data.survey import survey
    from zerosum.recipes.dcgan import dcgan
    from zerosum.run import Run
    from zerosum.training.trainer import Choices, Trainer

    pixels = np.random.default_rng(0).integers(0, 256, (20_000, side, side, channels), dtype=np.uint8)
    source = from_array("random", pixels)
    pictures = room.prepare(source, survey(source), Shape(side, side, channels), out=place / "cache")
    recipe = dcgan((side, side), channels=channels, batch=batch)
    threads = len(os.sched_getaffinity(0))
    return Trainer(recipe, pictures, Run(place / "run"), seed=0, choices=Choices(threads=threads))


def timed(own: Any) -> float:
    """Seconds of one round."""
    from zerosum.training.trainer import Budget

    began = time.perf_counter()
    own.play_round(Budget(10**9))
    return time.perf_counter() - began


def memory(gib: float) -> None:
    """Train for a minute on a synthetic cache and follow RssAnon and RssFile of the process."""
    from zerosum.data import prepared
    from zerosum.data.fit import Shape
    from zerosum.data.pictures import Pictures
    from zerosum.data.source import pixel_digest
    from zerosum.data.split import identity

    side, picture = 64, 64 * 64 * 3
    count = int(gib * 2**30 / picture)
    with tempfile.TemporaryDirectory() as place:
        shape = Shape(side, side, 3)
        writer = prepared.Writer(Path(place) / "cache", shape)
        random = np.random.default_rng(0)
        block = random.integers(0, 256, (4096, 3, side, side), dtype=np.uint8)
        for first in range(0, count, len(block)):
            part = np.roll(block, first, axis=3)[: min(len(block), count - first)]
            digests = b"".join(pixel_digest(picture) for picture in part)
            writer.append(part, np.frombuffer(digests, np.uint8).reshape(-1, 16), {}, 0)
        train, held_out = np.split(np.arange(count), [count - 10_000])
        name = identity(shape, writer.digests(), None, train, held_out)
        none = Pictures("synthetic", block, None, (), train, held_out, (side, side), name)
        prepared.finish(writer, none, {"key": "synthetic"})
        command = [sys.executable, "-m", "zerosum", "train", str(Path(place) / "cache"), "--recipe", "dcgan"]
        command += ["--for", "60s", "-o", str(Path(place) / "run"), "--set", "width=16"]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seen: list[tuple[float, float, float]] = []
        first = 0.0  # second of the first line of stats
        began = time.monotonic()
        while started.poll() is None:
            status = Path(f"/proc/{started.pid}/status").read_text()
            values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
            if "RssAnon" in values:
                anonymous, mapped = (int(values[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
                seen.append((time.monotonic() - began, anonymous, mapped))
            if not first and (Path(place) / "run" / "stats.jsonl").exists():
                first = time.monotonic() - began
            time.sleep(0.5)
        print(f"### A run on a cache of {gib:g} GiB ({count:,} pictures of 64x64)\n")
        print("| second | RssAnon MiB | RssFile MiB |\n|---|---|---|")
        for second, anonymous, mapped in seen[:: max(1, len(seen) // 12)]:
            print(f"| {second:.0f} | {anonymous:,.0f} | {mapped:,.0f} |")
        settled = next((anonymous for second, anonymous, _ in seen if second > first + 3), 0.0)
        most = max(anonymous for _, anonymous, _ in seen)
        rise = f"{most - settled:,.0f} above the first rounds"
        print(f"\nExit code {started.returncode}; most {most:,.0f} MiB anonymous, {rise}.\n")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["prepare", "loader", "memory"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--gib", type=float, default=5.0)
    given = parser.parse_args()
    now = datetime.datetime.now(datetime.UTC)
    print(f"{now:%Y-%m-%d %H:%M} UTC, python {shlex.join(sys.argv)}\n")
    if "prepare" in given.parts:
        prepare_speed(given.rounds)
    if "loader" in given.parts:
        from zerosum.allocator import tune_allocator

        tune_allocator()
        loader_cost(given.rounds, given.steps)
    if "memory" in given.parts:
        memory(given.gib)


if __name__ == "__main__":
    main()
