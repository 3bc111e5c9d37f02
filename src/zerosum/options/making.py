"""What may be typed to make something. The fields and comments are the options and their help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

TRAIN = """Train a GAN on your pictures; the same command again goes on where it stopped.

  zerosum train digits                       handwritten digits, in minutes on a laptop
  zerosum train ./photos --for 2h            your own pictures, for two hours
  zerosum train ./photos --resolution 64 -n  say what would be done, and why
  zerosum train ./mnist --recipe dcgan --set width=32 --set players.critic.optimizer.rate=1e-4
"""

SAMPLE = """Make pictures with a trained generator; picture n depends on seed n alone.

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
    amendments: Literal["keep", "drop"] = "keep"
    """What was changed while --out was trained (after values that are not finite, say): the fork keeps or drops it."""
    act: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Follow the diagnosis: change learning rates by its remedies, not only after a divergence."""
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


CHECK = """Look at data before training: what is there, what is wrong, and what training would do about it.

  zerosum data check ./photos
  zerosum data check photos.zip --json findings.json -o sheet.png
"""

PREPARE = """Decode pictures once to one size; train does this by itself, into a cache.

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
