"""DCGAN's networks: parameter counts, TensorFlow's SAME padding, initial weights, and where batch norm stands."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator, Down, Up
from zerosum.recipes import dcgan

SIZES = [(28, 28, 1), (48, 48, 3), (32, 64, 3), (256, 384, 4)]  # width, height, channels
forms = pytest.mark.parametrize("kernel", [4, 5])


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def small(width: int, height: int, channels: int, kernel: int = 4, **fields) -> tuple[nn.Module, nn.Module]:
    generator = DCGANGenerator(width, height, channels, latent=7, width=2, kernel=kernel, **fields)
    return generator.build(), DCGANDiscriminator(width, height, channels, width=2, kernel=kernel).build()


def labels_of(count: int) -> Tensor:
    return torch.arange(count) % 3


def layers(net: nn.Module) -> list[str]:
    """Names of the layers that act, in order."""
    return [type(m).__name__ for m in net.modules() if not list(m.children())]


# --- the published sizes (recipes 2a, 2b, 2c at 64x64x3) ---


@pytest.mark.parametrize(
    ("dials", "generator", "discriminator"),
    [
        ({"kernel": 5}, 5_135_363, 4_316_545),  # DCGAN-tensorflow
        ({"kernel": 5, "width": 128, "bias": False, "first_norm": "feature"}, 18_885_760, 17_232_768),  # the authors'
        ({"bias": False, "latent": "normal"}, 3_576_704, 2_765_568),  # PyTorch's examples
    ],
)
def test_published_parameter_counts(dials: dict, generator: int, discriminator: int) -> None:
    recipe = dcgan(resolution=(64, 64), channels=3, **dials)
    with torch.device("meta"):
        assert count(recipe.players["generator"].net.build()) == generator
        assert count(recipe.players["critic"].net.build()) == discriminator


# --- shapes ---


@forms
@pytest.mark.parametrize("first_norm", ["channel", "feature"])
@pytest.mark.parametrize(("width", "height", "channels"), SIZES)
def test_shapes_on_the_meta_device(kernel: int, first_norm: str, width: int, height: int, channels: int) -> None:
    with torch.device("meta"):
        generator, discriminator = small(width, height, channels, kernel, first_norm=first_norm)
        x = generator(torch.empty(5, 7))
        assert x.shape == (5, channels, height, width)
        assert discriminator(x).scores.shape == (5,)


@forms
@pytest.mark.parametrize(("width", "height", "channels"), [(28, 28, 1), (48, 48, 3), (12, 16, 4)])
def test_pictures_are_within_minus_one_and_one(kernel: int, width: int, height: int, channels: int) -> None:
    torch.manual_seed(0)
    generator, discriminator = small(width, height, channels, kernel)
    with torch.no_grad():
        for p in generator.parameters():
            p.mul_(20)
    x = generator(torch.randn(4, 7))
    assert x.shape == (4, channels, height, width)
    assert x.min() < -0.9
    assert x.max() > 0.9
    assert x.abs().max() <= 1
    assert discriminator(x).scores.isfinite().all()


@forms
def test_every_parameter_takes_part(kernel: int) -> None:
    torch.manual_seed(0)
    generator, discriminator = small(12, 16, 3, kernel)
    discriminator(generator(torch.randn(4, 7))).scores.square().sum().backward()
    for net in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert all(p.grad.abs().max() > 0 for name, p in generator.named_parameters() if name.endswith("weight"))


def test_maps_double_at_each_smaller_size_up_to_eight_times() -> None:
    with torch.device("meta"):
        generator, discriminator = DCGANGenerator(256, 256, width=16).build(), DCGANDiscriminator(256, 256, width=16)
        downs = [m.out_channels for m in discriminator.build().modules() if isinstance(m, nn.Conv2d)]
        ups = [m.out_channels for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert downs == [16, 32, 64, 128, 128, 128]
    assert ups == [128, 128, 64, 32, 16, 3]
    assert generator.first.out_features == 128 * 4 * 4


# --- the strided convolutions ---


def same_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """TensorFlow's conv2d(kernel k, stride 2, SAME) on even sides, pixel by pixel: pads k - 2 in all, less before."""
    n, _, height, width = x.shape
    k = weight.shape[-1]
    before = (k - 2) // 2
    out = bias.view(1, -1, 1, 1).repeat(n, 1, height // 2, width // 2)
    for i, j, a, b in itertools.product(range(height // 2), range(width // 2), range(k), range(k)):
        row, column = 2 * i + a - before, 2 * j + b - before
        if 0 <= row < height and 0 <= column < width:
            out[:, :, i, j] += x[:, :, row, column] @ weight[:, :, a, b].T
    return out


@forms
@pytest.mark.parametrize("size", [(6, 10), (8, 8), (2, 4)])
def test_down_is_tensorflows_same(kernel: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    down = Down(2, 3, kernel, bias=True).double()
    nn.init.normal_(down.bias)
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(down(x), same_convolution(x, down.weight, down.bias))


@forms
@pytest.mark.parametrize("size", [(6, 10), (8, 8), (2, 4)])
def test_up_is_the_transpose_of_down(kernel: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    down = Down(2, 3, kernel, bias=False).double()
    up = Up(3, 2, kernel, bias=False).double()
    assert up.weight.shape == down.weight.shape
    up.weight = down.weight
    x = torch.randn(4, 2, *size, dtype=torch.float64)
    y = torch.randn(4, 3, size[0] // 2, size[1] // 2, dtype=torch.float64)
    with torch.no_grad():
        assert down(x).shape == y.shape
        assert up(y).shape == x.shape
        torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum(), rtol=1e-12, atol=1e-12)
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((down(point) * y).sum(), point)
    torch.testing.assert_close(up(y), gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(6, 10), (8, 8), (2, 4)])
def test_up_with_kernel_3_is_the_transpose_of_tensorflows_same(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    up = Up(3, 2, 3, bias=False).double()
    x = torch.randn(4, 2, *size, dtype=torch.float64)
    y = torch.randn(4, 3, size[0] // 2, size[1] // 2, dtype=torch.float64)
    down = same_convolution(x, up.weight.detach(), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close((down * y).sum(), (x * up(y)).sum(), rtol=1e-12, atol=1e-12)


# --- initial weights ---


@forms
def test_initial_weights(kernel: int) -> None:
    torch.manual_seed(0)
    down = Down(128, 256, kernel, bias=True)
    assert down.weight.std().item() == pytest.approx(0.01759, abs=1e-4)  # .02 without what is beyond two deviations
    assert down.weight.abs().max() <= 0.04
    assert down.weight.abs().max() > 0.0399
    up = Up(256, 128, kernel, bias=True)
    assert up.weight.std().item() == pytest.approx(0.02, abs=1e-4)
    assert up.weight.abs().max() > 0.06
    for layer in (down, up):
        assert abs(layer.weight.mean().item()) < 1e-4
        assert layer.bias.abs().max() == 0


def test_initial_weights_of_the_linear_layers() -> None:
    torch.manual_seed(0)
    generator, discriminator = DCGANGenerator(32, 32, width=16).build(), DCGANDiscriminator(32, 32, width=64).build()
    for layer, tolerance in ((generator.first, 5e-4), (discriminator.last, 1e-3)):
        assert layer.weight.std().item() == pytest.approx(0.02, abs=tolerance)
        assert layer.bias.abs().max() == 0


def test_weights_are_drawn_from_torchs_global_generator() -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(torch.cat([p.flatten() for net in small(8, 8, 3) for p in net.parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


# --- the guidelines: strides, batch norm, activations ---


@forms
def test_layers_and_where_batch_norm_stands(kernel: int) -> None:
    generator, discriminator = small(64, 64, 3, kernel)
    stage = ["Up", "BatchNorm2d", "ReLU"]
    assert layers(generator) == ["Linear", "Unflatten", "BatchNorm2d", "ReLU", *stage * 3, "Up"]
    assert layers(discriminator) == ["Down", "LeakyReLU", *["Down", "BatchNorm2d", "LeakyReLU"] * 3, "Linear"]


def test_the_first_norm_is_per_channel_or_per_feature() -> None:
    channel, feature = (small(16, 12, 3, first_norm=kind)[0] for kind in ("channel", "feature"))
    assert [m.num_features for m in channel.start.modules() if isinstance(m, nn.BatchNorm2d)] == [4]
    assert [m.num_features for m in feature.start.modules() if isinstance(m, nn.BatchNorm1d)] == [4 * 3 * 4]
    # per feature: each of the first layer's numbers has the batch's mean 0 and deviation 1 before its ReLU
    torch.manual_seed(0)
    first = feature.first(torch.randn(64, 7))
    normed = feature.start[0](first).flatten(1)
    torch.testing.assert_close(normed.mean(dim=0), torch.zeros(48), rtol=0, atol=1e-5)


def test_discriminator_leaks_a_fifth() -> None:
    _, discriminator = small(16, 16, 1)
    leaks = [m for m in discriminator.modules() if isinstance(m, nn.LeakyReLU)]
    assert leaks
    for leak in leaks:
        assert leak(torch.tensor([-3.0, 2.0])).tolist() == pytest.approx([-0.6, 2.0])


def test_batch_norm_as_in_the_papers_code() -> None:
    for net in small(32, 32, 3):
        for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
            assert (norm.eps, norm.momentum, norm.affine) == (1e-5, 0.1, True)  # TensorFlow's decay .9


@pytest.mark.parametrize("bias", [True, False])
def test_bias(bias: bool) -> None:
    for spec in (DCGANGenerator(16, 16, width=2, bias=bias), DCGANDiscriminator(16, 16, width=2, bias=bias)):
        found = [m.bias for m in spec.build().modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]
        assert all((b is not None) == bias for b in found)


def test_impossible_sizes_are_refused_with_words() -> None:
    for spec in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(UserError, match="Resolution 100 is not possible"):
            spec(100, 100)


# --- what was there first stays as it was ---


def test_defaults_build_the_networks_of_saved_runs() -> None:
    """The same names, and the same initial weights: those of these layers, drawn in this order."""
    torch.manual_seed(5)
    generator, discriminator = small(16, 24, 3)
    torch.manual_seed(5)
    first = nn.Linear(7, 2 * 4 * 6 * 2)
    nn.init.normal_(first.weight, std=0.02)
    ups = [Up(4, 2, 4, bias=True), Up(2, 3, 4, bias=True)]
    downs = [Down(3, 2, 4, bias=True), Down(2, 4, 4, bias=True)]
    last = nn.Linear(4 * 6 * 4, 1)
    nn.init.normal_(last.weight, std=0.02)
    statistics = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(generator.state_dict()) == [
        *("first.weight", "first.bias"),
        *(f"start.0.1.{name}" for name in statistics),
        *("body.0.weight", "body.0.bias"),
        *(f"body.1.{name}" for name in statistics),
        *("body.3.weight", "body.3.bias"),
    ]
    assert list(discriminator.state_dict()) == [
        *("body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"),
        *(f"body.3.{name}" for name in statistics),
        *("last.weight", "last.bias"),
    ]
    pairs = [(generator.first, first), (generator.body[0], ups[0]), (generator.body[3], ups[1])]
    pairs += [(discriminator.body[0], downs[0]), (discriminator.body[2], downs[1]), (discriminator.last, last)]
    assert all(torch.equal(mine.weight, theirs.weight) for mine, theirs in pairs)


# --- other norms, and labels ---


def test_norms_of_the_discriminator() -> None:
    def names(norm: str) -> list[str]:
        return layers(DCGANDiscriminator(32, 32, width=2, norm=norm).build())

    assert names("none") == [*["Down", "LeakyReLU"] * 3, "Linear"]
    assert names("layer") == ["Down", "LeakyReLU", *["Down", "GroupNorm", "LeakyReLU"] * 2, "Linear"]
    assert names("spectral") == [*["SpectralConv2d", "LeakyReLU"] * 3, "SpectralLinear"]
    assert layers(DCGANGenerator(32, 32, width=2, norm="none").build())[:4] == ["Linear", "Unflatten", "ReLU", "Up"]


@forms
def test_the_spectral_convolution_halves_as_the_plain_one(kernel: int) -> None:
    torch.manual_seed(0)
    spectral = DCGANDiscriminator(12, 8, width=2, kernel=kernel, norm="spectral").build().double()
    plain = DCGANDiscriminator(12, 8, width=2, kernel=kernel, norm="none").build().double()
    conv = spectral.body[0 if kernel == 4 else 1]
    with torch.no_grad():
        plain.body[0].weight.copy_(conv.normalised())
        plain.last.weight.copy_(spectral.last.normalised())
    x = torch.randn(4, 3, 8, 12, dtype=torch.float64)
    torch.testing.assert_close(spectral(x).scores, plain(x).scores)
    assert conv.weight.abs().max() <= 0.04  # TensorFlow's truncated normal here too


def test_features_are_what_the_last_layer_sees() -> None:
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(12, 16, width=2, classes=3, labels="projection").build()
    x = torch.randn(4, 3, 16, 12)
    output = discriminator(x, labels_of(4))
    assert output.features.shape == (4, 4, 4, 3)
    flat = output.features.flatten(1)
    own = (flat * discriminator.label.weight[labels_of(4)]).sum(dim=1)
    torch.testing.assert_close(output.scores, discriminator.last(flat)[:, 0] + own)


def test_an_auxiliary_classifier_stands_beside_the_score() -> None:
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(12, 16, width=2, classes=3, labels="classifier").build()
    output = discriminator(torch.randn(4, 3, 16, 12))
    torch.testing.assert_close(output.logits, discriminator.classifier(output.features.flatten(1)))


def test_labels_beside_the_picture_are_planes_of_ones() -> None:
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(12, 16, width=2, classes=3).build()
    x, seen = torch.randn(4, 3, 16, 12), {}
    discriminator.body[0].register_forward_pre_hook(lambda module, given: seen.update(x=given[0]))
    discriminator(x, labels_of(4))
    assert torch.equal(seen["x"][:, :3], x)
    planes = torch.eye(3)[labels_of(4)][:, :, None, None].expand(-1, -1, 16, 12)
    assert torch.equal(seen["x"][:, 3:], planes)


def test_labels_beside_the_latents() -> None:
    torch.manual_seed(0)
    generator = DCGANGenerator(12, 16, latent=7, width=2, classes=3).build()
    latents, seen = torch.randn(4, 7), {}
    generator.first.register_forward_pre_hook(lambda module, given: seen.update(x=given[0]))
    generator(latents, labels_of(4))
    assert torch.equal(seen["x"], torch.cat([latents, torch.eye(3)[labels_of(4)]], dim=1))


@pytest.mark.parametrize("first_norm", ["channel", "feature"])
def test_labels_by_norm_are_in_every_norm(first_norm: str) -> None:
    generator = DCGANGenerator(16, 24, width=2, classes=3, labels="norm", first_norm=first_norm).build()
    gains = [tuple(p.shape) for name, p in generator.named_parameters() if name.endswith("gain")]
    assert gains == [(3, 4 if first_norm == "channel" else 4 * 6 * 4), (3, 2)]
    assert generator.first.in_features == 100
