"""Stacked MNIST: three digits as the colours of one picture, so that its 1,000 modes are known."""

from __future__ import annotations

import numpy as np

from zerosum import streams
from zerosum.data.source import Bytes, Labels, Source, Unreadable

NAME = "stacked-mnist"
DIGITS = "mnist"  # what is stacked
COUNT = 128_000
HELD_OUT = 10_000
SEED = 20140610


def stacked(digits: Source, count: int = COUNT, held_out: int = HELD_OUT) -> Source:
    """``count`` pictures (H, W, 3), each of three training digits drawn at random (Metz et al. 2017; Lin et al. 2018).

    128,000 of them is PacGAN's set-up. ``held_out`` more are made of the test digits and are the test part, so that
    what is held out shares no digit with what is trained on; none where the digits have no test part. Which digits a
    picture has is a function of its number; they are read when it is asked for. There are no labels: the modes are for
    counting, not for training. They are not quite equally frequent, as the digits are not: the divergence of MNIST's
    own shares from uniform ones is .004 nats.
    """
    parts = [chosen(digits, count, "train")]
    if digits.test is not None:
        parts.append(chosen(digits, held_out, "test"))
    rows = np.concatenate(parts)

    def read(index: int) -> Bytes:
        planes = [digits.read(row) for row in rows[index].tolist()]
        if not all(isinstance(plane, np.ndarray) and plane.shape[2] == 1 for plane in planes):
            raise Unreadable("its parts are no grey pixels")
        return np.concatenate([np.asarray(plane) for plane in planes], axis=2)

    return Source(
        name=NAME,
        count=len(rows),
        read=read,
        test=np.arange(count, len(rows)) if digits.test is not None else None,
        notes=(f"three digits of {digits.name} in each picture, one a colour: 1,000 modes; no labels",),
    )


def chosen(digits: Source, count: int, part: str) -> Labels:
    """The digits of each of ``count`` pictures of a part ("train" or "test"): indices (count, 3), red first."""
    test = np.arange(0) if digits.test is None else digits.test
    own = test if part == "test" else np.setdiff1d(np.arange(len(digits)), test)
    unit = streams.uniforms(SEED, f"stacked digits, {part}", 0, count, 3).astype(np.float64)
    return own[(unit * len(own)).astype(np.int64)]
