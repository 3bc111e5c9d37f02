"""Batches whose content is a function of (seed, global position), wherever the pictures lie."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum import streams
from zerosum.data.pictures import Pictures
from zerosum.data.pixels import to_device, to_float
from zerosum.data.source import Labels
from zerosum.data.streamed import Streamed, Windows
from zerosum.errors import UserError

RESIDENT = 0.4  # of the device's free memory may hold the pictures


class _Found(NamedTuple):
    pixels: Tensor  # uint8, on the device
    rows: Labels


class Loader:
    """The training part of the pictures: whole on the device where it fits, else gathered one batch ahead."""

    def __init__(
        self, pictures: Pictures, seed: int, device: torch.device, *, mirror: bool, labels: bool, balanced: bool = False
    ) -> None:
        self.pictures, self.seed, self.device, self.mirror = pictures, seed, device, mirror
        self.labels = pictures.labels if labels else None
        self.order = _order(pictures, seed, balanced)
        self.find: Callable[[int, int], _Found]
        if isinstance(pictures.pixels, Streamed):
            if balanced:
                raise UserError("balanced=true is not possible: these pictures are streamed, in the order they come.")
            self.find = _streaming(Windows(pictures.pixels, pictures.train, seed), device)
        elif _fits(pictures, device):
            self.find = _resident(pictures, device, self.order)
        else:
            self.find = _gathering(pictures, device, self.order, ahead=device.type != "cpu" or not pictures.resident)

    def batch(self, start: int, count: int) -> tuple[Tensor, Tensor | None]:
        """Pictures (count, C, H, W) float in [-1, 1] and labels for global positions ``start`` and on."""
        found = self.find(start, count)
        x = to_float(found.pixels)
        if self.mirror:
            flip = torch.from_numpy(streams.uniforms(self.seed, "mirror", start, count, 1) < 0.5)
            x = torch.where(to_device(flip, x.device)[:, :, None, None], x.flip(3), x)
        labels = None
        if self.labels is not None:
            labels = to_device(torch.from_numpy(self.labels[found.rows]), self.device)
        return x, labels


Order = Callable[[int, int], Labels]


def _order(pictures: Pictures, seed: int, balanced: bool) -> Order:
    """Global positions -> rows: each pass a permutation; balanced: classes in turn, a permutation within each."""
    train = pictures.train
    if not balanced or pictures.labels is None:
        return lambda start, count: train[streams.positions(seed, "data order", start, count, len(train))]
    members = [train[pictures.labels[train] == value] for value in range(len(pictures.classes))]
    members = [rows for rows in members if len(rows)]

    def order(start: int, count: int) -> Labels:
        classes = streams.positions(seed, "class order", start, count, len(members))
        turns = np.arange(start, start + count) // len(members)  # each class has had as many turns before
        found = np.empty(count, dtype=np.int64)
        for value in np.unique(classes):
            mine = np.flatnonzero(classes == value)
            rows, first, last = members[value], int(turns[mine[0]]), int(turns[mine[-1]])
            walk = streams.positions(seed, f"data order {value}", first, last - first + 1, len(rows))
            found[mine] = rows[walk[turns[mine] - first]]
        return found

    return order


def _fits(pictures: Pictures, device: torch.device) -> bool:
    """On a GPU, whether the training pictures fit there; on a CPU, memory is where they are gathered from anyway."""
    if device.type != "cuda":
        return device.type == "mps" and pictures.resident
    size = len(pictures.train) * int(np.prod(pictures.pixels.shape[1:]))
    return size <= RESIDENT * torch.cuda.mem_get_info(device)[0]


def _resident(pictures: Pictures, device: torch.device, order: Order) -> Callable[[int, int], _Found]:
    places = np.empty(pictures.pixels.shape[0], dtype=np.int64)
    places[pictures.train] = np.arange(len(pictures.train))
    step = max(1, 2**28 // int(np.prod(pictures.pixels.shape[1:])))
    pixels = torch.empty((len(pictures.train), *pictures.pixels.shape[1:]), dtype=torch.uint8, device=device)
    for first in range(0, len(pictures.train), step):
        part = pictures.pixels[pictures.train[first : first + step]]
        pixels[first : first + len(part)] = torch.from_numpy(part).to(device)

    def find(start: int, count: int) -> _Found:
        rows = order(start, count)
        return _Found(pixels[to_device(torch.from_numpy(places[rows]), device)], rows)

    return find


def _gathering(pictures: Pictures, device: torch.device, order: Order, *, ahead: bool) -> Callable[[int, int], _Found]:
    def gather(start: int, count: int) -> _Found:
        rows = order(start, count)
        pixels = torch.from_numpy(pictures.pixels[rows])
        return _Found(pixels.pin_memory() if device.type == "cuda" else pixels, rows)

    if not ahead:
        return gather
    pool = ThreadPoolExecutor(1)
    waiting: dict[tuple[int, int], Future[_Found]] = {}

    def find(start: int, count: int) -> _Found:
        future = waiting.pop((start, count), None)
        found = gather(start, count) if future is None else future.result()
        waiting.clear()
        waiting[start + count, count] = pool.submit(gather, start + count, count)
        return _Found(found.pixels.to(device, non_blocking=True), found.rows)

    return find


def _streaming(windows: Windows, device: torch.device) -> Callable[[int, int], _Found]:
    def find(start: int, count: int) -> _Found:
        pixels, rows = windows.batch(start, count)
        return _Found(to_device(torch.from_numpy(pixels), device), rows)

    return find
