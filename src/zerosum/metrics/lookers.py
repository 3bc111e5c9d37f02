"""What looks at the pictures of a protocol: made once, whatever the number of protocols that need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zerosum.data.pictures import Pictures
from zerosum.metrics.classifier import USUAL
from zerosum.metrics.detectors import detector as detectors
from zerosum.metrics.detectors.colours import LEAST, of_colours
from zerosum.metrics.detectors.detector import Detector
from zerosum.metrics.detectors.own import resized_by, view_size
from zerosum.metrics.detectors.weights import Progress, Published
from zerosum.metrics.diversity import PairDistance
from zerosum.metrics.protocols import Eye
from zerosum.metrics.resize import Size

Say = Callable[[str], None]
DIGITS = 12  # of a hash that are shown


class Looker(NamedTuple):
    """What looks at the pictures of a protocol.

    Attributes:
        name: with the first digits of the hash.
        accuracy: of a classifier trained here, on held-out pictures.
        distance: of pictures in [-1, 1], where pairs are compared.
        size: (height, width) to which pictures are brought that are kept for training on them.
    """

    name: str
    resizer: str = ""
    accuracy: float | None = None
    detector: Detector | None = None
    distance: PairDistance | None = None
    size: Size | None = None


@dataclass
class Lookers:
    """Those of one evaluation.

    Attributes:
        pictures: the real ones, prepared at the samples' size.
        digits: the grey labelled pictures that their colours are; raises ``UserError`` where they are none.
        weights: files of detectors' weights, by their published names.
        cache: folder for weights and classifiers.
    """

    pictures: Callable[[], Pictures]
    digits: Callable[[], Pictures]
    weights: tuple[Path, ...]
    cache: Path
    device: str
    say: Say
    made: dict[Eye, Looker] = field(default_factory=dict)

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
            return Looker(f"classifier-spec@{USUAL.sha256[:DIGITS]}", resized_by(size), size=size)
        if eye == "lpips":
            heads = self._given(detectors.LPIPS)
            found = detectors.lpips(
                self._given(detectors.VGG16), heads, self.cache, self.device, self._progress("LPIPS")
            )
            name = f"{found.name}@{'+'.join(sha256[:DIGITS] for sha256 in found.sha256)}"
            return Looker(name, "none; from 512 pixels a side on means of blocks", distance=found.distance)
        made = self._detector(eye)
        return Looker(f"{made.name}@{made.sha256[:DIGITS]}", made.resizer, made.accuracy, made)

    def _detector(self, eye: Eye) -> Detector:
        if eye == "random":
            return detectors.random_features()
        if eye == "classifier":
            return self._told(detectors.classifier(self.pictures(), self.cache), 0.0)
        if eye == "stacked":
            return self._told(of_colours(self.digits(), self.cache), LEAST)
        published = {
            "inception": detectors.INCEPTION,
            "clip": detectors.CLIP,
            "dinov2": detectors.dinov2_published(detectors.dinov2_net.VIT_L),
        }[eye]
        build = {"inception": detectors.inception, "clip": detectors.clip, "dinov2": detectors.dinov2}[eye]
        return build(self._given(published), self.cache, device=self.device, progress=self._progress(published.file))

    def _told(self, found: Detector, least: float) -> Detector:
        """Say how often a classifier trained here is right."""
        accuracy = found.accuracy or 0.0
        poor = (
            f", and published numbers have at least {least:.1%}: some modes may be mistakes" if accuracy < least else ""
        )
        self.say(f"{found.name}: names {accuracy:.2%} of the held-out pictures rightly{poor}.")
        return found

    def _given(self, published: Published) -> Path | None:
        """The file among those given that is called like it."""
        return next((path for path in self.weights if path.name == published.file), None)

    def _progress(self, name: str) -> Progress:
        told = -1

        def progress(done: int, total: int | None) -> None:
            nonlocal told
            if total and (tenth := 10 * done // total) > told:
                told = tenth
                self.say(f"{name}: {tenth}0 % of {total / 2**20:,.0f} MiB")

        return progress
