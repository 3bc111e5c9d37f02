"""One number with everything that it was made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zerosum.metrics.draws import interval

DIGITS = 12  # of a hash that are shown
HEADING = f"{'protocol':32}{'metric':20}{'value':>10}  (how many pictures, what looked at them, seconds)"


class Value(NamedTuple):
    """One number with everything that it was made with.

    Attributes:
        value: the mean over the draws.
        protocol: its name.
        detector: name and first digits of the hash of the weights.
        real, fake: how many pictures of either kind were looked at, in one draw.
        draws: repetitions, each with samples of its own.
        low, high: ends of its 95 % interval over the draws; None for one draw.
        baseline: what stands beside it, where the protocol has such a number.
        beside: what that is, in words.
        accuracy: of a detector that is a classifier trained here, on held-out pictures.
        weights: "ema" or "raw" of a run, else "".
        seconds: of looking (which protocols with the same detector share) and computing, for all draws.
        sha256: the whole hash of the weights.
        data: name of the real pictures.
        identity: of their pixels, labels and split.
        part: which of them: "all", "train" or "held-out".
        size: of the real pictures as they were looked at, width x height x channels.
        other: how many pictures of the other part were looked at.
        samples: name of the samples.
        samples_size: of theirs, in the same way.
        images: that the critic had seen, of a run's snapshot.
        zerosum: the version.
    """

    metric: str
    value: float
    protocol: str
    detector: str
    resizer: str
    real: int = 0
    fake: int = 0
    draws: int = 1
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    beside: str = ""
    accuracy: float | None = None
    weights: str = ""
    seconds: float = 0.0
    sha256: str = ""
    data: str = ""
    identity: str = ""
    part: str = ""
    size: str = ""
    other: int = 0
    samples: str = ""
    samples_size: str = ""
    images: int | None = None
    zerosum: str = ""

    def over(self, values: Sequence[float]) -> Value:
        """The mean of draws, with the 95 % interval that they give."""
        ends = interval(values) if len(values) > 1 else None
        low, high = (None, None) if ends is None else (ends.low, ends.high)
        return self._replace(value=sum(values) / len(values), low=low, high=high, draws=len(values))

    def record(self) -> dict[str, object]:
        """A line of metrics.jsonl."""
        line = {"images": self.images, **self._asdict()}
        return {key: value for key, value in line.items() if value not in (None, "")}


def named(name: str, sha256: str) -> str:
    """A detector with the first digits of the hash of its weights."""
    return f"{name}@{sha256[:DIGITS]}"


def line(value: Value) -> str:
    """A value for people, under ``HEADING``."""
    ends = "" if value.low is None else f"  [{value.low:.4g}, {value.high:.4g}]"
    beside = "" if value.baseline is None else f"  {value.beside}: {value.baseline:.4g}"
    counts = f"{value.fake:,} samples" + (f", {value.real:,} real" if value.real else "")
    right = "" if value.accuracy is None else f" ({value.accuracy:.2%} right)"
    resizer = f", {value.resizer}" if value.resizer else ""
    return (
        f"{value.protocol:32}{value.metric:20}{value.value:10.4g}{ends}{beside}  ({counts}, {value.detector}{right}"
        f"{resizer}, {value.seconds:.1f} s)"
    )
