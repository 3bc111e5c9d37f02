"""Weights & Biases: a run that goes on under the same identity; online where the user is logged in, else offline.

Of a run that was rewound what was sent of later steps stays; the new values are drawn over the same images.
"""

from __future__ import annotations

import html
import netrc
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import wandb  # pyrefly: ignore [missing-import] - each user installs the tracker of their choice

from zerosum import files
from zerosum.errors import UserError
from zerosum.follow.items import Config, Item, Numbers, Pictures, Place, Rewound, Words
from zerosum.follow.sheets import opened


def start(place: Place) -> Wandb:
    """Open the run, with the images seen as the step of all its charts.

    Raises:
        UserError: Weights & Biases refuses it.
    """
    if place.out is not None:
        with files.in_words(place.out):
            place.out.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(  # nothing but the run: not this process's output, code, machine or command line
        console="off",
        disable_code=True,
        disable_git=True,
        silent=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
    try:
        run = wandb.init(
            project=place.project,
            name=place.name,
            id=place.id,
            resume="allow",
            dir=place.out,
            mode=None if configured() else "offline",
            settings=settings,
        )
    except wandb.errors.Error as error:
        raise UserError(f"Weights & Biases does not take the run ({error}): see wandb login, or --project.") from None
    run.define_metric("images")
    run.define_metric("*", step_metric="images")
    place.say(f"To send it: wandb sync {run.settings.sync_dir}" if run.offline else f"To see it: {run.url}")
    return Wandb(run)


def configured() -> bool:
    """Whether the user has said where runs go: a mode, a key, or a login."""
    if any(os.environ.get(name) for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return True
    known = wandb.setup().settings
    if known.api_key or known.mode != "online":
        return True
    with suppress(OSError, netrc.NetrcParseError):
        host = urlsplit(known.base_url).hostname or ""
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    return False


@dataclass
class Wandb:
    """An open run."""

    run: Any

    def send(self, item: Item) -> None:
        """Hand over to its own process, which writes to the disk and sends from there."""
        match item:
            case Config(values):
                self.run.config.update(values, allow_val_change=True)
            case Numbers(step, values):
                self.run.log({**values, "images": step})
            case Pictures(step, name, png):
                self.run.log({name: wandb.Image(opened(png)), "images": step})
            case Words(step, text):
                self.run.log({"diagnosis": wandb.Html(f"<p>{html.escape(text)}</p>", inject=False), "images": step})
            case Rewound(_):
                pass

    def flush(self) -> None:
        """Nothing to wait for: its process is another one, and goes on if this one is killed."""

    def close(self) -> None:
        """Wait until everything is sent, or on the disk if it is offline."""
        self.run.finish()
