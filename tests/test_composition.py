"""Combinations that cannot work are refused with the reason, and those that can are not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import DRAGAN, R1, R2, WGANGP, FiniteDifference
from zerosum.game.rounds import GeneratorTurn, Turn, alternating, in_order
from zerosum.game.schedules import Clock, Ramp, value
from zerosum.game.sight import Sight
from zerosum.game.terms import (
    AuxiliaryClassifier,
    Consistency,
    FeatureMatching,
    LabelSmoothing,
    LatentConsistency,
    LeCam,
)
from zerosum.recipe import SGD, Adam, PlayerSpec, Recipe, RMSprop
from zerosum.recipes import compose, dcgan, goodfellow2014, modern, pacgan, relativistic, sngan, wgan, wgan_gp

SIZE = (16, 16)


def with_game(recipe: Recipe, game: Game, sight: Sight | None = None) -> Recipe:
    return dataclasses.replace(recipe, moves=alternating(game, sight=sight or Sight()))


def with_critic(recipe: Recipe, net: object, clip: float | None = None) -> Recipe:
    old = recipe.players["critic"]
    return dataclasses.replace(recipe, players={**recipe.players, "critic": PlayerSpec(net, old.optimizer, clip)})


def critic_of(recipe: Recipe, **fields: object) -> Recipe:
    return with_critic(recipe, dataclasses.replace(recipe.players["critic"].net, **fields))


BATCH_NORM = dcgan(SIZE, 1)
PLAIN = modern(SIZE, 1)
LABELLED = modern(SIZE, 1, classes=3)
AVERAGES = ("ragan", "rals", "rahinge")


@dataclass(frozen=True)
class Layers:
    """A stranger's critic."""

    layer: str

    def build(self) -> nn.Module:
        kinds = {"norm": nn.BatchNorm1d(256), "none": nn.Identity(), "advancing": Advancing(), "noisy": Noisy()}
        return nn.Sequential(nn.Flatten(), kinds[self.layer], nn.Linear(256, 1), nn.Flatten(0))


class Advancing(nn.Identity):
    def advance(self) -> None:
        pass


class Noisy(nn.Identity):
    noise: Tensor | None = None


