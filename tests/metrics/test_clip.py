"""CLIP's image tower against an independent implementation with the same weights, and its preparation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from random_weights import fill

from zerosum.metrics.detectors.clip import VIT_L_336, Clip, Spec, prepare

TINY = Spec("clip-tiny", width=24, depth=3, heads=4, projection=10, patch=4, size=16)


def test_equal_to_transformers():
    transformers = pytest.importorskip("transformers", reason="the independent implementation")
    ours = fill(Clip(TINY), gain=1.0)
    config = transformers.CLIPVisionConfig(
        hidden_size=24, intermediate_size=96, projection_dim=10, num_hidden_layers=3, num_attention_heads=4,
        image_size=16, patch_size=4, hidden_act="quick_gelu",
    )  # fmt: skip
    theirs = transformers.CLIPVisionModelWithProjection(config).eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = theirs(pixel_values=x).image_embeds
    wanted = wanted / wanted.square().sum(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(ours(x), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours(x).norm(dim=1), torch.ones(5))


def test_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        state = Clip(VIT_L_336).state_dict()
    d, head = 1024, "vision_model."
    shapes = {
        f"{head}embeddings.class_embedding": (d,), f"{head}embeddings.patch_embedding.weight": (d, 3, 14, 14),
        f"{head}embeddings.position_embedding.weight": (577, d), f"{head}pre_layrnorm.weight": (d,),
        f"{head}pre_layrnorm.bias": (d,), f"{head}post_layernorm.weight": (d,), f"{head}post_layernorm.bias": (d,),
        "visual_projection.weight": (768, d),
    }  # fmt: skip
    for layer in range(24):
        for name, width in (("mlp.fc1", (4 * d, d)), ("mlp.fc2", (d, 4 * d)), ("layer_norm1", (d,)),
                            ("layer_norm2", (d,)), *((f"self_attn.{part}_proj", (d, d)) for part in "qkv"),
                            ("self_attn.out_proj", (d, d))):  # fmt: skip
            shapes[f"{head}encoder.layers.{layer}.{name}.weight"] = width
            shapes[f"{head}encoder.layers.{layer}.{name}.bias"] = width[:1]
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    assert sum(tensor.numel() for tensor in state.values()) == 304_293_888


@pytest.mark.parametrize(("height", "width"), [(20, 30), (30, 20), (25, 24), (10, 10)])
def test_preparation_is_a_centre_crop_pillows_bicubic_in_bytes_and_clips_mean(height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, height, width), dtype=np.uint8)
    found = prepare(torch.from_numpy(pixels), 16)
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    for picture, result in zip(pixels, found, strict=True):
        whole = Image.fromarray(picture.transpose(1, 2, 0)).crop((left, top, left + side, top + side))
        wanted = (np.asarray(whole.resize((16, 16), Image.Resampling.BICUBIC)) / 255 - mean) / deviation
        np.testing.assert_allclose(result, wanted.transpose(2, 0, 1), atol=1e-5)
