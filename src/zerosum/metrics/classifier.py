"""A small classifier trained on the data's own labels: the judge of labelled pictures, with no download.

Its architecture, seed and schedule are fixed and were fixed before any recipe was tuned; ``SPEC_SHA256`` pins them.
"""

from __future__ import annotations

import hashlib
import time
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum import streams
from zerosum.networks.layout import channels_last

SPEC = (
    "pictures float in [0,1]; conv3 c->32, leaky 0.1, conv3 stride 2 32->64, leaky 0.1, conv3 stride 2 64->64, "
    "leaky 0.1, average pool to 3x3, linear 576->64 (features), leaky 0.1, linear 64->classes; torch's default init "
    "from seed 20140610; Adam 5e-3 decayed to 0 by a half cosine, weight decay 0, batch 64, 40 passes or 1,000 steps, "
    "whichever ends first; every picture shifted by -1, 0 or 1 pixel on each axis, zeros moving in; cross-entropy"
)
SPEC_SHA256 = "e3834393f81854fdd7c6de878dc74c451da9ce0faf55874460fc3ccf4a9f9782"
SEED = 20140610
FEATURES = 64
_BATCH, _PASSES, _STEPS, _RATE = 64, 40, 1_000, 5e-3


class Training(NamedTuple):
    """How long a classifier is trained: at most so many steps; what it is in words, and the hash of that."""

    steps: int
    spec: str
    sha256: str


USUAL = Training(_STEPS, SPEC, SPEC_SHA256)
LONG = Training(
    6_000,
    SPEC.replace("1,000 steps", "6,000 steps"),
    "463bad9b1e718706c6364aee07af8c634bd22f235ec3465a4a0673478a23d6a2",
)
"""For naming single digits in the three colours of a picture, where one mistake makes a mode that is not there."""


class Judgement(NamedTuple):
    """What the classifier says of N pictures: ``features`` (N, 64) and ``probabilities`` (N, classes)."""

    features: Tensor
    probabilities: Tensor


class Classifier(nn.Module):
    """The network of ``SPEC``; pictures (N, C, H, W) in [0, 1] -> logits (N, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Linear(576, FEATURES),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.leaky_relu(self.body(x), 0.1))

    @torch.no_grad()
    def judge(self, x: Tensor, block: int = 1000) -> Judgement:
        """Features and class probabilities of pictures (N, C, H, W) in [0, 1]."""
        features = torch.cat([self.body(part) for part in x.split(block)])
        return Judgement(features, self.head(F.leaky_relu(features, 0.1)).softmax(dim=1))

    def sha256(self) -> str:
        """Hash of the weights: which judge spoke."""
        digest = hashlib.sha256()
        for name, tensor in self.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def train_classifier(
    x: Tensor, labels: Tensor, classes: int, deadline: float | None = None, training: Training = USUAL
) -> Classifier | None:
    """Train the classifier of ``training`` on pictures (N, C, H, W), uint8 or in [0, 1], with labels (N,) int64.

    None if that took until ``deadline`` (of ``time.monotonic``). The caller's random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net = channels_last(Classifier(x.shape[1], classes))  # 1.4 times as fast on a CPU
    steps = min(_PASSES * -(-len(x) // _BATCH), training.steps)
    optimizer = torch.optim.Adam(net.parameters(), lr=_RATE, fused=True)
    for step in range(steps):
        if deadline is not None and time.monotonic() > deadline:
            return None
        for group in optimizer.param_groups:
            group["lr"] = _RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        chosen = torch.from_numpy(streams.positions(SEED, "classifier order", step * _BATCH, _BATCH, len(x)))
        shift = streams.uniforms(SEED, "classifier shift", step * _BATCH, _BATCH, 2)
        batch = _shifted(
            x[chosen] if x.is_floating_point() else x[chosen].float() / 255,
            torch.from_numpy(np.floor(shift * 3).astype(np.int64)) - 1,
        )
        optimizer.zero_grad()
        F.cross_entropy(net(batch), labels[chosen]).backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


def _shifted(x: Tensor, shift: Tensor) -> Tensor:
    """Move each picture by its own (vertical, horizontal) shift in {-1, 0, 1}; zeros move in."""
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    rows = torch.arange(height)[None, :] + 1 + shift[:, :1]
    columns = torch.arange(width)[None, :] + 1 + shift[:, 1:]
    picture = torch.arange(len(x))
    return padded[picture[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
