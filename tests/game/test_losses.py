"""Losses as functions of scores: literal values, independent formulas, equilibria and large scores."""

import itertools
import math
from collections.abc import Callable

import divergence_table
import pytest
import torch
import torch.nn.functional as F
from divergence_table import TABLE, Row
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zerosum.game import divergences, losses

Formula = Callable[[Tensor, Tensor], Tensor]

LOG2 = math.log(2)
LARGE = 1e4
EXPONENTIAL = 80.0  # e^80 is about the largest float32

REAL = (2.0, -1.0, 0.5)
FAKE = (-0.5, 3.0, 0.5)

# softplus(-2) = .12693, softplus(1) = 1.31326, softplus(-.5) = .47408, softplus(3) = 3.04859, softplus(.5) = .97408
CROSS_ENTROPY_CRITIC = (0.6010049952230792, 4.361849039091965, 1.4481539683602134)
VALUES = {
    "saturating": (CROSS_ENTROPY_CRITIC, (-0.4740769841801067, -3.048587351573742, -0.9740769841801067)),
    "non_saturating": (CROSS_ENTROPY_CRITIC, (0.9740769841801067, 0.04858735157374206, 0.4740769841801067)),
    "least_squares": ((0.625, 6.5, 0.25), (1.125, 2.0, 0.125)),
    "wasserstein": ((-2.5, 4.0, 0.0), (0.5, -3.0, -0.5)),
    "hinge": ((0.5, 6.0, 2.0), (0.5, -3.0, -0.5)),
    # softplus(+-2.5), softplus(+-4), log 2
    "rpgan": (
        (0.07888973429254963, 4.0181499279178094, 0.6931471805599453),
        (2.5788897342925496, 0.018149927917809738, 0.6931471805599453),
    ),
    # the mean real score is .5, the mean fake score is 1: critic i is (softplus(1 - r_i) + softplus(f_i - .5)) / 2
    "ragan": (
        (0.31326168751822286, 2.3529088726677614, 0.8336120823700259),
        (1.3132616875182228, 0.10290887266776105, 0.5836120823700259),
    ),
    # (r_i - 2)^2 / 2 + (f_i + .5)^2 / 2, and the generator f_i - 1.5, r_i
    "rals": ((0.0, 10.625, 1.625), (4.0, 1.625, 0.625)),
    "rahinge": ((0.0, 3.25, 1.25), (2.0, 0.0, 0.75)),
}
for divergence, (of_critic, of_practical, of_minimax) in divergence_table.VALUES.items():
    VALUES |= {f"fgan_{divergence}": (of_critic, of_practical), f"fgan_{divergence}_minimax": (of_critic, of_minimax)}
WITH_EXPONENTIALS = {f"fgan_{name}" for name in ("kl", "reverse_kl", "neyman", "hellinger", "jeffrey")}
CENTRED = ["pearson", "neyman", "hellinger", "jeffrey", "js", "total_variation"]  # g_f(0) = f'(1) = 0
RELATIVISTIC = ["rpgan", "ragan", "rals", "rahinge"]


