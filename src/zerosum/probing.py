"""What the diagnosis measures of a training at one moment; it leaves no trace in it.

Fixed real pictures, fixed latents and random numbers of its own streams; buffers that a pass in training mode moves
(batch norm's statistics) are put back. The critic sees pictures as it does in training, augmented and packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zerosum.data.pixels import grid, to_bytes, to_device, to_float
from zerosum.diagnose import signals, spectrum
from zerosum.game.augment import augment
from zerosum.game.critic import full, output_of
from zerosum.game.rounds import Batch, Draw, critic_on
from zerosum.game.schedules import Clock
from zerosum.game.sight import PLAIN, Sight, packed
from zerosum.networks.precision import factors
from zerosum.run import Run
from zerosum.training.noise import StreamNoise
from zerosum.training.trainer import Trainer

COUNT = 128  # pictures of each kind, about: whole batches
KNOWN, HELD = 2_000, 500  # real pictures that fakes are compared with
SHOWN = 8  # rows of the sheet of nearest pictures
LEAST_HELD = 10


class Side(NamedTuple):
    """Pictures (N, C, H, W) in [-1, 1] on the device, and labels (N,) or None."""

    x: Tensor
    labels: Tensor | None


@dataclass
class Probe:
    """Looks at a trainer."""

    trainer: Trainer

    def __post_init__(self) -> None:
        trainer, pictures = self.trainer, self.trainer.pictures
        batch = trainer.recipe.batch // trainer.recipe.accumulate
        self.batch = min(batch, max(1, 2**22 // max(1, int(np.prod(pictures.pixels.shape[1:])))))
        self.batch = max(self.batch - self.batch % self.sight.pack, self.sight.pack)
        self.count = max(1, COUNT // self.batch) * self.batch
        known = pictures.take("train", pictures.some(KNOWN))
        self.train = self._side(*known, self.count)
        held = pictures.take("held-out", slice(0, HELD)) if len(pictures.held_out) >= LEAST_HELD else None
        self.held = None if held is None else self._side(*held, self.count)
        first, rest = _spread(len(known[0]), self.count)  # the fakes' number of them is spread over all
        self.order = np.concatenate([first, rest])
        self.reals = signals.Reals(
            self._view(known[0][self.order]), None if held is None else self._view(held[0]), len(first)
        )
        self.power = spectrum.power(self.train.x)
        self.latents = trainer.recipe.latent.draw(trainer.seed, "diagnosis", 0, self.count).to(trainer.device)
        self.changed = self._changed()
        self.before: Tensor | None = None  # views of the raw generator's pictures at the check before

    @property
    def sight(self) -> Sight:
        """What stands in front of the critic."""
        return next((turn.loss.sight for turn in self.trainer.turns if hasattr(turn.loss, "sight")), PLAIN)

    @torch.no_grad()
    def look(self) -> dict[str, object]:
        """A line of signals.jsonl, without the seconds."""
        trainer = self.trainer
        with unmoved(trainer.generator), unmoved(trainer.players["critic"].net), factors(trainer.device):
            raw, ema = self._generated(None), self._generated(trainer.average.weights)
            sides = {"train": self.train, "fake": Side(raw, self.train.labels)}
            sides |= {} if self.held is None else {"held": self.held}
            scores = {name: self._scores(side) for name, side in sides.items()}
        found: dict[str, object] = {"images": trainer.images, "round": trainer.rounds}
        if all(score.isfinite().all() for score in scores.values()):
            found |= signals.of_scores(train=scores["train"], fake=scores["fake"], held=scores.get("held"))
            found["scores"] = {name: signals.deciles(score) for name, score in scores.items()}
        views = {"raw": signals.view(raw).cpu(), "ema": signals.view(ema).cpu()}
        for name, points in views.items():
            found |= self.reals.of_fakes(points, name)
        found |= self.reals.of_copies(views["ema"])
        found |= {} if self.before is None else {"moved": self.reals.moved(self.before, views["raw"])}
        self.before = views["raw"]
        if ema.isfinite().all():
            found |= self._of_spectrum(ema)
            found |= {f"leak_{name}": changed.leak(views["ema"]) for name, changed in self.changed.items()}
            found["saturated"] = (ema.abs() > 0.99).float().mean().item() - self.saturated
        for role, player in trainer.players.items():
            found |= _of_weights(role, player.net)
        return {key: _short(value) for key, value in found.items()}

    def sheet(self) -> bytes | None:
        """Fakes, the nearest training picture and the nearest held-out one beside each, as a PNG."""
        if self.reals.held is None:
            return None
        trainer, pictures = self.trainer, self.trainer.pictures
        with unmoved(trainer.generator), factors(trainer.device):
            fake = self._generated(trainer.average.weights)[:SHOWN]
        points = signals.view(fake).cpu()
        known = self.order[signals.distances(points, self.reals.known).argmin(1).numpy()]
        held = signals.distances(points, self.reals.held).argmin(1).numpy()
        columns = [
            to_bytes(fake.cpu()),
            pictures.take("train", pictures.some(KNOWN)[known])[0],
            pictures.take("held-out", held)[0],
        ]
        return grid(np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:]), 3)

    def _side(self, pixels: np.ndarray, labels: np.ndarray | None, count: int) -> Side:
        """``count`` of the pictures, repeated where there are fewer."""
        chosen = np.linspace(0, len(pixels) - 1, count).astype(np.int64)
        wanted = None if labels is None or not self.trainer.recipe.classes else torch.from_numpy(labels[chosen])
        x = to_float(to_device(torch.from_numpy(pixels[chosen]), self.trainer.device))
        return Side(x, None if wanted is None else to_device(wanted.long(), self.trainer.device))

    def _view(self, pixels: np.ndarray) -> Tensor:
        blocks = np.array_split(pixels, max(1, len(pixels) // 256))
        return torch.cat([signals.view(to_float(torch.from_numpy(block))) for block in blocks])

    def _generated(self, weights: dict[str, Tensor] | None) -> Tensor:
        """Pictures of the raw generator, or with these weights, a batch at a time."""
        player, labels, made = self.trainer.players["generator"], self.train.labels, list[Tensor]()
        for begin in range(0, self.count, self.batch):
            part = slice(begin, begin + self.batch)
            noise = self._noise("generator", begin, self.batch)
            with swapped(player.net, weights or {}):
                made.append(full(player.play(self.latents[part], None if labels is None else labels[part], noise)))
        return torch.cat(made).float()

    def _scores(self, side: Side) -> Tensor:
        scores = []
        for begin in range(0, self.count, self.batch):
            part = slice(begin, begin + self.batch)
            labels = None if side.labels is None else side.labels[part]
            x = side.x[part].contiguous(memory_format=self.trainer.layout)
            noise = self._noise("critic", begin, self.batch)
            clock = Clock(self.trainer.images, self.trainer.rounds)
            draw = Draw(real=Batch(x, labels), latents=self.latents[part], noise=noise, kept={}, clock=clock)
            critic = critic_on(self.trainer.players, draw, self.sight)
            scores.append(output_of(critic, packed(x, self.sight.pack)).scores)
        return torch.cat(scores).float().cpu()

    def _noise(self, name: str, start: int, count: int) -> StreamNoise:
        return StreamNoise(self.trainer.seed, f"diagnosis {name}", start, count, self.trainer.device)

    def _of_spectrum(self, ema: Tensor) -> dict[str, object]:
        own = spectrum.power(ema)
        return {
            "spectrum": {"real": spectrum.radial(self.power), "fake": spectrum.radial(own)},
            "checkerboard": spectrum.checkerboard(own, self.power),
            "grid": spectrum.grid(ema, self.train.x),
        }

    def _changed(self) -> dict[str, signals.Changed]:
        """Each way in which training changes pictures."""
        if self.held is None:
            return {}
        ways: dict[str, Callable[[Tensor], Tensor]] = {}
        spec = self.sight.augment
        if spec is not None:
            ways["augment"] = lambda x: augment(spec, x, 1.0, self._noise("leak", 0, self.count))
        if self.trainer.recipe.mirror:
            ways["mirror"] = lambda x: x.flip(3)
        real, held = self.train.x, self.held.x
        return {
            name: signals.Changed(*(signals.view(x).cpu() for x in (real, way(real), held, way(held))))
            for name, way in ways.items()
        }

    @property
    def saturated(self) -> float:
        """The share of real values at the ends of the range."""
        return (self.train.x.abs() > 0.99).float().mean().item()


@contextmanager
def unmoved(net: nn.Module) -> Iterator[None]:
    """Put the buffers of a network back afterwards."""
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in net.named_buffers():
            buffer.copy_(before[name])


@contextmanager
def swapped(net: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Let a network have other values in its weights for a while; nothing may need gradients meanwhile."""
    own = dict(net.named_parameters())
    before = {name: own[name].data for name in weights}
    try:
        for name, tensor in weights.items():
            own[name].data = tensor
        yield
    finally:
        for name, tensor in before.items():
            own[name].data = tensor


def _of_weights(role: str, net: nn.Module) -> dict[str, object]:
    """Norm of all weights and the largest singular value of a layer, of a player."""
    weights = [parameter for parameter in net.parameters() if parameter.ndim >= 2]
    return {
        f"weights.{role}": torch.nn.utils.get_total_norm([weight.detach() for weight in weights]).item(),
        f"sigma.{role}": max(signals.largest_singular(weight) for weight in weights),
    }


def _spread(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most ``count`` of ``size`` places, evenly spread, and the others."""
    first = np.unique(np.linspace(0, size - 1, min(size, count)).astype(np.int64))
    return first, np.setdiff1d(np.arange(size), first)


def _short(value: object) -> object:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def write_nearest(probe: Probe, run: Run) -> None:
    """The sheet of nearest pictures, into the run's samples."""
    from zerosum import files

    sheet = probe.sheet()
    if sheet is not None:
        files.write(run.folder / "samples" / "nearest.png", sheet)
