"""The command line: parse, call one function, print what was written where."""

from __future__ import annotations

import errno
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from zerosum.errors import Stopped, UserError
from zerosum.interrupt import Interrupt, Interrupted

ON_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)

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
    """A folder of pictures, a folder with MNIST's IDX files, or the name digits."""
    recipe: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """dcgan or modern; auto chooses and says why."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """The run's folder. Without it: the newest unfinished run of the same kind in runs/, or a new one."""
    images: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Stop after the critic has seen so many real pictures."""
    time: Annotated[str | None, tyro.conf.arg(name="for", metavar="TIME")] = None
    """Stop after this time instead, such as 60s, 5m or 2h."""
    resolution: Annotated[str | None, tyro.conf.arg(metavar="SIZE")] = None
    """Size of the pictures, such as 64 or 256x384 (width x height)."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Everything random follows from this number."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """auto, cpu, cuda or mps."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """A dial of the recipe (width=64) or a field of it (players.critic.optimizer.beta1=0); may be repeated."""
    fork: Annotated[str | None, tyro.conf.arg(metavar="NEW")] = None
    """Copy the state of --out to this new folder and go on there with the settings given here."""
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"]), tyro.conf.FlagCreatePairsOff] = False
    """Print the resolved recipe and the reason of each automatic choice, and do nothing."""


@dataclass(frozen=True)
class Sample:
    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run's folder or a snapshot file."""
    seeds: Annotated[str, tyro.conf.arg(metavar="LIST")] = "0-63"
    """Which pictures, such as 0-63 or 0,1,4-9."""
    out: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """The PNG to write. Without it: sample.png in the run's folder."""
    label: Annotated[str | None, tyro.conf.arg(metavar="CLASS")] = None
    """Make pictures of this class only (a name or a number)."""
    truncation: float = 1.0
    """Below 1: less variety, more typical pictures."""


DESCRIPTION = """Train GANs on your own pictures, know whether the result is any good, and ship it.

  zerosum train digits              handwritten digits that no one wrote, in minutes
  zerosum train ./photos --for 2h   your own pictures
  zerosum sample runs/001-digits-modern --seeds 0-63 -o grid.png
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 1 the machine gave out, 2 the user's mistake."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"]:
        from zerosum import __version__

        _say(f"zerosum {__version__}")
        return 0
    try:
        command = parse(given)
        return _train(command) if isinstance(command, Train) else _sample(command)
    except UserError as error:
        _complain(str(error))
        return 2
    except Stopped as error:
        _complain(str(error))
        return 1
    except (KeyboardInterrupt, Interrupted):
        _complain("stopped before there was anything to save")
        return 0 if given[:1] == ["train"] else 1
    except OSError as error:
        if error.errno not in ON_DISK:
            raise
        _complain(f"{error.filename} may not be read or written ({error.strerror}): check the path and its permissions")
        return 2


def parse(given: list[str]) -> Train | Sample:
    """The command that was given; exits with 2 and a hint where it is none, with 0 after ``--help``."""
    whole = given[:1] in (["train"], ["sample"])  # a command's own help has its examples, the overview a line each
    return tyro.cli(
        Annotated[Train, tyro.conf.subcommand("train", description=TRAIN if whole else TRAIN_LINE)]
        | Annotated[Sample, tyro.conf.subcommand("sample", description=SAMPLE if whole else SAMPLE_LINE)],
        prog="zerosum",
        description=DESCRIPTION,
        args=given,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
    )


def _train(command: Train) -> int:
    with Interrupt():  # from here on, so that a signal during the imports ends in words too
        return _train_now(command)


def _train_now(command: Train) -> int:
    from zerosum.allocator import tune_allocator

    tune_allocator()  # before torch allocates anything large
    from zerosum.launch import train
    from zerosum.plan import Request, make_plan
    from zerosum.progress import Screen
    from zerosum.recipe import describe

    settings = parse_settings(command.set)
    seconds = None if command.time is None else parse_time(command.time)
    request = Request(
        command.data,
        command.recipe,
        command.images,
        seconds,
        command.resolution,
        command.seed,
        command.device,
        settings,
    )
    if command.dry_run:
        plan = make_plan(request)
        _say("\n".join(plan.explain()))
        _say(json.dumps(describe(plan.recipe), indent=2))
        return 0
    with Screen() as screen:
        train(
            command.data,
            command.recipe,
            out=command.out,
            fork=command.fork,
            images=command.images,
            seconds=seconds,
            resolution=command.resolution,
            seed=command.seed,
            device=command.device,
            settings=settings,
            say=screen.say,
            watchers=(screen.watch,),
        )
    return 0


def _sample(command: Sample) -> int:
    from zerosum import files
    from zerosum.generate import load, parse_seeds, sample_sheet

    seeds = parse_seeds(command.seeds)
    generator = load(command.run)
    beside = Path(command.run) if Path(command.run).is_dir() else Path()
    path = Path(command.out) if command.out else beside / "sample.png"
    if path.suffix.lower() != ".png":
        raise UserError(f"{path} is not possible: the sheet is written as PNG, give a name that ends in .png.")
    files.write(path, sample_sheet(generator, seeds, command.label, command.truncation))
    _say(f"{len(seeds)} pictures: {path}")
    return 0


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


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"zerosum: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