def bce(scores: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy(torch.sigmoid(scores), torch.full_like(scores, label), reduction="none")


def squared(scores: Tensor, target: float) -> Tensor:
    return F.mse_loss(scores, torch.full_like(scores, target), reduction="none")


def hinge(scores: Tensor, label: float) -> Tensor:
    return F.margin_ranking_loss(
        scores, torch.zeros_like(scores), torch.full_like(scores, label), margin=1, reduction="none"
    )


def of_table(row: Row) -> dict[str, tuple[Formula, Formula]]:
    """The two games of a divergence as printed: f* and g_f in NumPy, one after the other."""

    def activation(scores: Tensor) -> Tensor:
        return torch.from_numpy(row.activation(scores.numpy()))

    def conjugate(scores: Tensor) -> Tensor:
        return torch.from_numpy(row.conjugate(row.activation(scores.numpy())))

    def critic(r: Tensor, f: Tensor) -> Tensor:
        return conjugate(f) - activation(r)

    return {"": (critic, lambda r, f: -activation(f)), "_minimax": (critic, lambda r, f: -conjugate(f))}


# The same losses written another way: probabilities instead of logits, library functions instead of formulas.
OTHERWISE = {
    "saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: torch.log(1 - torch.sigmoid(f))),
    "non_saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: bce(f, 1)),
    "least_squares": (lambda r, f: (squared(r, 1) + squared(f, 0)) / 2, lambda r, f: squared(f, 1) / 2),
    "wasserstein": (lambda r, f: -(r - f), lambda r, f: 0 - f),
    "hinge": (
        lambda r, f: -torch.minimum(torch.zeros_like(r), r - 1) - torch.minimum(torch.zeros_like(f), -f - 1),
        lambda r, f: 0 - f,
    ),
    "rpgan": (lambda r, f: bce(r - f, 1), lambda r, f: bce(r - f, 0)),
    "ragan": (
        lambda r, f: (bce(r - f.mean(), 1) + bce(f - r.mean(), 0)) / 2,
        lambda r, f: (bce(f - r.mean(), 1) + bce(r - f.mean(), 0)) / 2,
    ),
    "rals": (
        lambda r, f: (squared(r - f.mean(), 1) + squared(f - r.mean(), -1)) / 2,
        lambda r, f: (squared(r - f.mean(), -1) + squared(f - r.mean(), 1)) / 2,
    ),
    "rahinge": (
        lambda r, f: (hinge(r - f.mean(), 1) + hinge(f - r.mean(), -1)) / 2,
        lambda r, f: (hinge(r - f.mean(), -1) + hinge(f - r.mean(), 1)) / 2,
    ),
}
for divergence, row in TABLE.items():
    OTHERWISE |= {f"fgan_{divergence}{form}": formulas for form, formulas in of_table(row).items()}

every_loss = pytest.mark.parametrize("name", list(losses.CATALOGUE))
moderate = st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6)), min_size=1, max_size=6)


