"""What `zerosum train digits` reaches: the default run over seeds, as a table of the judgement.

    python bench/digits.py --seeds 0 1 2 --recipes modern dcgan -o runs-digits

Each run is the command as a user gives it, in a process of its own, one after the other. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

METRICS = (
    ("precision", "classifier"),
    ("recall", "classifier"),
    ("density", "classifier"),
    ("coverage", "classifier"),
    ("confident", "classifier"),
    ("precision", "pixels"),
    ("recall", "pixels"),
    ("density", "pixels"),
    ("coverage", "pixels"),
    ("nearest", "pixels"),
    ("near_copies", "pixels"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", default=["modern", "dcgan"])
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--set", nargs="*", default=[], help="settings of all runs, such as precision=bf16")
    options = parser.parse_args()
    import torch

    print(f"{datetime.date.today()}, torch {torch.__version__}, {torch.get_num_threads()} threads, {cpu()}")
    print(f"command: zerosum train digits --recipe RECIPE --seed SEED; seeds {options.seeds} {options.set}\n")
    for recipe in options.recipes:
        rows = [one_run(recipe, seed, options.out / f"{recipe}-{seed}", options.set) for seed in options.seeds]
        table(recipe, rows)


def one_run(recipe: str, seed: int, out: Path, settings: list[str]) -> dict[str, tuple[float, float]]:
    """Train (or find) a run and return metric -> (samples, real)."""
    began = time.monotonic()
    command = [sys.executable, "-m", "zerosum", "train", "digits", "--recipe", recipe, "--seed", str(seed), "-o", out]
    for setting in settings:
        command += ["--set", setting]
    new = not out.exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    every = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in every if "-" in line["protocol"]]  # the judgement's
    found = {f"{line['metric']} {line['protocol'].split('-')[1]}": (line["value"], line["baseline"]) for line in lines}
    shares = [line["value"] for line in lines if line["metric"].startswith("share.")]
    found["smallest class share"], found["largest class share"] = (min(shares), 0.1), (max(shares), 0.1)
    stats = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    found["images"] = (stats[-1]["images"], float("nan"))
    found["seconds, whole command"] = (time.monotonic() - began if new else float("nan"), float("nan"))
    return found


def table(recipe: str, rows: list[dict[str, tuple[float, float]]]) -> None:
    """Mean over seeds, smallest and largest, beside real training digits."""
    print(f"### {recipe}\n\n| | samples, mean | least | most | real training digits | ratio of means |")
    print("|---|---|---|---|---|---|")
    names = [f"{metric} {features}" for metric, features in METRICS]
    for name in [*names, "smallest class share", "largest class share", "images", "seconds, whole command"]:
        values, reals = [row[name][0] for row in rows], [row[name][1] for row in rows]
        mean, real = statistics.mean(values), statistics.mean(reals)
        if real != real:
            print(f"| {name} | {mean:.0f} | {min(values):.0f} | {max(values):.0f} | | |")
        else:
            ratio = f"{mean / real:.3f}" if real and "share" not in name else ""
            print(f"| {name} | {mean:.4f} | {min(values):.4f} | {max(values):.4f} | {real:.4f} | {ratio} |")
    print()


def cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
