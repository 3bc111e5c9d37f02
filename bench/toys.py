"""Toy games: modes found on the ring of 8 and the grid of 25 Gaussians, over seeds, by PacGAN's protocol.

    python bench/toys.py -o toys.jsonl                  all games, seeds 0 to 4; goes on where the file ends
    python bench/toys.py -o toys.jsonl --games "GAN" --densities grid --seeds 0 1
    python bench/toys.py -o toys.jsonl --table          only print the table of what is there

2,500 samples of the averaged generator; a sample is of high quality within 3 standard deviations of a mode, a mode is
covered if it is the nearest of one such sample (Lin et al. 2018). A perfect generator has .9889 of high quality, and
its modes' histogram a KL divergence of about (modes - 1) / 5000 from uniform. PacGAN's networks; the budget is ours.
Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import json
import statistics
import time
from pathlib import Path

import torch

from zerosum import streams
from zerosum.data.mixtures import GRID, RING, Gaussians
from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import R1, R2
from zerosum.game.player import Player
from zerosum.game.rounds import Batch, Draw, alternating, play
from zerosum.game.schedules import Clock, cosine
from zerosum.game.sight import Sight
from zerosum.metrics import mixture_quality
from zerosum.networks.latent import Latent
from zerosum.networks.points import PointsCritic, PointsGenerator
from zerosum.training.ema import re_estimate
from zerosum.training.noise import StreamNoise

DENSITIES = {"ring": RING, "grid": GRID}
GAMES: dict[str, tuple[Game, int]] = {  # and how many samples the critic sees at once
    "GAN": (Game(losses.non_saturating), 1),
    "PacGAN2": (Game(losses.non_saturating), 2),
    "RpGAN, R1 + R2": (Game(losses.rpgan, (R1(0.1), R2(0.1))), 1),
}
BATCH, RATE, FINAL, HALF_LIFE = 100, 1e-3, 0.05, 200  # the last in rounds
SAMPLES = 2_500


def train(density: Gaussians, game: Game, pack: int, seed: int, rounds: int) -> dict[str, float]:
    """Play a game on a density and count what the averaged generator found."""
    torch.manual_seed(seed)
    nets = {"generator": PointsGenerator().build(), "critic": PointsCritic(dims=2 * pack).build()}
    rate = cosine(RATE, FINAL * RATE)
    players = {
        name: Player(net, torch.optim.Adam(net.parameters(), lr=1.0, betas=(0.5, 0.99), fused=True), rate)
        for name, net in nets.items()
    }
    moves = alternating(game, one_draw=True, sight=Sight(pack=pack))
    average = copy.deepcopy(nets["generator"])
    latent = Latent(2, "normal")
    scale = float(density.modes.abs().max())  # networks see points in [-1, 1]
    cpu = torch.device("cpu")
    began = time.process_time()
    for index in range(rounds):
        start = index * BATCH
        draw = Draw(
            Batch(density.sample(seed, "real", start, BATCH) / scale),
            latent.draw(seed, "latents", start, BATCH),
            StreamNoise(seed, "0", start, BATCH, cpu),
            {},
            Clock(start, index, rounds * BATCH),
        )
        play(moves, players, {0: draw}, {})
        with torch.no_grad():
            for slow, now in zip(average.parameters(), nets["generator"].parameters(), strict=True):
                slow.lerp_(now, 1 - 0.5 ** (1 / HALF_LIFE))
    seconds = time.process_time() - began
    re_estimate(average, [(latent.draw(seed, "statistics", start, 1000), None) for start in range(0, 10_000, 1000)])
    with torch.no_grad():
        points = average.eval()(latent.draw(seed, "samples", 0, SAMPLES)) * scale
    found = mixture_quality(points, density.modes, density.deviation)
    return {
        "modes": found.covered,
        "quality": round(found.high_quality, 4),
        "divergence": round(found.divergence, 4),
        "seconds": round(seconds, 1),
    }


def table(lines: list[dict[str, object]], rounds: int) -> None:
    """Means over seeds, and the range of the modes."""
    print(f"{rounds:,} rounds of {BATCH} samples\n")
    print("| density | game | seeds | modes | high quality | KL to uniform | seconds a seed |")
    print("|---|---|---|---|---|---|---|")
    for density, mixture in DENSITIES.items():
        for game in GAMES:
            own = [line for line in lines if (line["density"], line["game"], line["rounds"]) == (density, game, rounds)]
            if not own:
                continue
            modes, quality, divergence, seconds = (
                [float(str(line[name])) for line in own] for name in ("modes", "quality", "divergence", "seconds")
            )
            mean = statistics.mean
            print(
                f"| {density} | {game} | {len(own)} | {mean(modes):.1f} of {len(mixture.centres)} "
                f"({min(modes):.0f} to {max(modes):.0f}) | {mean(quality):.3f} | {mean(divergence):.3f} | "
                f"{mean(seconds):.0f} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--games", nargs="*", default=list(GAMES))
    parser.add_argument("--densities", nargs="*", default=list(DENSITIES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=5_000)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    streams.normals(0, "warm up", 0, 1, 1)
    lines = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(line["density"], line["game"], line["rounds"], line["seed"]) for line in lines}
    for seed in [] if given.table else given.seeds:
        for density in given.densities:
            for name in given.games:
                if (density, name, given.rounds, seed) in done:
                    continue
                found = train(DENSITIES[density], *GAMES[name], seed, given.rounds)
                line = {"density": density, "game": name, "rounds": given.rounds, "seed": seed, **found}
                with given.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                lines.append(line)
                print(line, flush=True)
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    print(f"\n{date}, torch {torch.__version__}, one thread")
    table(lines, given.rounds)


if __name__ == "__main__":
    main()
