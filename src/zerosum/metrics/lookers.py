"""What looks at the pictures of a protocol: made once, whatever the number of protocols that need it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zerosum.data.pictures import Pictures
from zerosum.data.telling import Say
from zerosum.errors import UserError
from zerosum.metrics.classifier import USUAL
from zerosum.metrics.detectors import detector as detectors
from zerosum.metrics.detectors.colours import LEAST, of_colours
from zerosum.metrics.detectors.detector import Detector
from zerosum.metrics.detectors.own import resized_by, view_size
from zerosum.metrics.detectors.weights import Progress, Published
from zerosum.metrics.diversity import PairDistance
from zerosum.metrics.protocol import Eye
from zerosum.metrics.resize import Size
from zerosum.metrics.value import DIGITS, named

PUBLISHED: dict[Eye, tuple[Published, ...]] = {
    "inception": (detectors.INCEPTION,),
    "clip": (detectors.CLIP,),
    "dinov2": (detectors.dinov2_published(detectors.dinov2_net.VIT_L),),
    "lpips": (detectors.VGG16, detectors.LPIPS),
}


class Looker(NamedTuple):
    """What looks at the pictures of a protocol.

    Attributes:
        name: with the first digits of the hash.
        sha256: the whole hash, of two files both.
        accuracy: of a classifier trained here, on held-out pictures.
        distance: of pictures in [-1, 1], where pairs are compared.
        size: (height, width) to which pictures are brought that are kept for training on them.
    """

    name: str
    sha256: str = ""
    resizer: str = ""
    accuracy: float | None = None
    detector: Detector | None = None
    distance: PairDistance | None = None
    size: Size | None = None


@dataclass
class Lookers:
    """Those of one evaluation.

    Attributes:
        pictures: the real ones at one size, for the data's own classifiers.
        digits: the grey labelled pictures that their colours are; raises ``UserError`` where they are none.
        weights: files of detectors' weights, by their published names or whatever they are called.
        cache: folder for weights and classifiers.
    """

    pictures: Callable[[], Pictures]
    digits: Callable[[], Pictures]
    weights: tuple[Path, ...]
    cache: Path
    device: str
    say: Say
    made: dict[Eye, Looker] = field(default_factory=dict)
    given: dict[Published, Path] = field(default_factory=dict)

    def find_weights(self, eyes: Collection[Eye]) -> None:
        """Find the files that these need, before anything is measured.

        Raises:
            UserError: weights that are not there, or given and not used.
        """
        used = [published for eye in eyes for published in PUBLISHED.get(eye, ())]
        for path in self.weights:
            found = detectors.recognised(path)
            if found not in used:
                what = (
                    "none that a metric here knows"
                    if found is None
                    else f"{found.what}, which these metrics do not use"
                )
                wanted = ", ".join(published.file for published in used) or "none"
                raise UserError(f"--weights {path} holds {what}: leave it out (files they use: {wanted}).")
            if found in self.given:
                raise UserError(f"--weights {path} and {self.given[found]} are both {found.what}: give one of them.")
            self.given[found] = path
        for eye in PUBLISHED.keys() & eyes:
            self.of(eye)

    def of(self, eye: Eye) -> Looker:
        """The one of this name.

        Raises:
            UserError: weights that are not there, or pictures that have no classifier.
        """
        if eye not in self.made:
            self.made[eye] = self._make(eye)
        return self.made[eye]

    def _make(self, eye: Eye) -> Looker:
        if eye == "pixels":
            return Looker("pixels")
        if eye == "student":
            size = view_size(self.pictures())
            return Looker(named("classifier-spec", USUAL.sha256), USUAL.sha256, resized_by(size), size=size)
        if eye == "lpips":
            net, heads = self.given.get(detectors.VGG16), self.given.get(detectors.LPIPS)
            found = detectors.lpips(net, heads, self.cache, self.device, self._progress("LPIPS"), self.say)
            name = f"{found.name}@{'+'.join(sha256[:DIGITS] for sha256 in found.sha256)}"
            resizer = "none; from 512 pixels a side on means of blocks"
            return Looker(name, "+".join(found.sha256), resizer, distance=found.distance)
        made = self._detector(eye)
        return Looker(named(made.name, made.sha256), made.sha256, made.resizer, made.accuracy, made)

    def _detector(self, eye: Eye) -> Detector:
        if eye == "random":
            return detectors.random_features()
        if eye == "classifier":
            return self._told(detectors.classifier(self.pictures(), self.cache, self.say), 0.0)
        if eye == "stacked":
            return self._told(of_colours(self.digits(), self.cache, self.say), LEAST)
        published = PUBLISHED[eye][0]
        build = {"inception": detectors.inception, "clip": detectors.clip, "dinov2": detectors.dinov2}[eye]
        given, progress = self.given.get(published), self._progress(published.file)
        return build(given, self.cache, device=self.device, progress=progress, say=self.say)

    def _told(self, found: Detector, least: float) -> Detector:
        """Say how often a classifier trained here is right."""
        accuracy = found.accuracy or 0.0
        poor = (
            f", and published numbers have at least {least:.1%}: some modes may be mistakes" if accuracy < least else ""
        )
        self.say(f"{found.name}: names {accuracy:.2%} of the held-out pictures rightly{poor}.")
        return found

    def _progress(self, name: str) -> Progress:
        told = -1

        def progress(done: int, total: int | None) -> None:
            nonlocal told
            if total and (tenth := 10 * done // total) > told:
                told = tenth
                self.say(f"{name}: {tenth}0 % of {total / 2**20:,.0f} MiB")

        return progress
