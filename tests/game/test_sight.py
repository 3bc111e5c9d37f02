"""What the critic sees: packs, instance noise, the flips and shifts of consistency."""

from __future__ import annotations

import pytest
import torch

from zerosum.game.augment import DiffAugment, jitter
from zerosum.game.critic import TorchNoise
from zerosum.game.schedules import START, Clock, linear
from zerosum.game.sight import PLAIN, Sight, packed, see, unpacked
from zerosum.training.noise import StreamNoise

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(8, 3, 5, 4), (8, 1, 2, 2), (8, 2)])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_packs(shape, count):
    x = torch.randn(shape)
    pack = packed(x, count)
    assert pack.shape == (8 // count, count * shape[1], *shape[2:])
    assert torch.equal(unpacked(pack, count), x)
    for index in range(8):  # neighbours are shown together, in order
        place = index % count
        assert torch.equal(pack[index // count, place * shape[1] : (place + 1) * shape[1]], x[index])


def test_a_batch_that_cannot_be_packed():
    with pytest.raises(ValueError, match=r"batch of 5 .* packs of 2"):
        packed(torch.zeros(5, 1), 2)


def test_nothing_stands_in_front_by_default():
    x = torch.randn(2, 3, 4, 4)
    assert see(PLAIN, x, TorchNoise(x), START) is x
    assert PLAIN.plain
    assert not Sight(DiffAugment()).plain
    assert not Sight(noise=0.1).plain


def test_instance_noise_is_normal_and_follows_its_schedule():
    torch.manual_seed(0)
    x = torch.ones(64, 3, 16, 16)
    shift = see(Sight(noise=0.3), x, TorchNoise(x), START) - x
    assert shift.mean().item() == pytest.approx(0, abs=0.01)
    assert shift.std().item() == pytest.approx(0.3, rel=0.02)
    fading = Sight(noise=linear(0.4, 0.0, images=100))
    assert (see(fading, x, TorchNoise(x), Clock(images=50)) - x).std().item() == pytest.approx(0.2, rel=0.02)
    assert torch.equal(see(fading, x, TorchNoise(x), Clock(images=100)), x)
    assert see(Sight(noise=0.0), x, TorchNoise(x), START) is x


def test_pictures_of_a_pack_are_augmented_one_by_one():
    """The same noise: a pack of two is seen as its two pictures are."""
    x = torch.randn(8, 3, 8, 8)
    spec = DiffAugment(("color", "translation", "cutout"))
    single = see(Sight(spec), x, StreamNoise(0, "a", 16, 8, CPU), START)
    double = see(Sight(spec, pack=2), packed(x, 2), StreamNoise(0, "a", 16, 8, CPU), START)
    assert torch.equal(unpacked(double, 2), single)


def test_noise_of_packs_is_a_function_of_their_position():
    """Four pictures from position 4 on are packs 2 and 3 of those from 0 on."""
    all_packs = StreamNoise(3, "a", 0, 8, CPU).uniform(4, 5)
    later = StreamNoise(3, "a", 4, 4, CPU).uniform(2, 5)
    assert torch.equal(all_packs[2:], later)
    with pytest.raises(ValueError, match="draw of 8"):
        StreamNoise(3, "a", 0, 8, CPU).uniform(3, 5)


@pytest.mark.parametrize("bad", [{"pack": 0}, {"noise": -0.1}])
def test_impossible_sights(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Sight(**bad)


@pytest.mark.parametrize("size", [(8, 8), (16, 8), (5, 7), (28, 28)])
def test_jitter_moves_and_flips_whole_pictures(size):
    """Each result is one of the flips and shifts by up to an eighth, the border mirrored without its edge."""
    torch.manual_seed(1)
    height, width = size
    x = torch.randn(40, 2, height, width)
    found = jitter(x, TorchNoise(x))
    down, across = int(height / 8 + 0.5), int(width / 8 + 0.5)
    pad = torch.nn.functional.pad
    seen = set()
    for index in range(len(x)):
        options = {}
        for flip in (False, True):
            own = x[index : index + 1].flip(3) if flip else x[index : index + 1]
            wide = pad(own, (across, across, down, down), mode="reflect")
            for dy in range(2 * down + 1):
                for dx in range(2 * across + 1):
                    options[flip, dy, dx] = wide[0, :, dy : dy + height, dx : dx + width]
        matches = [key for key, option in options.items() if torch.equal(option, found[index])]
        assert matches
        seen.add(matches[0])
    assert {flip for flip, _, _ in seen} == {False, True}
    assert len(seen) > 5


def test_jitter_of_smallest_pictures():
    x = torch.randn(4, 1, 2, 3)
    assert jitter(x, TorchNoise(x)).shape == x.shape