def float64(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def both(name: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    loss = losses.CATALOGUE[name]
    return loss.critic(real=real, fake=fake), loss.generator(real=real, fake=fake)


def test_catalogue_is_complete_and_closed() -> None:
    assert set(losses.CATALOGUE) == set(VALUES) == set(OTHERWISE)
    assert all(losses.CATALOGUE[name] is getattr(losses, name) for name in losses.CATALOGUE)
    with pytest.raises(TypeError):
        losses.CATALOGUE["mine"] = losses.hinge  # type: ignore[index]


@every_loss
def test_values(name: str) -> None:
    critic, generator = both(name, float64(REAL), float64(FAKE))
    torch.testing.assert_close(critic, float64(VALUES[name][0]), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(generator, float64(VALUES[name][1]), rtol=1e-14, atol=1e-15)


@every_loss
@settings(max_examples=40)
@given(pairs=moderate)
def test_independent_formulation_and_one_number_per_sample(name: str, pairs: list[tuple[float, float]]) -> None:
    real, fake = float64(pairs).unbind(dim=1)
    for given_value, formula in zip(both(name, real, fake), OTHERWISE[name], strict=True):
        assert given_value.shape == (len(pairs),)
        torch.testing.assert_close(given_value, formula(real, fake), rtol=1e-9, atol=1e-9)


@every_loss
def test_finite_with_finite_gradients_at_large_scores(name: str) -> None:
    large = EXPONENTIAL if name.removesuffix("_minimax") in WITH_EXPONENTIALS else LARGE
    pairs = torch.tensor(list(itertools.product((-large, 0.0, large), repeat=2)))
    for index in (0, 1):
        real, fake = (side.clone().requires_grad_() for side in pairs.unbind(dim=1))
        each = both(name, real, fake)[index]
        gradients = torch.autograd.grad(each.sum(), (real, fake), materialize_grads=True, allow_unused=True)
        for tensor in (each, *gradients):
            assert tensor.dtype == torch.float32
            assert tensor.isfinite().all()


@pytest.mark.parametrize(
    ("name", "score", "critic", "generator"),
    [
        ("saturating", 0.0, 2 * LOG2, -LOG2),
        ("non_saturating", 0.0, 2 * LOG2, LOG2),
        ("least_squares", 0.5, 0.25, 0.125),
        ("wasserstein", 0.0, 0.0, 0.0),
        ("hinge", 0.0, 2.0, 0.0),
        ("rpgan", 0.0, LOG2, LOG2),
        ("ragan", 0.0, LOG2, LOG2),
        ("rals", 0.0, 1.0, 1.0),
        ("rahinge", 0.0, 1.0, 1.0),
        # the critic's value is D_f(P || P) = f(1), negated; the score is the one with g_f(v) = f'(1)
        ("fgan_kl", 1.0, 0.0, -1.0),
        ("fgan_kl_minimax", 1.0, 0.0, -1.0),
        ("fgan_reverse_kl", 0.0, 0.0, 1.0),
        ("fgan_reverse_kl_minimax", 0.0, 0.0, 1.0),
        ("fgan_gan", 0.0, 2 * LOG2, LOG2),
        ("fgan_gan_minimax", 0.0, 2 * LOG2, -LOG2),
        *((f"fgan_{name}{form}", 0.0, 0.0, 0.0) for name in CENTRED for form in ("", "_minimax")),
    ],
)
def test_equilibrium(name: str, score: float, critic: float, generator: float) -> None:
    scores = torch.full((5,), score, dtype=torch.float64)
    found = both(name, scores, scores)
    torch.testing.assert_close(found[0], torch.full_like(scores, critic))
    torch.testing.assert_close(found[1], torch.full_like(scores, generator))


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("saturating", 0.0),
        ("non_saturating", 0.0),
        ("least_squares", 0.5),
        ("rpgan", 0.0),
        ("fgan_kl", 1.0),
        ("fgan_reverse_kl", 0.0),
        ("fgan_gan", 0.0),
        *((f"fgan_{name}", 0.0) for name in CENTRED),
    ],
)
def test_equilibrium_is_the_critics_optimum_when_both_sides_have_one_score(name: str, score: float) -> None:
    common = torch.full((4,), score, dtype=torch.float64, requires_grad=True)
    loss = losses.CATALOGUE[name].critic(real=common, fake=common).mean()
    (slope,) = torch.autograd.grad(loss, common)
    assert slope.abs().max() < 1e-15
    for other in (score - 0.3, score + 0.3):
        scores = torch.full((4,), other, dtype=torch.float64)
        worse = losses.CATALOGUE[name].critic(real=scores, fake=scores).mean()
        assert worse >= loss.detach() - 1e-15


@pytest.mark.parametrize("name", RELATIVISTIC)
@given(pairs=moderate, constant=st.floats(-50, 50))
def test_relativistic_games_ignore_a_constant_added_to_all_scores(
    name: str, pairs: list[tuple[float, float]], constant: float
) -> None:
    real, fake = float64(pairs).unbind(dim=1)
    for before, after in zip(both(name, real, fake), both(name, real + constant, fake + constant), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(VALUES) - set(RELATIVISTIC)))
def test_other_games_do_not(name: str) -> None:
    real, fake = float64(REAL), float64(FAKE)
    assert (both(name, real + 3, fake + 3)[1] - both(name, real, fake)[1]).abs().max() > 0.01


