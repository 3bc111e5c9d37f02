"""Time rounds of zerosum's recipe ``dcgan`` against a plain PyTorch loop (``plain_dcgan``) with equal networks.

    python bench/step.py --sizes 64x64x3:64 28x28x1:128 --rounds 5 --steps 10

Every contestant of a table is a process of its own that lives for the whole table; they take turns, one at a time, in
an order that is reversed every other round. Zerosum is timed with its data path and its line of stats every 20 rounds
(not with what a run saves now and then); the plain loop is given ready float batches. Prints, asserts no times.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import multiprocessing
import os
import platform
import re
import resource
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import nn

WARM_UP = 3  # steps, after the one whose operations are counted
PICTURES = 2_000  # in zerosum's data
READY_BATCHES = 4  # of the plain loop

Step = Callable[[], object]


class Table(NamedTuple):
    """One comparison: square pictures of ``size``, and the batch."""

    size: int
    channels: int
    batch: int


class Contestant(NamedTuple):
    name: str
    kind: str
    tuned: bool


PLAIN = Contestant("plain loop, default malloc", "plain", False)
PLAIN_TUNED = Contestant("plain loop, our malloc setting", "plain", True)
ZEROSUM = Contestant("zerosum as run, our malloc setting", "zerosum", True)
ZEROSUM16 = Contestant("zerosum as run, precision=bf16", "zerosum16", True)
ZEROSUM_DEFAULT = Contestant("zerosum, default malloc", "zerosum", False)
PEAK = Contestant("3x3, 256 to 256 channels, forward, fp32, channels_last", "peak", True)
CONTESTANTS = (PLAIN, PLAIN_TUNED, ZEROSUM, ZEROSUM16, ZEROSUM_DEFAULT, PEAK)  # the peak last


class Facts(NamedTuple):
    """What a worker says of itself once it is warm: parameters of its networks, operations of one step."""

    parameters: list[int]
    gflop: float
    tuned: bool
    threads: int


class Turn(NamedTuple):
    """A worker's answer: seconds of each step, and its peak memory so far (in Linux's units)."""

    seconds: list[float]
    peak_mib: float


class Result(NamedTuple):
    facts: Facts
    turns: list[Turn]

    def seconds(self) -> float:
        """The median step."""
        return statistics.median(second for turn in self.turns for second in turn.seconds)

    def gflops(self) -> float:
        return self.facts.gflop / self.seconds()


# in a worker's process: torch is imported here, after the allocator was set


def work(connection: Connection[Any, Any], contestant: Contestant, table: Table) -> None:
    """Build a contestant, then run as many steps as the parent asks for, until it asks for none."""
    from zerosum.allocator import tune_allocator

    tuned = tune_allocator() if contestant.tuned else False
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        build = {"plain": plain, "zerosum": zerosum, "zerosum16": zerosum16, "peak": peak}[contestant.kind]
        step, nets = build(table, Path(folder))
        with FlopCounterMode(display=False) as counter:
            step()
        for _ in range(WARM_UP):
            step()
        parameters = [sum(parameter.numel() for parameter in net.parameters()) for net in nets]
        connection.send(Facts(parameters, counter.get_total_flops() / 1e9, tuned, torch.get_num_threads()))
        while steps := connection.recv():
            seconds = [timed(step) for _ in range(steps)]
            connection.send(Turn(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def plain(table: Table, folder: Path) -> tuple[Step, list[nn.Module]]:
    """The plain loop on ready float batches."""
    import torch
    from plain_dcgan import PlainDCGAN  # pyrefly: ignore [missing-import] - it lies beside this script

    gan = PlainDCGAN(table.size, table.channels, table.batch)
    shape = (READY_BATCHES, table.batch, table.channels, table.size, table.size)
    batches = torch.randint(256, shape, dtype=torch.uint8).float() / 127.5 - 1
    taken = 0

    def step() -> None:
        nonlocal taken
        gan.step(batches[taken % READY_BATCHES])
        taken += 1

    return step, [gan.netG, gan.netD]


def zerosum16(table: Table, folder: Path) -> tuple[Step, list[nn.Module]]:
    """The same, computed in 16 bits."""
    return zerosum(table, folder, "bf16")


def zerosum(table: Table, folder: Path, precision: Literal["fp32", "bf16"] = "fp32") -> tuple[Step, list[nn.Module]]:
    """Rounds of the recipe with the networks of the plain loop, on uint8 pictures in memory."""
    import numpy as np
    import torch

    from zerosum.data.pictures import Pictures
    from zerosum.recipes.dcgan import dcgan
    from zerosum.run import Run
    from zerosum.training.trainer import Budget, Choices, Trainer

    size = (table.size, table.size)
    pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, table.channels, *size), dtype=np.uint8)
    rows = np.arange(PICTURES)
    pictures = Pictures("random", pixels, None, (), rows, rows[:0], size, "")
    dials: dict[str, Any] = {"channels": table.channels, "batch": table.batch, "width": 64, "kernel": 4}
    recipe = dataclasses.replace(dcgan(size, **dials, bias=False, latent="normal"), precision=precision)
    trainer = Trainer(recipe, pictures, Run(folder), seed=0, choices=Choices(threads=torch.get_num_threads()))
    budget = Budget(10**9)
    flushed = time.monotonic()

    def step() -> None:
        nonlocal flushed
        trainer.play_round(budget)
        if trainer.images % (20 * recipe.batch) == 0:
            now = time.monotonic()
            trainer.flush(now - flushed)
            flushed = now

    return step, [trainer.players[name].net for name in ("generator", "critic")]


def peak(table: Table, folder: Path) -> tuple[Step, list[nn.Module]]:
    """A large convolution in the layout that zerosum uses: what is attainable on this machine."""
    import torch
    import torch.nn.functional as F

    x = torch.randn(32, 256, 32, 32).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3).to(memory_format=torch.channels_last)
    return lambda: F.conv2d(x, weight, padding=1), []


def timed(step: Step) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


# in the parent's process


def compare(table: Table, rounds: int, steps: int) -> dict[Contestant, Result]:
    """Start the contestants one after the other, let them take turns, and end them."""
    context = multiprocessing.get_context("spawn")
    connections: dict[Contestant, Connection[Any, Any]] = {}
    results: dict[Contestant, Result] = {}
    for contestant in CONTESTANTS:
        connections[contestant], theirs = context.Pipe()
        context.Process(target=work, args=(theirs, contestant, table), daemon=True).start()
        theirs.close()  # so that a worker's death is an EOFError here
        results[contestant] = Result(connections[contestant].recv(), [])
    counts = [results[contestant].facts.parameters for contestant in CONTESTANTS[:-1]]
    assert all(count == counts[0] for count in counts), f"the networks are not equal: parameters {counts}"
    for number in range(rounds):
        for contestant in CONTESTANTS if number % 2 == 0 else CONTESTANTS[::-1]:
            connections[contestant].send(steps)
            results[contestant].turns.append(connections[contestant].recv())
    for connection in connections.values():
        connection.send(0)
    for worker in multiprocessing.active_children():
        worker.join()
    return results


def ratios(base: Result, other: Result) -> list[float]:
    """How many times faster ``other`` was, round by round (all steps of a turn, the rare slow ones too)."""
    return [sum(b.seconds) / sum(o.seconds) for b, o in zip(base.turns, other.turns, strict=True)]


def report(table: Table, results: dict[Contestant, Result]) -> str:
    """The table, and the two ratios in words."""
    base, tuned, ours, attained = (results[contestant] for contestant in (PLAIN, PLAIN_TUNED, ZEROSUM, PEAK))
    generator, discriminator = base.facts.parameters
    lines = [f"## {table.size}x{table.size}x{table.channels}, batch {table.batch}", ""]
    lines += [f"Parameters: generator {generator:,}, discriminator {discriminator:,}."]
    lines += [f"GFLOP per step: plain loop {base.facts.gflop:.2f}, zerosum {ours.facts.gflop:.2f}."]
    lines += [f"Attained convolution peak ({PEAK.name}): {attained.gflops():.0f} GFLOP/s."]
    if not ours.facts.tuned:
        lines += ["The malloc setting did not take effect: every contestant ran with default malloc."]
    lines += ["", "| contestant | ms/step | images/s | ratio to plain | GFLOP/s | of peak | peak RSS MiB |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for contestant in CONTESTANTS[:-1]:
        result = results[contestant]
        seconds, gflops, ratio = result.seconds(), result.gflops(), statistics.median(ratios(base, result))
        lines.append(
            f"| {contestant.name} | {1000 * seconds:.1f} | {table.batch / seconds:.1f} | {ratio:.2f} | {gflops:.0f} "
            f"| {gflops / attained.gflops():.0%} | {result.turns[-1].peak_mib:.0f} |"
        )
    lines += ["", f"as its users run it: {spread(ratios(base, ours))}"]
    lines += [f"in 16 bits: {spread(ratios(base, results[ZEROSUM16]))}"]
    lines += [f"both with our allocator setting: {spread(ratios(tuned, ours))}"]
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} (median of the rounds; {min(values):.2f} to {max(values):.2f})"


def header(threads: int) -> str:
    """When, where and how it was measured."""
    date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    cpu = found[1] if found else platform.machine()
    machine = f"{cpu}, {os.cpu_count()} CPUs, {threads} threads"
    return f"{date}, torch {importlib.metadata.version('torch')}, {machine}\n{shlex.join(['python', *sys.argv])}"


def parse_table(text: str) -> Table:
    """``64x64x3:128`` -> Table(64, 3, 128)."""
    found = re.fullmatch(r"(28|64)x\1x([134]):([1-9]\d*)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not of the form 64x64x3:BATCH or 28x28x1:BATCH")
    return Table(*map(int, found.groups()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [Table(64, 3, 64), Table(64, 3, 128), Table(28, 1, 128)]
    parser.add_argument("--sizes", nargs="+", type=parse_table, default=default)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="steps of each contestant in a round")
    arguments = parser.parse_args()
    for number, table in enumerate(arguments.sizes):
        results = compare(table, arguments.rounds, arguments.steps)
        if number == 0:
            print(header(results[PLAIN].facts.threads))
        print(f"\n{report(table, results)}", flush=True)


if __name__ == "__main__":
    main()
