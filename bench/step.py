"""Time rounds of zerosum's recipe ``dcgan`` against a plain PyTorch loop (``plain_dcgan``) with equal networks.

    python bench/step.py --sizes 64x64x3:64 28x28x1:128 --rounds 5 --steps 10

Other libraries (``peers``) take part where the interpreter that runs this can import them, with equal networks too.
Every contestant of a table is a process of its own that lives for the whole table; they take turns, one at a time, in
an order that is reversed every other round. Zerosum is timed with its data path and its line of stats every 20 rounds
(not with what a run saves now and then); the plain loop and peers are given ready float batches, peers run with malloc
as it comes. Prints, asserts no times.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import importlib.metadata
import importlib.util
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
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple

import peers  # pyrefly: ignore [missing-import] - it lies beside this script
from peers import Step, Table  # pyrefly: ignore [missing-import]

WARM_UP = 3  # steps, after the one whose operations are counted
PICTURES = 2_000  # in zerosum's data


class Contestant(NamedTuple):
    """``kind`` is the function that builds it; ``tuned``: with our malloc setting. Peers have modules and a heading."""

    name: str
    kind: str
    tuned: bool
    modules: tuple[str, ...] = ()
    heading: str = ""


PLAIN = Contestant("plain loop, default malloc", "plain", False)
PLAIN_TUNED = Contestant("plain loop, our malloc setting", "plain", True)
ZEROSUM = Contestant("zerosum as run, our malloc setting", "zerosum", True)
ZEROSUM16 = Contestant("zerosum as run, precision=bf16", "zerosum16", True)
ZEROSUM_DEFAULT = Contestant("zerosum, default malloc", "zerosum", False)
TF = ("keras", "tensorflow")
KERAS = Contestant("Keras 3 on TensorFlow, float32", "keras", False, TF, "Keras float32")
KERAS16 = Contestant("Keras 3 on TensorFlow, mixed_bfloat16", "keras16", False, TF, "Keras mixed_bfloat16")
TORCHGAN = Contestant("torchgan's Trainer, which runs G twice", "torchgan", False, ("torchgan",), "torchgan")
MIMICRY = Contestant("mimicry's train steps, which run G twice", "mimicry", False, ("torch_mimicry",), "mimicry")
PEAK = Contestant("3x3, 256 to 256 channels, forward, fp32, channels_last", "peak", True)
PEAK16 = Contestant("the same in bf16", "peak16", True)
PEAKS = (PEAK, PEAK16)
PEERS = (KERAS, KERAS16, TORCHGAN, MIMICRY)
HERE = tuple(peer for peer in PEERS if all(importlib.util.find_spec(module) for module in peer.modules))
CONTESTANTS = (PLAIN, PLAIN_TUNED, ZEROSUM, ZEROSUM16, ZEROSUM_DEFAULT, *HERE, *PEAKS)  # the peaks last


class Facts(NamedTuple):
    """What a worker says of itself once it is warm: parameters of its networks, operations of a step (Keras: 0)."""

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
        return statistics.median(second for turn in self.turns for second in turn.seconds)

    def rate(self, same_work: Result) -> float:
        """GFLOP/s; by the operations of ``same_work`` if its own are not counted."""
        return (self.facts.gflop or same_work.facts.gflop) / self.seconds()


# in a worker's process: torch or TensorFlow is imported here, after the allocator was set


def work(connection: Connection[Any, Any], contestant: Contestant, table: Table) -> None:
    """Build a contestant, then run as many steps as the parent asks for, until it asks for none."""
    from zerosum.allocator import tune_allocator

    tuned = tune_allocator() if contestant.tuned else False
    own = {"zerosum": zerosum, "zerosum16": functools.partial(zerosum, precision="bf16")}
    own |= {"peak": peak, "peak16": functools.partial(peak, half=True)}
    build = own.get(contestant.kind) or getattr(peers, contestant.kind)
    with tempfile.TemporaryDirectory() as folder:
        step, parameters = build(table, Path(folder))
        gflop, threads = counted(step) if contestant.modules != TF else (0.0, 0)
        for _ in range(WARM_UP):
            step()
        connection.send(Facts(parameters, gflop, tuned, threads))
        while steps := connection.recv():
            seconds = [timed(step) for _ in range(steps)]
            connection.send(Turn(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def counted(step: Step) -> tuple[float, int]:
    """Run a step of torch's; its GFLOP, and the threads of torch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e9, torch.get_num_threads()


def zerosum(table: Table, folder: Path, precision: Literal["fp32", "bf16"] = "fp32") -> tuple[Step, list[int]]:
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

    return step, peers.parameters(*(trainer.players[name].net for name in ("generator", "critic")))


def peak(table: Table, folder: Path, half: bool = False) -> tuple[Step, list[int]]:
    """A large convolution in the layout that zerosum uses: what is attainable on this machine."""
    import torch
    import torch.nn.functional as F

    x = torch.randn(32, 256, 32, 32).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3).to(memory_format=torch.channels_last)
    kind = torch.bfloat16 if half else torch.float32
    x, weight = x.to(kind), weight.to(kind)
    return lambda: F.conv2d(x, weight, padding=1), []


def timed(step: Step) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


# in the parent's process


