"""Each classic recipe on MNIST for some minutes, at a width a laptop can do: does it train, and what does it make?

    python bench/family.py -o FOLDER          all, two at a time with one thread each; goes on where it stopped
    python bench/family.py -o FOLDER --recipes wgan sngan --jobs 1
    python bench/family.py -o FOLDER --table             the table of what is there
    python bench/family.py -o FOLDER --table --sheet family.png      and a row of samples of each, in one picture

Each is a run of ``zerosum train`` that ends with its judgement. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import zerosum

SAMPLES = 20
# width and budget for some five minutes on one core; what else is not as published
RUNS: dict[str, tuple[int, dict[str, str]]] = {
    "goodfellow2014": (500_000, {}),
    "dcgan": (250_000, {"width": "32"}),
    "fgan": (250_000, {"width": "32"}),
    "lsgan": (200_000, {"width": "16", "latent_size": "128"}),
    "wgan": (600_000, {"width": "32", "long_turns": "20", "rate": "2e-4"}),
    "wgan_gp": (200_000, {"width": "16", "rate": "5e-4"}),
    "dragan": (200_000, {"width": "32", "batch": "64", "rate": "2e-4"}),
    "sngan": (200_000, {"width": "32", "rate": "5e-4"}),
    "sndcgan": (120_000, {"width": "16"}),
    "pacgan": (250_000, {"width": "32"}),
    "relativistic": (100_000, {"width": "16"}),
}


def train(name: str, folder: Path, threads: int) -> None:
    """One run; a finished one is left as it is."""
    images, settings = RUNS[name]
    command = [sys.executable, "-m", "zerosum", "train", "mnist", "--recipe", name, "--images", str(images)]
    command += ["--out", str(folder / name)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": str(threads)}, capture_output=True, text=True, check=False
    )
    last = (done.stdout + done.stderr).strip().splitlines()[-1:]
    print(f"{name}: exit {done.returncode}, {last}", flush=True)


def sheet(folder: Path, names: list[str], path: Path) -> None:
    """A row of samples for each recipe, at their own size, in the order of the table."""
    rows = []
    for name in names:
        if (folder / name / "snapshots").exists():
            made = np.concatenate(list(zerosum.load(folder / name).pixels(range(SAMPLES))))[:, 0]
            rows.append(np.pad(made, ((0, 0), (1, 1), (1, 1)), constant_values=96).transpose(1, 0, 2).reshape(30, -1))
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


def row(name: str, folder: Path) -> str:
    """The table's line of one run."""
    lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
    own = {
        line["metric"]: line
        for line in lines
        if line.get("images") == lines[-1]["images"] and "classifier" in line.get("protocol", "")
    }
    if "precision" not in own:
        return f"| {name} | not finished | | | | | | |"
    stats = [json.loads(line) for line in (folder / name / "stats.jsonl").read_text().splitlines()]
    _, settings = RUNS[name]
    dials = ", ".join(f"{key}={value}" for key, value in settings.items()) or "as published"
    numbers = " | ".join(f"{own[metric]['value']:.3f}" for metric in ("precision", "recall", "density", "coverage"))
    seconds = stats[-1]["seconds"]
    return f"| {name} | {dials} | {stats[-1]['images']:,} | {seconds:.0f} | {numbers} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--recipes", nargs="*", default=list(RUNS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    if not given.table:
        with ThreadPoolExecutor(given.jobs) as pool:
            for future in [pool.submit(train, name, given.out, given.threads) for name in given.recipes]:
                future.result()
    if given.sheet is not None:
        sheet(given.out, given.recipes, given.sheet)
    print(f"\ntorch {torch.__version__}, {given.jobs} at a time with {given.threads} threads each\n")
    print("| recipe | dials | images | seconds | precision | recall | density | coverage |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.recipes:
        if (given.out / name / "metrics.jsonl").exists():
            print(row(name, given.out))


if __name__ == "__main__":
    main()
