"""DiffAugment: each change against a plain reimplementation, with the random numbers given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zerosum.game import losses
from zerosum.game.augment import DiffAugment, Kind, augment
from zerosum.game.critic import TorchNoise
from zerosum.game.game import Game
from zerosum.game.penalties import R1, R2

KINDS: tuple[Kind, ...] = ("color", "translation", "cutout")
SIZES = [(1, 8, 8), (3, 8, 8), (4, 8, 8), (3, 12, 20), (1, 28, 28), (3, 7, 5)]


class Given:
    """Noise that answers with the tensors it was given, in order, and notes nothing else."""

    def __init__(self, *answers: Tensor) -> None:
        self.answers = list(answers)

    def uniform(self, *shape: int) -> Tensor:
        answer = self.answers.pop(0)
        assert answer.shape == shape
        return answer

    def normal(self, *shape: int) -> Tensor:
        raise AssertionError("augmentation asks for uniform numbers only")


def chances(count: int) -> Tensor:
    return torch.zeros(count, 1, 1, 1)


def pictures(count: int, channels: int, height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, height, width, dtype=dtype, generator=generator) * 2 - 1


# --- all kinds ---


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kinds", [*[(kind,) for kind in KINDS], KINDS])
def test_shape_and_dtype_stay_and_the_input_is_not_changed(
    size: tuple[int, int, int], dtype: torch.dtype, kinds: tuple[Kind, ...]
) -> None:
    x = pictures(6, *size, dtype=dtype)
    before = x.clone()
    after = augment(DiffAugment(kinds), x, 1.0, TorchNoise(x))
    assert after.shape == x.shape
    assert after.dtype == dtype
    assert after.isfinite().all()
    assert not torch.equal(after, x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("strength", [0.0, torch.zeros(())])
def test_strength_zero_is_the_identity(strength: Tensor | float) -> None:
    x = pictures(50, 3, 8, 8)
    assert torch.equal(augment(DiffAugment(KINDS), x, strength, TorchNoise(x)), x)
    zeros = [chances(50), torch.zeros(50, 3, 1, 1), chances(50), torch.zeros(50, 2), chances(50), torch.zeros(50, 2)]
    assert torch.equal(augment(DiffAugment(KINDS), x, strength, Given(*zeros)), x)


def test_no_kinds_is_the_identity() -> None:
    x = pictures(3, 3, 8, 8)
    assert torch.equal(augment(DiffAugment(()), x, 1.0, Given()), x)


@pytest.mark.parametrize("kind", KINDS)
def test_strength_is_each_pictures_own_chance(kind: Kind) -> None:
    x = pictures(10, 3, 8, 8) + 5  # no pixel is grey
    chance = torch.arange(10).view(10, 1, 1, 1) / 10
    amounts = torch.full((10, 3, 1, 1) if kind == "color" else (10, 2), 0.9)
    after = augment(DiffAugment((kind,)), x, 0.35, Given(chance, amounts))
    changed = (after != x).flatten(1).any(dim=1)
    assert changed.tolist() == [True] * 4 + [False] * 6


def test_kinds_are_drawn_apart_and_made_in_their_order() -> None:
    x = pictures(8, 3, 8, 8)
    torch.manual_seed(0)
    both = DiffAugment(("translation", "color"), fill=0.5)
    first, second = torch.rand(8, 2), torch.rand(8, 3, 1, 1)
    after = augment(both, x, 1.0, Given(chances(8), first, chances(8), second))
    steps = augment(DiffAugment(("translation",), fill=0.5), x, 1.0, Given(chances(8), first))
    steps = augment(DiffAugment(("color",), fill=0.5), steps, 1.0, Given(chances(8), second))
    torch.testing.assert_close(after, steps)


def test_random_numbers_come_only_from_the_given_noise() -> None:
    x = pictures(4, 3, 8, 8)
    torch.manual_seed(0)
    answers = [chances(4), torch.rand(4, 3, 1, 1), chances(4), torch.rand(4, 2), chances(4), torch.rand(4, 2)]
    state = torch.get_rng_state()
    results = []
    for _ in range(2):
        noise = Given(*answers)
        results.append(augment(DiffAugment(KINDS), x, 1.0, noise))
        assert noise.answers == []
    assert torch.equal(*results)
    assert torch.equal(torch.get_rng_state(), state)


# --- color ---


def recolored(x: Tensor, brightness: float, saturation: float, contrast: float) -> Tensor:
    """One picture (C, H, W), after Zhao et al.'s description: +-.5, times 0..2 around the grey, times .5..1.5."""
    x = x + brightness
    if len(x) > 1:
        grey = sum(x) / len(x)
        x = torch.stack([grey + saturation * (channel - grey) for channel in x])
    middle = x.mean()
    return middle + contrast * (x - middle)


