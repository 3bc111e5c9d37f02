"""``zerosum evaluate``: any pictures against any data, by named protocols."""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from zerosum import files
from zerosum.data.cache import cache_folder
from zerosum.data.find import digits_of, find
from zerosum.data.fit import Shape
from zerosum.data.pictures import Pictures
from zerosum.data.prepare import prepare
from zerosum.data.readers.stacked import NAME as STACKED
from zerosum.data.source import Source
from zerosum.data.survey import Survey, survey
from zerosum.data.telling import Progress, Say, silent
from zerosum.errors import UserError, did_you_mean
from zerosum.generate import load
from zerosum.interrupt import Interrupted
from zerosum.metrics import judge
from zerosum.metrics.detectors.colours import COLOURS
from zerosum.metrics.lookers import Lookers
from zerosum.metrics.protocol import Protocol
from zerosum.metrics.protocols import CATALOGUE, ELSEWHERE
from zerosum.metrics.reals import Loose, Reals
from zerosum.metrics.samples import Samples, Shaped, in_colour, of_generator, of_source
from zerosum.metrics.session import Session
from zerosum.metrics.value import HEADING, Value, line
from zerosum.plan import machine
from zerosum.run import Run


class _Telling(NamedTuple):
    """Whom an evaluation tells what it does, and how far it is."""

    say: Say
    progress: Progress


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
    progress: Progress = silent,
) -> list[Value]:
    """Measure a run, a snapshot file, or anyone's pictures against data.

    Args:
        target: a run's folder, a .safetensors file, or pictures as ``zerosum.train`` takes them.
        against: the real pictures; prepared at the size of a generator, and looked at as they are beside pictures.
        metrics: names of protocols; ``judgement`` is what every training ends with.
        draws: repeat with other samples, for an interval.
        weights_files: files of detectors' weights; otherwise the cache, otherwise the official address.
        which: "ema" or "raw", of a run.
        device: where networks run; "auto" chooses.
        say: is told what is compared with what, and each value as soon as it is known.
        progress: is told how many pictures of how many are looked at.

    Raises:
        UserError: an unknown name, too few pictures for a protocol, weights that are not there.
    """
    protocols, judged = _protocols(metrics), judge.NAME in metrics
    if judged and draws > 1:
        raise UserError(f"{judge.NAME} has draws of its own: measure it by itself, without --draws {draws}.")
    if draws < 1:
        raise UserError(f"--draws {draws} is not possible: at least one.")
    device = machine(device, []).device
    told = _Telling(say, progress)
    given = _target(target, which, device, data_root, told)
    world = _World(against, data_root, told)
    samples, shape, loose = world.beside(given)
    told.say(f"samples: {samples.name}{_in_words(given.samples.size)}{_about(given)}")
    pictures = functools.cache(lambda: world.prepared(shape))
    lookers = Lookers(
        pictures,
        functools.cache(lambda: world.digits(shape, given.samples.size)),
        tuple(weights_files),
        cache_folder(),
        device,
        told.say,
    )
    reals = Reals(world.source.name, pictures, world.source.test is not None, loose)
    session = Session(samples, reals, lookers, cache_folder(), told.say, told.progress)
    measured = session.measure(protocols, draws)
    if judged:
        examiner = judge.Judge(pictures(), cache_folder(), say=told.say)
        examiner.check(samples)
        measured = itertools.chain(measured, examiner.measure(samples, told.progress))
    values: list[Value] = []
    try:
        for value in measured:
            full = value._replace(images=given.images)
            values.append(full)
            if given.run is not None:
                given.run.add_metrics([full.record()])
            told.say(line(full) if len(values) > 1 else f"{HEADING}\n{line(full)}")
    except Interrupted:
        if not values:
            raise
        where = "" if given.run is None else f" and in {given.run.metrics}"
        raise Interrupted(f"stopped: {len(values)} values were measured, those above{where}") from None
    return values


def may_write(path: Path) -> None:
    """Find out whether a file may be written, before hours of work.

    Raises:
        UserError: it may not.
    """
    with files.in_words(path, "name another file"):
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def _protocols(metrics: Sequence[str]) -> list[Protocol]:
    if not metrics:
        raise UserError("--metrics needs at least one name: zerosum evaluate list prints them.")
    for name in metrics:
        if name in ELSEWHERE:
            raise UserError(ELSEWHERE[name])
        if name not in (known := (*CATALOGUE, judge.NAME)):
            raise UserError(
                f"There is no metric '{name}'{did_you_mean(name, known)}: zerosum evaluate list prints them."
            )
    return [CATALOGUE[name] for name in dict.fromkeys(metrics) if name != judge.NAME]


class _Given(NamedTuple):
    """What is measured; ``run`` and ``images`` of a run's snapshot, ``generator`` if it makes pictures."""

    samples: Samples
    generator: bool
    run: Run | None = None
    images: int | None = None


def _target(target: str | Path, which: str, device: str, data_root: str | None, told: _Telling) -> _Given:
    path = Path(target)
    run = Run(path) if path.is_dir() and Run(path).exists() else None
    if which not in ("ema", "raw"):
        raise UserError(f"--which {which} is not possible: ema or raw.")
    if run is not None or path.suffix == ".safetensors":
        generator = load(path, weights="ema" if which == "ema" else "raw", device=device)
        images = int(str(generator.header["images"]))
        return _Given(of_generator(generator, path.name, which), True, run, images)
    if which != "ema":
        raise UserError(f"--which {which} chooses the weights of a run, and {target} is none: leave it out.")
    source = find(target, data_root, told.say)
    seen = survey(source, cache_folder(), told.progress)
    for index, why in list(seen.broken.items())[:1]:
        name = source.called(index)
        told.say(f"{source.name}: left out because they cannot be read: {len(seen.broken):,} ({name}: {why})")
    size = _one_size(seen)
    if size is None:
        told.say(f"{source.name} has pictures of several sizes: each is resized by the metric's own resizer.")
    return _Given(of_source(source, seen.good, _channels(seen), size), False)


