"""What the diagnosis measures of a training at one moment; it leaves no trace in it.

Fixed real pictures, fixed latents and random numbers of its own streams; buffers that a pass in training mode moves
(batch norm's statistics) are put back. The critic sees pictures as it does in training, augmented and packed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zerosum import files
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
    """Real pictures uint8 (N, C, H, W) on the host, and labels (N,) on the device or None."""

    pixels: Tensor
    labels: Tensor | None


class Seen(NamedTuple):
    """What is kept of generated pictures: views (N, d), scores (N,) where a critic looked, the rest of all of them."""

    views: Tensor
    scores: Tensor | None
    spectrum: spectrum.Spectrum
    saturated: float


@dataclass
class Probe:
    """Looks at a trainer. Pictures go by a batch at a time: what is kept of them does not grow with their size."""

    trainer: Trainer

    def __post_init__(self) -> None:
        trainer, pictures = self.trainer, self.trainer.pictures
        batch = trainer.recipe.batch // trainer.recipe.accumulate
        self.batch = min(batch, max(1, 2**22 // max(1, int(np.prod(pictures.pixels.shape[1:])))))
        self.batch = max(self.batch - self.batch % self.sight.pack, self.sight.pack)
        self.count = max(1, COUNT // self.batch) * self.batch
        known = pictures.take("train", pictures.some(KNOWN))
        self.train = self._side(*known)
        held = pictures.take("held-out", slice(0, HELD)) if len(pictures.held_out) >= LEAST_HELD else None
        self.held = None if held is None else self._side(*held)
        first, rest = _spread(len(known[0]), self.count)  # the fakes' number of them is spread over all
        self.order = np.concatenate([first, rest])
        self.reals = signals.Reals(
            self._view(known[0][self.order]), None if held is None else self._view(held[0]), len(first)
        )
        self.labels = None if known[1] is None else torch.from_numpy(known[1][first])
        self.spectrum = spectrum.spectrum(x for _, x in self._blocks(self.train))
        self.saturated = _saturated(x for _, x in self._blocks(self.train))
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
            raw, ema = self._seen({}, scored=True), self._seen(trainer.average.weights, scored=False)
            scores = {"train": self._scores(self.train), "fake": raw.scores}
            scores |= {} if self.held is None else {"held": self._scores(self.held)}
        found: dict[str, object] = {"images": trainer.images, "round": trainer.rounds}
        known = {name: score for name, score in scores.items() if score is not None and bool(score.isfinite().all())}
        if len(known) == len(scores):
            found |= signals.of_scores(train=known["train"], fake=known["fake"], held=known.get("held"))
            found["scores"] = {name: signals.deciles(score) for name, score in known.items()}
        for name, points in (("raw", raw.views), ("ema", ema.views)):
            found |= self.reals.of_fakes(points, name)
        found |= self.reals.of_copies(ema.views) | self._of_classes(ema.views)
        found |= {} if self.before is None else {"moved": self.reals.moved(self.before, raw.views)}
        self.before = raw.views
        if ema.views.isfinite().all():
            found |= self._of_spectrum(ema.spectrum)
            found |= {f"leak_{name}": changed.leak(ema.views) for name, changed in self.changed.items()}
            found["saturated"] = ema.saturated - self.saturated
        for role, player in trainer.players.items():
            found |= _of_weights(role, player.net)
        return {key: _short(value) for key, value in found.items()}

    def sheet(self) -> bytes | None:
        """Fakes, the nearest training picture and the nearest held-out one beside each, as a PNG."""
        if self.reals.held is None:
            return None
        trainer, pictures = self.trainer, self.trainer.pictures
        with unmoved(trainer.generator), factors(trainer.device):
            made = itertools.islice(self._generated(trainer.average.weights), -(-SHOWN // self.batch))
            fake = torch.cat([x.cpu() for _, x in made])[:SHOWN]
        points = signals.view(fake)
        known = self.order[signals.distances(points, self.reals.known).argmin(1).numpy()]
        held = signals.distances(points, self.reals.held).argmin(1).numpy()
        columns = [
            to_bytes(fake),
            pictures.take("train", pictures.some(KNOWN)[known])[0],
            pictures.take("held-out", held)[0],
        ]
        return grid(np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:]), 3)

    def _side(self, pixels: np.ndarray, labels: np.ndarray | None) -> Side:
        """``count`` of the pictures, repeated where there are fewer."""
        chosen = np.linspace(0, len(pixels) - 1, self.count).astype(np.int64)
        wanted = None if labels is None or not self.trainer.recipe.classes else torch.from_numpy(labels[chosen])
        return Side(
            torch.from_numpy(pixels[chosen]), None if wanted is None else to_device(wanted.long(), self.trainer.device)
        )

    def _blocks(self, side: Side) -> Iterator[tuple[int, Tensor]]:
        """Where a batch begins, and its pictures in [-1, 1] on the device."""
        for begin in range(0, self.count, self.batch):
            yield begin, to_float(to_device(side.pixels[begin : begin + self.batch], self.trainer.device))

    def _view(self, pixels: np.ndarray) -> Tensor:
        blocks = np.array_split(pixels, max(1, len(pixels) // 256))
        return torch.cat([signals.view(to_float(torch.from_numpy(block))) for block in blocks])

    @torch.no_grad()
    def _generated(self, weights: Mapping[str, Tensor]) -> Iterator[tuple[int, Tensor]]:
        """Pictures of the raw generator, or with these weights: where a batch begins, and the batch."""
        player, labels = self.trainer.players["generator"], self.train.labels
        for begin in range(0, self.count, self.batch):
            part = slice(begin, begin + self.batch)
            noise = self._noise("generator", begin, self.batch)
            with swapped(player.net, weights):
                x = full(player.play(self.latents[part], None if labels is None else labels[part], noise)).float()
            yield begin, x

    def _seen(self, weights: Mapping[str, Tensor], *, scored: bool) -> Seen:
        views, scores, shares = list[Tensor](), list[Tensor](), list[float]()

        def passing() -> Iterator[Tensor]:
            for begin, x in self._generated(weights):
                views.append(signals.view(x).cpu())
                shares.append(_saturated([x]))
                if scored:
                    scores.append(self._score(begin, x, self.train.labels))
                yield x

        found = spectrum.spectrum(passing())
        return Seen(torch.cat(views), torch.cat(scores) if scored else None, found, sum(shares) / len(shares))

    def _scores(self, side: Side) -> Tensor:
        return torch.cat([self._score(begin, x, side.labels) for begin, x in self._blocks(side)])

    def _score(self, begin: int, x: Tensor, labels: Tensor | None) -> Tensor:
        """The critic's scores of a batch, as it sees pictures in training."""
        part = slice(begin, begin + self.batch)
        x = x.contiguous(memory_format=self.trainer.layout)
        noise = self._noise("critic", begin, self.batch)
        clock = Clock(self.trainer.images, self.trainer.rounds)
        real = Batch(x, None if labels is None else labels[part])
        draw = Draw(real=real, latents=self.latents[part], noise=noise, kept={}, clock=clock)
        critic = critic_on(self.trainer.players, draw, self.sight)
        return output_of(critic, packed(x, self.sight.pack)).scores.float().cpu()

    def _noise(self, name: str, start: int, count: int) -> StreamNoise:
        return StreamNoise(self.trainer.seed, f"diagnosis {name}", start, count, self.trainer.device)

    def _of_spectrum(self, own: spectrum.Spectrum) -> dict[str, object]:
        return {
            "spectrum": {"real": spectrum.radial(self.spectrum.power), "fake": spectrum.radial(own.power)},
            "checkerboard": spectrum.checkerboard(own, self.spectrum),
            "grid": spectrum.grid(own, self.spectrum),
        }

    def _of_classes(self, views: Tensor) -> dict[str, object]:
        """Coverage of each class and its share of the fakes, by its name; nothing without labels of several classes."""
        names = self.trainer.pictures.classes
        if self.labels is None or len(names) < 2:
            return {}
        found = self.reals.of_classes(views, self.labels)
        sides = {"classes": 0, "classes_fake": 1}
        return {
            side: {names[at]: _short(pair[place]) for at, pair in found.items()}
            for side, place in sides.items()
            if found
        }

    def _changed(self) -> dict[str, signals.Changed]:
        """Each way in which training changes pictures."""
        if self.held is None:
            return {}
        ways: dict[str, Callable[[int, Tensor], Tensor]] = {}
        spec = self.sight.augment
        if spec is not None:
            ways["augment"] = lambda begin, x: augment(spec, x, 1.0, self._noise("leak", begin, len(x)))
        if self.trainer.recipe.mirror:
            ways["mirror"] = lambda begin, x: x.flip(3)
        ways = {"": lambda begin, x: x, **ways}
        views = {
            name: [
                torch.cat([signals.view(way(*block)).cpu() for block in self._blocks(side)])
                for side in (self.train, self.held)
            ]
            for name, way in ways.items()
        }
        plain = views.pop("")
        return {name: signals.Changed(plain[0], changed[0], plain[1], changed[1]) for name, changed in views.items()}


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
def swapped(net: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
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


def _saturated(blocks: Iterable[Tensor]) -> float:
    """The share of values at the ends of the range; the blocks are equally large."""
    shares = [(x.abs() > 0.99).float().mean() for x in blocks]
    return torch.stack(shares).mean().item()


def _of_weights(role: str, net: nn.Module) -> dict[str, object]:
    """Norm of all weights and the largest singular value of a layer, of a player."""
    weights = [parameter for parameter in net.parameters() if parameter.ndim >= 2]
    return {
        f"weights.{role}": torch.nn.utils.get_total_norm([weight.detach() for weight in weights]).item(),
        f"sigma.{role}": max((signals.largest_singular(weight) for weight in weights), default=0.0),
    }


def _spread(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most ``count`` of ``size`` places, evenly spread, and the others."""
    first = np.unique(np.linspace(0, size - 1, min(size, count)).astype(np.int64))
    return first, np.setdiff1d(np.arange(size), first)


def _short(value: object) -> object:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def write_nearest(probe: Probe, run: Run) -> None:
    """The sheet of nearest pictures, into the run's samples."""
    sheet = probe.sheet()
    if sheet is not None:
        files.write(run.folder / "samples" / "nearest.png", sheet)
