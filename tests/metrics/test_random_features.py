"""The network that nobody trained: pinned, for any pictures, and its Fréchet distance orders sets sensibly."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zerosum.metrics.detectors.random_features import SEED, SHA256, SPEC, WIDTH, banks, random_features

COUNT = 200
needs_data = pytest.mark.skipif("ZEROSUM_DATA" not in os.environ, reason="ZEROSUM_DATA names no folder of data")


def some(count=4, channels=3, height=32, width=32, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    return torch.from_numpy(values)


def distance(a, b):
    """Fréchet distance of two sets of features, by the singular values of the cross products."""
    a, b = a.double(), b.double()
    shift = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    a, b = ((x - x.mean(dim=0)) / (len(x) - 1) ** 0.5 for x in (a, b))
    return (shift + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()).item()


def test_the_network_is_pinned():
    assert banks().sha256 == SHA256 == "3b09d5d3598c3609e52eb4b2f219f3f21804f85ebd9b6f43f85fc531781a293e"
    assert hashlib.sha256(SPEC.encode()).hexdigest() == SPEC_SHA256
    assert [tuple(bank.shape) for bank in banks().filters] == [
        (32, 4, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3), (12, 64, 3, 3),
    ]  # fmt: skip
    assert f"seed {SEED}" in SPEC
    first = banks().filters[0]
    assert first[:16].sum(dim=(2, 3)).abs().max() < 1e-6
    assert first[16:].sum(dim=(2, 3)).abs().max() > 0.1
    for bank in banks().filters:
        torch.testing.assert_close(bank.flatten(1).norm(dim=1), torch.ones(len(bank)))


SPEC_SHA256 = "4ca12d9d6b32f08ff4675b3d7245c4f58ba2aa6994d52d3f40ff5481a22f5847"


def test_stored_features():
    found = random_features(some())[:2, [0, 20, 100, 511]]
    torch.testing.assert_close(found, torch.tensor(STORED), rtol=1e-5, atol=1e-5)


STORED = [[0.39966591, 0.23411186, -0.07327070, -0.02282314], [0.38728511, 0.22854768, -0.06820115, 0.02441307]]


def by_hand(x):
    """The spec, for colour pictures of 32x32."""
    x = torch.cat([x.double() / 127.5 - 1, torch.zeros(len(x), 1, 32, 32, dtype=torch.float64)], dim=1)
    found = []
    for number, bank in enumerate(banks().filters):
        x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
        x = torch.cat([x[..., :1], x, x[..., -1:]], dim=3)
        windows = x.unfold(2, 3, 1).unfold(3, 3, 1)
        x = torch.einsum("nihwyx,oiyx->nohw", windows, bank.double())
        if number == 3:
            return torch.cat([*found, x.flatten(1) / 2], dim=1)
        x = torch.where(x < 0, 0.2 * x, x) * 1.4
        twice = torch.ones(x.shape[1], dtype=torch.float64)
        if number == 0:
            twice[:16] = 2
        found += [x.mean((2, 3)) * twice, (x.square().mean((2, 3)) - x.mean((2, 3)).square()).sqrt() * twice]
        x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    return None


def test_equal_to_the_spec():
    found = random_features(some())
    assert found.shape == (4, WIDTH)
    torch.testing.assert_close(found.double(), by_hand(some()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (28, 28), (37, 64), (200, 100)])
def test_any_pictures(channels, size):
    found = random_features(some(2, channels, *size))
    assert found.shape == (2, WIDTH)
    assert found.isfinite().all()


def test_grey_is_colour_and_opaque_is_colour():
    grey, colours = some(channels=1), some()
    assert torch.equal(random_features(grey), random_features(grey.expand(-1, 3, -1, -1)))
    opaque = torch.cat([colours, torch.full_like(colours[:, :1], 255)], dim=1)
    torch.testing.assert_close(random_features(opaque), random_features(colours))


def test_transparency_is_seen_but_not_what_it_hides():
    hidden = torch.cat([some(), torch.zeros_like(some()[:, :1])], dim=1)
    other = hidden.clone()
    other[:, :3] = 7
    assert torch.equal(random_features(hidden), random_features(other))
    white = torch.full_like(some(), 255)
    assert (random_features(hidden) - random_features(white)).norm() > 1


@pytest.fixture(scope="module")
def mnist():
    folder = Path(os.environ["ZEROSUM_DATA"]) / "mnist"
    pixels = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    x = torch.from_numpy(np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 1, 28, 28).copy())
    return x, torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).copy())


@pytest.fixture(scope="module")
def cifar():
    path = Path(os.environ["ZEROSUM_DATA"]) / "cifar-10" / "cifar-10-batches-py" / "test_batch.xz"
    raw = lzma.decompress(path.read_bytes())
    size = 10_000 * 3072
    start = raw.index(b"T" + size.to_bytes(4, "little")) + 5  # the one large string in it
    return torch.from_numpy(np.frombuffer(raw, np.uint8, 2 * COUNT * 3072, start).reshape(-1, 3, 32, 32).copy())


def noisy(x, deviation):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * deviation
    return (x.float() + noise).clamp(0, 255).round().to(torch.uint8)


def blurred(x, deviation):
    line = torch.exp(-(torch.arange(-6, 7) ** 2) / (2 * deviation**2))
    line = (line / line.sum()).expand(x.shape[1], 1, 1, -1)
    smooth = F.conv2d(F.pad(x.float(), (6, 6, 6, 6), mode="reflect"), line, groups=x.shape[1])
    smooth = F.conv2d(smooth, line.transpose(2, 3), groups=x.shape[1])
    return smooth.round().to(torch.uint8)


def repeated(x, kept):
    return x[:kept].repeat(len(x) // kept, 1, 1, 1)


def ordered(real, *sets):
    """The distances from ``real``, which must grow by at least a tenth from set to set."""
    found = [distance(real, random_features(x)) for x in sets]
    for nearer, farther in itertools.pairwise(found):
        assert farther > 1.1 * nearer, found
    return found


@needs_data
def test_it_orders_mnist(mnist):
    x, labels = mnist
    real, other = random_features(x[:COUNT]), x[COUNT : 2 * COUNT]
    rest, names = x[COUNT:], labels[COUNT:]
    floor = ordered(real, other, noisy(other, 8), noisy(other, 32))[0]
    ordered(real, other, blurred(other, 0.5), blurred(other, 1))
    ordered(real, other, repeated(other, 100), repeated(other, 10), repeated(other, 1))
    ordered(real, other, rest[names < 5][:COUNT], rest[names < 2][:COUNT])
    assert distance(real, real) == pytest.approx(0, abs=1e-6)
    for far in (255 - other, other.flip(2), other.roll(3, 3)):
        assert distance(real, random_features(far)) > 2 * floor


@needs_data
def test_it_orders_cifar(cifar, mnist):
    real, other = random_features(cifar[:COUNT]), cifar[COUNT:]
    ordered(real, other, noisy(other, 16), noisy(other, 32))
    ordered(real, other, blurred(other, 0.5), blurred(other, 1))
    ordered(real, other, repeated(other, 100), repeated(other, 10), repeated(other, 1))
    ordered(real, other, other.flip(2), mnist[0][:COUNT])
    grey = other.float().mean(dim=1, keepdim=True).to(torch.uint8)
    ordered(real, other, grey)
