"""What may be typed: one dataclass for each command, whose fields and comments are the options and their help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from zerosum.errors import UserError

TRAIN_LINE = "Train a GAN on your pictures; the same command again goes on where it stopped."
TRAIN = f"""{TRAIN_LINE}

  zerosum train digits                       handwritten digits, in minutes on a laptop
  zerosum train ./photos --for 2h            your own pictures, for two hours
  zerosum train ./photos --resolution 64 -n  say what would be done, and why
  zerosum train ./mnist --recipe dcgan --set width=32 --set players.critic.optimizer.rate=1e-4
"""

SAMPLE_LINE = "Make pictures with a trained generator; picture n depends on seed n alone."
SAMPLE = f"""{SAMPLE_LINE}

  zerosum sample runs/001-digits-modern --seeds 0-63 -o grid.png
  zerosum sample runs/001-digits-modern --label 3
"""


@dataclass(frozen=True)
class Train:
    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A folder, a zip or tar, .npz, MNIST's or CIFAR's files, Parquet, tar shards, hf:owner/name, a .py, or a name."""
    recipe: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """One of those that zerosum recipes lists; auto chooses and says why."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """The run's folder. Without it: the newest unfinished run of the same kind in runs/, or a new one."""
    images: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Stop after the critic has seen so many real pictures."""
    time: Annotated[str | None, tyro.conf.arg(name="for", metavar="TIME")] = None
    """Stop after this time instead, such as 60s, 5m or 2h."""
    resolution: Annotated[str | None, tyro.conf.arg(metavar="SIZE")] = None
    """Size of the pictures, such as 64 or 256x384 (width x height)."""
    batch: Annotated[str | None, tyro.conf.arg(metavar="N|auto")] = None
    """Pictures in a batch, as --set batch=N; auto plays the recipe's in as many parts as memory asks for."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Everything random follows from this number."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """auto, cpu, cuda or mps."""
    engine: Literal["auto", "eager", "compile", "graph"] = "auto"
    """How rounds are played: as written, through torch.compile, or as CUDA graphs; auto measures at the first start."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """What happens to pictures of other proportions: the centre is kept, a white ground is added, or they change."""
    broken: Literal["skip", "stop"] = "skip"
    """Pictures that cannot be read are left out and listed in the run's data.json, or nothing is done."""
    data_root: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where mnist, fashion-mnist, cifar10 and relative paths are looked for too; then ZEROSUM_DATA, then a download."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """A dial of the recipe (width=64) or a field of it (players.critic.optimizer.beta1=0); may be repeated."""
    fork: Annotated[str | None, tyro.conf.arg(metavar="NEW")] = None
    """Copy the state of --out to this new folder and go on there with the settings given here."""
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"]), tyro.conf.FlagCreatePairsOff] = False
    """Print the resolved recipe and the reason of each automatic choice, and do nothing."""


@dataclass(frozen=True)
class Sample:
    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run's folder, for its newest snapshot, or a snapshot file, such as the best one that train names at its end."""
    seeds: Annotated[str, tyro.conf.arg(metavar="LIST")] = "0-63"
    """Which pictures, such as 0-63 or 0,1,4-9."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """The PNG to write. Without it: sample.png in the run's folder."""
    label: Annotated[str | None, tyro.conf.arg(metavar="CLASS")] = None
    """Make pictures of this class only (a name or a number)."""
    truncation: float = 1.0
    """Below 1: less variety, more typical pictures."""


CHECK_LINE = "Look at data before training: what is there, what is wrong, and what training would do about it."
CHECK = f"""{CHECK_LINE}

  zerosum data check ./photos
  zerosum data check photos.zip --json findings.json -o sheet.png
"""

PREPARE_LINE = "Decode pictures once to one size; train does this by itself, into a cache."
PREPARE = f"""{PREPARE_LINE}

  zerosum data prepare ./photos --resolution 64 -o photos-64    and then: zerosum train photos-64
"""


@dataclass(frozen=True)
class Check:
    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """What train takes: a folder, an archive, a file, an address or a name."""
    json: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Write everything that was found to this file."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """Write a sheet of the pictures to this PNG."""
    data_root: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where named data and relative paths are looked for too; then ZEROSUM_DATA."""


@dataclass(frozen=True)
class Prepare:
    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """What train takes: a folder, an archive, a file, an address or a name."""
    resolution: Annotated[str | None, tyro.conf.arg(metavar="SIZE")] = None
    """Size of the pictures, such as 64 or 256x384 (width x height); without it the size that train would choose."""
    channels: Literal["auto", "1", "3", "4"] = "auto"
    """1 grey, 3 colour, 4 colour and transparency; auto: grey if all are, otherwise 3."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """What happens to pictures of other proportions: the centre is kept, a white ground is added, or they change."""
    broken: Literal["skip", "stop"] = "skip"
    """Pictures that cannot be read are left out and listed, or nothing is done."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """The folder to write, which train takes as data. Without it: the cache, where train finds it."""
    data_root: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where named data and relative paths are looked for too; then ZEROSUM_DATA."""


