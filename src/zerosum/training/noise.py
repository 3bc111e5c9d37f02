"""Random numbers of one turn's draw, as functions of (seed, draw, how many were asked for before)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zerosum import streams
from zerosum.data.pixels import to_device


class StreamNoise:
    """The n-th question in a draw reads stream "noise/<draw>/<n>" at the draw's global position.

    A question may also be for each pack of several pictures: then it reads at the pack's position.
    """

    def __init__(self, seed: int, name: str, start: int, count: int, device: torch.device) -> None:
        self._seed, self._name, self._start, self._count, self._device = seed, name, start, count, device
        self._asked = 0

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1) of ``shape``, whose first side is the draw's batch or divides it."""
        return self._reshape(streams.uniforms(self._seed, self._stream(), *self._place(shape)), shape)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal of ``shape``, whose first side is the draw's batch or divides it."""
        return self._reshape(streams.normals(self._seed, self._stream(), *self._place(shape)), shape)

    def _stream(self) -> str:
        self._asked += 1
        return f"noise/{self._name}/{self._asked}"

    def _place(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        if self._count % shape[0]:
            raise ValueError(f"noise of shape {shape} was asked for in a draw of {self._count}")
        return self._start * shape[0] // self._count, shape[0], math.prod(shape[1:])

    def _reshape(self, values: streams.FloatArray, shape: tuple[int, ...]) -> Tensor:
        return to_device(torch.from_numpy(values).view(shape), self._device)
