"""trackio: a run in its local database (or where the user's environment says), that goes on under the same name.

Of a run that was rewound what was sent of later steps stays, with the new values beside it. The configuration is that
of the time when following began.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from zerosum import files
from zerosum.errors import UserError
from zerosum.follow.items import Config, Item, Numbers, Pictures, Place, Rewound, Words
from zerosum.follow.sheets import opened


def start(place: Place) -> Trackio:
    """Open the run; its name ends with its identity, since names are what trackio knows runs by.

    Raises:
        UserError: trackio refuses the project.
    """
    if place.out is not None:
        with files.in_words(place.out):
            place.out.mkdir(parents=True, exist_ok=True)
        os.environ["TRACKIO_DIR"] = str(place.out.resolve())  # which it reads once, when it is imported
    import trackio  # pyrefly: ignore [missing-import] - each user installs the tracker of their choice

    try:
        run = trackio.init(
            place.project,
            name=f"{place.name}-{place.id}",
            config=dict(place.config),
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
    except ValueError as error:
        raise UserError(f"trackio does not take the run ({error}): choose another --project.") from None
    return Trackio(run, trackio)


@dataclass
class Trackio:
    """An open run."""

    run: Any
    trackio: Any

    def send(self, item: Item) -> None:
        """Put into its queue, which is written in the background."""
        match item:
            case Numbers(step, values):
                self.run.log(dict(values), step=step)
            case Pictures(step, name, png):
                self.run.log({name: self.trackio.Image(opened(png))}, step=step)
            case Words(step, text):
                self.run.log({"diagnosis": self.trackio.Markdown(text)}, step=step)
            case Config(_) | Rewound(_):
                pass

    def flush(self) -> None:
        """Nothing to wait for: its queue is written twice a second."""

    def close(self) -> None:
        """Wait until the queue is written."""
        self.trackio.finish()
