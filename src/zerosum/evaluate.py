"""``zerosum evaluate``: any pictures against any data, by named protocols."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from zerosum import files
from zerosum.data.cache import cache_folder
from zerosum.data.find import find
from zerosum.data.fit import Shape
from zerosum.data.pictures import Part, Pictures
from zerosum.data.prepare import prepare
from zerosum.data.survey import survey
from zerosum.errors import UserError, did_you_mean
from zerosum.generate import load
from zerosum.metrics.detectors import detector as detectors
from zerosum.metrics.detectors.detector import Detector
from zerosum.metrics.draws import interval
from zerosum.metrics.frechet import Moments
from zerosum.metrics.looking import Looked, look_at
from zerosum.metrics.protocols import CATALOGUE, Protocol, Sides
from zerosum.metrics.samples import Samples, of_generator, of_pictures, of_source
from zerosum.run import Run

Say = Callable[[str], None]


class Value(NamedTuple):
    """One number with everything that it was made with.

    Attributes:
        value: the mean over the draws.
        low, high: ends of its 95 % interval over the draws; None for one draw.
        protocol: its name.
        detector: name and first digits of the hash of the weights.
        real, fake: how many pictures of either kind, in one draw.
        draws: repetitions, each with samples of its own.
        weights: "ema" or "raw" of a run, else "".
        seconds: for all draws.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    protocol: str
    detector: str
    resizer: str
    real: int
    fake: int
    draws: int
    weights: str
    seconds: float

    def record(self) -> dict[str, object]:
        """A line of metrics.jsonl."""
        return {key: value for key, value in self._asdict().items() if value not in (None, "")}


def silent(text: str) -> None:
    """Say nothing."""


def evaluate(
    target: str | Path,
    against: str | Path,
    metrics: Sequence[str],
    *,
    draws: int = 1,
    weights_files: Sequence[Path] = (),
    which: str = "ema",
    device: str = "cpu",
    data_root: str | None = None,
    say: Say = silent,
) -> list[Value]:
    """Measure a run, a snapshot file, or anyone's pictures against data.

    Args:
        target: a run's folder, a .safetensors file, or pictures as ``zerosum.train`` takes them.
        against: the real pictures, prepared at the samples' size.
        metrics: names of protocols.
        draws: repeat with other samples, for an interval.
        weights_files: files of detectors' weights; otherwise the cache, otherwise the official address.
        which: "ema" or "raw", of a run.
        device: where networks run.

    Raises:
        UserError: an unknown name, too few pictures for a protocol, weights that are not there.
    """
    unknown = [name for name in metrics if name not in CATALOGUE]
    if unknown:
        raise UserError(f"There is no metric '{unknown[0]}'{did_you_mean(unknown[0], CATALOGUE)}.")
    if draws < 1:
        raise UserError(f"--draws {draws} is not possible: at least one.")
    samples, size, run = _target(target, which, device, data_root, say)
    real = _against(against, size, data_root, say)
    session = _Session(samples, real, tuple(weights_files), device, say)
    values: list[Value] = []
    for name in metrics:
        found = session.measure(CATALOGUE[name], draws)
        values += found
        if run is not None:
            for value in found:
                files.append_line(run[0].metrics, {"images": run[1], **value.record()})
    return values