class _World:
    """The real pictures as they lie there."""

    def __init__(self, against: str | Path, data_root: str | None, told: _Telling) -> None:
        if Path(against).is_dir() and Run(Path(against)).exists():
            raise UserError(f"--against {against} is a run: give the real pictures, the data it was trained on, say.")
        self.against, self.data_root, self.told = against, data_root, told
        self.source: Source = find(against, data_root, told.say)
        self.seen: Survey = survey(self.source, cache_folder(), told.progress)

    def beside(self, given: _Given) -> tuple[Samples, Shape, Loose | None]:
        """The samples in the channels of both sides; the one size of the real pictures; or each at its own."""
        samples, own = given.samples, _one_size(self.seen)
        # a generator of four channels keeps them; everything else is looked at in grey or in colour
        most = samples.size[0] if samples.size is not None else 3
        channels = max(most, _channels(self.seen))
        if most == 1 < channels and self._trained_grey(given):
            channels = 1
        if most == 1 < channels:
            self.told.say(f"{samples.name} is grey and {self.source.name} in colour: grey is looked at as colour.")
            samples = in_colour(samples)
        if given.generator and samples.size is not None:
            height, width = samples.size[1:]
            if own != (width, height):
                self.told.say(f"{self.source.name} is brought to the generator's {width}x{height}: centre, bicubic.")
            return samples, Shape(width, height, channels), None
        if own is not None:
            return samples, Shape(*own, channels), None
        if samples.size is None:
            width, height = _commonest(self.seen)
        else:
            height, width = samples.size[1:]
        self.told.say(
            f"{self.source.name} has pictures of several sizes: each is resized by the metric's own resizer; where one "
            f"size is needed, to {width}x{height} first."
        )
        return samples, Shape(width, height, channels), Loose(self.source, self.seen, channels)

    def _trained_grey(self, given: _Given) -> bool:
        """Whether the run was trained on these data in grey."""
        if given.run is None or given.samples.size is None:
            return False
        _, height, width = given.samples.size
        grey = prepare(
            self.source, self.seen, Shape(width, height, 1), cache=cache_folder(), progress=self.told.progress
        )
        return grey.identity == given.run.read()["data"]["identity"]

    def prepared(self, shape: Shape) -> Pictures:
        return self._prepared(self.source, self.seen, shape)

    def digits(self, shape: Shape, size: Shaped | None) -> Pictures:
        """The digits that are the colours of the real pictures, at the same size."""
        source = digits_of(self.against, self.data_root, self.told.say)
        if source is None:
            raise UserError(
                f"modes26k counts the 1,000 modes of {STACKED}: give --against {STACKED} (classes10k counts the "
                "classes of labelled data)."
            )
        if size is not None and size[0] != COLOURS:
            raise UserError(
                f"modes26k looks at the colours of pictures, and these have {size[0]} channels: expected 3."
            )
        return self._prepared(source, survey(source, cache_folder()), Shape(shape.width, shape.height, 1))

    def _prepared(self, source: Source, seen: Survey, shape: Shape) -> Pictures:
        found = prepare(source, seen, shape, cache=cache_folder(), progress=self.told.progress)
        for note in found.notes:
            self.told.say(f"{source.name}: {note}")
        for name, why in found.skipped[:1]:
            count = len(found.skipped)
            self.told.say(f"{source.name}: left out because they cannot be read: {count:,} ({name}: {why})")
        parts = f"{len(found.train):,} training and {len(found.held_out):,} held-out pictures"
        self.told.say(f"real: {source.name}, {parts}{_in_words(shape.size)}")
        return found


def _one_size(seen: Survey) -> tuple[int, int] | None:
    """(width, height) of all pictures, or None."""
    sizes = seen.sizes[seen.good]
    return (int(sizes[0, 0]), int(sizes[0, 1])) if (sizes == sizes[0]).all() else None


def _commonest(seen: Survey) -> tuple[int, int]:
    """The most common (width, height)."""
    kinds, counts = torch.unique(torch.from_numpy(seen.sizes[seen.good]), dim=0, return_counts=True)
    width, height = kinds[counts.argmax()].tolist()
    return width, height


def _channels(seen: Survey) -> int:
    return 1 if int(seen.channels.max()) == 1 else 3


def _in_words(size: Shaped | None) -> str:
    return "" if size is None else f", {size[2]}x{size[1]}, {'grey' if size[0] == 1 else f'{size[0]} channels'}"


def _about(given: _Given) -> str:
    if given.images is None:
        return ""
    return f", {'averaged' if given.samples.weights == 'ema' else 'raw'} weights at {given.images:,} images"


def explained() -> list[str]:
    """A line for each protocol."""
    return [
        f"{protocol.name:20}{protocol.detector:12}{protocol.fake:>7,} samples  "
        f"{f'{protocol.needs:,} real or more' if protocol.needs else '':20}{protocol.about}"
        for protocol in CATALOGUE.values()
    ] + [f"{judge.NAME:20}{'classifier':12}{'4,000 or fewer':>15}  {'':20}{judge.ABOUT}"]
