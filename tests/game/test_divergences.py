"""The f-divergences: against the printed table, Fenchel's duality, the best critic in theory, and at large scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from divergence_table import TABLE
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import wrightomega
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from zerosum.game import losses
from zerosum.game.divergences import CATALOGUE, JEFFREY, Elementwise

every = pytest.mark.parametrize("name", list(CATALOGUE))
SMOOTH = [name for name in CATALOGUE if name != "total_variation"]
LARGEST = torch.finfo(torch.float32).max
SCORES = [-1e4, -80.0, -20.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 20.0, 80.0, 1e4]


def float64(values: object, *, grad: bool = False) -> Tensor:
    return torch.as_tensor(np.array(values, dtype=np.float64)).requires_grad_(grad)


def slope(function: Elementwise, x: Tensor, *, order: int = 1) -> Tensor:
    """The derivative of an elementwise function by autograd."""
    x = x.detach().requires_grad_()
    y = function(x)
    for _ in range(order):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True, materialize_grads=True)
        y = y + 0 * x  # a constant derivative has no graph
    return y.detach()


def test_the_catalogue_is_the_table() -> None:
    assert list(CATALOGUE) == list(TABLE)
    with pytest.raises(TypeError):
        CATALOGUE["mine"] = JEFFREY  # type: ignore[index]


# --- against the table ---


@every
@given(v=st.floats(-6, 6), log_u=st.floats(-6, 6))
def test_functions_are_the_printed_ones(name: str, v: float, log_u: float) -> None:
    found, row = CATALOGUE[name], TABLE[name]
    u, score = float64(math.exp(log_u)), float64(v)
    t = row.activation(score.numpy())
    pairs = [
        (found.f(u), row.f(u.numpy())),
        (found.activation(score), t),
        (found.conjugate(float64(t)), row.conjugate(t)),
        (found.composition(score), row.conjugate(t)),
        (found.composition(score), row.composition(score.numpy())),
    ]
    for ours, printed in pairs:
        assert ours.item() == pytest.approx(float(printed), rel=1e-9, abs=1e-11)


@every
def test_values_and_slopes_at_one(name: str) -> None:
    one = torch.ones((), dtype=torch.float64)
    assert CATALOGUE[name].f(one).item() == pytest.approx(TABLE[name].at_one, abs=1e-15)
    assert CATALOGUE[name].derivative(one).item() == pytest.approx(TABLE[name].slope_at_one, abs=1e-15)


@every
def test_derivative_is_that_of_f_which_is_convex(name: str) -> None:
    u = float64(np.logspace(-4, 4, 200))
    found = CATALOGUE[name]
    torch.testing.assert_close(found.derivative(u), slope(found.f, u), rtol=1e-8, atol=1e-8)
    assert (found.derivative(u).diff() >= 0).all()
    assert (found.derivative(u).diff() > 0).all() == (name in SMOOTH)


@every
def test_f_keeps_its_digits_in_float32_over_all_ratios(name: str) -> None:
    u = torch.logspace(-30, 6 if name in ("js", "gan") else 18, 200)  # beyond, the printed forms of these cancel
    expected = float64(TABLE[name].f(u.double().numpy()))
    torch.testing.assert_close(CATALOGUE[name].f(u).double(), expected, rtol=1e-5, atol=1e-6)


@every
def test_activation_increases_and_maps_all_numbers_onto_the_domain(name: str) -> None:
    low, high = TABLE[name].domain
    v = torch.linspace(-15, 15, 2001, dtype=torch.float64)
    t = CATALOGUE[name].activation(v)
    assert (t.diff() > 0).all()
    assert low < t.min()
    assert t.max() < high
    ends = CATALOGUE[name].activation(float64([-700.0, 700.0])).tolist()
    for end, limit in zip(ends, (low, high), strict=True):
        assert end == pytest.approx(limit, abs=1e-12) or (math.isinf(limit) and math.copysign(1, limit) * end >= 600)


def test_f_of_the_gan_at_large_ratios() -> None:
    u = torch.tensor([1e9, 1e18, 1e30])
    torch.testing.assert_close(CATALOGUE["gan"].f(u), -1 - u.log())
    torch.testing.assert_close(CATALOGUE["js"].f(u), u * math.log(2) - (u / 2).log() - 1)


# --- Fenchel's duality ---


@every
@pytest.mark.parametrize("v", [-2.5, -0.7, 0.0, 0.4, 2.0])
def test_conjugate_is_the_largest_gap_under_the_line(name: str, v: float) -> None:
    found = CATALOGUE[name]
    t = found.activation(float64(v))
    low = -10.0 if name == "pearson" else 1e-9  # Pearson's f is taken on the whole line
    best = minimize_scalar(
        lambda u: (found.f(float64(u)) - t * u).item(), bounds=(low, 400.0), method="bounded", options={"xatol": 1e-10}
    )
    assert -best.fun == pytest.approx(found.conjugate(t).item(), abs=1e-6)


@every
@pytest.mark.parametrize("u", [0.05, 0.6, 1.0, 1.7, 6.0])
def test_the_conjugate_of_the_conjugate_is_f_and_is_reached_at_its_slope(name: str, u: float) -> None:
    found = CATALOGUE[name]

    def below(v: float) -> float:
        score = float64(v)
        return (found.composition(score) - u * found.activation(score)).item()

    best = minimize_scalar(below, bounds=(-25, 25), method="bounded", options={"xatol": 1e-10})
    assert -best.fun == pytest.approx(found.f(float64(u)).item(), abs=1e-8)
    if not (name == "total_variation" and u == 1.0):  # there any t is as good
        reached = found.activation(float64(best.x)).item()
        assert reached == pytest.approx(found.derivative(float64(u)).item(), abs=1e-4)


@pytest.mark.parametrize("name", SMOOTH)
def test_slope_of_the_conjugate_is_the_inverse_of_the_slope_of_f(name: str) -> None:
    u = float64(np.logspace(-2, 2, 50))
    torch.testing.assert_close(slope(CATALOGUE[name].conjugate, CATALOGUE[name].derivative(u)), u)


# --- the best critic, on a few points ---


def negative_value(name: str, scores: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """E over x ~ p and y ~ q of the critic's loss, with a score at each point."""
    real, fake = torch.meshgrid(scores, scores, indexing="ij")
    each = losses.CATALOGUE[f"fgan_{name}"].critic(real=real.flatten(), fake=fake.flatten()).view_as(real)
    return p @ each @ q