def compare(table: Table, rounds: int, steps: int) -> dict[Contestant, Result]:
    """Start the contestants one after the other, let them take turns, and end them; without peers that died."""
    context = multiprocessing.get_context("spawn")
    connections: dict[Contestant, Connection[Any, Any]] = {}
    results: dict[Contestant, Result] = {}
    for contestant in CONTESTANTS:
        connections[contestant], theirs = context.Pipe()
        context.Process(target=work, args=(theirs, contestant, table), daemon=True).start()
        theirs.close()  # so that a worker's death is an EOFError here
        if facts := heard(contestant, connections[contestant]):
            results[contestant] = Result(facts, [])
    counts = [result.facts.parameters for contestant, result in results.items() if contestant not in PEAKS]
    assert all(count == counts[0] for count in counts), f"the networks are not equal: parameters {counts}"
    for number in range(rounds):
        for contestant in list(results) if number % 2 == 0 else list(results)[::-1]:
            if turn := heard(contestant, connections[contestant], steps):
                results[contestant].turns.append(turn)
            else:
                del results[contestant]
    for contestant in results:
        connections[contestant].send(0)
    for worker in multiprocessing.active_children():
        worker.join()
    return results


def heard(contestant: Contestant, connection: Connection[Any, Any], steps: int = 0) -> Any:
    """What a worker says, asked for ``steps`` or by itself; None if it is a peer's and has died."""
    try:
        if steps:
            connection.send(steps)
        return connection.recv()
    except (EOFError, ConnectionError):
        if contestant not in HERE:
            raise
        return None


def ratios(base: Result, other: Result) -> list[float]:
    """How many times faster ``other`` was, round by round (all steps of a turn, the rare slow ones too)."""
    return [sum(b.seconds) / sum(o.seconds) for b, o in zip(base.turns, other.turns, strict=True)]


def report(table: Table, results: dict[Contestant, Result]) -> str:
    """The table, and the ratios in words."""
    base, tuned, ours, ours16 = (results[each] for each in (PLAIN, PLAIN_TUNED, ZEROSUM, ZEROSUM16))
    peak_rate, peak16_rate = (results[each].rate(ours) for each in PEAKS)
    lines = [f"## {table.size}x{table.size}x{table.channels}, batch {table.batch}", ""]
    lines += ["Parameters: generator {:,}, discriminator {:,}.".format(*base.facts.parameters)]
    lines += [f"GFLOP per step: plain loop {base.facts.gflop:.2f}, zerosum {ours.facts.gflop:.2f}."]
    lines += [f"Attained convolution peak ({PEAK.name}): {peak_rate:.0f} GFLOP/s, in bf16 {peak16_rate:.0f}."]
    if not ours.facts.tuned:
        lines += ["The malloc setting did not take effect: every contestant ran with default malloc."]
    lines += [f"Not timed, for its process died: {peer.name}." for peer in HERE if peer not in results]
    rivals = {peer.heading: results[peer] for peer in HERE if peer in results}
    headings = (f"ratio to {heading}" for heading in ("plain", *rivals))
    head = ["contestant", "ms/step", "images/s", *headings, "GFLOP/s", "of peak"]
    lines += ["", f"| {' | '.join(head)} | peak RSS MiB |", "|---" * len(head) + "|---|"]
    for contestant, result in results.items():
        if contestant in PEAKS:
            continue
        seconds, rate, mark = result.seconds(), result.rate(ours), "" if result.facts.gflop else "*"
        cells = [contestant.name, f"{1000 * seconds:.1f}", f"{table.batch / seconds:.1f}"]
        cells += [f"{statistics.median(ratios(other, result)):.2f}" for other in (base, *rivals.values())]
        own_peak = peak16_rate if contestant in (ZEROSUM16, KERAS16) else peak_rate
        cells += [f"{rate:.0f}{mark}", f"{rate / own_peak:.0%}{mark}"]
        lines += [f"| {' | '.join(cells)} | {result.turns[-1].peak_mib:.0f} |"]
    if KERAS in results or KERAS16 in results:
        lines += ["", "*: not counted but taken from zerosum's step, which does the same work."]
    lines += ["", f"as its users run it: {spread(ratios(base, ours))}"]
    lines += [f"in 16 bits: {spread(ratios(base, ours16))}"]
    lines += [f"both with our allocator setting: {spread(ratios(tuned, ours))}"]
    for heading, rival in rivals.items():
        precision, own = ("bf16", ours16) if heading == KERAS16.heading else ("fp32", ours)
        lines += [f"zerosum {precision} against {heading}: {spread(ratios(rival, own))}"]
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} (median of the rounds; {min(values):.2f} to {max(values):.2f})"


def header(threads: int) -> str:
    """When, where and how it was measured."""
    date = f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    cpu = found[1] if found else platform.machine()
    packages = importlib.metadata.packages_distributions()
    modules = dict.fromkeys(["torch", *(module for peer in HERE for module in peer.modules)])
    names = [packages[module][0] for module in modules if module in packages]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    missing = "; ".join(peer.name for peer in PEERS if peer not in HERE)
    first = f"{date}, {versions}, {cpu}, {os.cpu_count()} CPUs, {threads} threads\n{shlex.join(['python', *sys.argv])}"
    return f"{first}\nnot importable here: {missing or 'none'}"


def parse_table(text: str) -> Table:
    """``64x64x3:128`` -> Table(64, 3, 128)."""
    found = re.fullmatch(r"(28|64)x\1x([134]):([1-9]\d*)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not of the form 64x64x3:BATCH or 28x28x1:BATCH")
    return Table(*map(int, found.groups()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = [Table(64, 3, 64), Table(64, 3, 128), Table(28, 1, 128)]
    parser.add_argument("--sizes", nargs="+", type=parse_table, default=tables)
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