@dataclass
class _Session:
    """Detectors and what was seen of the real pictures are made once and used by every protocol."""

    samples: Samples
    real: Pictures
    weights: tuple[Path, ...]
    device: str
    say: Say
    detectors: dict[str, Detector] = field(default_factory=dict)

    def measure(self, protocol: Protocol, draws: int) -> list[Value]:
        """The values of one protocol."""
        began = time.monotonic()
        self.samples.need(protocol.fake * draws, protocol.name)
        detector = self._detector(protocol)
        real = self._real(protocol, detector, protocol.part, protocol.real)
        other: Part = "held-out" if protocol.part == "train" else "train"
        beside = self._real(protocol, detector, other, protocol.real) if protocol.other else None
        found: dict[str, list[float]] = {}
        for draw in range(draws):
            start = draw * protocol.fake
            labels = self.samples.labels(start, protocol.fake)
            fake = look_at(self.samples.pixels(start, protocol.fake), detector, protocol.wants, labels)
            try:
                values = protocol.compute(Sides(real, fake, beside, len(self.real.classes)))
            except ValueError as error:
                raise UserError(f"{protocol.name} is not possible: {error}.") from None
            for metric, value in values.items():
                found.setdefault(metric, []).append(value)
        seconds = round(time.monotonic() - began, 2)
        return [self._value(protocol, detector, metric, own, real.count, seconds) for metric, own in found.items()]

    def _value(
        self, protocol: Protocol, detector: Detector | None, metric: str, values: list[float], real: int, seconds: float
    ) -> Value:
        ends = interval(values) if len(values) > 1 else None
        return Value(
            metric,
            sum(values) / len(values),
            None if ends is None else ends.low,
            None if ends is None else ends.high,
            protocol.name,
            "pixels" if detector is None else f"{detector.name}@{detector.sha256[:12]}",
            "" if detector is None else detector.resizer,
            real,
            protocol.fake,
            len(values),
            self.samples.weights or "",
            seconds,
        )

    def _detector(self, protocol: Protocol) -> Detector | None:
        name = protocol.detector
        if name == "pixels":
            return None
        if name not in self.detectors:
            self.detectors[name] = self._made(name)
        return self.detectors[name]

    def _made(self, name: str) -> Detector:
        cache = cache_folder()
        if name == "random":
            return detectors.random_features()
        if name == "classifier":
            found = detectors.classifier(self.real, cache)
            self.say(f"{found.name}: names {found.accuracy or 0:.1%} of the held-out pictures rightly.")
            return found
        published = {
            "inception": detectors.INCEPTION,
            "clip": detectors.CLIP,
            "dinov2": detectors.dinov2_published(detectors.dinov2_net.VIT_L),
        }[name]
        own = next((path for path in self.weights if path.name == published.file), None)
        build = {"inception": detectors.inception, "clip": detectors.clip, "dinov2": detectors.dinov2}[name]
        return build(own, cache, device=self.device, progress=_progress(published.file, self.say))

    def _real(self, protocol: Protocol, detector: Detector | None, part: Part, most: int | None) -> Looked:
        """What was seen of the real pictures; moments are cached by content of data, detector and resizer."""
        if most == 0:
            return Looked(protocol.wants)
        pictures = of_pictures(self.real, part)
        count = min(pictures.count or 0, most or 2**62)
        if count == 0:
            raise UserError(f"{protocol.name} needs {part} pictures, and {self.real.name} has none.")
        if protocol.wants != {"moments"} or detector is None:
            return look_at(pictures.pixels(0, count), detector, protocol.wants, pictures.labels(0, count))
        key = json.dumps([self.real.identity, part, count, detector.name, detector.sha256, detector.resizer])
        path = cache_folder() / "references" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
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


Target = tuple[Samples, tuple[int, int, int] | None, tuple[Run, int] | None]


def _target(target: str | Path, which: str, device: str, data_root: str | None, say: Say) -> Target:
    """The samples, their (channels, height, width) where all have one, and the run that they belong to."""
    path = Path(target)
    run = Run(path) if path.is_dir() and Run(path).exists() else None
    if run is not None or path.suffix == ".safetensors":
        if which not in ("ema", "raw"):
            raise UserError(f"--which {which} is not possible: ema or raw.")
        generator = load(path, weights="ema" if which == "ema" else "raw", device=device)
        own = None if run is None else (run, int(str(generator.header["images"])))
        return of_generator(generator, path.name, which), generator.size, own
    source = find(target, data_root, say)
    seen = survey(source, cache_folder())
    sizes = seen.sizes[seen.good]
    channels = 1 if int(seen.channels.max()) == 1 else 3
    one = (channels, int(sizes[0, 1]), int(sizes[0, 0])) if (sizes == sizes[0]).all() else None
    if one is None:
        say(f"{source.name} has pictures of several sizes: each is resized by the metric's own resizer.")
    return of_source(source, seen), one, None


def _against(against: str | Path, size: tuple[int, int, int] | None, data_root: str | None, say: Say) -> Pictures:
    """The real pictures, at the samples' size (or the most common size of their own)."""
    source = find(against, data_root, say)
    seen = survey(source, cache_folder())
    if size is None:
        kinds, counts = torch.unique(torch.from_numpy(seen.sizes[seen.good]), dim=0, return_counts=True)
        width, height = kinds[counts.argmax()].tolist()
        size = (1 if int(seen.channels.max()) == 1 else 3, height, width)
    channels, height, width = size
    return prepare(source, seen, Shape(width, height, channels), cache=cache_folder())


def _progress(name: str, say: Say) -> Callable[[int, int | None], None]:
    told = -1

    def progress(done: int, total: int | None) -> None:
        nonlocal told
        if total and (tenth := 10 * done // total) > told:
            told = tenth
            say(f"{name}: {tenth}0 % of {total / 2**20:,.0f} MiB")

    return progress


def table(values: Sequence[Value]) -> list[str]:
    """One readable line a value."""
    lines = []
    for value in values:
        ends = "" if value.low is None else f"  [{value.low:.4g}, {value.high:.4g}]"
        counts = f"{value.fake:,} samples" + (f", {value.real:,} real" if value.real else "")
        lines.append(
            f"{value.protocol:20}{value.metric:20}{value.value:10.4g}{ends}  ({counts}, {value.detector}, "
            f"{value.seconds:.1f} s)"
        )
    return lines
