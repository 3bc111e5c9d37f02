"""Seconds from a command to its first round, by whole processes.

    python bench/start.py --data mnist --repeats 5

Runs ``zerosum train DATA --images BATCH`` and waits for the line of stats that its only round writes. The first start
looks at the pictures and decodes them into an empty cache; later ones find them there. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 64


def seconds(data: str, recipe: str, folder: Path) -> float:
    """From the command to the end of its first round; what the command does after that is not waited for."""
    stats = folder / "stats.jsonl"
    command = [sys.executable, "-m", "zerosum", "train", data, "--recipe", recipe, "-o", str(folder)]
    command += ["--set", f"batch={BATCH}", "--images", str(BATCH)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not stats.exists() or stats.stat().st_size == 0:
        if process.poll() not in (None, 0):
            raise SystemExit(process.stderr.read() if process.stderr else "the command failed")
        time.sleep(0.005)
    took = time.perf_counter() - began
    process.kill()
    process.communicate()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["mnist", "digits"])
    parser.add_argument("--recipes", nargs="+", default=["modern", "dcgan"])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print("| data | recipe | first start, s | later, median | least | most |\n|---|---|---|---|---|---|")
    for data in given.data:
        for recipe in given.recipes:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["ZEROSUM_CACHE"] = str(Path(folder) / "cache")
                first, *later = (seconds(data, recipe, Path(folder) / f"run{n}") for n in range(given.repeats + 1))
            print(
                f"| {data} | {recipe} | {first:.2f} | {statistics.median(later):.2f} "
                f"| {min(later):.2f} | {max(later):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
