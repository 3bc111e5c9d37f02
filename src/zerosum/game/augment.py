"""Differentiable augmentation: what the critic sees of a picture, real or generated (Zhao et al. 2020, DiffAugment).

The same function with fresh random numbers is put in front of the critic everywhere, so the generator is never asked
to make augmented pictures. Gradient penalties are taken with respect to the picture before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zerosum.game.critic import Noise
from zerosum.game.schedules import Ramp, Schedule

Kind = Literal["color", "translation", "cutout"]


@dataclass(frozen=True)
class DiffAugment:
    """Each kind of change is made to each picture with probability ``strength``, in the order of ``kinds``.

    color: brightness +-0.5, saturation x[0, 2), contrast x[0.5, 1.5). translation: by up to ``shift`` of each side,
    rounded, ``fill`` moving in. cutout: a square of half of each side, anywhere, set to ``fill``. Pictures are in
    [-1, 1]; ``fill`` 0 is the paper's grey.
    """

    kinds: tuple[Kind, ...] = ("color", "translation", "cutout")
    strength: Schedule = 1.0
    shift: float = 0.125
    fill: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.strength, Ramp) and not 0 <= self.strength <= 1:
            raise ValueError(f"the strength of augmentation is a probability, not {self.strength}")
        if not 0 <= self.shift <= 1:
            raise ValueError(f"the shift is a share of the side, not {self.shift}")


def augment(spec: DiffAugment, x: Tensor, strength: Tensor | float, noise: Noise) -> Tensor:
    """Change pictures (N, C, H, W) as ``spec`` says; ``strength`` in [0, 1] may live on the device."""
    for kind in spec.kinds:
        chance = noise.uniform(len(x), 1, 1, 1) < strength
        changed = {"color": _color, "translation": _translation, "cutout": _cutout}[kind](x, spec, noise)
        x = torch.where(chance, changed, x)
    return x


def _color(x: Tensor, spec: DiffAugment, noise: Noise) -> Tensor:
    amount = noise.uniform(len(x), 3, 1, 1)
    colour, alpha = x[:, :3], x[:, 3:]  # transparency is no colour
    colour = colour + (amount[:, 0:1] - 0.5)
    if colour.shape[1] == 3:  # saturation of one channel is the identity
        grey = colour.mean(dim=1, keepdim=True)
        colour = (colour - grey) * (2 * amount[:, 1:2]) + grey
    mean = colour.mean(dim=(1, 2, 3), keepdim=True)
    colour = (colour - mean) * (amount[:, 2:3] + 0.5) + mean
    return torch.cat([colour, alpha], dim=1) if alpha.shape[1] else colour


def _translation(x: Tensor, spec: DiffAugment, noise: Noise) -> Tensor:
    amount = noise.uniform(len(x), 2)
    x = _shifted(x, 2, amount[:, 0], spec)
    return _shifted(x, 3, amount[:, 1], spec)


def _shifted(x: Tensor, dim: int, amount: Tensor, spec: DiffAugment) -> Tensor:
    """Move each picture along ``dim`` by its own whole number of pixels, uniform in [-most, most]."""
    size = x.shape[dim]
    shift = _shifts(amount, size, spec.shift)
    wanted = torch.arange(size, device=x.device)[None, :] - shift[:, None]  # (N, size): where each line comes from
    shape = [len(x), 1, 1, 1]
    shape[dim] = size
    source = wanted.clamp(0, size - 1).view(shape).expand_as(x)
    inside = ((wanted >= 0) & (wanted < size)).view(shape)
    return torch.where(inside, x.gather(dim, source), spec.fill)


def jitter(x: Tensor, noise: Noise) -> Tensor:
    """Pictures (N, C, H, W) flipped left to right half of the time and shifted by up to an eighth of each side.

    The border is mirrored at the edge (Zhang et al. 2020, section 3.1).
    """
    amount = noise.uniform(len(x), 3)
    x = torch.where((amount[:, 0] < 0.5).view(-1, 1, 1, 1), x.flip(3), x)
    for dim in (2, 3):
        size = x.shape[dim]
        wanted = torch.arange(size, device=x.device)[None, :] - _shifts(amount[:, dim - 1], size, 0.125)[:, None]
        mirrored = (size - 1) - ((size - 1) - wanted.abs()).abs()
        shape = [len(x), 1, 1, 1]
        shape[dim] = size
        x = x.gather(dim, mirrored.view(shape).expand_as(x))
    return x


def _shifts(amount: Tensor, size: int, share: float) -> Tensor:
    """Whole numbers of pixels, uniform in [-most, most] with ``most`` the rounded share of the side; (N,)."""
    most = int(size * share + 0.5)
    return (amount * (2 * most + 1)).floor().long() - most


def _cutout(x: Tensor, spec: DiffAugment, noise: Noise) -> Tensor:
    amount = noise.uniform(len(x), 2)
    rows, columns = (_covered(x.shape[dim], amount[:, dim - 2]) for dim in (2, 3))
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], spec.fill, x)


def _covered(size: int, amount: Tensor) -> Tensor:
    """(N, size): True for the half of the side that the square, centred anywhere, covers."""
    half = size // 2
    start = (amount * (size + 1 - half % 2)).floor() - half // 2  # every place of the square's centre
    place = torch.arange(size, device=amount.device)[None, :]
    return (place >= start[:, None]) & (place < start[:, None] + half)
