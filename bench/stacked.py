"""Stacked MNIST over seeds: how many of 1,000 modes small generators find, and how evenly (KL divergence in nats).

    python bench/stacked.py -o FOLDER                    all games, seeds 0 to 4; goes on where it stopped
    python bench/stacked.py -o FOLDER --games "GAN" --seeds 0 1
    python bench/stacked.py -o FOLDER --table            only the table of what is there

26,000 samples, each channel named by a classifier of the digits (the protocol modes26k): a perfect generator finds all
1,000 modes and has a divergence of .0192 by chance alone. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import torch

NETS = ["width=32", "latent_size=100", "precision=bf16"]
# what --recipe and --set are; all on DCGAN's networks, which compute in 16 bits
GAMES: dict[str, list[str]] = {
    "GAN": ["compose", *NETS, "norm=batch", "one_draw=true"],
    "PacGAN2": ["compose", *NETS, "norm=batch", "one_draw=true", "pack=2"],
    "GAN, minibatch deviation": ["compose", *NETS, "norm=batch", "one_draw=true", "minibatch=deviation"],
    "RpGAN, R1 + R2": ["compose", *NETS, "loss=rpgan", "penalties=r1,r2", "weight=8", "one_draw=true", "beta1=0.0"],
    "WGAN-GP": ["compose", *NETS, "loss=wasserstein", "penalties=wgan_gp", "critic_turns=5", "beta1=0.0", "beta2=0.9"],
}


def call(*command: str) -> None:
    """One command of zerosum; its words only where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "zerosum", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], flush=True)


def found(folder: Path) -> dict[str, float]:
    """The newest values of the protocol in a run."""
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {line["metric"]: line["value"] for line in lines if line["protocol"] == "modes26k"}


def seconds(folder: Path) -> float:
    """Of training."""
    return float(json.loads((folder / "stats.jsonl").read_text().splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--games", nargs="*", default=list(GAMES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    runs = {
        (name, seed): given.out / f"{name.replace(' ', '-')}-{seed}" for seed in given.seeds for name in given.games
    }
    for (name, seed), folder in {} if given.table else runs.items():
        if found(folder):
            continue
        recipe, *settings = GAMES[name]
        options = ["--recipe", recipe, "--images", str(given.images), "--seed", str(seed), "--out", str(folder)]
        for setting in [*settings, "conditional=false"]:
            options += ["--set", setting]
        call("train", "stacked-mnist", *options)
        call("evaluate", str(folder), "--against", "stacked-mnist", "--metrics", "modes26k")
        print(name, seed, found(folder), flush=True)
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    print(f"\n{date}, torch {torch.__version__}, one thread, {given.images:,} images a run\n")
    print("| game | seeds | modes of 1,000 | KL divergence | seconds a run |")
    print("|---|---|---|---|---|")
    for name in given.games:
        own = {folder: found(folder) for (game, _), folder in runs.items() if game == name and found(folder)}
        if own:
            modes, divergence = ([values[metric] for values in own.values()] for metric in ("modes", "mode_divergence"))
            spent = statistics.mean(seconds(folder) for folder in own)
            print(
                f"| {name} | {len(own)} | {statistics.mean(modes):.1f} ({min(modes):.0f} to {max(modes):.0f}) | "
                f"{statistics.mean(divergence):.3f} ({min(divergence):.3f} to {max(divergence):.3f}) | {spent:.0f} |"
            )


if __name__ == "__main__":
    main()