@given(st.floats(-30, 30))
def test_saturating_and_non_saturating_have_one_critic_and_one_fixed_point(score: float) -> None:
    assert losses.saturating.critic is losses.non_saturating.critic
    slopes = [slope_of_generator(name, score) for name in ("saturating", "non_saturating")]
    # both always push the score up, so both rest only where the critic is flat; the two slopes add up to -1
    assert slopes[0] < 0
    assert slopes[1] < 0
    assert sum(slopes) == pytest.approx(-1, abs=1e-8)


def test_saturating_gradient_vanishes_where_the_critic_wins() -> None:
    assert slope_of_generator("saturating", 0) == slope_of_generator("non_saturating", 0) == -0.5
    assert -1e-4 < slope_of_generator("saturating", -10) < 0
    assert slope_of_generator("non_saturating", -10) == pytest.approx(-1, abs=1e-4)


def slope_of_generator(name: str, score: float) -> float:
    fake = torch.tensor([score], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(losses.CATALOGUE[name].generator(real=None, fake=fake).sum(), fake)
    return slope.item()


@every_loss
def test_uses_real_is_the_truth(name: str) -> None:
    loss = losses.CATALOGUE[name]
    fake = float64(FAKE)
    values = [loss.generator(real=real, fake=fake) for real in (float64(REAL), float64(REAL) * 3 + 1)]
    assert loss.uses_real == (name in RELATIVISTIC)
    if loss.uses_real:
        assert not torch.equal(*values)
        with pytest.raises(ValueError, match="real="):
            loss.generator(real=None, fake=fake)
    else:
        assert torch.equal(*values)
        assert torch.equal(values[0], loss.generator(real=None, fake=fake))


@pytest.mark.parametrize("name", RELATIVISTIC)
def test_relativistic_generator_is_the_critic_with_the_sides_exchanged(name: str) -> None:
    loss = losses.CATALOGUE[name]
    real, fake = float64(REAL), float64(FAKE)
    assert torch.equal(loss.generator(real=real, fake=fake), loss.critic(real=fake, fake=real))


@pytest.mark.parametrize("name", RELATIVISTIC)
def test_gradients_of_relativistic_games_go_through_the_means(name: str) -> None:
    """At scores away from the hinges' kinks; the other formulation's gradients are torch's."""
    for index in (0, 1):
        slopes = []
        for each in (lambda r, f: both(name, r, f), lambda r, f: [formula(r, f) for formula in OTHERWISE[name]]):
            real, fake = (float64(side).requires_grad_() for side in ((2.3, -1.0, 0.25), (-0.7, 3.0, 0.7)))
            slopes.append(torch.cat(torch.autograd.grad(each(real, fake)[index].mean(), (real, fake))))
        torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-9)
        assert slopes[0].sum().abs() < 1e-9  # a constant on all scores changes nothing


@pytest.mark.parametrize("name", RELATIVISTIC)
def test_rpgan_compares_pairs_and_the_average_ones_the_means(name: str) -> None:
    critic = losses.CATALOGUE[name].critic
    real, fake = float64(REAL), float64(FAKE)
    before, after = critic(real=real, fake=fake).mean(), critic(real=real, fake=fake[[1, 2, 0]]).mean()
    assert (before - after).abs().item() > 0.01 if name == "rpgan" else before.item() == pytest.approx(after.item())


def test_the_gan_row_of_the_divergences_is_the_gan() -> None:
    real, fake = float64(REAL), float64(FAKE)
    for name, row in (("non_saturating", "fgan_gan"), ("saturating", "fgan_gan_minimax")):
        for ours, known in zip(both(row, real, fake), both(name, real, fake), strict=True):
            torch.testing.assert_close(ours, known, rtol=1e-15, atol=0)


def test_losses_of_equal_divergences_are_equal() -> None:
    assert losses.fgan(divergences.KL) == losses.fgan_kl != losses.fgan_kl_minimax
    assert losses.fgan_minimax(divergences.KL) == losses.fgan_kl_minimax
    assert len(set(losses.CATALOGUE.values())) == len(losses.CATALOGUE)