EVALUATE_LINE = "Measure a run, a model file or anyone's pictures against data, by named protocols."
EVALUATE = f"""{EVALUATE_LINE}

  zerosum evaluate runs/001-mnist-modern --against mnist --metrics fd_classifier10k prdc1k_classifier
  zerosum evaluate ./generated --against ./photos --metrics fid50k_full kid50k_full --json numbers.json
  zerosum evaluate list                          what each name means, and what it needs
"""

COMPARE_LINE = "Runs side by side over their seeds, and whether a difference is more than chance."
COMPARE = f"""{COMPARE_LINE}

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


RECIPES_LINE = "The recipes, a line each, or everything about one."
RECIPES = f"""{RECIPES_LINE}

  zerosum recipes           name, year, and what it is
  zerosum recipes sngan     its file, dials, parameter counts, numbers to expect, BibTeX
"""


@dataclass(frozen=True)
class Recipes:
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ""
    """A recipe; without it all are listed."""


DOCTOR_LINE = "The machine: devices, versions, what it attains, how quick each recipe is, and what would help."
DOCTOR = f"""{DOCTOR_LINE}

  zerosum doctor                      every recipe at 64x64; half a minute
  zerosum doctor --resolution 28
"""


@dataclass(frozen=True)
class Doctor:
    resolution: Annotated[str, tyro.conf.arg(metavar="SIZE")] = "64"
    """Size of the pictures, such as 64 or 256x384 (width x height)."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """auto, cpu, cuda or mps."""


DATA_LINE = "check: look at data before training; prepare: decode it once."
DESCRIPTION = """Train GANs on your own pictures, know whether the result is any good, and ship it.

  zerosum train digits              handwritten digits that no one wrote, in minutes
  zerosum data check ./photos       what is there, and what training would do about it
  zerosum train ./photos --for 2h   your own pictures
  zerosum sample runs/001-digits-modern --seeds 0-63 -o grid.png
"""


Command = Train | Sample | Evaluate | Compare | Recipes | Doctor | Check | Prepare


def parse(given: list[str]) -> Command:
    """The command that was given; exits with 2 and a hint where it is none, with 0 after ``--help``."""
    # a command's own help has its examples, the overview a line each
    about = {
        "train": TRAIN_LINE,
        "sample": SAMPLE_LINE,
        "evaluate": EVALUATE_LINE,
        "compare": COMPARE_LINE,
        "recipes": RECIPES_LINE,
        "doctor": DOCTOR_LINE,
        "check": CHECK_LINE,
        "prepare": PREPARE_LINE,
    }
    whole = {
        "train": TRAIN,
        "sample": SAMPLE,
        "evaluate": EVALUATE,
        "compare": COMPARE,
        "recipes": RECIPES,
        "doctor": DOCTOR,
        "check": CHECK,
        "prepare": PREPARE,
    }
    for name in given[: 2 if given[:1] == ["data"] else 1]:
        about[name] = whole.get(name, "")
    data = (
        Annotated[Check, tyro.conf.subcommand("check", description=about["check"])]
        | Annotated[Prepare, tyro.conf.subcommand("prepare", description=about["prepare"])]
    )
    return tyro.cli(
        Annotated[Train, tyro.conf.subcommand("train", description=about["train"])]
        | Annotated[Sample, tyro.conf.subcommand("sample", description=about["sample"])]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate", description=about["evaluate"])]
        | Annotated[Compare, tyro.conf.subcommand("compare", description=about["compare"])]
        | Annotated[Recipes, tyro.conf.subcommand("recipes", description=about["recipes"])]
        | Annotated[Doctor, tyro.conf.subcommand("doctor", description=about["doctor"])]
        | Annotated[data, tyro.conf.subcommand("data", description=DATA_LINE)],
        prog="zerosum",
        description=DESCRIPTION,
        args=given,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
    )


def parse_settings(given: tuple[str, ...]) -> dict[str, str]:
    """``name=value`` pairs as a mapping.

    Raises:
        UserError: one without a value.
    """
    settings = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError(f"--set {pair} is not possible: expected NAME=VALUE, such as width=64.")
        settings[name.strip()] = value.strip()
    return settings


def parse_time(text: str) -> float:
    """``60s``, ``5m``, ``2h`` or plain seconds.

    Raises:
        UserError: anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if not found:
        raise UserError(f"--for {text} is not possible: expected a time such as 60s, 5m or 2h.")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
