"""One evaluation: samples against real pictures, by protocols that share what they look at."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch

from zerosum import __version__, files
from zerosum.data.telling import Progress, Say, silent
from zerosum.errors import Stopped, UserError
from zerosum.metrics.fitness import by_name, check_each, check_reals, check_samples, rest_of
from zerosum.metrics.frechet import Moments
from zerosum.metrics.lookers import Looker, Lookers
from zerosum.metrics.looking import Looked, look_at
from zerosum.metrics.paths import EPSILON, step_distances
from zerosum.metrics.protocol import Protocol
from zerosum.metrics.reals import WORDS, Reals, Taken, in_short
from zerosum.metrics.samples import Samples
from zerosum.metrics.sides import Sides, Values, shares_of
from zerosum.metrics.value import Value

FORMAT = 2  # of what is kept of real pictures: another one wherever pictures are brought to a detector in another way


class Share(NamedTuple):
    """Real pictures that protocols of one detector look at together."""

    part: Taken
    most: int | None


@dataclass
class Session:
    """Measures ``samples``.

    Attributes:
        cache: folder for what was seen of real pictures.
        say: is told of pictures that cannot be read, and of a cache that cannot be used.
        progress: is told how many samples or real pictures are looked at.
    """

    samples: Samples
    reals: Reals
    lookers: Lookers
    cache: Path
    say: Say = silent
    progress: Progress = silent
    told: set[str] = field(default_factory=set)

    def measure(self, protocols: Sequence[Protocol], draws: int = 1) -> Iterator[Value]:
        """The values, each as soon as it is known.

        Protocols with the same detector look at each sample of the first draw once, the smaller ones at the first of
        those of the larger; with the same count they look at the real pictures and further draws once.

        Raises:
            UserError: too few pictures, no labels or other classes where there must be some, no generator where there
                must be one, weights that are not there. All but pictures that turn out to be unreadable is found out
                before anything is measured.
        """
        for protocol in protocols:
            check_samples(self.samples, protocol, draws)
        self.lookers.find_weights({protocol.detector for protocol in protocols})
        for protocol in protocols:
            check_reals(self.reals, self.samples, protocol)
        for protocol in protocols:
            self.lookers.of(protocol.detector)
        alike: dict[tuple[object, ...], dict[int, list[Protocol]]] = {}
        for protocol in protocols:
            groups = alike.setdefault((protocol.detector, protocol.space), {})
            groups.setdefault(protocol.fake, []).append(protocol)
        for groups in alike.values():
            first = Looked(frozenset())
            for count in sorted(groups):
                first.want(_wants(protocol for other in groups if other >= count for protocol in groups[other]))
                yield from self._group(groups[count], draws, first)

    def _group(self, group: Sequence[Protocol], draws: int, first: Looked) -> Iterator[Value]:
        """The values of protocols of one detector and count; ``first`` is what was seen of the first draw so far."""
        looker, began = self.lookers.of(group[0].detector), time.monotonic()
        reals = self._look_at_reals(group, looker)
        found: dict[str, dict[str, list[float]]] = {protocol.name: {} for protocol in group}
        baselines: dict[str, Values] = {}
        seconds = dict.fromkeys(found, 0.0)
        looking = time.monotonic() - began
        for draw in range(draws):
            began = time.monotonic()
            fake = first if draw == 0 else Looked(_wants(group))
            self._look_at_samples(group, looker, draw * group[0].fake, fake)
            fake.seconds += time.monotonic() - began
            looking += fake.seconds
            for protocol in group:
                began = time.monotonic()
                sides = self._sides(protocol, looker, reals, fake)
                if protocol.baseline and protocol.name not in baselines:
                    baselines[protocol.name] = protocol.baseline(sides)
                for metric, value in _computed(protocol, sides).items():
                    found[protocol.name].setdefault(metric, []).append(value)
                seconds[protocol.name] += time.monotonic() - began
        for protocol in group:
            real, other = self._shares(protocol)
            about = self._about(protocol, looker)._replace(
                real=0 if real is None else reals[real].count,
                other=0 if other is None else reals[other].count,
                fake=protocol.fake,
                seconds=round(looking + seconds[protocol.name], 2),
            )
            for metric, values in found[protocol.name].items():
                baseline = baselines.get(protocol.name, {}).get(metric)
                beside = "" if baseline is None else protocol.beside
                yield about.over(values)._replace(metric=metric, baseline=baseline, beside=beside)

    def _about(self, protocol: Protocol, looker: Looker) -> Value:
        """Everything about a value that does not depend on what is seen."""
        prepared, used = protocol.one_size, protocol.needs > 0 or protocol.detector in ("classifier", "student")
        return Value(
            metric="",
            value=0.0,
            protocol=protocol.name,
            detector=looker.name,
            resizer=looker.resizer,
            accuracy=looker.accuracy,
            weights=self.samples.weights or "",
            sha256=looker.sha256,
            data=self.reals.name,
            identity=self.reals.identity(prepared) if used else "",
            part=self.reals.part(protocol.part) if protocol.needs else "",
            size=self.reals.size(prepared) if used else "",
            samples=self.samples.name,
            samples_size=in_short(self.samples.size),
            zerosum=__version__,
        )

    def _shares(self, protocol: Protocol) -> tuple[Share | None, Share | None]:
        """The real pictures of a protocol, and those of the other part."""
        part = self.reals.part(protocol.part)
        real = Share(part, protocol.real) if protocol.needs else None
        return real, Share(rest_of(part), protocol.other) if protocol.other else None

    def _sides(self, protocol: Protocol, looker: Looker, reals: Mapping[Share, Looked], fake: Looked) -> Sides:
        real, other = (None if share is None else reals[share] for share in self._shares(protocol))
        classes, shares = 0, None
        if protocol.detector in ("classifier", "student"):
            pictures = self.reals.pictures()
            assert pictures.labels is not None, "without labels there is no classifier"
            classes = len(pictures.classes)
            shares = shares_of(torch.from_numpy(pictures.labels[pictures.train]), classes)
        if protocol.by_class:
            named = by_name(self.samples, self.reals)[fake.labels()]
            fake = replace(fake, kept={**fake.kept, "labels": [named]})
        if protocol.each and real is not None:
            names = self.reals.pictures().classes
            for looked, whose in ((real, self.reals.name), (fake, self.samples.name)):
                check_each(looked.labels(), names, protocol, whose)
        return Sides(real or Looked(protocol.wants), fake, other, classes, shares, looker.distance)

    def _look_at_samples(self, group: Sequence[Protocol], looker: Looker, start: int, looked: Looked) -> None:
        """Look at the samples of one draw that were not looked at before."""
        samples, count, space = self.samples, group[0].fake, group[0].space
        more = (start + looked.count, count - looked.count)
        if space is None:
            looked.size = looker.size
            look_at(samples.blocks(*more), looker.detector, looked, lambda done: self.progress(done, count))
            self._tell(samples)
            if looked.count < count:
                raise UserError(
                    f"{group[0].name} needs {count:,} pictures, and of those of {samples.name} too many cannot be "
                    f"read: {looked.count:,} are left; give more."
                )
            return
        assert samples.steps is not None
        assert looker.distance is not None
        for here, there in samples.steps(space, *more, EPSILON):
            looked.step(step_distances(here, there, looker.distance))
            self.progress(looked.count, count)

    def _look_at_reals(self, group: Sequence[Protocol], looker: Looker) -> dict[Share, Looked]:
        """What was seen of the real pictures that the protocols compare with, each once."""
        wants: dict[Share, frozenset[str]] = {}
        for protocol in group:
            for share in self._shares(protocol):
                if share is not None:
                    wants[share] = wants.get(share, frozenset()) | protocol.wants
        return {share: self._look_at_real(group[0], looker, share, own) for share, own in wants.items()}

    def _look_at_real(self, protocol: Protocol, looker: Looker, share: Share, wants: frozenset[str]) -> Looked:
        """What was seen of real pictures; moments are kept by content of data, detector and resizer."""
        pictures = self.reals.samples(*share, protocol.one_size)
        count, kept = pictures.count or 0, self._file(protocol, looker, share)
        if wants == {"moments"} and (moments := _recalled(kept)) is not None:
            return Looked(wants, moments.count, {"features": moments})
        blocks = pictures.blocks(0, count)
        looked = Looked(wants, size=looker.size)
        look_at(blocks, looker.detector, looked, lambda done: self.progress(done, count))
        self._tell(pictures)
        if looked.count < protocol.needs and share == self._shares(protocol)[0]:
            raise UserError(
                f"{protocol.name} needs {protocol.needs:,} {WORDS[share.part]}pictures, and of those of "
                f"{self.reals.name} too many cannot be read: {looked.count:,} are left; take a smaller protocol."
            )
        if "moments" in wants:
            own = looked.moments["features"]
            about = {"key": kept[1], "count": own.count}
            try:
                files.write_tensors(kept[0], {"mean": own.mean, "scatter": own.scatter}, about)
            except (UserError, Stopped, OSError):
                self._say(
                    f"{kept[0].parent} cannot be written: what was seen of the real pictures is not kept "
                    "(ZEROSUM_CACHE names another folder)."
                )
        return looked

    def _file(self, protocol: Protocol, looker: Looker, share: Share) -> tuple[Path, str]:
        """Where the moments of real pictures are kept, and everything that they depend on."""
        identity = self.reals.identity(protocol.one_size)
        key = json.dumps([FORMAT, identity, *share, looker.name.split("@")[0], looker.sha256, looker.resizer])
        return self.cache / "references" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors", key

    def _tell(self, pictures: Samples) -> None:
        """Say what could not be read."""
        for name, why in list(pictures.lost.items())[:1]:
            self._say(f"{pictures.name}: left out because they cannot be read: {len(pictures.lost):,} ({name}: {why})")

    def _say(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            self.say(text)


def _wants(protocols: Iterable[Protocol]) -> frozenset[str]:
    return frozenset[str]().union(*(protocol.wants for protocol in protocols))


def _computed(protocol: Protocol, sides: Sides) -> Values:
    try:
        return protocol.compute(sides)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{protocol.name} is not possible: {error}.") from None


def _recalled(kept: tuple[Path, str]) -> Moments | None:
    """What was seen before; None where it is not there, damaged, or about something else."""
    path, key = kept
    try:
        tensors, header = files.read_tensors(path)
        if header["key"] != key:
            return None
        return Moments(int(str(header["count"])), tensors["mean"], tensors["scatter"])
    except (UserError, OSError, KeyError, ValueError):
        return None
