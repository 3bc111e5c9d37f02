"""TensorBoard: event files, one more whenever the run is followed again.

Of a run that was rewound TensorBoard drops what was written of later steps, as after a restart of its own kind.
"""

from __future__ import annotations

import html
import json
import re
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyrefly: ignore [missing-module-attribute]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyrefly: ignore [missing-module-attribute]
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from zerosum import files
from zerosum.follow.items import Config, Item, Numbers, Pictures, Place, Rewound, Words
from zerosum.follow.sheets import opened

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


def start(place: Place) -> TensorBoard:
    """Write event files to ``place.out`` under the run's name, or into the run's folder."""
    folder = place.folder / "tensorboard" if place.out is None else place.out / place.name
    with files.in_words(folder):
        folder.mkdir(parents=True, exist_ok=True)
        writer = EventFileWriter(str(folder))
    place.say(f"To see it: tensorboard --logdir {folder if place.out is None else place.out}")
    return TensorBoard(folder, writer)


@dataclass
class TensorBoard:
    """An open event file."""

    folder: Path
    writer: EventFileWriter

    def send(self, item: Item) -> None:
        """Write events. Text is markdown there, so it is indented or escaped; numbers are kept with 32 bits."""
        match item:
            case Config(values):
                self._write(0, text_pb("recipe", textwrap.indent(json.dumps(values, indent=2), "    ")))
            case Numbers(step, values):
                with np.errstate(over="ignore"):
                    for name, value in values.items():
                        self._write(step, scalar_pb(name, value))
            case Pictures(step, name, png):
                self._write(step, Summary(value=[Summary.Value(tag=name, image=_image(png))]))
            case Words(step, text):
                self._write(step, text_pb("diagnosis", escaped(text)))
            case Rewound(step):
                for _ in range(2):  # the first such event of all is not taken for a restart
                    self._add(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def flush(self) -> None:
        """Return when everything is in the file."""
        with files.in_words(self.folder):
            self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        with files.in_words(self.folder):
            self.writer.close()

    def _write(self, step: int, summary: Summary) -> None:
        self._add(Event(step=step, summary=summary))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        with files.in_words(self.folder):
            self.writer.add_event(event)


def _image(png: bytes) -> Summary.Image:
    image = opened(png)
    return Summary.Image(
        width=image.width, height=image.height, colorspace=CHANNELS.get(image.mode, 3), encoded_image_string=png
    )


def escaped(text: str) -> str:
    """Text as markdown that shows just this text, and loads nothing."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|-])", r"\\\1", html.escape(text, quote=False))
