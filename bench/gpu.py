"""The GPU checklist: are all engines right there, how quick is each recipe, and how far from what the GPU can do?

    python bench/gpu.py correctness        each recipe, small: graph and compile against eager (minutes)
    python bench/gpu.py speed              each recipe at its published width: engines, precisions, memory, floors
    python bench/gpu.py plain              DCGAN 64x64, batch 128, against the plain loop
    python bench/gpu.py tracking           what the metric during training costs

Each command takes less than ten minutes, stops by itself before (--minutes), and appends lines of JSON to
results/<hardware>-<date>/<command>.jsonl; names that are there already are left out, so a command can be called again.
With --device cpu it rehearses. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from recipes import FORMS  # pyrefly: ignore [missing-import] - it lies beside this script

from zerosum.conformance import noise
from zerosum.networks.precision import factors
from zerosum.recipe import SGD, Precision, Recipe
from zerosum.recipes import CATALOGUE, dcgan
from zerosum.run import Run
from zerosum.training.cost import LATER, cost
from zerosum.training.engine import Name, refusal
from zerosum.training.trainer import Budget, Choices, Trainer

Line = dict[str, Any]
ENGINES: tuple[Name, ...] = ("eager", "graph", "compile")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
ROUNDS = 20


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def trainer(recipe: Recipe, device: str, engine: Name, folder: str) -> Trainer:
    return Trainer(recipe, noise(recipe, 512), Run(Path(folder)), 0, Choices(device=device, engine=engine))


def small(name: str) -> Recipe:
    """A recipe that moves by plain descent: Adam would make noise of gradients that are nearly zero."""
    dials = {"width": 10} if name == "goodfellow2014" else {"width": 4}
    dials |= {"long_turns": 6} if name == "wgan" else {}
    recipe = CATALOGUE[name](resolution=(16, 16), channels=3, **dials, batch=16, images=1600)
    moved = {role: dataclasses.replace(spec, optimizer=SGD(1e-3)) for role, spec in recipe.players.items()}
    return dataclasses.replace(recipe, players=moved)


def correctness(device: str) -> Iterator[tuple[str, Callable[[], Line]]]:
    """The largest relative difference of any stat to eager's, over six rounds."""

    def stats(recipe: Recipe, engine: Name) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            one = trainer(recipe, device, engine, folder)
            for _ in range(6):
                one.play_round(Budget(recipe.images))
            return {name: float(total) for name, total in one.sums.items()}

    def compared(name: str, engine: Name, checkpoint: bool) -> Line:
        recipe = dataclasses.replace(small(name), checkpoint=checkpoint)
        first, second = stats(recipe, "eager"), stats(recipe, engine)
        return {"difference": max(abs(first[key] - second[key]) / (1e-3 + abs(first[key])) for key in first)}

    for name in CATALOGUE:
        for engine in ENGINES[1:]:
            if refusal(engine, small(name), device) is None:
                yield f"{name}, {engine}", functools.partial(compared, name, engine, False)
            again = dataclasses.replace(small(name), checkpoint=True)
            if engine == "graph" and refusal(engine, again, device) is None:
                yield f"{name}, {engine}, checkpoint", functools.partial(compared, name, engine, True)


def timed(recipe: Recipe, device: str, engine: Name) -> Line:
    """Images per second, peak memory, and the share of the matrix rate that the counted operations are."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        one = trainer(recipe, device, engine, folder)
        one.rounds = LATER
        for _ in range(5):
            one.play_round(Budget(recipe.images))
        times = []
        for _ in range(3):
            wait(device)
            began = time.perf_counter()
            for _ in range(ROUNDS):
                one.play_round(Budget(recipe.images))
            wait(device)
            times.append((time.perf_counter() - began) / ROUNDS)
    counted, seconds = cost(recipe, noise(recipe, 8)), statistics.median(times)
    kind = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    rate = matrix_rate(device, kind, tf32=recipe.precision == "tf32")
    memory = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else 0.0
    return {
        "milliseconds": round(1000 * seconds, 3),
        "images_per_second": round(counted.images / seconds, 1),
        "tflops": round(counted.operations / seconds / 1e12, 3),
        "of_matrix_rate": round(counted.operations / seconds / rate, 3),
        "floor_milliseconds": round(1000 * counted.operations / rate, 3),
        "weights_mib": round(weights(recipe) / 2**20, 1),
        "peak_mib": round(memory),
    }


def weights(recipe: Recipe) -> float:
    """Bytes of both networks' weights, which every turn reads."""
    with torch.device("meta"):
        nets = [spec.net.build() for spec in recipe.players.values()]
    return float(sum(parameter.numel() * 4 for net in nets for parameter in net.parameters()))