@pytest.mark.parametrize("size", SIZES)
def test_color(size: tuple[int, int, int]) -> None:
    x = pictures(5, *size)
    amounts = torch.tensor([[0, 0, 0], [0.5, 0.5, 0.5], [0.9, 0.1, 0.7], [0.2, 0.99, 0.01], [0.75, 0.25, 0.5]])
    after = augment(DiffAugment(("color",)), x, 1.0, Given(chances(5), amounts.double().view(5, 3, 1, 1)))
    for picture, found, (a, b, c) in zip(x, after, amounts.double().tolist(), strict=True):
        torch.testing.assert_close(found[:3], recolored(picture[:3], a - 0.5, 2 * b, c + 0.5))
        assert torch.equal(found[3:], picture[3:])  # transparency is no colour
    torch.testing.assert_close(after[1], x[1])  # the middle of all three is no change


def test_color_leaves_the_mean_of_each_picture_to_brightness() -> None:
    x = pictures(20, 3, 8, 8)
    amounts = torch.rand(20, 3, 1, 1, dtype=torch.float64)
    after = augment(DiffAugment(("color",)), x, 1.0, Given(chances(20), amounts))
    torch.testing.assert_close(after.mean(dim=(1, 2, 3)) - x.mean(dim=(1, 2, 3)), amounts[:, 0, 0, 0] - 0.5)


# --- translation ---


def moved(x: Tensor, down: int, right: int, fill: float) -> Tensor:
    """One picture (C, H, W) moved by whole pixels, pixel by pixel."""
    out = torch.full_like(x, fill)
    _, height, width = x.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                out[:, row, column] = x[:, row - down, column - right]
    return out


@pytest.mark.parametrize(
    ("size", "shift", "most"),  # the most pixels (down, right): the share of each side, rounded
    [
        ((3, 8, 8), 0.125, (1, 1)),
        ((1, 16, 8), 0.125, (2, 1)),
        ((4, 12, 20), 0.125, (2, 3)),
        ((3, 8, 12), 0.3, (2, 4)),
        ((1, 8, 8), 0.0, (0, 0)),
    ],
)
def test_translation(size: tuple[int, int, int], shift: float, most: tuple[int, int]) -> None:
    shifts = [(down, right) for down in range(-most[0], most[0] + 1) for right in range(-most[1], most[1] + 1)]
    shares = torch.tensor(
        [[(d + most[0] + 0.5) / (2 * most[0] + 1), (r + most[1] + 0.5) / (2 * most[1] + 1)] for d, r in shifts]
    )
    x = pictures(len(shifts), *size)
    spec = DiffAugment(("translation",), shift=shift, fill=-0.25)
    after = augment(spec, x, 1.0, Given(chances(len(shifts)), shares))
    for picture, found, (down, right) in zip(x, after, shifts, strict=True):
        assert torch.equal(found, moved(picture, down, right, -0.25))


def test_translation_reaches_both_ends_and_no_further() -> None:
    x = pictures(2, 1, 16, 16)
    ends = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]])
    after = augment(DiffAugment(("translation",)), x, 1.0, Given(chances(2), ends))
    assert torch.equal(after[0], moved(x[0], -2, -2, 0))
    assert torch.equal(after[1], moved(x[1], 2, 2, 0))


def test_all_shifts_are_equally_likely() -> None:
    torch.manual_seed(0)
    x = torch.zeros(30_000, 1, 16, 1)
    x[:, :, 8] = 1
    after = augment(DiffAugment(("translation",), shift=0.125), x, 1.0, TorchNoise(x))
    shares = after.mean(dim=(0, 1, 3))
    assert shares[6:11].tolist() == pytest.approx([0.2] * 5, abs=0.01)
    assert shares.sum().item() == pytest.approx(1)


