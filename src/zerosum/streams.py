"""Randomness as a function of (seed, stream, position): nothing to save, nothing to lose.

Every random number of a run is ``f(seed, name of the stream, position in it)``, computed by a counter-based generator
(Philox 4x64, Salmon et al. 2011) that can be entered at any position. A run that is killed and started again draws the
same numbers; a picture's numbers do not depend on the batch it happens to be in, nor on how many processes there are.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]

_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
_WORDS = 4  # one Philox block gives four 64-bit words


def uniforms(seed: int, stream: str, start: int, count: int, width: int) -> FloatArray:
    """Uniform numbers in [0, 1) for positions ``start`` to ``start + count``; shape (count, width)."""
    unit = _unit(seed, stream, start, count, width).astype(np.float32)
    return np.minimum(unit, _BELOW_ONE)  # rounding to float32 reaches 1 once in 2^25 numbers


def normals(seed: int, stream: str, start: int, count: int, width: int) -> FloatArray:
    """Standard normal numbers for positions ``start`` to ``start + count``; shape (count, width) (Box-Muller)."""
    half = (width + 1) // 2
    unit = _unit(seed, stream, start, count, 2 * half)
    radius = np.sqrt(-2.0 * np.log1p(-unit[:, :half]))
    angle = 2.0 * np.pi * unit[:, half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :width].astype(np.float32)


@functools.lru_cache(maxsize=8)  # asked for at every batch, changes once a pass
def permutation(seed: int, stream: str, epoch: int, size: int) -> IndexArray:
    """The order of ``size`` items in pass number ``epoch``."""
    order = np.argsort(_words(seed, stream, epoch, 1, size)[0], kind="stable").astype(np.int64)
    order.flags.writeable = False  # the cache hands the same array to everybody
    return order


def positions(seed: int, stream: str, start: int, count: int, size: int) -> IndexArray:
    """Items at global positions ``start`` to ``start + count`` of an endless walk: every pass is a new permutation."""
    steps = np.arange(start, start + count)
    epochs, places = np.divmod(steps, size)
    chosen = np.empty(count, dtype=np.int64)
    for epoch in np.unique(epochs):
        mask = epochs == epoch
        chosen[mask] = permutation(seed, stream, int(epoch), size)[places[mask]]
    return chosen


def seed_of(seed: int, stream: str) -> int:
    """A 63-bit seed for a generator of another library, e.g. the one that initialises weights."""
    return int.from_bytes(_key(seed, stream).tobytes()[:8], "little") >> 1


def _unit(seed: int, stream: str, start: int, count: int, width: int) -> npt.NDArray[np.float64]:
    return (_words(seed, stream, start, count, width) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _words(seed: int, stream: str, start: int, count: int, width: int) -> npt.NDArray[np.uint64]:
    blocks = -(-width // _WORDS)  # blocks of Philox per position
    first = start * blocks
    counter = np.array([first & 0xFFFFFFFFFFFFFFFF, first >> 64, 0, 0], dtype=np.uint64)
    raw = np.random.Philox(key=_key(seed, stream), counter=counter).random_raw(count * blocks * _WORDS)
    return raw.reshape(count, blocks * _WORDS)[:, :width]


def _key(seed: int, stream: str) -> npt.NDArray[np.uint64]:
    digest = hashlib.sha256(f"zerosum {seed} {stream}".encode()).digest()
    return np.frombuffer(digest[:16], dtype=np.uint64)
