"""Which of many pictures are copies of another, and which look nearly the same, without comparing all pairs."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from zerosum.data.checking.look import SIDE
from zerosum.data.fit import ranks
from zerosum.data.source import Bytes, Labels

Words = npt.NDArray[np.uint64]
APART = 4  # bits of 64 by which signatures of twins may differ
ALIKE = 0.9  # correlation of the gradients of their miniatures
BANDS = (11, 11, 11, 11, 10, 10)  # with 4 bits apart, two of six bands are equal
REACH = 50  # pictures that agree in two bands are compared with so many after them
CHUNK = 4096


def copies(digests: Bytes) -> Labels:
    """For every picture the first one of the same content, (N,); digests are (N, 16)."""
    if not len(digests):
        return np.empty(0, dtype=np.int64)
    _, first, place = np.unique(ranks(digests), return_index=True, return_inverse=True)
    return first[place].astype(np.int64)


def alike(signatures: Words, miniatures: Bytes) -> Labels:
    """For every picture an earlier one that looks nearly the same (at the end of a chain of them), or itself; (N,).

    Args:
        signatures: (N,).
        miniatures: (N, 256).
    """
    found = np.arange(len(signatures))
    done: list[np.uint64] = []
    for mask in _masks():
        keys = signatures & mask
        order = np.lexsort((signatures, keys))
        ordered = keys[order]
        for step in range(1, min(REACH, len(order) - 1) + 1):
            same = ordered[step:] == ordered[:-step]
            if not same.any():
                break
            one, other = order[:-step][same], order[step:][same]
            first, second = np.minimum(one, other), np.maximum(one, other)
            differ = signatures[first] ^ signatures[second]
            keep = (found[second] == second) & (_ones(differ) <= APART)
            for earlier in done:  # those that agree in earlier bands were compared there
                keep &= (differ & earlier) != 0
            first, second = first[keep], second[keep]
            for start in range(0, len(first), CHUNK):
                some, others = first[start : start + CHUNK], second[start : start + CHUNK]
                close = _correlation(miniatures[some], miniatures[others]) >= ALIKE
                np.minimum.at(found, others[close], some[close])
        done.append(mask)
    while (further := found[found]).tolist() != found.tolist():
        found = further
    return found


def _masks() -> list[np.uint64]:
    """The bits of every two of the bands."""
    ends = list(itertools.accumulate(BANDS))
    bands = [(1 << end) - (1 << (end - size)) for end, size in zip(ends, BANDS, strict=True)]
    return [np.uint64(one | other) for one, other in itertools.combinations(bands, 2)]


def _ones(words: Words) -> Words:
    """How many bits are set."""
    words = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    words = (words & pairs) + ((words >> np.uint64(2)) & pairs)
    words = (words + (words >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (words * np.uint64(0x0101010101010101)) >> np.uint64(56)


def _correlation(some: Bytes, others: Bytes) -> npt.NDArray[np.float32]:
    """Of the gradients of miniatures (N, 256), pair by pair; brightness and contrast do not matter."""
    one, other = (_gradients(miniatures) for miniatures in (some, others))
    lengths = np.sqrt((one * one).sum(axis=1) * (other * other).sum(axis=1))
    return (one * other).sum(axis=1) / np.maximum(lengths, 1)


def _gradients(miniatures: Bytes) -> npt.NDArray[np.float32]:
    squares = miniatures.reshape(-1, SIDE, SIDE).astype(np.float32)
    across, down = (np.diff(squares, axis=axis).reshape(len(squares), -1) for axis in (2, 1))
    return np.concatenate([across, down], axis=1)