def trained(name: str, p: Tensor, q: Tensor) -> Tensor:
    """Free scores at each point after training."""
    scores = torch.zeros_like(p, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=1000, tolerance_grad=1e-11, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = negative_value(name, scores, p, q)
        loss.backward()
        return loss

    optimizer.step(closure)
    return scores.detach()


weights = st.lists(st.floats(0.1, 1), min_size=6, max_size=6).map(lambda w: torch.tensor(w, dtype=torch.float64))


@every
@settings(max_examples=5, deadline=None)
@given(p=weights, q=weights, other=st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_best_critic_its_value_and_the_bound(name: str, p: Tensor, q: Tensor, other: list[float]) -> None:
    p, q = p / p.sum(), q / q.sum()
    found, row = CATALOGUE[name], TABLE[name]
    divergence = (q @ found.f(p / q)).item()
    assert divergence == pytest.approx(float(row.distance(p.numpy(), q.numpy())), abs=1e-12)
    assert -negative_value(name, float64(other), p, q).item() <= divergence + 1e-12
    if name in SMOOTH:
        closed = float64(row.best((p / q).numpy()))
        scores = trained(name, p, q)
        torch.testing.assert_close(scores, closed, rtol=0, atol=1e-5)
        torch.testing.assert_close(found.activation(scores), found.derivative(p / q), rtol=0, atol=1e-5)
    else:
        closed = 40 * (p - q).sign()  # not reached by any finite score
    assert -negative_value(name, closed, p, q).item() == pytest.approx(divergence, abs=1e-12)
    torch.testing.assert_close(found.activation(closed), found.derivative(p / q), rtol=1e-12, atol=1e-12)


@every
def test_minimax_generator_descends_the_divergence_under_the_best_critic(name: str) -> None:
    """d D_f(P || Q) / dQ is -f*(T*) at every point: the envelope of the bound."""
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    q = torch.tensor([0.4, 0.25, 0.2, 0.15], dtype=torch.float64, requires_grad=True)
    found = CATALOGUE[name]
    (expected,) = torch.autograd.grad((q * found.f(p / q)).sum(), q)
    best = float64(np.clip(TABLE[name].best((p / q.detach()).numpy()), -40, 40))
    each = losses.CATALOGUE[f"fgan_{name}_minimax"].generator(real=None, fake=best)
    torch.testing.assert_close(each, expected)


# --- large scores, derivatives, no host reads ---


@every
@pytest.mark.parametrize("part", ["activation", "composition"])
def test_float32_is_finite_and_right_wherever_the_value_is_representable(name: str, part: str) -> None:
    scores = np.array(SCORES)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        expected = getattr(TABLE[name], part)(scores)
    known = np.isfinite(expected) & (np.abs(expected) < LARGEST)
    assert known[1:-1].all()  # up to +-80 always
    assert known.sum() >= len(scores) - 1
    v = torch.tensor(scores[known], dtype=torch.float32)
    function = getattr(CATALOGUE[name], part)
    torch.testing.assert_close(
        function(v), torch.tensor(expected[known], dtype=torch.float32), rtol=1e-5, atol=1e-6, check_dtype=True
    )
    for order in (1, 2):
        assert slope(function, v, order=order).isfinite().all()


@every
def test_second_derivatives(name: str) -> None:
    found = CATALOGUE[name]
    v = float64([-4.0, -0.3, 0.0, 0.9, 5.0], grad=True)
    t = found.activation(v).detach().requires_grad_()
    u = float64([0.1, 0.8, 1.3, 4.0], grad=True)
    for function, x in (
        (found.activation, v),
        (found.composition, v),
        (found.conjugate, t),
        (found.f, u),
    ):
        assert torch.autograd.gradcheck(function, (x,))
        assert torch.autograd.gradgradcheck(function, (x,))


def test_jeffrey_solves_for_the_wright_omega_function_everywhere() -> None:
    """f* = 1 / w - log w - 1 and f*' = 1 / w; t itself for small t, with all its digits."""
    t = float64(np.concatenate([-np.logspace(6, -3, 300), np.logspace(-3, math.log10(600), 300)]))
    w = wrightomega(1 - t.numpy())
    torch.testing.assert_close(JEFFREY.conjugate(t), float64(1 / w - np.log(w) - 1), rtol=1e-11, atol=0)
    torch.testing.assert_close(slope(JEFFREY.conjugate, t), float64(1 / w), rtol=1e-12, atol=0)
    torch.testing.assert_close(slope(JEFFREY.conjugate, t, order=2), float64(1 / (w * (1 + w))), rtol=1e-12, atol=0)
    small = torch.tensor([-1e-6, 1e-6, 1e-20])
    torch.testing.assert_close(JEFFREY.conjugate(small), small, rtol=1e-6, atol=0)


def test_jeffrey_has_a_third_derivative_too() -> None:
    t = float64([-3.0, 0.0, 2.0])
    w = wrightomega(1 - t.numpy())
    expected = (1 + 2 * w) / (w * (1 + w) ** 3)
    torch.testing.assert_close(slope(JEFFREY.conjugate, t, order=3), float64(expected))


@every
def test_no_host_reads(name: str) -> None:
    found = CATALOGUE[name]
    with FakeTensorMode():
        v = torch.zeros(7, requires_grad=True)
        u = torch.ones(7, requires_grad=True)
        outputs = [found.activation(v), found.composition(v), found.conjugate(found.activation(v))]
        outputs += [found.f(u), found.derivative(u)]
        first = torch.autograd.grad(sum(outputs).sum(), (u, v), create_graph=True)
        (first[0].square().sum() + first[1].square().sum()).backward()
        assert v.grad is not None
        assert v.grad.shape == (7,)
