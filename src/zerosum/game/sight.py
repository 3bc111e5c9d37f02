"""What the critic sees of a picture, real or generated: how it is changed, and in what company it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from zerosum.game.augment import DiffAugment, augment
from zerosum.game.critic import Noise
from zerosum.game.schedules import Clock, Ramp, Schedule, value


@dataclass(frozen=True)
class Sight:
    """What stands in front of the critic, the same for real and generated pictures.

    Attributes:
        augment: differentiable augmentation.
        noise: standard deviation of normal noise on every pixel (instance noise; Sonderby et al. 2017, Arjovsky and
            Bottou 2017), after the augmentation.
        pack: so many pictures are shown together, one behind the other in the channels, and share one score (PacGAN;
            Lin et al. 2018).
    """

    augment: DiffAugment | None = None
    noise: Schedule = 0.0
    pack: int = 1

    def __post_init__(self) -> None:
        if self.pack < 1:
            raise ValueError(f"pack is at least 1, not {self.pack}")
        if not isinstance(self.noise, Ramp) and self.noise < 0:
            raise ValueError(f"the deviation of instance noise is at least 0, not {self.noise}")

    @property
    def plain(self) -> bool:
        """Whether the critic sees a picture twice in the same way."""
        return self.augment is None and self.noise == 0


PLAIN = Sight()


def see(sight: Sight, x: Tensor, noise: Noise, clock: Clock) -> Tensor:
    """Change packed pictures (N / pack, pack * C, ...), each by itself."""
    if sight.augment is not None:
        single = unpacked(x, sight.pack)
        x = packed(augment(sight.augment, single, value(sight.augment.strength, clock), noise), sight.pack)
    return x if sight.noise == 0 else x + value(sight.noise, clock) * noise.normal(*x.shape)


def packed(x: Tensor, count: int) -> Tensor:
    """(N, C, ...) -> (N / count, count * C, ...)."""
    if count == 1:
        return x
    if len(x) % count:
        raise ValueError(f"a batch of {len(x)} cannot be shown in packs of {count}")
    return x.unflatten(0, (-1, count)).flatten(1, 2)


def unpacked(x: Tensor, count: int) -> Tensor:
    """The other way round."""
    return x if count == 1 else x.unflatten(1, (count, -1)).flatten(0, 1)
