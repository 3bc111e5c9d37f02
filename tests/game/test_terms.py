"""Terms against closed forms and literal values; what they remember; what they ask of a critic. float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zerosum.game import losses
from zerosum.game.critic import Output, TorchNoise
from zerosum.game.game import Game
from zerosum.game.schedules import Clock, Ramp
from zerosum.game.terms import (
    AuxiliaryClassifier,
    Consistency,
    FeatureMatching,
    LabelSmoothing,
    LatentConsistency,
    LeCam,
    Term,
)

torch.manual_seed(0)
REAL, FAKE = torch.randn(6, 3, 8, 8, dtype=torch.float64), torch.randn(6, 3, 8, 8, dtype=torch.float64)
WEIGHT = torch.randn(3, 8, 8, dtype=torch.float64) / 10
HEAD = torch.randn(3, 4, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])
TERMS: list[Term] = [
    LabelSmoothing(),
    LeCam(begin=0),
    AuxiliaryClassifier(),
    FeatureMatching(),
    Consistency(),
    Consistency(fake=10.0),
    LatentConsistency(),
]


def critic(x: Tensor) -> Output:
    features = x.mean(dim=(2, 3))
    return Output((torch.tanh(x) * WEIGHT).sum(dim=(1, 2, 3)), features, features @ HEAD)


def nearby(sigma: float) -> Tensor:
    return FAKE + sigma


def losses_of(term: Term, clock: Clock = Clock(), memory=None, fake: Tensor = FAKE):  # noqa: B008 - frozen
    """Both players' results with the term and without."""
    memory = memory or {}
    found = []
    for game in (Game(losses.non_saturating, terms=(term,)), Game(losses.non_saturating)):
        torch.manual_seed(1)
        for side in (game.critic_loss, game.generator_loss):
            found.append(side(critic, real=REAL, fake=fake, labels=LABELS, nearby=nearby, clock=clock, memory=memory))
    return found


def share(term: Term, player: str, **told) -> float:
    """What a term adds to a player's loss."""
    found = losses_of(term, **told)
    own, plain = (found[0], found[2]) if player == "critic" else (found[1], found[3])
    return (own.loss - plain.loss).item()


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.3])
def test_label_smoothing_is_cross_entropy_with_soft_labels(amount):
    found = losses_of(LabelSmoothing(amount))[0].loss
    real, fake = critic(REAL).scores, critic(FAKE).scores
    soft = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - amount))
    torch.testing.assert_close(found, soft + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))
    assert share(LabelSmoothing(amount), "generator") == 0


def test_the_best_critic_under_smoothing_is_the_smoothed_share():
    """On one point with as many reals as fakes the best D is (1 - a) / 2: goodfellow's remark, solved by descent."""
    score = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    game = Game(losses.non_saturating, terms=(LabelSmoothing(0.2),))
    optimizer = torch.optim.LBFGS([score], max_iter=50)

    def closure():
        optimizer.zero_grad()
        x = torch.zeros(1, 1, dtype=torch.float64)
        loss = game.critic_loss(lambda x: score + 0 * x[:, 0], real=x, fake=x).loss
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.sigmoid(score).item() == pytest.approx(0.4, abs=1e-6)


def test_lecam_by_hand():
    memory = {
        "lecam.real": torch.tensor(0.5, dtype=torch.float64),
        "lecam.fake": torch.tensor(-0.2, dtype=torch.float64),
    }
    term = LeCam(weight=0.3, decay=0.9, begin=0)
    found = losses_of(term, memory=memory)[0]
    real, fake = critic(REAL).scores, critic(FAKE).scores
    mean_real = 0.9 * 0.5 + 0.1 * real.mean()
    mean_fake = 0.9 * -0.2 + 0.1 * fake.mean()
    torch.testing.assert_close(found.memory["lecam.real"], mean_real)
    torch.testing.assert_close(found.memory["lecam.fake"], mean_fake)
    away = F.relu(real - mean_fake).square().mean() + F.relu(mean_real - fake).square().mean()
    assert share(term, "critic", memory=memory) == pytest.approx(0.3 * away.item())
    assert share(term, "generator", memory=memory) == 0


