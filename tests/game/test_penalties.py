"""Penalties against closed forms: linear and quadratic critics, whose slopes are known."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from zerosum.game import losses
from zerosum.game.augment import DiffAugment
from zerosum.game.critic import TorchNoise, slopes_of
from zerosum.game.game import Game
from zerosum.game.penalties import (
    DRAGAN,
    R1,
    R2,
    WGANGP,
    FiniteDifference,
    GradientPenalty,
    Penalty,
)
from zerosum.game.rounds import CriticTurn
from zerosum.game.schedules import START, Clock, Ramp, linear
from zerosum.game.sight import Sight

SIDE = 5  # points live in so many dimensions
A = torch.tensor([0.3, -1.2, 0.5, 2.0, -0.7], dtype=torch.float64)
SQUARED = 0.09 + 1.44 + 0.25 + 4.0 + 0.49
LENGTH = SQUARED**0.5

# a game whose loss is zero: what remains is the penalty
NOTHING = losses.Loss(
    critic=lambda *, real, fake: 0 * (real + fake), generator=lambda *, real, fake: 0 * fake, uses_real=False
)
EVERY_PENALTY = [
    R1(1.0),
    R2(1.0),
    WGANGP(),
    DRAGAN(),
    GradientPenalty("around", 2.0),
    FiniteDifference("real", 1.0),
    FiniteDifference("fake", 1.0),
]
every_penalty = pytest.mark.parametrize("penalty", EVERY_PENALTY, ids=lambda p: f"{type(p).__name__}-{p.at}-{p.weight}")


class Recorder:
    """A critic that notes where it was asked."""

    def __init__(self, critic) -> None:
        self.critic, self.points = critic, []

    def __call__(self, x: Tensor) -> object:
        self.points.append(x.detach().clone())
        return self.critic(x)


class Given:
    """Noise that answers with the tensors it was given, in order."""

    def __init__(self, *answers: Tensor) -> None:
        self.answers = list(answers)

    def uniform(self, *shape: int) -> Tensor:
        answer = self.answers.pop(0)
        assert answer.shape == shape
        return answer

    normal = uniform


def linear_critic(x: Tensor) -> Tensor:
    return x.flatten(1) @ A


def batch(seed: int, count: int = 4, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *(shape or (SIDE,)), dtype=torch.float64, generator=generator)


REAL, FAKE = batch(1), batch(2)


def penalty_of(penalty: Penalty, critic, *, real=REAL, fake=FAKE, noise=None, clock: Clock = START) -> Tensor:
    return Game(NOTHING, (penalty,)).critic_loss(critic, real=real, fake=fake, noise=noise, clock=clock)[0]


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (R1(3.0), 1.5 * SQUARED),
        (R2(3.0), 1.5 * SQUARED),
        (R1(1), 0.5 * SQUARED),
        (GradientPenalty("real", 3.0), 3.0 * SQUARED),
        (GradientPenalty("fake", 0.25), 0.25 * SQUARED),
        (GradientPenalty("between", 7.0), 7.0 * SQUARED),
        (GradientPenalty("real", 7.0, target=0.5), 7.0 * (LENGTH - 0.5) ** 2),
        (WGANGP(), 10 * (LENGTH - 1) ** 2),
        (WGANGP(0.1), 0.1 * (LENGTH - 1) ** 2),
        (DRAGAN(), 10 * (LENGTH - 1) ** 2),
        (DRAGAN(4.0), 4 * (LENGTH - 1) ** 2),
    ],
)
def test_linear_critic(penalty: GradientPenalty, expected: float) -> None:
    assert penalty_of(penalty, linear_critic).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(SIDE,), (1, 1, SIDE), (SIDE, 1, 1)])
def test_any_shape_of_sample(shape: tuple[int, ...]) -> None:
    for penalty in (R1(2.0), R2(2.0), GradientPenalty("between", 1.0), GradientPenalty("around", 1.0)):
        found = penalty_of(penalty, linear_critic, real=batch(1, 4, *shape), fake=batch(2, 4, *shape))
        assert found.item() == pytest.approx(SQUARED, rel=1e-12)


def test_two_penalties_add_up_and_the_loss_is_added_once() -> None:
    game = Game(losses.wasserstein, (R1(3.0), R2(5.0), WGANGP(2.0)))
    loss, stats, _ = game.critic_loss(linear_critic, real=REAL, fake=FAKE)
    plain = (linear_critic(FAKE) - linear_critic(REAL)).mean().item()
    assert stats["game"].item() == pytest.approx(plain)
    assert loss.item() == pytest.approx(plain + 4 * SQUARED + 2 * (LENGTH - 1) ** 2)
    assert stats["loss"].item() == loss.item()
    assert stats["penalty_real"].item() == pytest.approx(SQUARED)
    assert stats["penalty_fake"].item() == pytest.approx(SQUARED)
    assert stats["penalty_between"].item() == pytest.approx((LENGTH - 1) ** 2)


# --- quadratic critic: D(x) = x'Mx / 2 + a'x has the slope Mx + a ---


def quadratic() -> tuple[Tensor, Recorder]:
    half = batch(3, SIDE)
    matrix = half + half.T
    return matrix, Recorder(lambda x: 0.5 * ((x @ matrix) * x).sum(dim=1) + x @ A)


def test_quadratic_critic_at_real_and_fake() -> None:
    matrix, critic = quadratic()
    squared = [(x @ matrix + A).square().sum(dim=1).mean().item() for x in (REAL, FAKE)]
    assert penalty_of(R1(1.0), critic).item() == pytest.approx(0.5 * squared[0], rel=1e-12)
    assert penalty_of(R2(1.0), critic).item() == pytest.approx(0.5 * squared[1], rel=1e-12)


@pytest.mark.parametrize(("penalty", "target"), [(WGANGP(3.0), 1.0), (GradientPenalty("between", 3.0), 0.0)])
def test_quadratic_critic_between(penalty: GradientPenalty, target: float) -> None:
    matrix, critic = quadratic()
    share = torch.tensor([[0.1], [0.9], [0.5], [0.0]], dtype=torch.float64)
    points = (1 - share) * REAL + share * FAKE
    expected = 3 * ((points @ matrix + A).norm(dim=1) - target).square().mean()
    found = penalty_of(penalty, critic, noise=Given(share))
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(critic.points[-1], points)


def test_quadratic_critic_around() -> None:
    matrix, critic = quadratic()
    generator = torch.Generator().manual_seed(7)
    pixels = torch.rand(4, SIDE, dtype=torch.float64, generator=generator)
    share = torch.tensor([[0.1], [0.9], [0.5], [0.0]], dtype=torch.float64)
    points = REAL + share * pixels * REAL.std() / 2
    expected = 10 * ((points @ matrix + A).norm(dim=1) - 1).square().mean()
    assert penalty_of(DRAGAN(), critic, noise=Given(pixels, share)).item() == pytest.approx(expected.item(), rel=1e-12)


def test_slopes_are_each_samples_own() -> None:
    matrix, critic = quadratic()
    found = slopes_of(critic, REAL)
    torch.testing.assert_close(found.slopes, REAL @ matrix + A)
    torch.testing.assert_close(found.scores, critic(REAL))
    torch.testing.assert_close(found.squared_norms(), (REAL @ matrix + A).square().sum(dim=1))


# --- where the slope is taken ---


def test_between_is_on_the_segment_with_one_coefficient_per_sample() -> None:
    torch.manual_seed(0)
    real, fake = batch(4, 200, 3, 4, 2), batch(5, 200, 3, 4, 2)
    critic = Recorder(lambda x: x.flatten(1).sum(dim=1))
    penalty_of(WGANGP(), critic, real=real, fake=fake)
    share = (critic.points[-1] - real) / (fake - real)
    first = share.flatten(1)[:, :1]
    torch.testing.assert_close(share.flatten(1), first.expand(-1, 24), rtol=0, atol=1e-9)
    assert first.min() >= 0
    assert first.max() < 1
    assert len(first.flatten().unique()) == 200
    assert 0.4 < first.mean() < 0.6


def test_around_is_within_half_a_deviation_of_the_reals() -> None:
    torch.manual_seed(0)
    real, fake = 3 * batch(4, 200, 3, 4, 2), batch(5, 200, 3, 4, 2)
    critic = Recorder(lambda x: x.flatten(1).sum(dim=1))
    penalty_of(DRAGAN(), critic, real=real, fake=fake)
    moved = (critic.points[-1] - real).flatten(1) / (real.std() / 2)
    assert moved.min() >= -1e-12
    assert moved.max() < 1
    assert moved.mean() == pytest.approx(0.25, abs=0.05)  # the product of two uniform numbers
    assert moved.std(dim=1).min() > 0  # every pixel its own
    reach = moved.amax(dim=1)
    assert reach.std() > 0.1  # every sample its own


@every_penalty
def test_noise_comes_only_from_the_given_object(penalty: Penalty) -> None:
    class Mine(TorchNoise):
        def uniform(self, *shape: int) -> Tensor:
            return torch.full(shape, 0.5, dtype=torch.float64)

        normal = uniform

    before = torch.get_rng_state()
    penalty_of(penalty, linear_critic, noise=Mine(REAL))
    assert torch.equal(torch.get_rng_state(), before)


# --- gradients of the penalty ---


def test_gradient_at_zero_slope_is_finite() -> None:
    for weight in (torch.zeros(SIDE, dtype=torch.float64), torch.zeros(SIDE)):
        w = weight.clone().requires_grad_()
        x = REAL.to(w.dtype)
        for penalty in (WGANGP(1.0), DRAGAN(1.0), GradientPenalty("real", 1.0, target=1.0)):
            loss = penalty_of(penalty, lambda x, w=w: x @ w, real=x, fake=-x)
            (gradient,) = torch.autograd.grad(loss, w)
            assert loss.item() == pytest.approx(1)
            assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("penalty", "factor"),  # the gradient is so many times a
    [
        (R1(3.0), 3.0),
        (R2(0.2), 0.2),
        (R1(3.0, every=4), 12.0),
        (GradientPenalty("between", 0.7), 1.4),
        (WGANGP(10.0), 20 * (LENGTH - 1) / LENGTH),
        (DRAGAN(2.0), 4 * (LENGTH - 1) / LENGTH),
    ],
)
def test_gradient_for_the_critics_weights_linear(penalty: GradientPenalty, factor: float) -> None:
    w = A.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(penalty_of(penalty, lambda x: x @ w), w)
    torch.testing.assert_close(gradient, factor * A, rtol=1e-12, atol=1e-12)


def test_gradient_for_the_critics_weights_through_a_network() -> None:
    # D(x) = v' tanh(Wx): the slope is W'(v (1 - tanh^2)); its mean square is differentiated without autograd.grad
    v, weight = batch(6, 1, 3)[0], batch(7, 3)

    def slopes(w: Tensor) -> Tensor:
        return (v * (1 - torch.tanh(REAL @ w.T).square())) @ w

    one, two = (weight.clone().requires_grad_() for _ in range(2))
    (found,) = torch.autograd.grad(penalty_of(R1(5.0), lambda x: torch.tanh(x @ one.T) @ v), one)
    (expected,) = torch.autograd.grad(2.5 * slopes(two).square().sum(dim=1).mean(), two)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@every_penalty
def test_no_gradient_reaches_the_generator_nor_the_data(penalty: Penalty) -> None:
    theta = torch.ones(SIDE, dtype=torch.float64, requires_grad=True)
    real = REAL.clone().requires_grad_()
    w = A.clone().requires_grad_()
    game = Game(losses.non_saturating, (penalty,))
    loss, _, _ = game.critic_loss(lambda x: torch.tanh(x) @ w, real=real, fake=theta * FAKE)
    loss.backward()
    assert theta.grad is None
    assert real.grad is None
    assert w.grad is not None


# --- every n-th round, and weights that change ---


@pytest.mark.parametrize("make", [lambda n: R1(3.0, every=n), lambda n: FiniteDifference("fake", 1.5, every=n)])
def test_every_nth_round_and_n_times_as_strong(make) -> None:
    torch.manual_seed(0)
    noise = Given(*[directions(4)] * 5)
    rounds = [penalty_of(make(4), linear_critic, noise=noise, clock=Clock(round=r)).item() for r in range(9)]
    always = penalty_of(make(1), linear_critic, noise=noise, clock=Clock(round=3)).item()
    assert [r for r, found in enumerate(rounds) if found != 0] == [0, 4, 8]
    assert rounds[0] == rounds[4] == rounds[8] == pytest.approx(4 * always)


def test_weights_follow_their_schedule() -> None:
    gamma = linear(4.0, 1.0, images=100)
    assert R1(gamma).weight == Ramp(2.0, 0.5, "linear", 0.0, 100, "images")
    for images, factor in ((0, 2.0), (50, 1.25), (100, 0.5)):
        found = penalty_of(R2(gamma), linear_critic, clock=Clock(images=images)).item()
        assert found == pytest.approx(factor * SQUARED)


# --- the finite-difference twin ---


def directions(count: int = 2 * SIDE) -> Tensor:
    """Noise whose second moment is exactly the identity: with ``SIDE`` rows, or with twice as many, antithetic."""
    basis = SIDE**0.5 * torch.eye(SIDE, dtype=torch.float64)
    return torch.cat([basis, -basis])[:count]


@pytest.mark.parametrize("count", [SIDE, 2 * SIDE])
@pytest.mark.parametrize("sigma", [1.0, 0.01])
def test_finite_difference_of_a_linear_critic_is_exact_in_expectation(sigma: float, count: int) -> None:
    x = REAL[:1].expand(count, -1)
    w = A.clone().requires_grad_()
    found = penalty_of(
        FiniteDifference("real", 0.5, sigma), lambda x: x @ w, real=x, fake=x + 1, noise=Given(directions(count))
    )
    (gradient,) = torch.autograd.grad(found, w)
    assert found.item() == pytest.approx(0.5 * SQUARED, rel=1e-10)
    torch.testing.assert_close(gradient, A, rtol=1e-9, atol=1e-9)


def test_finite_difference_over_normal_draws() -> None:
    torch.manual_seed(0)
    x = REAL[:1].expand(40_000, -1)
    found = penalty_of(FiniteDifference("fake", 1.0), linear_critic, real=x + 1, fake=x)
    assert found.item() == pytest.approx(SQUARED, rel=0.03)  # the standard error is sqrt(2 / 40,000) = .7%


def test_finite_difference_tends_to_the_exact_penalty() -> None:
    critic = lambda x: torch.sin(x @ A) + 0.2 * x.square().sum(dim=1) ** 1.5  # noqa: E731
    x = REAL[:1].expand(2 * SIDE, -1)
    exact = penalty_of(GradientPenalty("real", 1.0), critic, real=x, fake=x).item()
    errors = []
    for sigma in (1e-1, 1e-2, 1e-3):
        twin = FiniteDifference("real", 1.0, sigma)
        found = penalty_of(twin, critic, real=x, fake=x, noise=Given(directions())).item()
        errors.append(abs(found - exact) / exact)
    assert errors[0] > 1e-3  # at this sigma there is something to see
    assert errors[1] == pytest.approx(errors[0] / 100, rel=0.3)  # of order sigma^2
    assert errors[2] == pytest.approx(errors[1] / 100, rel=0.3)


def test_finite_difference_looks_at_its_own_batch() -> None:
    matrix, critic = quadratic()
    for at, x in (("real", REAL), ("fake", FAKE)):
        each = [
            penalty_of(FiniteDifference(at, 1.0, 1e-5), critic, noise=Given(row.expand(4, -1)))
            for row in directions(SIDE)
        ]
        exact = (x @ matrix + A).square().sum(dim=1).mean()
        assert torch.stack(each).mean().item() == pytest.approx(exact.item(), rel=1e-3)


# --- how often the critic is asked, and what it may return ---


@pytest.mark.parametrize(
    ("penalties", "calls"),
    [
        ((), 2),
        ((R1(1.0),), 2),
        ((R1(1.0), R2(1.0)), 2),
        ((WGANGP(),), 3),
        ((DRAGAN(),), 3),
        ((R1(1.0), WGANGP()), 3),
        ((FiniteDifference("real", 1.0),), 3),
        ((FiniteDifference("real", 1.0), FiniteDifference("fake", 1.0)), 4),
        ((R1(1.0, every=2), WGANGP()), 3),
    ],
)
def test_forward_passes(penalties: tuple[Penalty, ...], calls: int) -> None:
    critic = Recorder(linear_critic)
    Game(losses.rpgan, penalties).critic_loss(critic, real=REAL, fake=FAKE)
    assert len(critic.points) == calls


def test_a_penalty_that_rests_costs_nothing() -> None:
    critic = Recorder(linear_critic)
    game = Game(losses.rpgan, (GradientPenalty("between", 1.0, every=3),))
    _, stats, _ = game.critic_loss(critic, real=REAL, fake=FAKE, clock=Clock(round=1))
    assert len(critic.points) == 2
    assert "penalty_between" not in stats


class Output(NamedTuple):
    scores: Tensor
    features: Tensor


@every_penalty
def test_critics_may_return_more_than_scores(penalty: Penalty) -> None:
    game = Game(losses.rpgan, (penalty,))
    values = []
    for critic in (linear_critic, lambda x: Output(linear_critic(x), x)):
        torch.manual_seed(3)
        values.append(game.critic_loss(critic, real=REAL, fake=FAKE)[0].item())
        values.append(game.generator_loss(critic, real=REAL, fake=FAKE)[0].item())
    assert values[:2] == values[2:]


@pytest.mark.parametrize("penalties", [(), (R1(1.0), R2(1.0)), (FiniteDifference("real", 1.0),)])
def test_scores_of_another_shape_are_refused(penalties: tuple[Penalty, ...]) -> None:
    critic = nn.Linear(SIDE, 1, dtype=torch.float64)
    game = Game(losses.rpgan, penalties)
    with pytest.raises(ValueError, match=r"shape \(N,\), not \(4, 1\)"):
        game.critic_loss(critic, real=REAL, fake=FAKE)
    with pytest.raises(ValueError, match=r"shape \(N,\), not \(4, 1\)"):
        game.generator_loss(critic, real=REAL, fake=FAKE)


@pytest.mark.parametrize("shape", [(3, SIDE), (4, SIDE - 1), (4, 1, SIDE)])
def test_real_and_fake_must_have_one_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        Game(losses.hinge).critic_loss(linear_critic, real=REAL, fake=torch.zeros(shape, dtype=torch.float64))


def test_stats_are_detached_scalars() -> None:
    w = A.clone().requires_grad_()
    real, fake = torch.eye(SIDE, dtype=torch.float64), -torch.eye(SIDE, dtype=torch.float64)
    _, stats, _ = Game(losses.hinge, (R1(1.0), WGANGP())).critic_loss(lambda x: x @ w, real=real, fake=fake)
    assert all(tensor.shape == () and not tensor.requires_grad for tensor in stats.values())
    assert stats["real_score"].item() == pytest.approx(A.mean().item())
    assert stats["fake_score"].item() == pytest.approx(-A.mean().item())
    assert stats["real_sign"].item() == pytest.approx(0.2)  # E sign(D), as ADA writes it
    assert stats["fake_sign"].item() == pytest.approx(-0.2)


def test_finite_differences_refuse_augmentation() -> None:
    game = Game(losses.rpgan, (FiniteDifference("real", 1.0),))
    with pytest.raises(ValueError, match="two points"):
        CriticTurn(game, Sight(DiffAugment()))
