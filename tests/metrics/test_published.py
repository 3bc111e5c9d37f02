"""Published numbers from real data with the official weights; half an hour on a laptop, so only where asked for."""

from __future__ import annotations

import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from zerosum.metrics.detectors import detector
from zerosum.metrics.detectors.dinov2 import VIT_L
from zerosum.metrics.frechet import frechet_distance
from zerosum.metrics.scores import inception_score_of_logits

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PIXELS = 10_000 * 3072

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif("ZEROSUM_DATA" not in os.environ, reason="ZEROSUM_DATA names no folder of data"),
    pytest.mark.skipif("ZEROSUM_WEIGHTS" not in os.environ, reason="ZEROSUM_WEIGHTS names no folder of weights"),
]


def weights(published):
    path = Path(os.environ["ZEROSUM_WEIGHTS"]) / published.file
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def cifar(part):
    raw = lzma.decompress((Path(os.environ["ZEROSUM_DATA"]) / f"cifar-10/cifar-10-batches-py/{part}.xz").read_bytes())
    start = raw.index(b"T" + PIXELS.to_bytes(4, "little")) + 5  # the one large string in it
    return np.frombuffer(raw, np.uint8, PIXELS, start).reshape(-1, 3, 32, 32).copy()


@pytest.fixture(scope="module")
def sets():
    return np.concatenate([cifar(f"data_batch_{number}") for number in range(1, 6)]), cifar("test_batch")


def test_cifar_10_with_inception(sets, tmp_path):
    """FID between training and test pictures 3.15, Inception score of the training pictures 11.24."""
    found = detector.inception(weights(detector.INCEPTION), tmp_path, DEVICE)
    train, test = (found.look(pixels) for pixels in sets)
    assert frechet_distance(real=train.features, fake=test.features) == pytest.approx(3.15, abs=0.05)
    assert inception_score_of_logits(train.logits).value == pytest.approx(11.24, abs=0.05)


@pytest.mark.skipif(DEVICE == "cpu", reason="60,000 pictures through ViT-L take hours without a GPU")
def test_cifar_10_with_dinov2(sets, tmp_path):
    """FD-DINOv2 between training and test pictures 31.07 (Stein et al. 2023)."""
    found = detector.dinov2(weights(detector.dinov2_published(VIT_L)), tmp_path, VIT_L, DEVICE)
    train, test = (found.features(pixels) for pixels in sets)
    assert frechet_distance(real=train, fake=test) == pytest.approx(31.07, abs=0.3)