def matrix_rate(device: str, kind: torch.dtype, *, tf32: bool = False) -> float:
    """Operations per second of a large product in this type, measured once."""
    if (device, kind, tf32) not in RATES:
        side = 8192 if device.startswith("cuda") else 1024
        a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
        best = float("inf")
        with factors(torch.device(device), tf32=tf32):
            for _ in range(10):
                wait(device)
                began = time.perf_counter()
                a @ b
                wait(device)
                best = min(best, time.perf_counter() - began)
        RATES[device, kind, tf32] = 2 * side**3 / best
    return RATES[device, kind, tf32]


RATES: dict[tuple[str, torch.dtype, bool], float] = {}


def speed(device: str) -> Iterator[tuple[str, Callable[[], Line]]]:
    for form, dials in FORMS.items():
        for precision in PRECISIONS:
            recipe = dataclasses.replace(CATALOGUE[form.split(",")[0]](**dials), precision=precision)
            for engine in ENGINES[:2]:
                if refusal(engine, recipe, device) is None:
                    name = f"{form}, {precision}, {engine}"
                    yield name, functools.partial(timed, recipe, device, engine)


def plain(device: str) -> Iterator[tuple[str, Callable[[], Line]]]:
    """The frozen loop with ready batches on the device, and ours with its data path."""
    from plain_dcgan import PlainDCGAN  # pyrefly: ignore [missing-import]

    def loop() -> Line:
        with torch.device(device):
            plain = PlainDCGAN(64, 3, 128)
            x = torch.rand(128, 3, 64, 64) * 2 - 1
            for _ in range(5):
                plain.step(x)
            wait(device)
            began = time.perf_counter()
            for _ in range(ROUNDS):
                plain.step(x)
            wait(device)
        return {"images_per_second": round(128 * ROUNDS / (time.perf_counter() - began), 1)}

    yield "plain loop, with cuDNN rounding factors as torch does by itself", loop
    tf32: tuple[Precision, ...] = () if device == "cpu" else ("tf32",)
    for precision in (*PRECISIONS, *tf32):
        recipe = dataclasses.replace(dcgan((64, 64), bias=False, latent="normal", batch=128), precision=precision)
        for engine in ENGINES:
            if refusal(engine, recipe, device) is None:
                yield (
                    f"zerosum, {precision}, {engine}",
                    functools.partial(timed, recipe, device, engine),
                )


class Blind:
    """A tracker that measures nothing."""

    def __init__(self, *given: object) -> None:
        pass

    def __call__(self, moment: object) -> None:
        pass


def tracking(device: str) -> Iterator[tuple[str, Callable[[], Line]]]:
    """Seconds of a run with and without the metric during training."""
    import zerosum
    from zerosum import launch

    def run(tracker: object) -> Line:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(launch, "Tracker", tracker):
            began = time.perf_counter()
            zerosum.train("digits", out=Path(folder) / "run", images=200_000, device=device)
            return {"seconds": round(time.perf_counter() - began, 1)}

    yield "with tracking", functools.partial(run, launch.Tracker)
    yield "without tracking", functools.partial(run, Blind)


COMMANDS = {"correctness": correctness, "speed": speed, "plain": plain, "tracking": tracking}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("-o", "--out", type=Path, default=Path("results"))
    given = parser.parse_args()
    hardware = torch.cuda.get_device_name() if given.device.startswith("cuda") else "cpu"
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    path = given.out / f"{re.sub(r'[^a-z0-9]+', '-', hardware.lower())}-{date}" / f"{given.command}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {json.loads(line)["name"] for line in path.read_text().splitlines()} if path.exists() else set()
    end = time.monotonic() + 60 * given.minutes
    for name, job in COMMANDS[given.command](given.device):
        if name in done or given.only not in name:
            continue
        if time.monotonic() > end:
            print("the time is up: the same command goes on")
            break
        try:
            found = job()
        except Exception as error:  # one recipe that fails must not hide the others
            found = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"}
        line = {"name": name, "torch": torch.__version__, "date": date, **found}
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)


if __name__ == "__main__":
    main()
