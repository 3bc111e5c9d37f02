"""A walk through the latents of a model, as an animated picture. torch is imported when the first one is asked for."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zerosum.errors import UserError
from zerosum.report.walk import between

if TYPE_CHECKING:
    from PIL.Image import Image

    from zerosum.generate import Generator

STOPS, STEPS = 5, 12  # latents on the way, and frames from one to the next; the way ends where it began
FRAME = 70  # milliseconds
CHUNK = 16
WIDE = 900  # pixels that the pictures beside each other take at most
SHOWN = 96  # a picture is shown at least about this large
KEPT = 1 << 25  # bytes of walks that are kept
MOST_SEED = 2**31 - 1


@dataclass
class Walks:
    """Makes walks and keeps those made last."""

    kept: OrderedDict[tuple[str, int, int], bytes] = field(default_factory=OrderedDict)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def walk(self, snapshot: Path, seed: int) -> bytes:
        """An animated WebP: pictures beside each other, each of them on its own closed way through the latents.

        Raises:
            UserError: an impossible seed, a file that is gone, damaged or no generator.
        """
        if not 0 <= seed <= MOST_SEED:
            raise UserError(f"Seed {seed} is not possible: expected a whole number from 0 to {MOST_SEED}.")
        try:
            key = str(snapshot), snapshot.stat().st_mtime_ns, seed
        except OSError:
            raise UserError("This model is gone: reload the page for the newest one.") from None
        with self._one:
            if key not in self.kept:
                self.kept[key] = _walk(snapshot, seed)
            self.kept.move_to_end(key)
            while len(self.kept) > 1 and sum(map(len, self.kept.values())) > KEPT:
                self.kept.popitem(last=False)
            return self.kept[key]


def _walk(snapshot: Path, seed: int) -> bytes:
    import torch

    from zerosum.generate import load

    torch.set_num_threads(1)  # a training beside it needs the others more
    generator = load(snapshot)
    _, height, width = generator.size
    scale = max(1, round(SHOWN / max(height, width)))
    many = max(1, min(8, (WIDE + 4) // (width * scale + 4)))
    frames = list(_frames(generator, seed, many, scale))
    file = io.BytesIO()
    frames[0].save(
        file, format="WEBP", save_all=True, append_images=frames[1:], duration=FRAME, loop=0, quality=82, method=2
    )
    return file.getvalue()


def _frames(generator: Generator, seed: int, many: int, scale: int) -> Iterator[Image]:
    import torch
    from PIL import Image

    from zerosum.data.pixels import to_bytes, to_image

    seeds = [seed + place for place in range(many)]
    stops = [torch.cat([generator.latent.draw(0, f"walk {stop}", own, 1) for own in seeds]) for stop in range(STOPS)]
    labels = generator.labels(seeds)
    ways = torch.stack(
        [
            between(stops[stop], stops[(stop + 1) % STOPS], step / STEPS, generator.latent.distribution)
            for stop in range(STOPS)
            for step in range(STEPS)
        ]
    )  # (frames, many, latent)
    _, height, width = generator.size
    for way in ways:
        with torch.no_grad():
            pictures = to_bytes(generator.net(way, labels))
        frame = Image.new("RGB", (many * (width * scale + 4) - 4, height * scale), (128, 128, 128))
        for place, picture in enumerate(pictures):
            tile = to_image(picture).convert("RGB")
            tile = tile.resize((width * scale, height * scale), Image.Resampling.BICUBIC) if scale > 1 else tile
            frame.paste(tile, (place * (width * scale + 4), 0))
        yield frame
