"""The power spectrum of pictures, and the grid that strided layers leave in it (Odena et al. 2016; Durall et al. 2020).

A transposed convolution whose kernel its stride does not divide repeats with the stride: power stands out at half the
sampling rate (stride 2) and at a quarter (two such layers), against the frequencies beside it. The grid lies at the
same places in every picture, so it stays in their mean, where all else fades.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

BINS = 24
CHANCE = 7.0  # times the expected power of a mean of unrelated pictures: more is seen once in a thousand


class Spectrum(NamedTuple):
    """Of pictures.

    Attributes:
        power: their mean power, (H, W), zero frequency first.
        of_mean: the power of their mean, (H, W).
    """

    power: Tensor
    of_mean: Tensor
    count: int


def spectrum(blocks: Iterable[Tensor]) -> Spectrum:
    """Of at least one block of pictures (N, C, H, W), which are looked at one after the other."""
    count, powers, pictures = 0, torch.zeros(()), torch.zeros(())
    for block in blocks:
        count += len(block)
        powers = powers.to(block.device) + len(block) * power(block)
        pictures = pictures.to(block.device) + block.float().sum(0, keepdim=True)
    return Spectrum(powers / count, power(pictures / count), count)


def power(pictures: Tensor) -> Tensor:
    """Mean power of pictures (N, C, H, W) over all of them and their channels: (H, W), zero frequency first."""
    centred = (pictures - pictures.mean(dim=(2, 3), keepdim=True)).float()
    return torch.fft.fft2(centred, norm="ortho").abs().square().mean(dim=(0, 1))


def radial(power: Tensor) -> list[float]:
    """log10 of the mean power (H, W) in rings, from the lowest frequency to that of half the sampling rate."""
    rows, columns = (torch.fft.fftfreq(size, device=power.device) for size in power.shape)
    radius = (rows[:, None].square() + columns[None, :].square()).sqrt()
    count = min(BINS, min(power.shape) // 2)
    ring = (radius * 2 * count - 0.5).floor().clamp(0, count).long()
    inside = (ring < count) & (radius > 0)
    sums = torch.zeros(count, device=power.device).index_add_(0, ring[inside], power[inside])
    sizes = torch.zeros(count, device=power.device).index_add_(0, ring[inside], torch.ones_like(power[inside]))
    return [round(value, 4) for value in (sums / sizes.clamp_min(1)).clamp_min(1e-12).log10().tolist()]


def checkerboard(fake: Spectrum, real: Spectrum) -> float:
    """The amplitude of what stands out at the strides' frequencies in fakes, wherever in a picture it lies.

    Beyond what goes with the frequencies beside them in real pictures; in units of the pictures' range [-1, 1], the
    largest over half and quarter of the sampling rate along either side; 0 where nothing stands out.
    """
    height, width = fake.power.shape
    beyond = 0.0
    for side, at in _places(fake.power):
        (own, beside), (usual, usual_beside) = _peak(fake.power, side, at), _peak(real.power, side, at)
        beyond = max(beyond, own - beside * (usual + 1e-9) / (usual_beside + 1e-9))
    return (beyond / (height * width)) ** 0.5


def grid(fake: Spectrum, real: Spectrum) -> float:
    """The amplitude of the strides' grid in the mean of fakes, less that in the mean of real pictures.

    In units of the pictures' range [-1, 1], so .02 is an amplitude of 2.5 grey levels of 255; 0 where there is none.
    """
    return max(0.0, _coherent(fake) - _coherent(real))


def _coherent(found: Spectrum) -> float:
    """Amplitude, in the mean picture, at the strides' frequencies beyond those around them and beyond chance."""
    mean, chance = found.of_mean, CHANCE * found.power / found.count
    height, width = mean.shape
    total = 0.0
    for row, column in _points(mean):
        near = torch.roll(mean, (2 - row, 2 - column), (0, 1))[:5, :5]
        # a mean whose opposite edges differ has power along its axes: there only the axis is beside
        beside = near[2] if row == 0 else near[:, 2] if column == 0 else near.flatten()
        middle = len(beside) // 2
        usual = torch.cat([beside[:middle], beside[middle + 1 :]]).quantile(0.5)
        total += (mean[row, column] - torch.maximum(usual, chance[row, column])).clamp_min(0).item()
    return (total / (height * width)) ** 0.5


def _points(power: Tensor) -> list[tuple[int, int]]:
    """(row, column) of the strides' frequencies along one side alone and along both."""
    height, width = power.shape
    alone = [(at, 0) if side == 0 else (0, at) for side, at in _places(power)]
    both = [part for part in (2, 4) if height % part == width % part == 0 and min(height, width) // part >= 4]
    return [*alone, *((height // part, width // part) for part in both)]


def _places(power: Tensor) -> list[tuple[int, int]]:
    """(side, frequency) of the strides 2 and 4, where the side has them."""
    sides = list(enumerate(power.shape))
    return [(d, size // part) for d, size in sides for part in (2, 4) if size % part == 0 and size // part >= 4]


def _peak(power: Tensor, dim: int, at: int) -> tuple[float, float]:
    """Power at a frequency along one side, of all along the other, and the mean of those two steps beside it."""
    line = power.sum(dim=1 - dim)
    size = len(line)
    return line[at].item(), ((line[(at - 2) % size] + line[(at + 2) % size]) / 2).item()
