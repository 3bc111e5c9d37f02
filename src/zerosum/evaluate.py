"""``zerosum evaluate``: any pictures against any data, by named protocols."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from zerosum import files
from zerosum.data.cache import cache_folder
from zerosum.data.find import digits_of, find
from zerosum.data.fit import Shape
from zerosum.data.pictures import Pictures
from zerosum.data.prepare import prepare
from zerosum.data.readers.stacked import NAME as STACKED
from zerosum.data.source import Source
from zerosum.data.survey import survey
from zerosum.errors import UserError, did_you_mean
from zerosum.generate import load
from zerosum.metrics.detectors.colours import COLOURS
from zerosum.metrics.lookers import Lookers, Say
from zerosum.metrics.protocols import CATALOGUE
from zerosum.metrics.samples import Samples, of_generator, of_source
from zerosum.metrics.session import Session, Value
from zerosum.run import Run


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
    pictures = _against(against, size, data_root, say)
    lookers = Lookers(
        pictures,
        functools.cache(lambda: _digits(against, size, data_root, say)),
        tuple(weights_files),
        cache_folder(),
        device,
        say,
    )
    session = Session(samples, pictures, lookers, cache_folder())
    values: list[Value] = []
    for name in metrics:
        found = session.measure(CATALOGUE[name], draws)
        values += found
        if run is not None:
            for value in found:
                files.append_line(run[0].metrics, {"images": run[1], **value.record()})
    return values


Shaped = tuple[int, int, int]
Target = tuple[Samples, Shaped | None, tuple[Run, int] | None]


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


def _against(against: str | Path, size: Shaped | None, data_root: str | None, say: Say) -> Callable[[], Pictures]:
    """The real pictures at the samples' size (or the most common size of their own), prepared when they are needed."""
    source = find(against, data_root, say)
    return functools.cache(lambda: _prepared(source, size))


def _digits(against: str | Path, size: Shaped | None, data_root: str | None, say: Say) -> Pictures:
    """The digits that are the colours of the real pictures, at the samples' size."""
    source = digits_of(against, data_root, say)
    if source is None:
        raise UserError(
            f"modes26k counts the 1,000 modes of {STACKED}: give --against {STACKED} (classes10k counts the classes of "
            "labelled data)."
        )
    if size is not None and size[0] != COLOURS:
        raise UserError(f"modes26k looks at the colours of pictures, and these have {size[0]} channels: expected 3.")
    return _prepared(source, None if size is None else (1, *size[1:]))


def _prepared(source: Source, size: Shaped | None) -> Pictures:
    seen = survey(source, cache_folder())
    if size is None:
        kinds, counts = torch.unique(torch.from_numpy(seen.sizes[seen.good]), dim=0, return_counts=True)
        width, height = kinds[counts.argmax()].tolist()
        size = (1 if int(seen.channels.max()) == 1 else 3, height, width)
    channels, height, width = size
    return prepare(source, seen, Shape(width, height, channels), cache=cache_folder())


def table(values: Sequence[Value]) -> list[str]:
    """One readable line a value."""
    lines = []
    for value in values:
        ends = "" if value.low is None else f"  [{value.low:.4g}, {value.high:.4g}]"
        beside = "" if value.baseline is None else f"  {value.beside}: {value.baseline:.4g}"
        counts = f"{value.fake:,} samples" + (f", {value.real:,} real" if value.real else "")
        right = "" if value.accuracy is None else f" ({value.accuracy:.2%} right)"
        lines.append(
            f"{value.protocol:20}{value.metric:20}{value.value:10.4g}{ends}{beside}  ({counts}, {value.detector}"
            f"{right}, {value.seconds:.1f} s)"
        )
    return lines
