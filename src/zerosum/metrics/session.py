"""One evaluation: samples against real pictures, by protocols, each detector and each look at the real ones once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum import files
from zerosum.data.pictures import Part, Pictures
from zerosum.errors import UserError
from zerosum.metrics.draws import interval
from zerosum.metrics.frechet import Moments
from zerosum.metrics.lookers import Looker, Lookers
from zerosum.metrics.looking import Looked, look_at
from zerosum.metrics.paths import EPSILON, step_distances
from zerosum.metrics.protocols import Protocol
from zerosum.metrics.samples import PARTS, Samples, of_pictures
from zerosum.metrics.sides import Sides, Values, shares_of


class Value(NamedTuple):
    """One number with everything that it was made with.

    Attributes:
        value: the mean over the draws.
        low, high: ends of its 95 % interval over the draws; None for one draw.
        baseline: what stands beside it, where the protocol has such a number.
        beside: what that is, in words.
        protocol: its name.
        detector: name and first digits of the hash of the weights.
        accuracy: of a detector that is a classifier trained here, on held-out pictures.
        real, fake: how many pictures of either kind, in one draw.
        draws: repetitions, each with samples of its own.
        weights: "ema" or "raw" of a run, else "".
        seconds: for all draws.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    baseline: float | None
    beside: str
    protocol: str
    detector: str
    resizer: str
    accuracy: float | None
    real: int
    fake: int
    draws: int
    weights: str
    seconds: float

    def record(self) -> dict[str, object]:
        """A line of metrics.jsonl."""
        return {key: value for key, value in self._asdict().items() if value not in (None, "")}


