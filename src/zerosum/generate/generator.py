"""A trained generator: loaded from a file that holds data only, and turned into pictures by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from zerosum import files
from zerosum.data.pixels import grid, to_bytes
from zerosum.data.source import Bytes
from zerosum.errors import UserError
from zerosum.networks.latent import Latent, draw_labels
from zerosum.networks.layout import channels_last
from zerosum.networks.precision import factors
from zerosum.recipe import network
from zerosum.run import Run

CHUNK = 16  # pictures are always made this many at a time, so that a picture's bits do not depend on its company


class Generator:
    """Latents to pictures, with everything that is needed to use it.

    Attributes:
        net: the network, in eval mode, without gradients.
        latent: what it starts from.
        classes: names of the classes, empty for an unconditional generator.
        size: (channels, height, width) of its pictures.
        header: the file's own words: recipe, data, images seen.
    """

    def __init__(self, net: nn.Module, header: dict[str, Any]) -> None:
        self.net = net.eval().requires_grad_(False)
        self.header = header
        self.latent = Latent(header["latent"]["size"], header["latent"]["distribution"])
        self.classes: tuple[str, ...] = tuple(header["classes"])
        self.size = (int(header["channels"]), int(header["height"]), int(header["width"]))

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    def to(self, device: str | torch.device) -> Generator:
        """Move to a device and return itself."""
        self.net.to(device)
        return self

    def sample(self, n: int, *, seed: int = 0, label: int | str | None = None, truncation: float = 1.0) -> Tensor:
        """``n`` pictures (n, C, H, W) in [-1, 1], of seeds ``seed`` to ``seed + n - 1``.

        Picture s depends on seed s alone (and on ``label`` and ``truncation``), whatever ``n``. Without ``label`` a
        conditional generator draws the label from the seed, with the shares of the training data. ``truncation`` below
        1 pulls latents towards zero: less variety, more typical pictures.

        Raises:
            UserError: an unknown label, a label for an unconditional generator, or a negative seed.
        """
        if n < 1:
            raise UserError(f"At least one picture is made, not {n}.")
        return torch.cat(list(self._chunks(range(seed, seed + n), label, truncation)))

    def pixels(
        self, seeds: Sequence[int], *, label: int | str | None = None, truncation: float = 1.0
    ) -> Iterator[Bytes]:
        """The same pictures as uint8 (n, C, H, W), a few at a time."""
        for pictures in self._chunks(seeds, label, truncation):
            yield to_bytes(pictures)

    def labels(self, seeds: Sequence[int], label: int | str | None = None) -> Tensor | None:
        """The labels (n,) that belong to the seeds; None for an unconditional generator."""
        if not self.classes:
            if label is not None:
                raise UserError(
                    f"This generator was trained without labels (recipe {self.header['recipe']}): leave --label out."
                )
            return None
        if label is not None:
            return torch.full((len(seeds),), self._class(label), dtype=torch.int64)
        shares = np.array(self.header["shares"], dtype=np.float64)
        return torch.cat([draw_labels(shares, 0, "sample labels", seed, 1) for seed in seeds])

    @torch.no_grad()
    def _chunks(self, seeds: Sequence[int], label: int | str | None, truncation: float) -> Iterator[Tensor]:
        if any(seed < 0 for seed in seeds):
            raise UserError(f"Seeds start at 0: {min(seeds)} is not possible.")
        for begin in range(0, len(seeds), CHUNK):
            own = list(seeds[begin : begin + CHUNK])
            full = own + [0] * (CHUNK - len(own))
            latents = torch.cat([self.latent.draw(0, "sample", seed, 1) for seed in full]) * truncation
            labels = self.labels(full, label)
            with factors(self.device):
                pictures = self.net(latents.to(self.device), None if labels is None else labels.to(self.device))
            yield pictures[: len(own)].cpu()

    def _class(self, label: int | str) -> int:
        name = str(label)
        if name in self.classes:
            return self.classes.index(name)
        named = any(known.isdecimal() for known in self.classes)  # then a number is a name, and no place
        if not named and name.isdecimal() and int(name) < len(self.classes):
            return int(name)
        raise UserError(f"There is no label '{label}': this generator knows {', '.join(self.classes)}.")


def load(source: str | Path | Run, *, weights: Literal["ema", "raw"] = "ema", device: str = "cpu") -> Generator:
    """The generator of a run (its newest snapshot) or of a snapshot file. Nothing in the file is executed.

    Raises:
        UserError: no such run or file, a run without snapshots, a damaged file, a network that zerosum does not know,
            weights that are not finite.
    """
    path = source.folder if isinstance(source, Run) else Path(source)
    if path.is_dir():
        Run(path).read()
        found = Run(path).snapshots()
        if not found:
            raise UserError(f"{path} has no snapshot yet: train for longer, or wait for the first one.")
        path = found[-1]
    elif not path.exists():
        raise UserError(f"There is no run and no file '{path}': give a run folder or a .safetensors file of zerosum.")
    tensors, header = files.read_tensors(path)
    description = header.get("network")
    if header.get("kind") != "generator" or not isinstance(description, dict):
        raise UserError(f"{path} holds no generator (a resume state, perhaps): give a file of snapshots/.")
    with torch.device("meta"):
        net = network(description).build()
    own = {name.removeprefix(f"{weights}."): t for name, t in tensors.items() if name.startswith(f"{weights}.")}
    net.to_empty(device=device)
    try:
        net.load_state_dict(own)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit its own description: {str(error).splitlines()[-1].strip()}") from None
    broken = [name for name, tensor in own.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise UserError(
            f"The {weights} weights in {path} are not finite ({broken[0]}{', ...' if len(broken) > 1 else ''}): the "
            "run has diverged, take an earlier file of its snapshots/."
        )
    return Generator(channels_last(net), header)


def sample_sheet(generator: Generator, seeds: Sequence[int], label: str | None, truncation: float) -> bytes:
    """A PNG grid of the seeds' pictures."""
    pixels = np.concatenate(list(generator.pixels(seeds, label=label, truncation=truncation)))
    columns = max(1, min(len(seeds), round(len(seeds) ** 0.5 + 0.49)))
    return grid(pixels, columns)


def parse_seeds(text: str) -> list[int]:
    """``0-63`` or ``0,1,4-9`` as a list.

    Raises:
        UserError: anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"Seeds '{text}' are not possible: expected numbers and ranges such as 0-63 or 0,1,4-9.")
        begin, end = int(first), int(last or first)
        if end < begin or end - begin >= 1_000_000:
            raise UserError(f"Seeds '{part.strip()}' are not possible: a range goes upwards, over at most a million.")
        seeds += range(begin, end + 1)
    return seeds
