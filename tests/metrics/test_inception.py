"""The Inception of the FID: names and shapes, every convention, and the same features everywhere."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from random_weights import fill

from zerosum.metrics.detectors.inception import CLASSES, Inception, fold, prepare
from zerosum.metrics.resize import legacy_bilinear


def a(inputs, pooled):
    return {
        "branch1x1": (inputs, 64, 1, 1), "branch5x5_1": (inputs, 48, 1, 1), "branch5x5_2": (48, 64, 5, 5),
        "branch3x3dbl_1": (inputs, 64, 1, 1), "branch3x3dbl_2": (64, 96, 3, 3), "branch3x3dbl_3": (96, 96, 3, 3),
        "branch_pool": (inputs, pooled, 1, 1),
    }  # fmt: skip


def c(n):
    return {
        "branch1x1": (768, 192, 1, 1), "branch7x7_1": (768, n, 1, 1), "branch7x7_2": (n, n, 1, 7),
        "branch7x7_3": (n, 192, 7, 1), "branch7x7dbl_1": (768, n, 1, 1), "branch7x7dbl_2": (n, n, 7, 1),
        "branch7x7dbl_3": (n, n, 1, 7), "branch7x7dbl_4": (n, n, 7, 1), "branch7x7dbl_5": (n, 192, 1, 7),
        "branch_pool": (768, 192, 1, 1),
    }  # fmt: skip


def e(inputs):
    return {
        "branch1x1": (inputs, 320, 1, 1), "branch3x3_1": (inputs, 384, 1, 1), "branch3x3_2a": (384, 384, 1, 3),
        "branch3x3_2b": (384, 384, 3, 1), "branch3x3dbl_1": (inputs, 448, 1, 1), "branch3x3dbl_2": (448, 384, 3, 3),
        "branch3x3dbl_3a": (384, 384, 1, 3), "branch3x3dbl_3b": (384, 384, 3, 1), "branch_pool": (inputs, 192, 1, 1),
    }  # fmt: skip


BLOCKS = {
    "Mixed_5b": a(192, 32), "Mixed_5c": a(256, 64), "Mixed_5d": a(288, 64),
    "Mixed_6a": {"branch3x3": (288, 384, 3, 3), "branch3x3dbl_1": (288, 64, 1, 1), "branch3x3dbl_2": (64, 96, 3, 3),
                 "branch3x3dbl_3": (96, 96, 3, 3)},
    "Mixed_6b": c(128), "Mixed_6c": c(160), "Mixed_6d": c(160), "Mixed_6e": c(192),
    "Mixed_7a": {"branch3x3_1": (768, 192, 1, 1), "branch3x3_2": (192, 320, 3, 3), "branch7x7x3_1": (768, 192, 1, 1),
                 "branch7x7x3_2": (192, 192, 1, 7), "branch7x7x3_3": (192, 192, 7, 1),
                 "branch7x7x3_4": (192, 192, 3, 3)},
    "Mixed_7b": e(1280), "Mixed_7c": e(2048),
}  # fmt: skip
UNITS = {
    "Conv2d_1a_3x3": (3, 32, 3, 3), "Conv2d_2a_3x3": (32, 32, 3, 3), "Conv2d_2b_3x3": (32, 64, 3, 3),
    "Conv2d_3b_1x1": (64, 80, 1, 1), "Conv2d_4a_3x3": (80, 192, 3, 3),
    **{f"{block}.{name}": shape for block, units in BLOCKS.items() for name, shape in units.items()},
}  # fmt: skip


def expected():
    shapes = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for name, (inputs, outputs, height, width) in UNITS.items():
        shapes[f"{name}.conv.weight"] = (outputs, inputs, height, width)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}"] = (outputs,)
    return shapes


def by_hand(state, x):
    """The whole network as functions of a state dict, with the FID's conventions spelt out."""

    def unit(name, x, stride=1, valid=False):
        weight = state[f"{name}.conv.weight"]
        padding = 0 if valid else (weight.shape[2] // 2, weight.shape[3] // 2)
        x = F.conv2d(x, weight, stride=stride, padding=padding)
        mean, var, scale, bias = (
            state[f"{name}.bn.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 0.001).sqrt() * scale + bias).clamp_min(0)

    def chain(block, names, x):
        for name in names.split():
            x = unit(f"{block}.{name}", x)
        return x

    def average(x):
        ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
        box = torch.ones(1, 1, 3, 3, dtype=x.dtype)
        sums = F.conv2d(x.flatten(0, 1)[:, None], box, padding=1).reshape(x.shape)
        return sums / F.conv2d(ones, box, padding=1)

    def wide(block, x, pooled):
        single, double = chain(block, "branch3x3_1", x), chain(block, "branch3x3dbl_1 branch3x3dbl_2", x)
        return torch.cat([
            chain(block, "branch1x1", x), chain(block, "branch3x3_2a", single), chain(block, "branch3x3_2b", single),
            chain(block, "branch3x3dbl_3a", double), chain(block, "branch3x3dbl_3b", double),
            chain(block, "branch_pool", pooled),
        ], dim=1)  # fmt: skip

    x = unit("Conv2d_1a_3x3", x, 2, valid=True)
    x = unit("Conv2d_2b_3x3", unit("Conv2d_2a_3x3", x, valid=True))
    x = unit("Conv2d_4a_3x3", unit("Conv2d_3b_1x1", F.max_pool2d(x, 3, 2)), valid=True)
    x = F.max_pool2d(x, 3, 2)
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = torch.cat([
            chain(block, "branch1x1", x), chain(block, "branch5x5_1 branch5x5_2", x),
            chain(block, "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3", x), chain(block, "branch_pool", average(x)),
        ], dim=1)  # fmt: skip
    double = chain("Mixed_6a", "branch3x3dbl_1 branch3x3dbl_2", x)
    x = torch.cat([
        unit("Mixed_6a.branch3x3", x, 2, valid=True), unit("Mixed_6a.branch3x3dbl_3", double, 2, valid=True),
        F.max_pool2d(x, 3, 2),
    ], dim=1)  # fmt: skip
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        first = chain(block, "branch1x1", x)
        if block == "Mixed_6d":  # TensorFlow's mixed_6: mixed, mixed_1 and mixed_2 are 5b to 5d, mixed_3 is 6a
            spatial = first[:, :7].permute(0, 2, 3, 1).reshape(len(x), -1)
        x = torch.cat([
            first, chain(block, "branch7x7_1 branch7x7_2 branch7x7_3", x),
            chain(block, " ".join(f"branch7x7dbl_{number}" for number in range(1, 6)), x),
            chain(block, "branch_pool", average(x)),
        ], dim=1)  # fmt: skip
    single, double = (
        chain("Mixed_7a", "branch3x3_1", x),
        chain("Mixed_7a", "branch7x7x3_1 branch7x7x3_2 branch7x7x3_3", x),
    )
    x = torch.cat([
        unit("Mixed_7a.branch3x3_2", single, 2, valid=True), unit("Mixed_7a.branch7x7x3_4", double, 2, valid=True),
        F.max_pool2d(x, 3, 2),
    ], dim=1)  # fmt: skip
    x = wide("Mixed_7b", x, average(x))
    x = wide("Mixed_7c", x, F.max_pool2d(x, 3, 1, padding=1))
    pool = x.sum(dim=(2, 3)) / 64
    return pool, pool @ state["fc.weight"].T, spatial


@pytest.fixture(scope="module")
def plain():
    with torch.device("meta"):
        net = Inception()
    return fill(net)


@pytest.fixture(scope="module")
def folded(plain):
    return fold(copy.deepcopy(plain))


@pytest.fixture(scope="module")
def pictures():
    squares = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    return torch.from_numpy(squares.repeat(4, axis=2).repeat(4, axis=3))


def off(found, wanted):
    """Relative difference."""
    return ((found - wanted).norm() / wanted.norm()).item()


def test_names_and_shapes_are_the_published_ones(plain):
    assert {name: tuple(tensor.shape) for name, tensor in plain.state_dict().items()} == expected()
    assert len(UNITS) == 94
    trained = [tensor.numel() for name, tensor in plain.state_dict().items() if "running" not in name]
    assert sum(trained) == 23_850_960


def test_equal_to_the_definition(plain, pictures):
    x = prepare(pictures[:2])
    found, wanted = plain(x), by_hand(plain.state_dict(), x)
    assert [tuple(part.shape) for part in found] == [(2, 2048), (2, CLASSES), (2, 2023)]
    for one, other in zip(found, wanted, strict=True):
        assert off(one, other) < 3e-6


def test_folding_changes_nothing(plain, folded, pictures):
    x = prepare(pictures[:2])
    wanted, found = plain(x.contiguous()), folded(x)
    assert off(found.pool, wanted.pool) < 1e-6
    assert off(found.logits, wanted.logits) < 1e-6
    assert off(found.spatial, wanted.spatial) < 3e-6
    assert not any("bn" in name for name in folded.state_dict())
    assert all(parameter.is_contiguous(memory_format=torch.channels_last)
               for parameter in folded.parameters() if parameter.ndim == 4)  # fmt: skip
    assert sum(tensor.numel() for tensor in fold(folded).parameters()) == 23_850_960 - 17_216  # again: nothing happens


# computed in float64, before folding
POOL = [[1.51710838, 22.44917461, 3.64366793], [1.42619526, 22.45604907, 4.04733716],
        [1.43407865, 22.97975576, 3.88673192]]  # fmt: skip
LOGITS = [[-0.76395943, -3.41787617], [-0.87317685, -3.12690515], [-0.61117250, -2.94700312]]
SPATIAL = [[2.44874353, 3.51010715, 2.16919047], [2.92827084, 1.83961465, 1.61868623],
           [4.20141298, 2.40963001, 2.62434509]]  # fmt: skip


def test_stored_features(folded, pictures):
    """The same on every machine: literal numbers of this network with drawn weights."""
    found = folded(prepare(pictures))
    torch.testing.assert_close(found.pool[:, [4, 1075, 2046]], torch.tensor(POOL), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.logits[:, [0, 1007]], torch.tensor(LOGITS), rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(found.spatial[:, [3, 1068, 2019]], torch.tensor(SPATIAL), rtol=1e-5, atol=1e-5)


def test_values_become_minus_one_to_one():
    x = torch.tensor([0, 128, 255], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 3, 5, 5)
    found = prepare(x)
    assert found.shape == (3, 3, 299, 299)
    assert found.flatten(1).amin(dim=1).tolist() == [-1, 0, 127 / 128]
    assert found.flatten(1).amax(dim=1).tolist() == [-1, 0, 127 / 128]


def test_resizing_is_tensorflows(pictures):
    assert torch.equal(prepare(pictures), (legacy_bilinear(pictures, (299, 299)) - 128) / 128)


def test_grey_is_repeated(pictures):
    grey = pictures[:, :1]
    assert torch.equal(prepare(grey), prepare(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("block", ["Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6b", "Mixed_6e", "Mixed_7b"])
def test_average_pools_leave_out_the_padding(plain, block):
    """On a constant picture the pool's branch is constant up to the border."""
    module = getattr(plain, block)
    x = torch.ones(1, module.branch_pool.conv.in_channels, 8, 8)
    pooled = module(x)[:, -module.branch_pool.conv.out_channels :]
    assert (pooled - pooled[..., :1, :1]).abs().max() < 1e-5
    assert pooled.max() > 0.1


def test_the_last_block_pools_by_the_maximum(plain):
    x = torch.zeros(1, 2048, 8, 8)
    x[..., 4, 4] = 9
    branch = plain.Mixed_7c.branch_pool
    spread = torch.zeros(1, 2048, 8, 8)
    spread[..., 3:6, 3:6] = 9  # an average would give 1
    torch.testing.assert_close(plain.Mixed_7c(x)[:, -192:], branch(spread))
    same = torch.zeros(1, 1280, 8, 8)
    same[..., 4, 4] = 9
    spread = torch.zeros(1, 1280, 8, 8)
    spread[..., 3:6, 3:6] = 1
    torch.testing.assert_close(plain.Mixed_7b(same)[:, -192:], plain.Mixed_7b.branch_pool(spread))


def test_the_batch_norms_epsilon_is_a_thousandth():
    with torch.device("meta"):
        unit = fill(Inception().Conv2d_3b_1x1.to_empty(device="cpu"))
    unit.bn.running_var.zero_()
    unit.bn.running_mean.zero_()
    x = torch.rand(1, 64, 2, 2)
    wanted = unit.conv(x) / 0.001**0.5 * unit.bn.weight[:, None, None] + unit.bn.bias[:, None, None]
    torch.testing.assert_close(unit(x), wanted.clamp_min(0))


def test_logits_have_no_bias(plain, pictures):
    x = prepare(pictures[:1])
    before = plain(x)
    plain.fc.bias.data.add_(100)
    after = plain(x)
    plain.fc.bias.data.sub_(100)
    assert torch.equal(after.logits, before.logits)
    torch.testing.assert_close(before.logits, before.pool @ plain.fc.weight.T)