def test_lecam_remembers_before_it_acts():
    term = LeCam(begin=10)
    assert share(term, "critic", clock=Clock(round=9)) == 0
    assert share(term, "critic", clock=Clock(round=10)) > 0
    assert losses_of(term)[0].memory["lecam.real"].item() == pytest.approx(0.01 * critic(REAL).scores.mean().item())


def test_weights_as_published():
    """LeCam as in its authors' code, consistency as CR, bCR's critic, and zCR have them."""
    assert LeCam() == LeCam(weight=0.3, decay=0.99, begin=1000)
    assert Consistency() == Consistency(real=10.0, fake=0.0)
    assert LatentConsistency() == LatentConsistency(critic_weight=20.0, generator_weight=0.5, sigma=0.05)


def test_what_is_remembered_carries_no_graph():
    x = REAL.clone().requires_grad_()
    scores = Output(x.sum(dim=(1, 2, 3)))
    found = Game(losses.hinge, terms=(LeCam(begin=0),)).critic_loss(lambda _: scores, real=REAL, fake=FAKE)
    assert found.loss.requires_grad
    assert not any(tensor.requires_grad for tensor in found.memory.values())


def test_memory_of_others_is_kept():
    other = torch.tensor(3.0)
    found = losses_of(LeCam(), memory={"mine": other})
    assert all(result.memory["mine"] is other for result in found)


def test_classifier_by_hand():
    term = AuxiliaryClassifier(real=2.0, fake=0.5, generated=0.1)

    def entropy(x):
        logits = critic(x).logits
        return -logits.log_softmax(1)[torch.arange(6), LABELS].mean().item()

    assert share(term, "critic") == pytest.approx(2 * entropy(REAL) + 0.5 * entropy(FAKE))
    assert share(term, "generator") == pytest.approx(0.1 * entropy(FAKE))


def test_feature_matching_by_hand():
    apart = REAL.mean(dim=(0, 2, 3)) - FAKE.mean(dim=(0, 2, 3))
    assert share(FeatureMatching(3.0), "generator") == pytest.approx(3 * apart.square().sum().item())
    assert share(FeatureMatching(3.0), "critic") == 0


def test_feature_matching_alone():
    game = Game(losses.non_saturating, terms=(FeatureMatching(),), weight=0)
    apart = REAL.mean(dim=(0, 2, 3)) - FAKE.mean(dim=(0, 2, 3))
    found = game.generator_loss(critic, real=REAL, fake=FAKE)
    assert found.loss.item() == pytest.approx(apart.square().sum().item())
    assert game.critic_loss(critic, real=REAL, fake=FAKE).loss.item() > 1  # the critic plays on


def test_consistency_is_zero_where_the_critic_does_not_mind():
    """A mean over all pixels does not see a flip; a constant picture is its own shift."""
    flat = torch.ones_like(REAL)
    game = Game(losses.non_saturating, terms=(Consistency(10, 10),))
    found = game.critic_loss(critic, real=flat, fake=-flat)
    assert found.stats["consistency"].item() == pytest.approx(0, abs=1e-12)
    assert game.critic_loss(critic, real=REAL, fake=FAKE).stats["consistency"].item() > 0.01


def test_consistency_weights_its_batches():
    torch.manual_seed(3)
    both = share(Consistency(10.0, 5.0), "critic")
    assert share(Consistency(10.0, 0.0), "critic") > 0
    assert share(Consistency(0.0, 5.0), "critic") > 0
    assert both > share(Consistency(10.0, 0.0), "critic")
    assert share(Consistency(20.0, 0.0), "critic") == pytest.approx(2 * share(Consistency(10.0, 0.0), "critic"))


def test_consistency_stops_no_gradient():
    """d/dw of (D(x) - D(Tx))^2 has both parts: for D = w * s(x) it is 2 w (s(x) - s(Tx))^2."""
    w = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    game = Game(losses.wasserstein, terms=(Consistency(1.0),))
    found = game.critic_loss(lambda x: w * (x * WEIGHT).sum(dim=(1, 2, 3)), real=REAL, fake=REAL)
    (slope,) = torch.autograd.grad(found.loss, w)
    assert slope.item() == pytest.approx(2 * found.stats["consistency"].item() / 1.7)


