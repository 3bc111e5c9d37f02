"""DINOv2 against an independent implementation with the same weights, its positions and its preparation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from random_weights import fill

from zerosum.metrics.detectors.dinov2 import VIT_B, VIT_L, VIT_S, DinoV2, Spec, positions, prepare

TINY = Spec("dinov2-tiny", width=24, depth=3, heads=4, patch=4, size=16, trained=16)


def test_equal_to_transformers():
    transformers = pytest.importorskip("transformers", reason="the independent implementation")
    ours = fill(DinoV2(TINY), gain=1.0)
    config = transformers.Dinov2Config(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=4, image_size=16, patch_size=4,
    )  # fmt: skip
    theirs = transformers.Dinov2Model(config).eval()
    theirs.load_state_dict({"embeddings.mask_token": torch.zeros(1, 24), **renamed(ours.state_dict())})
    x = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = theirs(x).last_hidden_state[:, 0]
    torch.testing.assert_close(ours(x), wanted, rtol=1e-5, atol=1e-5)


def renamed(state):
    """From Meta's names to those of transformers 5."""
    pairs = [
        ("cls_token", "embeddings.cls_token"), ("pos_embed", "embeddings.position_embeddings"),
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"), ("blocks.", "encoder.layer."),
        ("attn.proj", "attention.o_proj"), ("ls1.gamma", "layer_scale1.lambda1"),
        ("ls2.gamma", "layer_scale2.lambda1"),
    ]  # fmt: skip
    found = {}
    for name, tensor in state.items():
        if ".attn.qkv." in name:
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                new = name.replace("blocks.", "encoder.layer.").replace("attn.qkv", f"attention.{part}_proj")
                found[new] = piece
            continue
        for old, new in pairs:
            name = name.replace(old, new)
        found["layernorm" + name.removeprefix("norm") if name.startswith("norm.") else name] = tensor
    return found


@pytest.mark.parametrize(("spec", "parameters"), [(VIT_S, 22_056_192), (VIT_B, 86_579_712), (VIT_L, 304_367_616)])
def test_names_and_shapes_are_the_published_ones(spec, parameters):
    with torch.device("meta"):
        state = DinoV2(spec).state_dict()
    d = spec.width
    shapes = {"cls_token": (1, 1, d), "pos_embed": (1, 1370, d), "norm.weight": (d,), "norm.bias": (d,)}
    shapes |= {"patch_embed.proj.weight": (d, 3, 14, 14), "patch_embed.proj.bias": (d,)}
    for block in range(spec.depth):
        own = {
            "norm1.weight": (d,), "norm1.bias": (d,), "attn.qkv.weight": (3 * d, d), "attn.qkv.bias": (3 * d,),
            "attn.proj.weight": (d, d), "attn.proj.bias": (d,), "ls1.gamma": (d,), "norm2.weight": (d,),
            "norm2.bias": (d,), "mlp.fc1.weight": (4 * d, d), "mlp.fc1.bias": (4 * d,),
            "mlp.fc2.weight": (d, 4 * d), "mlp.fc2.bias": (d,), "ls2.gamma": (d,),
        }  # fmt: skip
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in own.items()}
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    assert sum(tensor.numel() for tensor in state.values()) == parameters
    assert spec.size == 224


def cubic(t):
    """Keys' kernel with a = -3/4."""
    t = abs(t)
    if t <= 1:
        return 1.25 * t**3 - 2.25 * t**2 + 1
    return -0.75 * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def axis(side, grid, scale):
    """(grid, side): how much each trained place counts, ends repeated."""
    weights = torch.zeros(grid, side, dtype=torch.float64)
    for place in range(grid):
        at = (place + 0.5) / scale - 0.5
        for neighbour in range(math.floor(at) - 1, math.floor(at) + 3):
            weights[place, min(max(neighbour, 0), side - 1)] += cubic(at - neighbour)
    return weights


def test_positions_are_interpolated_with_the_published_offset():
    trained = torch.randn(1, 1 + 37 * 37, 3, generator=torch.Generator().manual_seed(0))
    found = positions(trained, 16)
    assert found.shape == (1, 257, 3)
    assert torch.equal(found[:, 0], trained[:, 0])
    weights = axis(37, 16, 16.1 / 37)
    square = trained[0, 1:].double().reshape(37, 37, 3)
    wanted = torch.einsum("ay,bx,yxc->abc", weights, weights, square).reshape(256, 3)
    torch.testing.assert_close(found[0, 1:].double(), wanted, rtol=0, atol=1e-4)
    plain = axis(37, 16, 16 / 37)
    other = torch.einsum("ay,bx,yxc->abc", plain, plain, square).reshape(256, 3)
    assert (found[0, 1:].double() - other).abs().max() > 0.1  # the offset is not without effect


def test_trained_positions_are_left_alone():
    trained = torch.randn(1, 1 + 25, 3)
    assert positions(trained, 5) is trained


def test_another_size_than_the_trained_one():
    net = fill(DinoV2(Spec("dinov2-tiny", 24, 1, 4, patch=4, size=16, trained=28)), gain=1.0)
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 24)


def test_preparation_is_pillows_bicubic_in_bytes_and_imagenets_mean():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 30), dtype=np.uint8)
    found = prepare(torch.from_numpy(pixels), 16)
    for picture, result in zip(pixels, found, strict=True):
        small = Image.fromarray(picture.transpose(1, 2, 0)).resize((16, 16), Image.Resampling.BICUBIC)
        wanted = (np.asarray(small) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        np.testing.assert_allclose(result, wanted.transpose(2, 0, 1), atol=1e-5)


def test_the_class_token_is_the_feature():
    """Shuffling patches together with their positions changes nothing."""
    net = fill(DinoV2(TINY), gain=1.0)
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    before = net(x)
    net.pos_embed.data[:, 1:] = net.pos_embed.data[:, 1:].flip(1)
    patches = x.unfold(2, 4, 4).unfold(3, 4, 4).flip(2, 3)
    turned = patches.permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 16, 16)
    torch.testing.assert_close(net(turned), before, rtol=1e-5, atol=1e-5)
