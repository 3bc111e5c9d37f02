"""Any stream of pictures that can be measured: a generator's, a data set's, or a folder's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from zerosum import streams
from zerosum.data.decode import decode
from zerosum.data.pictures import Pictures
from zerosum.data.source import Bytes, Labels, Source, Unreadable
from zerosum.data.streamed import Streamed
from zerosum.errors import UserError
from zerosum.metrics.detectors.detector import exactly
from zerosum.metrics.paths import sphere, straight
from zerosum.networks.latent import Latent

BLOCK = 256  # pictures of a data set that are looked at together
PAIRS = 16  # steps through a latent space that are made together
SEED = 20140610  # of what is drawn where not all pictures are taken

Space = Literal["z", "w"]
Step = tuple[Tensor, Tensor]
Shaped = tuple[int, int, int]
"""(channels, height, width)."""


class Block(NamedTuple):
    """Pictures uint8 (n, C, H, W) of one size, and their labels (n,) int64 where they have some."""

    pixels: Bytes
    labels: Tensor | None = None


class Samples(NamedTuple):
    """Pictures by position; position n always gives the same one.

    Attributes:
        name: for tables.
        count: how many there are; None: as many as wanted.
        blocks: (start, count) -> the pictures at these positions, in any order.
        classes: names of the classes, empty without labels.
        size: of every picture; None where there are several.
        lost: pictures that turned out to be unreadable so far, and why; others were taken in their place.
        spaces: latent spaces of a generator, none of mere pictures.
        steps: (space, start, count, epsilon) -> for each block of random ways through a latent space the pictures at
            their start and at ``epsilon`` of the way, both float (n, C, H, W) in [-1, 1].
        weights: which weights of a run: "ema" or "raw".
    """

    name: str
    count: int | None
    blocks: Callable[[int, int], Iterator[Block]]
    classes: tuple[str, ...] = ()
    size: Shaped | None = None
    lost: Mapping[str, str] = {}
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


def in_colour(samples: Samples) -> Samples:
    """The same with grey pictures repeated to three channels."""

    def blocks(start: int, count: int) -> Iterator[Block]:
        for pixels, labels in samples.blocks(start, count):
            yield Block(np.repeat(pixels, 3, axis=1) if pixels.shape[1] == 1 else pixels, labels)

    size = None if samples.size is None else (max(samples.size[0], 3), *samples.size[1:])
    return samples._replace(blocks=blocks, size=size)


class Makes(Protocol):
    """A generator, as far as it matters here (``zerosum.generate`` comes after this room)."""

    net: nn.Module
    latent: Latent
    classes: tuple[str, ...]
    size: Shaped

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

    def blocks(start: int, count: int) -> Iterator[Block]:
        first = start
        for pixels in generator.pixels(range(start, start + count)):
            yield Block(pixels, generator.labels(range(first, first + len(pixels))))
            first += len(pixels)

    def steps(space: Space, start: int, count: int, epsilon: float) -> Iterator[Step]:
        for first in range(start, start + count, PAIRS):
            yield _steps(generator, space, first, min(PAIRS, start + count - first), epsilon)

    spaces: tuple[Space, ...] = ("z",) if _styled(generator.net) is None else ("z", "w")
    return Samples(name, None, blocks, generator.classes, generator.size, {}, spaces, steps, weights)


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


def of_pictures(pictures: Pictures, rows: Labels, name: str, most: int | None = None) -> Samples:
    """Prepared pictures in the order of ``rows``, or ``most`` of them drawn at random: data may be sorted by class.

    Of tar shards those that come first are taken.
    """
    if most is not None and most < len(rows):
        pixels = pictures.pixels
        in_turn = isinstance(pixels, Streamed) and pixels.source.blocks is not None
        drawn = streams.permutation(SEED, "real pictures", 0, len(rows))[:most]
        rows = np.sort(rows)[:most] if in_turn else rows[np.sort(drawn)]

    def blocks(start: int, count: int) -> Iterator[Block]:
        for first in range(start, min(start + count, len(rows)), BLOCK):
            own = rows[first : min(first + BLOCK, start + count)]
            labels = None if pictures.labels is None else torch.from_numpy(pictures.labels[own])
            yield Block(pictures.pixels[own], labels)

    channels, height, width = pictures.pixels.shape[1:]
    return Samples(name, len(rows), blocks, pictures.classes, (channels, height, width))


def of_source(
    source: Source, rows: Labels, channels: int, size: tuple[int, int] | None = None, name: str | None = None
) -> Samples:
    """Pictures as they are, whatever their sizes: a detector resizes each by itself. Transparency is laid on white.

    They are drawn at random among ``rows``, without putting one back. One that cannot be read is left out, and the next
    one takes its place.

    Args:
        channels: 1 or 3; grey pictures are repeated where it is 3.
        size: (width, height) of all of them, where they have one.
    """
    drawn = rows[streams.permutation(SEED, "pictures", 0, len(rows))]
    lost: dict[int, str] = {}
    named: dict[str, str] = {}

    def pictures(start: int, count: int) -> Iterator[tuple[int, Bytes]]:
        done = 0
        while done < count:
            left = drawn[~np.isin(drawn, list(lost))] if lost else drawn
            wanted = left[start + done : start + count]
            if not len(wanted):
                return
            for index in np.sort(wanted).tolist():  # sources are quickest in ascending order
                try:
                    picture = _plain(decode(source.read(index)), channels)
                except Unreadable as error:
                    lost[index] = named[source.called(index)] = str(error)
                else:
                    done += 1
                    yield index, picture

    def block(waiting: list[tuple[int, Bytes]]) -> Block:
        labels = None if source.labels is None else torch.from_numpy(source.labels[[index for index, _ in waiting]])
        return Block(np.stack([picture for _, picture in waiting]), labels)

    def blocks(start: int, count: int) -> Iterator[Block]:
        waiting: list[tuple[int, Bytes]] = []
        for index, picture in pictures(start, count):
            if waiting and (waiting[0][1].shape != picture.shape or len(waiting) == BLOCK):
                yield block(waiting)
                waiting = []
            waiting.append((index, picture))
        if waiting:
            yield block(waiting)

    shaped = None if size is None else (channels, size[1], size[0])
    return Samples(name or source.name, len(rows), blocks, source.classes, shaped, named)


def _plain(picture: Bytes, channels: int) -> Bytes:
    """(H, W, 1|3|4) -> (channels, H, W)."""
    if picture.shape[2] == 4:
        alpha = picture[:, :, 3:].astype(np.uint16)
        colours = picture[:, :, :3].astype(np.uint16)
        picture = ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if picture.shape[2] == 1 and channels == 3:
        picture = np.repeat(picture, 3, axis=2)
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
