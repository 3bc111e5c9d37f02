"""What may be typed to look at something. The fields and comments are the options and their help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

EVALUATE = """Measure a run, a model file or anyone's pictures against data, by named protocols.

  zerosum evaluate runs/001-mnist-modern --against mnist --metrics fd_classifier10k prdc1k_classifier
  zerosum evaluate ./generated --against ./photos --metrics fid50k_full kid50k_full --json numbers.json
  zerosum evaluate list                          what each name means, and what it needs
"""

COMPARE = """Runs side by side over their seeds, and whether a difference is more than chance.

  zerosum compare runs/001-digits-dcgan runs/002-digits-dcgan runs/003-digits-modern runs/004-digits-modern
  zerosum compare runs/* --plot "kernel (track400)" -o tracking.svg
"""


@dataclass(frozen=True)
class Evaluate:
    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|FOLDER|FILE")]
    """A run's folder, a .safetensors file, or pictures as train takes them; list explains the metrics."""
    against: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """The real pictures, as train takes them; always needed, but for list."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ("fd_random10k", "prdc100_random")
    """Names of protocols; zerosum evaluate list prints them."""
    draws: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Repeat with other samples, for a confidence interval."""
    weights: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE ...")] = ()
    """Files of detectors' weights, whatever they are called; otherwise the cache, otherwise a download."""
    which: Literal["ema", "raw"] = "ema"
    """The averaged weights of a run, or the raw ones."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """auto, cpu, cuda or mps."""
    json: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the values with everything that they were made with to this file."""
    data_root: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where named data and relative paths are looked for too; then ZEROSUM_DATA."""


@dataclass(frozen=True)
class Compare:
    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
    """Folders of runs; those that differ in nothing but the seed are taken together, the first are compared with."""
    plot: Annotated[str | None, tyro.conf.arg(metavar="METRIC")] = None
    """Draw this metric over the images seen, to --out: its name, its protocol, or both as the table has them."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """The SVG to write. Without it: compare.svg."""


RECIPES = """The recipes, a line each, or everything about one.

  zerosum recipes           name, year, and what it is
  zerosum recipes sngan     its file, dials, parameter counts, numbers to expect, BibTeX
"""


@dataclass(frozen=True)
class Recipes:
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ""
    """A recipe; without it all are listed."""


DOCTOR = """The machine: devices, versions, what it attains, how quick each recipe is, and what would help.

  zerosum doctor                      every recipe at 64x64; half a minute
  zerosum doctor --resolution 28
"""


@dataclass(frozen=True)
class Doctor:
    resolution: Annotated[str, tyro.conf.arg(metavar="SIZE")] = "64"
    """Size of the pictures, such as 64 or 256x384 (width x height)."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """auto, cpu, cuda or mps."""


REPORT = """One HTML file about runs, to read anywhere and to mail; it needs no network and no script.

  zerosum report runs/001-digits-modern
  zerosum report runs/001-digits-dcgan runs/002-digits-modern -o both.html
"""


@dataclass(frozen=True)
class Report:
    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
    """Folders of runs, trained or still training; several are compared."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """The HTML to write. Without it: report.html in the first run's folder."""


WATCH = """A page on this machine that follows runs while they train.

  zerosum watch runs
  zerosum watch runs/001-digits-modern --port 9000
"""


@dataclass(frozen=True)
class Watch:
    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|FOLDER")] = "runs"
    """A run, or a folder of runs."""
    port: Annotated[int, tyro.conf.arg(metavar="N")] = 8642
    """Where the page is; 0 takes a free one."""
    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1"
    """Who may look: this machine alone; 0.0.0.0 is whoever can reach it."""


TRACK = """Pass a run's numbers and pictures on to an experiment tracker, while it trains or afterwards.

  zerosum track runs/001-digits-modern --to tensorboard
  zerosum track runs/001-digits-modern --to wandb --once
"""


@dataclass(frozen=True)
class Track:
    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run's folder."""
    to: Literal["tensorboard", "wandb", "trackio", "mlflow"]
    """Whose format; the package of that name must be installed."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """Where a tracker that writes files puts them. Without it: tensorboard/ in the run's folder, or its own place."""
    project: Annotated[str, tyro.conf.arg(metavar="NAME")] = "zerosum"
    """The tracker's project or experiment."""
    once: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Pass on what is there and end, instead of following the run until it is finished."""


DIAGNOSE = """What is wrong with a run, since when, how sure that is, and what to do about it.

By the checks of its training, by StyleGAN's log, or by one look at pictures:
  zerosum diagnose runs/001-digits-dcgan
  zerosum diagnose runs/001-digits-dcgan --against digits   pictures that it makes now, beside real ones
  zerosum diagnose ./generated --against ./photos           pictures of any generator
  zerosum diagnose ./training-runs/00000-photos             what StyleGAN's trainings log
"""


@dataclass(frozen=True)
class Diagnose:
    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|FILE|FOLDER")]
    """A run's folder or .safetensors file, pictures as train takes them, or StyleGAN's folder or stats.jsonl."""
    against: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """The real pictures: then 500 generated ones are looked at, and no training."""
    json: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the verdicts with all their evidence to this file."""
    data_root: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where named data and relative paths are looked for too; then in the folder named by $ZEROSUM_DATA."""
