"""Any stream of pictures that can be measured: a generator's, a data set's, or a folder's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from zerosum import streams
from zerosum.data.decode import decode
from zerosum.data.pictures import Part, Pictures
from zerosum.data.source import Bytes, Labels, Source, Unreadable
from zerosum.data.streamed import Streamed
from zerosum.data.survey import Survey
from zerosum.errors import UserError
from zerosum.metrics.detectors.detector import exactly
from zerosum.metrics.paths import sphere, straight
from zerosum.networks.latent import Latent

BLOCK = 256  # pictures of a data set that are looked at together
PAIRS = 16  # steps through a latent space that are made together
SEED = 20140610  # of what is drawn where not all pictures are taken

PARTS: dict[Part, str] = {"train": "training", "held-out": "held-out"}

Space = Literal["z", "w"]
Step = tuple[Tensor, Tensor]


class Samples(NamedTuple):
    """Pictures by position; position n always gives the same one.

    Attributes:
        name: for tables.
        count: how many there are; None: as many as wanted.
        pixels: (start, count) -> blocks of uint8 (n, C, H, W), each block of one size.
        labels: (start, count) -> (count,) int64, or None where there are none.
        classes: names of the classes, empty without labels.
        spaces: latent spaces of a generator, none of mere pictures.
        steps: (space, start, count, epsilon) -> for each block of random ways through a latent space the pictures at
            their start and at ``epsilon`` of the way, both float (n, C, H, W) in [-1, 1].
        weights: which weights of a run: "ema" or "raw".
    """

    name: str
    count: int | None
    pixels: Callable[[int, int], Iterator[Bytes]]
    labels: Callable[[int, int], Tensor | None]
    classes: tuple[str, ...] = ()
    spaces: tuple[Space, ...] = ()
    steps: Callable[[Space, int, int, float], Iterator[Step]] | None = None
    weights: str | None = None

    def need(self, last: int, protocol: str) -> None:
        """Refuse where there are fewer than ``last`` pictures.

        Raises:
            UserError: too few for the protocol.
        """
        if self.count is not None and self.count < last:
            raise UserError(
                f"{protocol} needs {last:,} pictures, and {self.name} has {self.count:,}: give more, or take a smaller "
                "protocol (zerosum evaluate list)."
            )


class Makes(Protocol):
    """A generator, as far as it matters here (``zerosum.generate`` comes after this room)."""

    net: nn.Module
    latent: Latent
    classes: tuple[str, ...]

    @property
    def device(self) -> torch.device: ...

    def pixels(self, seeds: Sequence[int]) -> Iterator[Bytes]: ...

    def labels(self, seeds: Sequence[int]) -> Tensor | None: ...


class Styled(Protocol):
    """A generator's network with an intermediate latent space W.

    ``mapping`` takes latents (N, d) and labels (N,) or None to points (N, d') of W, ``synthesis`` those to pictures
    (N, C, H, W), with the same noise inputs each time.
    """

    def mapping(self, latents: Tensor, labels: Tensor | None = None) -> Tensor: ...

    def synthesis(self, points: Tensor) -> Tensor: ...


def of_generator(generator: Makes, name: str, weights: str) -> Samples:
    """Picture n is that of seed n.

    Looking at them raises ``UserError`` where the generator's output is not finite.
    """

    def check(net: nn.Module, given: object, pictures: Tensor) -> None:
        if not pictures.isfinite().all():
            raise UserError(
                f"The generator of {name} makes pictures that are not finite ({weights} weights): it has diverged, "
                "measure an earlier snapshot."
            )

    generator.net.register_forward_hook(check)  # in bytes a NaN is black and no longer seen

    def pixels(start: int, count: int) -> Iterator[Bytes]:
        return generator.pixels(range(start, start + count))

    def labels(start: int, count: int) -> Tensor | None:
        return generator.labels(range(start, start + count))

    def steps(space: Space, start: int, count: int, epsilon: float) -> Iterator[Step]:
        for first in range(start, start + count, PAIRS):
            yield _steps(generator, space, first, min(PAIRS, start + count - first), epsilon)

    spaces: tuple[Space, ...] = ("z",) if _styled(generator.net) is None else ("z", "w")
    return Samples(name, None, pixels, labels, generator.classes, spaces, steps, weights)


@torch.no_grad()
def _steps(generator: Makes, space: Space, start: int, count: int, epsilon: float) -> Step:
    """Pictures at the start of ways ``start`` to ``start + count`` and a step further.

    Ways are straight, but on a great circle between normal latents: there the straight one leaves the distribution.
    """
    net, device = generator.net, generator.device
    ends = [generator.latent.draw(0, f"path {side}", start, count).to(device) for side in ("start", "end")]
    labels = generator.labels(range(start, start + count))
    labels = None if labels is None else labels.to(device)
    with exactly():  # a step is smaller than what TF32 rounds off
        if space == "w":
            styled = _styled(net)
            assert styled is not None
            a, b = (styled.mapping(latents, labels) for latents in ends)
            return styled.synthesis(a), styled.synthesis(straight(a, b, epsilon))
        a, b = ends
        way = sphere if generator.latent.distribution == "normal" else straight
        return net(way(a, b, 0.0), labels), net(way(a, b, epsilon), labels)


def _styled(net: nn.Module) -> Styled | None:
    """The network as one with a space W, or None."""
    has = all(callable(getattr(net, name, None)) for name in ("mapping", "synthesis"))
    return cast("Styled", net) if has else None


def of_pictures(pictures: Pictures, part: Part, most: int | None = None) -> Samples:
    """The pictures of one part in its order, or ``most`` of them drawn at random: data may be sorted by class.

    Of streamed pictures those that come first are taken.
    """
    rows = pictures.rows(part)
    if most is not None and most < len(rows):
        rows = np.sort(rows)[:most] if isinstance(pictures.pixels, Streamed) else rows[_drawn(len(rows), part, most)]

    def pixels(start: int, count: int) -> Iterator[Bytes]:
        for first in range(start, min(start + count, len(rows)), BLOCK):
            yield pictures.pixels[rows[first : min(first + BLOCK, start + count)]]

    def labels(start: int, count: int) -> Tensor | None:
        own = pictures.labels
        return None if own is None else torch.from_numpy(own[rows[start : start + count]])

    return Samples(f"{PARTS[part]} pictures of {pictures.name}", len(rows), pixels, labels, pictures.classes)


def _drawn(size: int, part: Part, count: int) -> Labels:
    """``count`` of ``size`` places in ascending order, always the same."""
    return np.sort(streams.permutation(SEED, f"real pictures, {part}", 0, size)[:count])


def of_source(source: Source, seen: Survey) -> Samples:
    """Pictures as they are, whatever their sizes: a detector resizes each by itself. Transparency is laid on white.

    Where not all are wanted they are drawn at random, without putting one back.
    """
    drawn = seen.good[streams.permutation(SEED, "pictures", 0, len(seen.good))]

    def chosen(start: int, count: int) -> Labels:
        return np.sort(drawn[start : start + count])  # sources are quickest in ascending order

    channels = 1 if int(seen.channels.max()) == 1 else 3

    def pixels(start: int, count: int) -> Iterator[Bytes]:
        waiting: list[Bytes] = []
        for index in chosen(start, count).tolist():
            try:
                picture = _plain(decode(source.read(index)), channels)
            except Unreadable as error:
                raise UserError(f"{source.called(index)} cannot be read ({error}): take it away.") from None
            if waiting and (waiting[0].shape != picture.shape or len(waiting) == BLOCK):
                yield np.stack(waiting)
                waiting = []
            waiting.append(picture)
        if waiting:
            yield np.stack(waiting)

    def labels(start: int, count: int) -> Tensor | None:
        return None if source.labels is None else torch.from_numpy(source.labels[chosen(start, count)])

    return Samples(source.name, len(drawn), pixels, labels, source.classes)


def _plain(picture: Bytes, channels: int) -> Bytes:
    """(H, W, 1|3|4) -> (channels, H, W)."""
    if picture.shape[2] == 4:
        alpha = picture[:, :, 3:].astype(np.uint16)
        colours = picture[:, :, :3].astype(np.uint16)
        picture = ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if picture.shape[2] == 1 and channels == 3:
        picture = np.repeat(picture, 3, axis=2)
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
