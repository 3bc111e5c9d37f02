"""Detectors: built from files of weights, and independent of the batch."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from random_weights import draw, fill
from safetensors.torch import save_file

from zerosum.errors import UserError
from zerosum.metrics.detectors import clip as clip_net
from zerosum.metrics.detectors import detector
from zerosum.metrics.detectors import dinov2 as dinov2_net
from zerosum.metrics.detectors.inception import Inception
from zerosum.metrics.detectors.vgg import Heads, Vgg16

DINO = dinov2_net.Spec("dinov2-tiny", width=32, depth=2, heads=4, patch=4, size=16, trained=28)
CLIP = clip_net.Spec("clip-tiny", width=32, depth=2, heads=4, projection=12, patch=4, size=16)
NAMES = ("inception-2015-12-05", "dinov2-tiny", "clip-tiny", "random")


def some(count=7, channels=3, size=16, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    return torch.from_numpy(values)


def on_meta(build):
    with torch.device("meta"):
        return build()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of drawn weights, as they are published."""
    folder = tmp_path_factory.mktemp("weights")
    for file, build, gain in (
        ("inception", Inception, 2.0),
        ("dinov2", lambda: dinov2_net.DinoV2(DINO), 1.0),
        ("clip", lambda: clip_net.Clip(CLIP), 1.0),
        ("vgg", Vgg16, 2.0),
        ("heads", Heads, 2.0),
    ):
        state = fill(on_meta(build), gain=gain).state_dict()
        more = {
            "inception": {"Conv2d_1a_3x3.bn.num_batches_tracked": torch.tensor(0)},
            "dinov2": {"mask_token": torch.zeros(1, 32)},
            "clip": {"logit_scale": torch.tensor(1.0), "text_model.x": torch.zeros(2)},
            "vgg": {"classifier.0.bias": torch.zeros(4)},
        }.get(file, {})
        torch.save({**state, **more}, folder / f"{file}.pth")
    return folder


@pytest.fixture(scope="module")
def detectors(folder):
    cache = folder / "cache"
    built = (
        detector.inception(folder / "inception.pth", cache),
        detector.dinov2(folder / "dinov2.pth", cache, DINO),
        detector.clip(folder / "clip.pth", cache, CLIP),
        detector.random_features(),
    )
    return {one.name: one for one in built}


@pytest.mark.parametrize("name", NAMES)
def test_features_do_not_depend_on_the_batch(detectors, name):
    found = detectors[name]
    x = some(6)
    whole = found.look(x)
    alone = [found.look(picture[None]) for picture in x[:2]]
    apart = dataclasses.replace(found, block=4).look(x)
    scale = whole.features.norm(dim=1).mean()
    for other in (torch.cat([one.features for one in alone]), apart.features):
        assert (other - whole.features[: len(other)]).norm(dim=1).max() < 1e-6 * scale
    if whole.logits is not None:
        torch.testing.assert_close(apart.logits, whole.logits, rtol=1e-5, atol=1e-5 * whole.logits.abs().max().item())


@pytest.mark.parametrize("name", NAMES)
def test_what_a_detector_says_of_itself(detectors, folder, name):
    found = detectors[name]
    assert found.name == name
    features = found.features(some(2))
    assert features.shape == (2, found.width)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    assert len(found.sha256) == 64
    assert "to" in found.resizer
    file = folder / f"{name.split('-')[0]}.pth"
    if file.exists():
        assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_arrays_are_as_good_as_tensors(detectors):
    x = some(3)
    array = x.numpy().copy()
    array.flags.writeable = False
    assert torch.equal(detectors["random"].features(array), detectors["random"].features(x))
    assert torch.equal(detectors["random"].features(array[::-1]), detectors["random"].features(x.flip(0)))


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 3, 8, 8),
        some()[0],
        some()[:, :2],
        some()[:0],
        torch.zeros(1, 3, 0, 4, dtype=torch.uint8),
        np.zeros((2, 3, 8, 8)),
    ],
)
def test_other_things_are_refused(detectors, x):
    with pytest.raises(ValueError, match="a detector looks at uint8"):
        detectors["random"].look(x)


def test_grey_and_transparent_pictures(detectors):
    for name in NAMES[1:]:
        grey = some(2, channels=1)
        assert torch.equal(detectors[name].features(grey), detectors[name].features(grey.expand(-1, 3, -1, -1)))
        clear = torch.cat([some(2), torch.full((2, 1, 16, 16), 255, dtype=torch.uint8)], dim=1)
        torch.testing.assert_close(detectors[name].features(clear), detectors[name].features(some(2)))


@pytest.mark.parametrize("name", NAMES[1:])
def test_neither_autocast_nor_random_numbers_matter(detectors, name):
    wanted = detectors[name].features(some(2))
    before = torch.random.get_rng_state()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(detectors[name].features(some(2)), wanted)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_building_touches_no_random_state(folder):
    before = torch.random.get_rng_state()
    detector.dinov2(folder / "dinov2.pth", folder / "cache", DINO)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_inception_says_three_things(detectors):
    seen = detectors["inception-2015-12-05"].look(some(2))
    assert [tuple(part.shape) for part in seen] == [(2, 2048), (2, 1008), (2, 2023)]
    assert detectors["random"].look(some(2))[1:] == (None, None)


def test_inception_takes_safetensors_too(folder, tmp_path, detectors):
    state = torch.load(folder / "inception.pth", weights_only=True)
    save_file(state, tmp_path / "inception.safetensors")
    other = detector.inception(tmp_path / "inception.safetensors", tmp_path)
    assert torch.equal(other.features(some(1)), detectors["inception-2015-12-05"].features(some(1)))


def test_another_network_under_the_name_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match=r"it lacks Conv2d_1a_3x3.conv.weight.*expected pt_inception-2015-12-05"):
        detector.inception(folder / "vgg.pth", tmp_path)
    other = draw({name: tuple(value.shape) for name, value in on_meta(Inception).state_dict().items()})
    other["fc.weight"] = torch.zeros(1000, 2048)
    torch.save(other, tmp_path / "torchvision.pth")
    with pytest.raises(UserError, match=r"fc.weight \(1000, 2048\) instead of \(1008, 2048\)"):
        detector.inception(tmp_path / "torchvision.pth", tmp_path)


def test_lpips(folder):
    found = detector.lpips(folder / "vgg.pth", folder / "heads.pth", folder / "cache")
    assert found.distance(some(17) / 127.5 - 1, some(17, seed=1) / 127.5 - 1).shape == (17,)  # two blocks
    a, b = some(2) / 127.5 - 1, some(2, seed=1) / 127.5 - 1
    assert found.distance(a, b).shape == (2,)
    assert found.distance(a, a).tolist() == [0, 0]
    assert found.name == "lpips-0.1-vgg"
    hashes = [hashlib.sha256((folder / f"{name}.pth").read_bytes()).hexdigest() for name in ("vgg", "heads")]
    assert list(found.sha256) == hashes


def test_where_dinov2_is_published():
    for spec, letter in ((dinov2_net.VIT_S, "s"), (dinov2_net.VIT_B, "b"), (dinov2_net.VIT_L, "l")):
        name = f"dinov2_vit{letter}14"
        address = f"https://dl.fbaipublicfiles.com/dinov2/{name}/{name}_pretrain.pth"
        assert detector.dinov2_published(spec).url == address
