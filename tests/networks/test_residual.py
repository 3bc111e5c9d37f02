"""The residual pair: shapes at all sizes, labels, the identity at the start, and no normalisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.networks.residual import Block, ResidualCritic, ResidualGenerator

SIZES = [(28, 28, 1), (48, 48, 3), (32, 64, 3), (256, 384, 4), (6, 8, 3)]  # width, height, channels
CLASSES = 5
conditional_or_not = pytest.mark.parametrize("classes", [0, CLASSES])
both_specs = pytest.mark.parametrize("spec", [ResidualGenerator, ResidualCritic])


def pair(width: int = 12, height: int = 8, channels: int = 3, *, classes: int = 0, maps: int = 2, blocks: int = 1):
    generator = ResidualGenerator(width, height, channels, latent=7, width=maps, blocks=blocks, classes=classes)
    critic = ResidualCritic(width, height, channels, width=maps, blocks=blocks, classes=classes)
    return generator.build(), critic.build()


def labels_for(classes: int, count: int = 4) -> torch.Tensor | None:
    return torch.arange(count) % classes if classes else None


def perturbed(net: nn.Module) -> nn.Module:
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return net


# --- shapes ---


@conditional_or_not
@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize(("width", "height", "channels"), SIZES)
def test_shapes_on_the_meta_device(width: int, height: int, channels: int, classes: int, blocks: int) -> None:
    with torch.device("meta"):
        generator, critic = pair(width, height, channels, classes=classes, blocks=blocks)
        labels = labels_for(classes)
        x = generator(torch.empty(4, 7), labels)
        assert x.shape == (4, channels, height, width)
        assert critic(x, labels).scores.shape == (4,)


@conditional_or_not
@pytest.mark.parametrize(("width", "height", "channels"), [(28, 28, 1), (48, 48, 3), (12, 16, 4)])
def test_pictures_are_within_minus_one_and_one(width: int, height: int, channels: int, classes: int) -> None:
    torch.manual_seed(0)
    generator, critic = pair(width, height, channels, classes=classes)
    labels = labels_for(classes)
    latents = 30 * torch.randn(4, 7)
    assert generator(latents, labels).abs().max() > 1  # in training nothing but the critic bounds them
    x = generator.eval()(latents, labels)
    assert x.shape == (4, channels, height, width)
    assert x.min() < -0.9
    assert x.max() > 0.9
    assert x.abs().max() <= 1
    assert critic(x, labels).scores.isfinite().all()


def test_maps_double_at_each_smaller_size_up_to_four_times() -> None:
    with torch.device("meta"):
        generator, critic = pair(128, 128, maps=8)
    found = [[m.first.in_channels for m in net.modules() if isinstance(m, Block)] for net in (generator, critic)]
    assert found[0] == found[1][::-1] == [32, 32, 32, 32, 16, 8]


@both_specs
def test_blocks_at_each_size(spec: type) -> None:
    with torch.device("meta"):
        counts = [sum(isinstance(m, Block) for m in spec(64, 64, width=2, blocks=n).build().modules()) for n in (1, 3)]
    assert counts == [5, 15]  # at 4, 8, 16, 32 and 64


@both_specs
def test_impossible_sizes_are_refused_with_words(spec: type) -> None:
    with pytest.raises(UserError, match="Resolution 100 is not possible"):
        spec(100, 100).build()


# --- how they start ---


def test_blocks_start_as_the_identity() -> None:
    torch.manual_seed(0)
    found = [m for net in pair(24, 16, classes=CLASSES, blocks=2) for m in net.modules() if isinstance(m, Block)]
    assert len(found) == 12
    for block in found:
        x = torch.randn(2, block.first.in_channels, 4, 4)
        assert torch.equal(block(x), x)


def test_a_block_is_what_it_says() -> None:
    torch.manual_seed(0)
    block = perturbed(Block(3, depth=4))
    x = torch.randn(2, 3, 5, 5)
    leak = nn.LeakyReLU(0.2)
    inner = nn.functional.conv2d(leak(x), block.first.weight, block.first.bias, padding=1)
    inner = nn.functional.conv2d(leak(inner), block.second.weight, block.second.bias, padding=1)
    torch.testing.assert_close(block(x), x + inner)
    assert not torch.equal(block(x), x)


@pytest.mark.parametrize("depth", [1, 16])
def test_first_convolutions_shrink_with_depth(depth: int) -> None:
    torch.manual_seed(0)
    block = Block(64, depth)
    expected = math.sqrt(2 / (1 + 0.2**2) / depth / (64 * 9))
    assert block.first.weight.std().item() == pytest.approx(expected, rel=0.03)
    assert block.second.weight.abs().max() == 0
    assert block.first.bias.abs().max() == block.second.bias.abs().max() == 0


def test_signals_start_at_a_sensible_size() -> None:
    torch.manual_seed(0)
    generator, critic = pair(64, 64, maps=16, blocks=2)
    with torch.no_grad():
        x = generator(torch.randn(8, 7))
        scores = critic(torch.rand(8, 3, 64, 64) * 2 - 1).scores
    assert 0.05 < x.std() < 0.95
    assert scores.abs().max() < 10


@both_specs
def test_weights_are_drawn_from_torchs_global_generator(spec: type) -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(torch.cat([p.flatten() for p in spec(8, 8, width=2, classes=3).build().parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


# --- no normalisation: samples do not influence each other ---


def test_no_norm_layers() -> None:
    for net in pair(64, 64, classes=CLASSES):
        assert not any("norm" in type(m).__name__.lower() for m in net.modules())
        assert list(net.buffers()) == []


@conditional_or_not
def test_a_sample_does_not_depend_on_its_batch(classes: int) -> None:
    torch.manual_seed(0)
    generator, critic = (perturbed(net).double() for net in pair(classes=classes))
    labels = labels_for(classes)
    latents = torch.randn(4, 7, dtype=torch.float64)
    x = generator(latents, labels)
    scores = critic(x, labels).scores
    for index in range(4):
        own = None if labels is None else labels[index : index + 1]
        torch.testing.assert_close(generator(latents[index : index + 1], own)[0], x[index])
        torch.testing.assert_close(critic(x[index : index + 1], own).scores[0], scores[index])


# --- labels and gradients ---


def test_labels_change_the_output() -> None:
    torch.manual_seed(0)
    generator, critic = pair(classes=CLASSES)
    latents, x = torch.randn(1, 7).expand(CLASSES, -1), torch.rand(1, 3, 8, 12).expand(CLASSES, -1, -1, -1)
    labels = torch.arange(CLASSES)
    made, scores = generator(latents, labels), critic(x, labels).scores
    for first in range(CLASSES):
        for second in range(first):
            assert not torch.equal(made[first], made[second])
            assert scores[first] != scores[second]


def test_the_critic_projects_its_features_on_the_label() -> None:
    torch.manual_seed(0)
    _, critic = pair(classes=CLASSES)
    x, labels = torch.rand(4, 3, 8, 12), torch.tensor([3, 0, 3, 1])
    seen = {}
    critic.last.register_forward_hook(lambda module, given, output: seen.update(features=given[0], plain=output))
    scores = critic(x, labels).scores
    own = critic.label.weight[labels]
    expected = seen["plain"][:, 0] + (seen["features"] * own).sum(dim=1) / math.sqrt(own.shape[1])
    torch.testing.assert_close(scores, expected)
    assert torch.equal(critic(x, labels).features, seen["features"])


def test_unconditional_networks_ignore_labels() -> None:
    torch.manual_seed(0)
    generator, critic = pair()
    latents, x, labels = torch.randn(4, 7), torch.rand(4, 3, 8, 12), torch.arange(4)
    assert torch.equal(generator(latents, labels), generator(latents))
    assert torch.equal(critic(x, labels).scores, critic(x).scores)


def test_missing_labels_are_refused() -> None:
    generator, critic = pair(classes=CLASSES)
    with pytest.raises(ValueError, match="needs labels"):
        generator(torch.randn(4, 7))
    with pytest.raises(ValueError, match="needs labels"):
        critic(torch.rand(4, 3, 8, 12))


@conditional_or_not
@pytest.mark.parametrize("blocks", [1, 2])
def test_every_parameter_receives_a_gradient(classes: int, blocks: int) -> None:
    torch.manual_seed(0)
    generator, critic = (perturbed(net) for net in pair(classes=classes, blocks=blocks))
    labels = labels_for(classes, 8)
    critic(generator(torch.randn(8, 7), labels), labels).scores.square().sum().backward()
    for net in (generator, critic):
        for name, p in net.named_parameters():
            assert p.grad is not None, name
            assert p.grad.isfinite().all(), name
            assert p.grad.abs().max() > 0, name


@conditional_or_not
def test_blocks_can_leave_the_identity(classes: int) -> None:
    """At the start the first convolutions stand still and the zero ones move: one step later all of them do."""
    torch.manual_seed(0)
    generator, critic = pair(classes=classes, maps=4)
    labels = labels_for(classes)
    critic(generator(torch.randn(4, 7), labels), labels).scores.sum().backward()
    for block in (m for net in (generator, critic) for m in net.modules() if isinstance(m, Block)):
        assert block.second.weight.grad.abs().max() > 0
        assert block.first.weight.grad.abs().max() == 0
