"""Time the distances of ``zerosum.metrics`` at the size of a published evaluation: 10,000 points of 2,048 numbers.

    python bench/metrics.py frechet neighbours
    python bench/metrics.py tracking --images 8000 64000

Each row is measured in a process of its own, one after the other, on features with a falling spectrum. Seconds are the
best of ``--repeats``; the peak is that of the process above what it held before the call (read from Linux's /proc).

``tracking`` is what the tracking metric costs: whole runs of the digits without their judgement, with and without it in
turn. What it takes by itself is also read from the run, where nothing else that the machine does blurs it.
Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

WIDTH = 2048


class Row(NamedTuple):
    """A way to compute a number: how it is called in the table, and the function's name here."""

    name: str
    function: str
    repeats: bool = True  # False for what takes long


PARTS = {
    "frechet": (
        Row("zerosum, from features", "ours_from_features"),
        Row("zerosum, between two Gaussians (the trace term)", "ours_between"),
        Row("scipy.linalg.sqrtm of the product of the covariances (the trace term)", "scipys", repeats=False),
    ),
    "neighbours": (
        Row("zerosum.metrics.neighbour_measures, k=5", "our_neighbours"),
        Row("whole matrices of torch.cdist, float32, k=5", "cdist_neighbours"),
    ),
}


class Measured(NamedTuple):
    seconds: float
    peak_mib: float
    value: str


# in a process of its own


def features(count: int, seed: int) -> Tensor:
    """Rectified numbers like those of a pooled network: a falling spectrum, a mean far from 0; (count, WIDTH)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(WIDTH, WIDTH, generator=generator) / WIDTH**0.5
    scale = torch.arange(1, WIDTH + 1).float() ** -0.5
    generator.manual_seed(seed)
    x = torch.randn(count, WIDTH, generator=generator) * scale
    return torch.nn.functional.softplus(4 * (x @ mixing))


def ours_from_features(real: Tensor, fake: Tensor) -> Callable[[], str]:
    from zerosum.metrics import frechet_distance

    return lambda: f"{frechet_distance(real=real, fake=fake):.9f}"


def ours_between(real: Tensor, fake: Tensor) -> Callable[[], str]:
    from zerosum.metrics import frechet_between, gaussian_of

    a, b = gaussian_of(real), gaussian_of(fake)
    return lambda: f"{frechet_between(a, b):.9f}"


def scipys(real: Tensor, fake: Tensor) -> Callable[[], str]:
    from scipy import linalg

    from zerosum.metrics import gaussian_of

    a, b = gaussian_of(real), gaussian_of(fake)

    def distance() -> str:
        root = linalg.sqrtm(a.covariance.numpy() @ b.covariance.numpy())
        traces = (a.covariance.trace() + b.covariance.trace()).item() - 2 * root.real.trace()
        return f"{(a.mean - b.mean).square().sum().item() + traces:.9f}"

    return distance


def our_neighbours(real: Tensor, fake: Tensor) -> Callable[[], str]:
    from zerosum.metrics import neighbour_measures

    return lambda: " ".join(f"{value:.4f}" for value in neighbour_measures(real=real, fake=fake))


def cdist_neighbours(real: Tensor, fake: Tensor) -> Callable[[], str]:
    import torch

    def radii(points: Tensor) -> Tensor:
        return torch.cdist(points, points).fill_diagonal_(0).topk(6, largest=False).values[:, -1]

    def measures() -> str:
        across, real_radii, fake_radii = torch.cdist(real, fake), radii(real), radii(fake)
        inside = across < real_radii[:, None]
        precision = (across <= real_radii[:, None]).any(dim=0).double().mean().item()
        recall = (across <= fake_radii).any(dim=1).double().mean().item()
        density, coverage = inside.sum().item() / (5 * len(fake)), inside.any(dim=1).double().mean().item()
        return " ".join(f"{value:.4f}" for value in (precision, recall, density, coverage))

    return measures


def work(connection: Connection[Any, Any], function: str, count: int, repeats: int) -> None:
    """Measure one row and send what was found."""
    call = globals()[function](features(count, 1), features(count, 2) * 1.02)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    value = ""
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        value = call()
        seconds.append(time.perf_counter() - began)
    connection.send(Measured(min(seconds), memory("VmHWM") - before, value))


class Whole(NamedTuple):
    """A run: its seconds, those of its measurements, and how many snapshots were measured."""

    seconds: float
    spent: float
    count: int


def train(connection: Connection[Any, Any], images: int, tracked: bool) -> None:
    """Train on the digits and send how long it took."""
    import zerosum
    from zerosum import launch
    from zerosum.tracking import Tracker
    from zerosum.training.trainer import Watcher

    trackers: list[Tracker] = []

    def kept(*arguments: Any) -> Watcher:
        trackers.append(Tracker(*arguments))
        return trackers[-1]

    launch.Tracker = kept if tracked else lambda *arguments: lambda moment: None  # type: ignore[assignment]
    launch.judge = lambda *arguments, **named: []
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = zerosum.train("digits", out=Path(folder) / "run", images=images)
        seconds = time.perf_counter() - began
        lines = run.tracked()
    spent = sum(float(str(line["seconds"])) for line in lines) + sum(tracker.unlisted for tracker in trackers)
    connection.send(Whole(seconds, spent, len(lines) // 2))


def memory(name: str) -> float:
    """MiB that Linux says of this process: ``VmRSS`` now, ``VmHWM`` at most."""
    (found,) = re.findall(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found) / 1024


# in the parent's process


def elsewhere(function: Callable[..., None], *arguments: object) -> Any:
    """What a function sends from a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=function, args=(theirs, *arguments))
    process.start()
    theirs.close()  # so that a worker's death is an EOFError here
    found = ours.recv()
    process.join()
    return found