# --- cutout ---


@pytest.mark.parametrize("size", SIZES)
def test_cutout_sets_one_box_of_at_most_half_of_each_side(size: tuple[int, int, int]) -> None:
    _, height, width = size
    share = torch.linspace(0, 1 - 2**-20, 29)
    places = torch.cartesian_prod(share, share)
    x = pictures(len(places), *size) + 5
    after = augment(DiffAugment(("cutout",), fill=-3.0), x, 1.0, Given(chances(len(places)), places))
    box = (after == -3).all(dim=1)
    torch.testing.assert_close(torch.where(box[:, None], x, after), x, rtol=0, atol=0)  # the rest is untouched
    rows, columns = box.any(dim=2), box.any(dim=1)
    assert torch.equal(box, rows[:, :, None] & columns[:, None, :])
    for sides, length in ((rows, height), (columns, width)):
        runs = (sides[:, 1:] != sides[:, :-1]).sum(dim=1)
        assert runs.max() <= 2  # in one piece
        assert sides.sum(dim=1).min() >= 1
        assert sides.sum(dim=1).max() == length // 2
    assert box.any(dim=0).all()  # anywhere
    assert rows[0, 0]
    assert rows[-1, -1]


def test_cutout_in_the_middle() -> None:
    x = pictures(1, 3, 8, 8)
    after = augment(DiffAugment(("cutout",), fill=0.0), x, 1.0, Given(chances(1), torch.full((1, 2), 0.5)))
    expected = x.clone()
    expected[:, :, 2:6, 2:6] = 0
    assert torch.equal(after, expected)


# --- derivatives ---


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kinds", [*[(kind,) for kind in KINDS], KINDS])
def test_derivatives_twice(channels: int, kinds: tuple[Kind, ...]) -> None:
    x = pictures(2, channels, 4, 4).requires_grad_()
    weight = pictures(2, channels, 4, 4)

    def score(x: Tensor) -> Tensor:
        answers = []
        for kind in kinds:
            answers += [chances(2), torch.full((2, 3, 1, 1) if kind == "color" else (2, 2), 0.8, dtype=torch.float64)]
        return torch.tanh(augment(DiffAugment(kinds), x, 1.0, Given(*answers)) * weight).flatten(1).sum(dim=1)

    assert torch.autograd.gradcheck(score, x)
    assert torch.autograd.gradgradcheck(score, x)


def test_r1_through_cutout_and_translation_counts_what_the_critic_saw() -> None:
    a = torch.arange(1.0, 65.0, dtype=torch.float64).view(8, 8)
    x = pictures(1, 1, 8, 8)
    game = Game(losses.wasserstein, (R1(2.0),))

    def r1(kind: Kind, amounts: list[float]) -> float:
        noise = Given(*[chances(1), torch.tensor([amounts])] * 2)
        critic = lambda x: (augment(DiffAugment((kind,)), x, 1.0, noise) * a).sum(dim=(1, 2, 3))  # noqa: E731
        return game.critic_loss(critic, real=x, fake=x)[1]["penalty_real"].item()

    everything = a.square().sum().item()
    assert r1("cutout", [0.5, 0.5]) == pytest.approx(everything - a[2:6, 2:6].square().sum().item())
    # moved one down and right: the picture's last row and column are lost, the critic's first ones see the fill
    assert r1("translation", [0.9, 0.9]) == pytest.approx(a[1:, 1:].square().sum().item())


def test_r1_and_r2_through_all_kinds_train_the_critic() -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 3 * 8 * 8, dtype=torch.float64, requires_grad=True)
    real, fake = pictures(6, 3, 8, 8), -pictures(6, 3, 8, 8)

    def critic(x: Tensor) -> Tensor:
        x = augment(DiffAugment(KINDS), x, 1.0, TorchNoise(x))
        return torch.tanh(x.flatten(1) @ weight.T).sum(dim=1)

    loss, stats, _ = Game(losses.rpgan, (R1(1.0), R2(1.0))).critic_loss(critic, real=real, fake=fake)
    (gradient,) = torch.autograd.grad(loss, weight)
    assert stats["penalty_real"] > 0
    assert stats["penalty_fake"] > 0
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