@dataclass
class Session:
    """Measures ``samples``.

    Attributes:
        pictures: the real ones, prepared at the samples' size; not asked for where a protocol needs none.
        cache: folder for what was seen of real pictures.
    """

    samples: Samples
    pictures: Callable[[], Pictures]
    lookers: Lookers
    cache: Path

    def measure(self, protocol: Protocol, draws: int = 1) -> list[Value]:
        """The values of one protocol.

        Raises:
            UserError: too few pictures, no labels or other classes where there must be some, no generator where there
                must be one, weights that are not there.
        """
        began = time.monotonic()
        self._check(protocol, draws)
        looker = self.lookers.of(protocol.detector)
        found: dict[str, list[float]] = {}
        baseline: Values = {}
        real = Looked(protocol.wants)
        try:
            real = self._real(protocol, looker, protocol.part, protocol.real)
            rest: Part = "held-out" if protocol.part == "train" else "train"
            other = self._real(protocol, looker, rest, protocol.other) if protocol.other else None
            for draw in range(draws):
                fake = self._fake(protocol, looker, draw * protocol.fake)
                sides = Sides(real, fake, other, *self._classes(protocol), looker.distance)
                if protocol.baseline and not baseline:
                    baseline = protocol.baseline(sides)
                for metric, value in protocol.compute(sides).items():
                    found.setdefault(metric, []).append(value)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{protocol.name} is not possible: {error}.") from None
        seconds = round(time.monotonic() - began, 2)
        return [
            _value(protocol, looker, metric, values, baseline.get(metric))._replace(
                real=real.count, weights=self.samples.weights or "", seconds=seconds
            )
            for metric, values in found.items()
        ]

    def _check(self, protocol: Protocol, draws: int) -> None:
        """Refuse what cannot be, before anything is computed."""
        samples, name = self.samples, protocol.name
        if protocol.space is not None and protocol.space not in samples.spaces:
            if not samples.spaces:
                raise UserError(
                    f"{name} walks through a generator's latent space: give a run or a .safetensors file of zerosum, "
                    f"not the pictures {samples.name}."
                )
            raise UserError(
                f"{name} needs a generator with an intermediate latent space W, and that of {samples.name} has none: "
                "take ppl2_zend."
            )
        if protocol.by_class:
            self._check_classes(protocol)
        samples.need(protocol.fake * draws, name)

    def _check_classes(self, protocol: Protocol) -> None:
        real, samples, name = self.pictures(), self.samples, protocol.name
        for whose, labels in ((real.name, real.labels), (samples.name, samples.labels(0, 1))):
            if labels is None:
                raise UserError(f"{name} compares class by class, and {whose} has no labels: take another metric.")
        if len(real.classes) < 2:
            raise UserError(f"{name} compares class by class, and {real.name} has a single class: take another metric.")
        named = not (_numbered(real.classes) or _numbered(samples.classes))
        if len(real.classes) != len(samples.classes) or (named and real.classes != samples.classes):
            raise UserError(
                f"{name} compares class by class, and the classes differ: {samples.name} has "
                f"{_listed(samples.classes)}, {real.name} has {_listed(real.classes)}."
            )

    def _classes(self, protocol: Protocol) -> tuple[int, Tensor | None]:
        """How many classes the real pictures have, and their shares among the training ones, where these are used."""
        if protocol.detector not in ("classifier", "student"):
            return 0, None
        real = self.pictures()
        assert real.labels is not None, "without labels there is no classifier"
        return len(real.classes), shares_of(torch.from_numpy(real.labels[real.train]), len(real.classes))

    def _fake(self, protocol: Protocol, looker: Looker, start: int) -> Looked:
        """What was seen of the samples of one draw."""
        samples = self.samples
        if protocol.space is None:
            labels = samples.labels(start, protocol.fake)
            blocks = samples.pixels(start, protocol.fake)
            return look_at(blocks, looker.detector, protocol.wants, labels, looker.size)
        assert samples.steps is not None
        assert looker.distance is not None
        looked = Looked(protocol.wants)
        for here, there in samples.steps(protocol.space, start, protocol.fake, EPSILON):
            looked.step(step_distances(here, there, looker.distance))
        return looked

    def _real(self, protocol: Protocol, looker: Looker, part: Part, most: int | None) -> Looked:
        """What was seen of the real pictures; moments are cached by content of data, detector and resizer."""
        if most == 0:
            return Looked(protocol.wants)
        real, detector = self.pictures(), looker.detector
        pictures = of_pictures(real, part, most)
        count = pictures.count or 0
        if count == 0:
            raise UserError(f"{protocol.name} needs {PARTS[part]} pictures, and {real.name} has none.")
        if protocol.as_many and part != protocol.part and count < protocol.other:
            raise UserError(
                f"{protocol.name} needs {protocol.other:,} {PARTS[part]} pictures beside as many samples, and "
                f"{real.name} has {count:,}: take a smaller protocol."
            )
        if protocol.wants != {"moments"} or detector is None:
            labels = pictures.labels(0, count)
            return look_at(pictures.pixels(0, count), detector, protocol.wants, labels, looker.size)
        which = [part, count] if count == len(real.rows(part)) else [part, count, "drawn"]
        key = json.dumps([real.identity, *which, detector.name, detector.sha256, detector.resizer])
        path = self.cache / "references" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
        looked = Looked(protocol.wants, count)
        if path.is_file():
            tensors, header = files.read_tensors(path)
            if header.get("key") == key:
                looked.moments["features"] = Moments(count, tensors["mean"], tensors["scatter"])
                return looked
        looked = look_at(pictures.pixels(0, count), detector, protocol.wants)
        moments = looked.moments["features"]
        files.write_tensors(path, {"mean": moments.mean, "scatter": moments.scatter}, {"key": key})
        return looked


def _value(protocol: Protocol, looker: Looker, metric: str, values: list[float], baseline: float | None) -> Value:
    ends = interval(values) if len(values) > 1 else None
    return Value(
        metric=metric,
        value=sum(values) / len(values),
        low=None if ends is None else ends.low,
        high=None if ends is None else ends.high,
        baseline=baseline,
        beside="" if baseline is None else protocol.beside,
        protocol=protocol.name,
        detector=looker.name,
        resizer=looker.resizer,
        accuracy=looker.accuracy,
        real=0,
        fake=protocol.fake,
        draws=len(values),
        weights="",
        seconds=0.0,
    )


def _numbered(classes: tuple[str, ...]) -> bool:
    """Whether the names say no more than the order does."""
    return classes == tuple(map(str, range(len(classes))))


def _listed(classes: tuple[str, ...]) -> str:
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return ", ".join(classes[:5]) + more
