"""What the diagnosis looks at: closed forms, and what must not matter."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zerosum.diagnose import signals, spectrum
from zerosum.metrics.neighbours import neighbour_measures


def points(seed: int, count: int, size: int = 12) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_above_is_the_chance_of_pairs():
    first, second = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.0])
    pairs = [(a > b) + 0.5 * (a == b) for a in first.tolist() for b in second.tolist()]
    assert signals.above(first, second) == pytest.approx(sum(pairs) / 6)
    assert signals.above(second, first) == pytest.approx(1 - sum(pairs) / 6)


@given(shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100))
def test_scores_tell_the_same_whatever_their_zero_and_unit(shift, scale):
    """Losses differ in where real begins; a relativistic game has no such place."""
    train, fake, held = (points(seed, 50, 1)[:, 0].double() + seed / 3 for seed in range(3))
    plain = signals.of_scores(train=train, fake=fake, held=held)
    moved = signals.of_scores(train=train * scale + shift, fake=fake * scale + shift, held=held * scale + shift)
    for name in ("accuracy_train", "accuracy_held", "accuracy_fake", "separates", "remembers", "r_v"):
        assert moved[name] == pytest.approx(plain[name], abs=1e-6), name
    assert moved["gap"] == pytest.approx(plain["gap"] * scale, rel=1e-6, abs=1e-9)


def test_a_critic_that_knows_its_pictures_by_heart():
    train, held, fake = torch.ones(20), -torch.ones(20), -torch.ones(20)
    found = signals.of_scores(train=train, fake=fake, held=held)
    assert (found["remembers"], found["r_v"], found["r_t"], found["separates"]) == (1.0, 1.0, 1.0, 0.5)
    assert (found["accuracy_train"], found["accuracy_held"]) == (1.0, 0.0)
    assert "remembers" not in signals.of_scores(train=train, fake=fake, held=None)


def test_measures_are_those_of_the_metrics():
    real, fake = points(0, 60), points(1, 60) * 0.7
    own = signals.Reals(real, None, 60).of_fakes(fake, "raw")
    exact = neighbour_measures(real=real, fake=fake, k=5)
    assert own["coverage_raw"] == pytest.approx(exact.coverage)
    assert own["precision_raw"] == pytest.approx(exact.precision)


def test_variety_of_real_pictures_is_one_and_of_one_picture_none():
    known = points(0, 400)
    reals = signals.Reals(known, None, 200)
    other = reals.of_fakes(points(1, 200), "raw")
    assert other["diversity_raw"] == pytest.approx(1, abs=0.05)
    assert other["crowding_raw"] == pytest.approx(1, abs=0.1)
    one = reals.of_fakes(known[:1].repeat(200, 1), "raw")
    assert one["diversity_raw"] < 1e-2
    few = reals.of_fakes(known[:10].repeat(20, 1), "raw")
    assert few["diversity_raw"] > 0.7  # a few pictures are as far apart as many,
    assert few["crowding_raw"] < 1e-2  # but each has a twin


def test_the_class_that_is_missing_is_seen():
    """Fakes of the first two classes of three, one of them twice as often."""
    labels = torch.arange(90) % 3
    known = points(0, 90) + 100 * labels[:, None]
    fake = known[(labels == 0) | (labels == 1)] + 0.01
    found = signals.Reals(known, None, 90).of_classes(torch.cat([fake, fake[::2]]), labels)
    assert [covered for covered, _ in found.values()] == [1, 1, 0]
    assert [share for _, share in found.values()] == pytest.approx([2 / 3, 1 / 3, 0])
    assert signals.Reals(known, None, 90).of_classes(fake, torch.arange(90)) == {}


def test_copies_are_told_from_new_pictures_of_the_same_kind():
    known, held = points(0, 200), points(1, 200)
    reals = signals.Reals(known, held, 100)
    new, copied = reals.of_copies(points(2, 100)), reals.of_copies(known[:100] + 0.01)
    assert new["nearest"] == pytest.approx(1, abs=0.05)
    assert new["copies"] < 0.03
    assert copied["nearest"] < 0.1
    assert copied["copies"] == 1
    blurred = reals.of_copies(0.5 * points(2, 100))  # nearer to everything, and no copies
    assert blurred["nearest"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("sizes", [(900, 100), (2000, 100), (200, 200)])
def test_copies_are_found_whatever_the_split(sizes):
    known, held = points(0, sizes[0]), points(1, sizes[1])
    reals = signals.Reals(known, held, 100)
    assert reals.of_copies(points(2, 100))["nearest"] == pytest.approx(1, abs=0.1)
    half = torch.cat([known[:60], points(2, 40)])
    assert reals.of_copies(half)["nearest"] < 0.1
    assert reals.of_copies(half)["copies"] == pytest.approx(0.6, abs=0.03)


def test_pictures_that_came_twice_are_no_measure_of_copies():
    """Where nothing is held out: of those that have a twin, the next one is what lies beside them."""
    known = points(0, 120)
    known[60:80] = known[40:60] + 1e-3
    found = signals.Reals(known, None, 100).of_copies(known[:40] + 1e-3)
    assert found["copies"] == pytest.approx(1 - 40 / 120)


def test_grey_is_near_to_pictures_of_little_contrast_and_no_copy_of_them():
    contrast = torch.linspace(0.1, 3, 400)[:, None]
    known, held = contrast * points(0, 400), contrast[::4] * points(1, 100)
    grey = 1e-3 * points(2, 50)
    for reals in (signals.Reals(known, held, 100), signals.Reals(known, None, 100)):
        found = reals.of_copies(grey)
        assert found["nearest_train"] < 0.5
        assert found["copies"] == 0
        assert reals.of_copies(known[:50] + 1e-3)["copies"] > 0.9


def test_copies_are_found_where_nothing_is_held_out():
    known = points(0, 40)
    reals = signals.Reals(known, None, 40)
    assert reals.of_copies(points(2, 100))["copies"] < 0.03
    assert reals.of_copies(known[:20].repeat(5, 1))["copies"] == 1
    assert "nearest" not in reals.of_copies(known)


def test_values_that_are_not_finite_give_no_signal():
    reals = signals.Reals(points(0, 50), points(1, 50), 50)
    assert reals.of_fakes(torch.full((10, 12), torch.nan), "raw") == {}
    assert reals.of_copies(torch.full((10, 12), torch.inf)) == {}


def test_a_leak_is_measured_between_what_is_and_what_was_changed():
    real, held = points(0, 200), points(1, 200)
    far = torch.zeros(12)
    far[0] = 3.0
    changed = signals.Changed(real, real + far, held, held + far)
    assert changed.leak(points(2, 200)) == pytest.approx(0, abs=0.15)
    assert changed.leak(points(2, 200) + far) == pytest.approx(1, abs=0.15)
    same = signals.Changed(real, points(3, 200), held, points(4, 200))
    assert same.leak(points(2, 200)) == 0


def test_the_largest_singular_value():
    torch.manual_seed(0)
    for shape in ((6, 4, 3, 3), (8, 20), (20, 8)):
        weight = torch.randn(shape)
        exact = torch.linalg.matrix_norm(weight.flatten(1), ord=2).item()
        assert signals.largest_singular(weight, steps=200) == pytest.approx(exact, rel=1e-3)
        assert signals.largest_singular(weight) == pytest.approx(exact, rel=0.2)


def test_views_are_small_whatever_the_pictures():
    for shape in ((3, 1, 12, 12), (3, 3, 28, 28), (3, 4, 48, 20), (3, 3, 256, 256)):
        assert signals.view(torch.zeros(shape)).shape[1] <= shape[1] * 16 * 16
    assert signals.view(torch.full((1, 1, 64, 64), 0.25)).unique().tolist() == [0.25]


def test_deciles_of_a_line():
    assert signals.deciles(torch.linspace(0, 10, 101)) == pytest.approx(list(range(11)), abs=1e-4)


def test_white_noise_has_a_flat_spectrum():
    torch.manual_seed(0)
    flat = spectrum.radial(spectrum.power(torch.randn(500, 1, 32, 32)))
    assert max(flat) - min(flat) < 0.1
    assert flat[5] == pytest.approx(0, abs=0.05)  # power 1 is log10 0


def of(pictures: torch.Tensor) -> spectrum.Spectrum:
    return spectrum.spectrum([pictures])


def test_blocks_are_seen_as_the_whole():
    torch.manual_seed(0)
    pictures = torch.randn(50, 3, 12, 16)
    whole, parts = of(pictures), spectrum.spectrum(iter(pictures.split(20)))
    assert whole.count == parts.count == 50
    torch.testing.assert_close(whole.power, parts.power)
    torch.testing.assert_close(whole.of_mean, parts.of_mean)
    torch.testing.assert_close(whole.of_mean, spectrum.power(pictures.mean(0, keepdim=True)))


def test_uneven_overlap_stands_out_and_resizing_does_not():
    """Kernel 3 with stride 2 writes some pixels twice (Odena et al. 2016), kernel 4 none more than others."""
    torch.manual_seed(0)
    real = nn.functional.interpolate(torch.randn(200, 1, 16, 16), (32, 32), mode="bilinear")
    powers = []
    for kernel in (3, 4):
        up = nn.ConvTranspose2d(1, 1, kernel, 2, padding=(kernel - 2) // 2, bias=False)
        nn.init.ones_(up.weight)
        with torch.no_grad():
            powers.append(of(up(torch.randn(200, 1, 16, 16) + 2)[:, :, :32, :32]))
    uneven, even = (spectrum.checkerboard(power, of(real)) for power in powers)
    assert uneven > 5 * even
    assert spectrum.checkerboard(of(real), of(real)) == pytest.approx(0, abs=1e-3)
    assert math.isfinite(spectrum.checkerboard(of(torch.zeros(4, 1, 12, 12)), of(real[:, :, :12, :12])))


def test_a_grid_is_measured_in_units_of_the_pictures():
    """Whatever is drawn over it: the same in all pictures stays, what differs fades."""
    torch.manual_seed(0)
    real = nn.functional.interpolate(torch.randn(200, 3, 16, 16), (32, 32), mode="bilinear")
    lattice = torch.tensor([1.0, -1.0]).repeat(16)
    for pattern in (lattice.expand(32, 32), lattice.outer(lattice)):
        assert spectrum.grid(of(real + 0.05 * pattern), of(real)) == pytest.approx(0.05, rel=0.05)
    quarter = torch.tensor([1.0, 0.0, -1.0, 0.0]).repeat(8)
    assert spectrum.grid(of(real + 0.05 * quarter[:, None]), of(real)) > 0.02
    assert spectrum.grid(of(real), of(real + 0.05 * lattice)) == 0


def test_a_pattern_beside_the_strides_takes_nothing_from_a_grid():
    torch.manual_seed(0)
    real = nn.functional.interpolate(torch.randn(200, 1, 16, 16), (32, 32), mode="bilinear")
    half, lower = torch.cos(torch.arange(32) * torch.pi), torch.cos(torch.arange(32) * torch.pi * 15 / 16)
    pattern = 0.05 * half[:, None] * half + 0.2 * lower[:, None] * lower
    assert spectrum.grid(of(real + pattern), of(real)) == pytest.approx(0.05, rel=0.1)


def test_a_mean_whose_edges_differ_is_no_grid():
    torch.manual_seed(0)
    blobs = nn.functional.interpolate(torch.randn(300, 1, 4, 4), (28, 28), mode="bicubic")
    ramp = torch.linspace(-0.8, 0.8, 28)
    for ramped in (blobs + ramp, blobs + ramp[:, None]):
        assert spectrum.grid(of(ramped), of(blobs)) < 0.005


@pytest.mark.parametrize("count", [10, 50, 500])
def test_few_pictures_have_no_grid_by_chance(count):
    torch.manual_seed(0)
    pictures = torch.randn(count, 1, 28, 28)
    assert spectrum.grid(of(pictures), of(torch.randn(200, 1, 28, 28))) == 0
    assert spectrum.grid(of(pictures[:, :, :12, :10]), of(pictures[:, :, 2:14, :10])) < 0.2


def test_a_grid_that_is_elsewhere_in_each_picture_has_its_amplitude():
    """Its sign differs, so the mean picture is without it."""
    torch.manual_seed(0)
    real = nn.functional.interpolate(torch.randn(400, 1, 16, 16), (32, 32), mode="bilinear")
    sign = 2.0 * (torch.arange(400) % 2) - 1
    lattice = sign[:, None, None, None] * torch.cos(torch.arange(32) * torch.pi)
    for height in (0.1, 0.3):
        assert spectrum.checkerboard(of(real + height * lattice), of(real)) == pytest.approx(height, rel=0.1)
    assert spectrum.grid(of(real + 0.1 * lattice), of(real)) < 0.01
