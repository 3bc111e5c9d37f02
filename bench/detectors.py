"""Time Inception-v3 features on the CPU: zerosum's detector against the same network as its PyTorch ports run it.

    python bench/detectors.py --rounds 5 --batches 2

The port's way is the plain module: batch norms as they come, NCHW, eager, glibc's own malloc, batches of 50. Weights
are random (He), equal for all; uint8 pictures go in, features come out, the resizing to 299x299 is included. Every
contestant is a process of its own; they take turns, one at a time, in an order that is reversed every other round.
Prints, asserts no times.
"""

from __future__ import annotations

import argparse
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
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

READY = 2  # batches that are taken in turn


class Contestant(NamedTuple):
    name: str
    ours: bool
    tuned: bool


PLAIN = Contestant("plain module, default malloc", False, False)
PLAIN_TUNED = Contestant("plain module, our malloc setting", False, True)
ZEROSUM = Contestant("zerosum as run, our malloc setting", True, True)
ZEROSUM_DEFAULT = Contestant("zerosum, default malloc", True, False)
CONTESTANTS = (PLAIN, PLAIN_TUNED, ZEROSUM, ZEROSUM_DEFAULT)


class Facts(NamedTuple):
    """What a worker says of itself once it is warm."""

    features: npt.NDArray[Any]
    gflop: float
    tuned: bool
    threads: int


class Turn(NamedTuple):
    """Seconds of a worker's turn, and its peak memory so far."""

    seconds: float
    peak_mib: float


class Result(NamedTuple):
    facts: Facts
    turns: list[Turn]


def work(connection: Connection[Any, Any], contestant: Contestant, size: int, batch: int) -> None:
    """Build the network, then look at as many batches as the parent asks for, until it asks for none."""
    from zerosum.allocator import tune_allocator

    tuned = tune_allocator() if contestant.tuned else False
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    features = build(contestant.ours)
    batches = torch.randint(
        256, (READY, batch, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            first = features(batches[0])
        features(batches[1])
        facts = Facts(first.numpy(), counter.get_total_flops() / batch / 1e9, tuned, torch.get_num_threads())
        connection.send(facts)
        while count := connection.recv():
            began = time.perf_counter()
            for number in range(count):
                features(batches[number % READY])
            seconds = time.perf_counter() - began
            connection.send(Turn(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def build(ours: bool) -> Callable[[Tensor], Tensor]:
    """uint8 pictures -> features (N, 2048) of a network with the same random weights."""
    import torch
    from torch import nn

    from zerosum.metrics.detectors.inception import Inception, fold, prepare

    torch.manual_seed(0)
    net = Inception().eval().requires_grad_(False)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    if ours:
        fold(net)
        return lambda pictures: net(prepare(pictures)).pool
    return lambda pictures: net(prepare(pictures).contiguous()).pool


def compare(size: int, batch: int, rounds: int, batches: int) -> dict[Contestant, Result]:
    """Start the contestants one after the other, let them take turns, and end them."""
    context = multiprocessing.get_context("spawn")
    connections: dict[Contestant, Connection[Any, Any]] = {}
    results: dict[Contestant, Result] = {}
    for contestant in CONTESTANTS:
        connections[contestant], theirs = context.Pipe()
        context.Process(target=work, args=(theirs, contestant, size, batch), daemon=True).start()
        theirs.close()  # so that a worker's death is an EOFError here
        results[contestant] = Result(connections[contestant].recv(), [])
    for number in range(rounds):
        for contestant in CONTESTANTS if number % 2 == 0 else CONTESTANTS[::-1]:
            connections[contestant].send(batches)
            results[contestant].turns.append(connections[contestant].recv())
    for connection in connections.values():
        connection.send(0)
    for worker in multiprocessing.active_children():
        worker.join()
    return results


def report(results: dict[Contestant, Result], pictures: int) -> str:
    """The table, the ratio in words, and how far the features are apart; ``pictures`` per turn."""
    base = results[PLAIN]
    lines = ["| contestant | images/s | ratio to plain | GFLOP/s | peak RSS MiB |", "|---|---|---|---|---|"]
    for contestant in CONTESTANTS:
        result = results[contestant]
        speed = pictures / statistics.median(turn.seconds for turn in result.turns)
        lines.append(
            f"| {contestant.name} | {speed:.1f} | {statistics.median(ratios(base, result)):.2f} "
            f"| {speed * base.facts.gflop:.0f} | {result.turns[-1].peak_mib:.0f} |"
        )
    ours, plain = results[ZEROSUM].facts.features, base.facts.features
    values = ratios(base, results[ZEROSUM])
    lines += ["", f"as its users run it: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"]
    lines += [
        f"largest difference of a feature: {abs(ours - plain).max() / abs(plain).max():.1e} of the largest feature"
    ]
    if not results[ZEROSUM].facts.tuned:
        lines += ["The malloc setting did not take effect: every contestant ran with default malloc."]
    return "\n".join(lines)


def ratios(base: Result, other: Result) -> list[float]:
    """How many times faster ``other`` was, round by round."""
    return [b.seconds / o.seconds for b, o in zip(base.turns, other.turns, strict=True)]


def header(facts: Facts) -> str:
    """When, where and how it was measured."""
    date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    cpu = found[1] if found else platform.machine()
    machine = f"{cpu}, {os.cpu_count()} CPUs, {facts.threads} threads"
    command = shlex.join(["python", *sys.argv])
    return f"{date}, torch {importlib.metadata.version('torch')}, {machine}\n{command}\n{facts.gflop:.2f} GFLOP/image\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32, help="side of the pictures")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=2, help="batches of each contestant in a round")
    arguments = parser.parse_args()
    results = compare(arguments.size, arguments.batch, arguments.rounds, arguments.batches)
    print(header(results[PLAIN].facts))
    print(report(results, arguments.batch * arguments.batches))


if __name__ == "__main__":
    main()