REFUSED = {
    "batch norm between": (with_game(BATCH_NORM, Game(losses.wasserstein, (WGANGP(),))), "batch norm makes every"),
    "a stranger's batch norm": (
        with_critic(with_game(PLAIN, Game(losses.hinge, (WGANGP(),))), Layers("norm")),
        "batch norm makes every score",
    ),
    "finite differences of batch norm": (
        with_game(BATCH_NORM, Game(losses.hinge, (FiniteDifference("real", 1.0),))),
        "batch norm and dropout",
    ),
    "finite differences of dropout": (
        with_critic(with_game(PLAIN, Game(losses.hinge, (FiniteDifference("real", 1.0),))), Layers("noisy")),
        "batch norm and dropout",
    ),
    "clipped spectral norm": (with_critic(PLAIN, Layers("advancing"), clip=0.01), "clipping them means nothing"),
    "labels that the generator cannot know": (critic_of(PLAIN, classes=3), "cannot know"),
    "other classes": (critic_of(LABELLED, classes=2), "use the recipe's dial"),
    "labels in packs": (
        critic_of(with_game(LABELLED, Game(losses.hinge), Sight(pack=2)), channels=2),
        "several labels",
    ),
    "a batch in packs": (
        critic_of(with_game(PLAIN, Game(losses.hinge), Sight(pack=3)), channels=3),
        r"batch of 64 .* packs of 3",
    ),
    "channels of packs": (with_game(PLAIN, Game(losses.hinge), Sight(pack=2)), "critic's channels is 1, .* need 2"),
    "two kinds of packs": (
        dataclasses.replace(
            PLAIN,
            moves=(
                *alternating(Game(losses.hinge))[:1],
                *alternating(Game(losses.hinge), sight=Sight(pack=2))[1:],
            ),
        ),
        "channels|one size",
    ),
    "smoothing without labels to smooth": (
        with_game(PLAIN, Game(losses.hinge, terms=(LabelSmoothing(),))),
        "cross-entropy",
    ),
    **{
        f"averages across labels, {name}": (
            with_game(LABELLED, Game(losses.CATALOGUE[name])),
            "across different labels",
        )
        for name in AVERAGES
    },
    **{
        f"the best of an average, {name}": (
            with_game(PLAIN, Game(losses.CATALOGUE[name], top=0.5)),
            "top means nothing",
        )
        for name in AVERAGES
    },
    "nothing to learn": (with_game(PLAIN, Game(losses.hinge, weight=0)), "teaches it anything"),
    "a Wasserstein game that nothing bounds": (with_game(PLAIN, Game(losses.wasserstein)), "scores grow without end"),
    "feature matching bounds nothing": (
        with_game(PLAIN, Game(losses.wasserstein, terms=(FeatureMatching(),))),
        "scores grow without end",
    ),
    "the classifier bounds nothing": (
        with_game(
            critic_of(dcgan(SIZE, 1, classes=3), labels="classifier"),
            Game(losses.wasserstein, terms=(AuxiliaryClassifier(),)),
        ),
        "scores grow without end",
    ),
    "a minibatch of one": (
        dataclasses.replace(critic_of(BATCH_NORM, minibatch="discrimination", norm="none"), batch=1),
        "there is one",
    ),
    "groups that cannot be cut": (
        dataclasses.replace(critic_of(BATCH_NORM, minibatch="deviation"), batch=25),
        "25 cannot be cut",
    ),
    "batch norm of one": (dataclasses.replace(BATCH_NORM, batch=1), "the generator's is of 1"),
    "batch norm of one pack": (
        dataclasses.replace(
            critic_of(with_game(BATCH_NORM, Game(losses.hinge), Sight(pack=2)), channels=2),
            batch=2,
        ),
        "the critic's is of 1",
    ),
    "parts that are not equal": (dataclasses.replace(PLAIN, accumulate=3), "64 cannot be played in 3"),
    "packs in parts": (
        dataclasses.replace(
            critic_of(with_game(PLAIN, Game(losses.hinge), Sight(pack=4)), channels=4),
            accumulate=32,
        ),
        "batch of 2 .* packs of 4",
    ),
    "finite differences in 16 bits": (
        dataclasses.replace(with_game(PLAIN, Game(losses.hinge, (FiniteDifference("fake", 1.0),))), precision="bf16"),
        "rounding of 16 bits",
    ),
    "a stranger's random layers computed again": (
        dataclasses.replace(with_critic(PLAIN, Layers("noisy")), checkpoint=True),
        "the critic would be computed again as a whole, .*: checkpoint=false",
    ),
    "another size": (critic_of(PLAIN, image_height=32), "critic's image_height is 32, .* need 16"),
    "another number of channels": (
        dataclasses.replace(
            PLAIN,
            players={
                **PLAIN.players,
                "generator": PlayerSpec(dataclasses.replace(PLAIN.players["generator"].net, channels=3), Adam()),
            },
        ),
        "generator's channels is 3, .* need 1",
    ),
    "a penalty of nothing bounds nothing": (
        with_game(PLAIN, Game(losses.wasserstein, (WGANGP(0.0),), (Consistency(),))),
        "scores grow without end",
    ),
    "LeCam that never begins": (
        dataclasses.replace(with_game(PLAIN, Game(losses.hinge, terms=(LeCam(),))), images=64_000),
        "begins after 1,000 rounds, and the budget is one of 1,000",
    ),
    "consistency of packs": (
        critic_of(with_game(PLAIN, Game(losses.hinge, terms=(Consistency(),)), Sight(pack=2)), channels=2),
        "as if it were one picture",
    ),
    "a turn's groups that cannot be cut": (
        dataclasses.replace(
            critic_of(BATCH_NORM, minibatch="deviation"),
            moves=alternating(Game(losses.hinge), generator_batch=67),
        ),
        "67 cannot be cut",
    ),
    "two batches on one draw": (
        dataclasses.replace(PLAIN, moves=(PLAIN.moves[0], (PLAIN.moves[1][0]._replace(batch=4),))),
        "batches of 64 and 4",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_the_reason(name):
    recipe, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        recipe.check()


ALLOWED = {
    "as they are": BATCH_NORM,
    "modern": LABELLED,
    "around the reals with batch norm": with_game(BATCH_NORM, Game(losses.non_saturating, (DRAGAN(),))),
    "slopes at the batches with batch norm": with_game(BATCH_NORM, Game(losses.rpgan, (R1(1.0), R2(1.0)))),
    "a bounded Wasserstein game": with_critic(
        with_game(PLAIN, Game(losses.wasserstein)), PLAIN.players["critic"].net, clip=0.01
    ),
    "a Wasserstein game of spectral norm": critic_of(with_game(BATCH_NORM, Game(losses.wasserstein)), norm="spectral"),
    "a Wasserstein game of a stranger's critic": with_critic(
        with_game(PLAIN, Game(losses.wasserstein)), Layers("none")
    ),
    "one picture without batch norm": dataclasses.replace(PLAIN, batch=1),
    "groups of three": dataclasses.replace(critic_of(BATCH_NORM, minibatch="deviation"), batch=9),
    "minibatch layers between, as in progressive GAN": critic_of(
        with_game(BATCH_NORM, Game(losses.wasserstein, (WGANGP(),))), norm="layer", minibatch="deviation"
    ),
    "between without batch norm": with_game(PLAIN, Game(losses.wasserstein, (WGANGP(),))),
    "finite differences of plain layers": with_game(PLAIN, Game(losses.hinge, (FiniteDifference("fake", 1.0),))),
    "a generator's Wasserstein loss against another critic's": dataclasses.replace(
        PLAIN,
        moves=(PLAIN.moves[0], (PLAIN.moves[1][0]._replace(loss=GeneratorTurn(Game(losses.wasserstein))),)),
    ),
    "clipped plain layers": with_critic(PLAIN, Layers("none"), clip=0.1),
    "clipped batch norm": with_critic(BATCH_NORM, BATCH_NORM.players["critic"].net, clip=0.01),
    "packs": critic_of(with_game(PLAIN, Game(losses.hinge), Sight(pack=2)), channels=2),
    "smoothed cross-entropy": with_game(PLAIN, Game(losses.saturating, terms=(LabelSmoothing(),))),
    **{
        f"averages beside a classifier, {name}": relativistic(SIZE, 1, 3, critic_labels="classifier", loss=name)
        for name in AVERAGES
    },
    "the best of pairs": with_game(PLAIN, Game(losses.rpgan, top=0.5)),
    "features alone": with_game(PLAIN, Game(losses.hinge, terms=(FeatureMatching(),), weight=0)),
    "an unconditional critic of a conditional generator": critic_of(LABELLED, classes=0),
    "parts": dataclasses.replace(BATCH_NORM, accumulate=4, precision="bf16"),
    "dropout computed again": dataclasses.replace(goodfellow2014(SIZE, 1), checkpoint=True),
    "a stranger's layers computed again": dataclasses.replace(with_critic(PLAIN, Layers("norm")), checkpoint=True),
    "draws of their own": dataclasses.replace(
        PLAIN, moves=(PLAIN.moves[0], (Turn("generator", PLAIN.moves[1][0].loss, draw=1, batch=128),))
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_can_work_is_not_refused(name):
    ALLOWED[name].check()


MEANINGLESS = {
    "two penalties at one place": (lambda: Game(losses.hinge, (R1(1.0), FiniteDifference("real", 1.0))), "one penalty"),
    "the best of nothing": (lambda: Game(losses.hinge, weight=0, top=0.5), "top means nothing"),
    "a share above one": (lambda: Game(losses.hinge, top=Ramp(1.5, 0.5)), "at most|between 1e-06 and 1"),
    "a negative penalty": (lambda: R1(-1.0), "weight is at least 0, not -0.5"),
    "a negative ramp": (lambda: WGANGP(Ramp(10.0, -1.0)), "weight is at least 0, not -1"),
    "no step": (lambda: FiniteDifference("real", 1.0, sigma=0.0), "above 0"),
    "never": (lambda: FiniteDifference("real", 1.0, every=0), "n >= 1"),
    "negative terms": (lambda: Consistency(real=-1.0), "at least 0"),
    "negative matching": (lambda: FeatureMatching(-1.0), "at least 0"),
    "negative LeCam": (lambda: LeCam(-1.0), "at least 0"),
    "means without an end": (lambda: LeCam(decay=1.5), "at least 0 and below 1"),
    "negative classification": (lambda: AuxiliaryClassifier(fake=-1.0), "at least 0"),
    "negative latents": (lambda: LatentConsistency(sigma=-0.1), "at least 0"),
    "more than smooth": (lambda: LabelSmoothing(0.7), "between 0 and 0.5"),
    "a negative rate": (lambda: Adam(-1e-4), "at least 0"),
    "a rate that ends below nothing": (lambda: RMSprop(Ramp(1e-4, -1e-4)), "at least 0"),
    "too much momentum": (lambda: SGD(0.1, 1.5), "between 0 and 1"),
    "no turns": (lambda: alternating(Game(losses.hinge), critic_turns=0), "critic_turns is at least 1, not 0"),
    "turns at once": (lambda: in_order("simultaneous", Game(losses.hinge), critic_turns=2), "play=alternating"),
    "no long turns": (lambda: wgan(SIZE, 1, long_turns=3), "long_turns is at least critic_turns"),
    "no pack": (lambda: pacgan(SIZE, 1, pack=0), "pack is at least 1, not 0"),
    "no batch": (lambda: goodfellow2014(SIZE, 1, batch=0), "batch is at least 1, not 0"),
    "no turns of a critic": (lambda: wgan_gp(SIZE, 1, critic_turns=0), "critic_turns is at least 1"),
    "a weight of nothing": (lambda: compose(SIZE, 1, weight=1.0), "penalties"),
    "a strength of nothing": (lambda: compose(SIZE, 1, strength=0.5), "augment"),
    "a width of what has none": (lambda: goodfellow2014((17, 17), 1, form="convolutional", width=7), "form=mlp"),
    "how strong nothing is": (lambda: modern(SIZE, 1, augment=(), strength=0.5), "leave them out"),
    "what fills nothing": (lambda: modern(SIZE, 1, strength=0.0, fill=0.5), "leave them out"),
    "a penalty of nothing": (
        lambda: compose(SIZE, 1, penalties=("r1",), weight=0.0),
        "above 0 and says how strong penalties is",
    ),
    "a negative weight": (lambda: compose(SIZE, 1, penalties=("r1",), weight=-1.0), "weight=-1 is not possible"),
    "no share": (lambda: compose(SIZE, 1, top=0.0), "top is between"),
    "an end below nothing": (lambda: compose(SIZE, 1, final_rate=-1.0), "final_rate is at least 0"),
    "early before the start": (
        lambda: dataclasses.replace(PLAIN, moves=((PLAIN.moves[0][0]._replace(early=-1),), PLAIN.moves[1])),
        "early at least 0",
    ),
    "algorithm 1 at once": (lambda: goodfellow2014(SIZE, 1, critic_turns=2), "play=alternating"),
}


@pytest.mark.parametrize("name", MEANINGLESS)
def test_values_that_mean_nothing_are_refused_where_they_are_made(name):
    make, words = MEANINGLESS[name]
    with pytest.raises((ValueError, UserError), match=words):
        make()


def test_zero_is_not_the_default():
    assert compose(SIZE, 1, critic_rate=0.0).players["critic"].optimizer.rate == 0
    with pytest.raises(ValueError, match="rate is above 0, not 0"):
        goodfellow2014(SIZE, 1, rate=0.0)


def test_top_and_rates_fall():
    """Both players' rates over the whole budget, the share of fakes over its first half."""
    recipe = compose(SIZE, 1, top=0.5, final_rate=0.1, rate=1e-3, clip=0.1)
    game = recipe.moves[1][0].loss.game
    shares = [value(game.top, Clock(images, 0, 100)) for images in (0, 25, 50, 100)]
    assert shares == pytest.approx([1, 0.5**0.5, 0.5, 0.5])
    rate = recipe.players["critic"].optimizer.rate
    assert [value(rate, Clock(images, 0, 100)) for images in (0, 50, 100)] == pytest.approx([1e-3, 5.5e-4, 1e-4])
    assert recipe.players["critic"].clip == 0.1
    assert recipe.players["generator"].clip is None


def test_published_batches_and_budgets_go_with_the_form():
    """The generator's batch is twice the critic's for CIFAR-10's ResNet alone (WGAN-GP), and SNGAN's budgets grow."""
    for dials, generator_batch, images in (
        ({"resolution": (32, 32)}, 128, 32_000_000),
        ({"resolution": (64, 64)}, 64, 64_000_000),
        ({"resolution": (32, 32), "form": "dcgan", "batch": 32}, 32, 32_000_000),
    ):
        recipe = wgan_gp(**dials)
        assert (recipe.moves[-1][0].batch, recipe.images) == (generator_batch, images)
    for side, images in ((32, 16_000_000), (48, 16_000_000), (64, 80_000_000), (128, 144_000_000)):
        assert sngan((side, side)).images == images


def test_the_residual_critic_grows_with_the_picture():
    """At every size it halves down to eight pixels or fewer before it sums."""
    for side, blocks, halvings in ((28, 4, 2), (32, 4, 2), (64, 5, 4), (128, 6, 5), (256, 7, 6)):
        net = compose((side, side), networks="resnet").players["critic"].net
        assert (net.blocks, net.halvings) == (blocks, halvings)
        assert side / 2**net.halvings <= 8


def test_a_classifier_and_who_teaches_it():
    """The critic's classifier and the term go together or not at all."""

    @dataclass(frozen=True)
    class Classifying(Layers):
        classes: int = 3
        labels: str = "classifier"

    taught = with_game(LABELLED, Game(losses.hinge, terms=(AuxiliaryClassifier(),)))
    with_critic(taught, Classifying("none")).check()
    with pytest.raises(ValueError, match="nothing teaches"):
        with_critic(LABELLED, Classifying("none")).check()
    with pytest.raises(ValueError, match="labels are 'classifier'"):
        with_critic(taught, Classifying("none", labels="projection")).check()
