"""From what was typed to the command."""

from __future__ import annotations

import functools
import operator
from typing import Annotated, Any

import tyro

from zerosum.options import judging, making

DESCRIPTION = """Train GANs on your own pictures, know whether the result is any good, and ship it.

  zerosum train digits              handwritten digits that no one wrote, in minutes
  zerosum data check ./photos       what is there, and what training would do about it
  zerosum train ./photos --for 2h   your own pictures
  zerosum sample runs/001-digits-modern --seeds 0-63 -o grid.png
"""
DATA_LINE = "check: look at data before training; prepare: decode it once."
COMMANDS: dict[str, tuple[type, str]] = {  # each with its help, whose first line is the overview's
    "train": (making.Train, making.TRAIN),
    "sample": (making.Sample, making.SAMPLE),
    "evaluate": (judging.Evaluate, judging.EVALUATE),
    "compare": (judging.Compare, judging.COMPARE),
    "diagnose": (judging.Diagnose, judging.DIAGNOSE),
    "report": (judging.Report, judging.REPORT),
    "watch": (judging.Watch, judging.WATCH),
    "track": (judging.Track, judging.TRACK),
    "recipes": (judging.Recipes, judging.RECIPES),
    "doctor": (judging.Doctor, judging.DOCTOR),
}
OF_DATA: dict[str, tuple[type, str]] = {
    "check": (making.Check, making.CHECK),
    "prepare": (making.Prepare, making.PREPARE),
}


def parse(given: list[str]) -> Any:
    """The command that was given; exits with 2 and a hint where it is none, with 0 after ``--help``."""
    asked = given[: 2 if given[:1] == ["data"] else 1]
    data = _named("data", _one_of(OF_DATA, asked), DATA_LINE)
    return tyro.cli(
        operator.or_(_one_of(COMMANDS, asked), data),
        prog="zerosum",
        description=DESCRIPTION,
        args=given,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
    )


def _one_of(commands: dict[str, tuple[type, str]], asked: list[str]) -> Any:
    """Their union as tyro reads it. A command's own help has its examples, the overview a line each."""
    each = (
        _named(name, kind, about if name in asked else about.splitlines()[0])
        for name, (kind, about) in commands.items()
    )
    return functools.reduce(operator.or_, each)


def _named(name: str, kind: Any, about: str) -> Any:
    return Annotated[kind, tyro.conf.subcommand(name, description=about)]