def distances(part: str, points: int, repeats: int) -> None:
    print(f"\n## {part}: {points:,} and {points:,} points of {WIDTH:,} numbers\n")
    print("| | seconds | peak MiB above its inputs | value |\n|---|---|---|---|")
    for row in PARTS[part]:
        found: Measured = elsewhere(work, row.function, points, repeats if row.repeats else 1)
        print(f"| {row.name} | {found.seconds:.2f} | {found.peak_mib:.0f} | {found.value} |", flush=True)


def tracking(budgets: list[int], repeats: int) -> None:
    print(f"\n## tracking: digits, medians of {repeats} runs each, in turn\n")
    print("| images | seconds without | with | ratio | measurements | their share of the seconds |")
    print("|---|---|---|---|---|---|")
    for images in budgets:
        pairs: list[tuple[Whole, Whole]] = []
        for _ in range(repeats):
            pairs.append((elsewhere(train, images, False), elsewhere(train, images, True)))
        without, tracked = (statistics.median(pair[side].seconds for pair in pairs) for side in (0, 1))
        ratio = statistics.median(b.seconds / a.seconds for a, b in pairs)
        share = statistics.median(b.spent / b.seconds for _, b in pairs)
        counts = "/".join(str(b.count) for _, b in pairs)
        print(f"| {images:,} | {without:.1f} | {tracked:.1f} | {ratio:.3f} | {counts} | {share:.2%} |", flush=True)


def header() -> str:
    """When, where and with what it was measured."""
    import torch

    date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    cpu = found[1] if found else platform.machine()
    return f"{date}, torch {torch.__version__}, {cpu}, {os.cpu_count()} CPUs, {torch.get_num_threads()} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "tracking", []], default=list(PARTS))
    parser.add_argument("--images", type=int, nargs="+", default=[8_000], help="budgets of the tracked runs")
    parser.add_argument("--points", type=int, default=10_000, help="of each set")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(header())
    for part in arguments.parts:
        if part == "tracking":
            tracking(arguments.images, arguments.repeats)
        else:
            distances(part, arguments.points, arguments.repeats)


if __name__ == "__main__":
    main()
