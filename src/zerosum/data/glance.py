"""One look at one picture: what its header says, and what it is called by content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zerosum.data import decode
from zerosum.data.source import DIGEST, Looks, Raw, Unreadable


class Glance(NamedTuple):
    """Header and digest (zeros where nothing could be read); without a header, why not."""

    head: decode.Head | None
    digest: bytes
    why: str = ""


def digest(raw: Raw) -> bytes:
    """What a picture is called by content: BLAKE2b of its bytes, or of its shape and pixels."""
    if isinstance(raw, np.ndarray):
        return hashlib.blake2b(f"{raw.shape}".encode() + raw.tobytes(), digest_size=DIGEST).digest()
    return hashlib.blake2b(raw, digest_size=DIGEST).digest()


def glance(raw: Raw) -> Glance:
    """Look at a picture's header and hash it."""
    name = digest(raw)
    try:
        return Glance(decode.head(raw), name)
    except Unreadable as error:
        return Glance(None, name, str(error))


def gathered(glances: Sequence[Glance]) -> Looks:
    """What was seen of many pictures, in arrays."""
    heads = [glance.head or decode.Head(0, 0, 0) for glance in glances]
    return Looks(
        np.array([head[:2] for head in heads], dtype=np.int64).reshape(-1, 2),
        np.array([head.channels for head in heads], dtype=np.uint8),
        np.frombuffer(b"".join(glance.digest for glance in glances), dtype=np.uint8).reshape(-1, DIGEST),
        {index: glance.why for index, glance in enumerate(glances) if glance.head is None},
    )