def test_latent_consistency_by_hand():
    term = LatentConsistency(20.0, 0.5, sigma=0.05)
    apart = (critic(FAKE).scores - critic(FAKE + 0.05).scores).square().mean()
    assert share(term, "critic") == pytest.approx(20 * apart.item())
    assert share(term, "generator") == pytest.approx(-0.5 * 0.05**2)


def test_no_gradient_reaches_the_generator_in_the_critics_turn():
    moved = FAKE.clone().requires_grad_()
    game = Game(losses.hinge, terms=(LatentConsistency(), Consistency(1.0, 1.0)))
    w = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    found = game.critic_loss(
        lambda x: w * x.sum(dim=(1, 2, 3)), real=REAL, fake=moved, nearby=lambda sigma: moved * (1 + sigma)
    )
    found.loss.backward()
    assert moved.grad is None
    assert w.grad is not None


@pytest.mark.parametrize("term", TERMS, ids=lambda term: type(term).__name__)
def test_every_term(term):
    """Finite, of the loss's kind, named in the stats, and a schedule works where a number does."""
    for own, plain in zip(losses_of(term)[:2], losses_of(term)[2:], strict=True):
        assert own.loss.ndim == 0
        assert torch.isfinite(own.loss)
        names = set(own.stats) - set(plain.stats)
        assert names <= {term.name}
        assert not any(tensor.requires_grad for tensor in own.stats.values())
    both = losses_of(term)
    assert (term.name in both[0].stats) or (term.name in both[1].stats)


@pytest.mark.parametrize(
    ("term", "side", "words"),
    [
        (AuxiliaryClassifier(), "critic_loss", "needs labels"),
        (FeatureMatching(), "generator_loss", "returns Output"),
        (LatentConsistency(), "critic_loss", "nearby"),
    ],
)
def test_what_a_term_needs(term, side, words):
    with pytest.raises(ValueError, match=words):
        getattr(Game(losses.hinge, terms=(term,)), side)(lambda x: x.sum(dim=(1, 2, 3)), real=REAL, fake=FAKE)


def test_weights_follow_schedules():
    ramp = Ramp(0.0, 1.0, "linear", 0, 100, "images")
    half = share(FeatureMatching(ramp), "generator", clock=Clock(images=50))
    assert half == pytest.approx(share(FeatureMatching(0.5), "generator"))


# --- top-k ---


@pytest.mark.parametrize("share_", [0.2, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("name", ["non_saturating", "rpgan", "ragan"])
def test_the_generator_learns_from_the_best_alone(name, share_):
    loss = losses.CATALOGUE[name]
    scores = torch.tensor([0.3, -1.0, 2.0, 0.1, -0.5, 1.0], dtype=torch.float64, requires_grad=True)
    real = torch.linspace(-1, 1, 6, dtype=torch.float64)
    game = Game(loss, top=share_)
    found = game.generator_loss(lambda x: real if x is REAL else scores, real=REAL, fake=FAKE)
    count = max(1, round(share_ * 6))
    each = loss.generator(real=real, fake=scores)
    expected = each[scores.argsort(descending=True)[:count]].mean()
    torch.testing.assert_close(found.loss, expected)
    (slopes,) = torch.autograd.grad(found.loss, scores)
    if name != "ragan":  # there every score enters through the mean
        assert int((slopes != 0).sum()) == count


@pytest.mark.parametrize("share_", [0.0, -0.1, 1.1, math.inf])
def test_impossible_shares(share_):
    with pytest.raises(ValueError, match="share"):
        Game(losses.hinge, top=share_)


def test_terms_with_noise_of_the_draw():
    """The same noise gives the same jitter."""

    class Counting(TorchNoise):
        pass

    game = Game(losses.hinge, terms=(Consistency(),))
    values = []
    for _ in range(2):
        torch.manual_seed(5)
        values.append(game.critic_loss(critic, real=REAL, fake=FAKE, noise=Counting(REAL)).loss)
    assert torch.equal(*values)
