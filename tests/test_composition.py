"""Combinations that cannot work are refused with the reason, and those that can are not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from torch import Tensor, nn

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import DRAGAN, R1, R2, WGANGP, FiniteDifference
from zerosum.game.rounds import Turn, alternating
from zerosum.game.sight import Sight
from zerosum.game.terms import AuxiliaryClassifier, FeatureMatching, LabelSmoothing
from zerosum.recipe import PlayerSpec, Recipe
from zerosum.recipes import dcgan, modern

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
    "labels in packs": (with_game(LABELLED, Game(losses.hinge), Sight(pack=2)), "several labels"),
    "a batch in packs": (with_game(PLAIN, Game(losses.hinge), Sight(pack=3)), r"batch of 64 .* packs of 3"),
    "channels of packs": (with_game(PLAIN, Game(losses.hinge), Sight(pack=2)), "2 channels, and the critic takes 1"),
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
    "averages across labels": (with_game(LABELLED, Game(losses.ragan)), "across different labels"),
    "the best of an average": (with_game(PLAIN, Game(losses.rahinge, top=0.5)), "top means nothing"),
    "nothing to learn": (with_game(PLAIN, Game(losses.hinge, weight=0)), "teaches it anything"),
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
    "between without batch norm": with_game(PLAIN, Game(losses.wasserstein, (WGANGP(),))),
    "finite differences of plain layers": with_game(PLAIN, Game(losses.hinge, (FiniteDifference("fake", 1.0),))),
    "clipped plain layers": with_critic(PLAIN, Layers("none"), clip=0.1),
    "clipped batch norm": with_critic(BATCH_NORM, BATCH_NORM.players["critic"].net, clip=0.01),
    "packs": critic_of(with_game(PLAIN, Game(losses.hinge), Sight(pack=2)), channels=2),
    "smoothed cross-entropy": with_game(PLAIN, Game(losses.saturating, terms=(LabelSmoothing(),))),
    "features alone": with_game(PLAIN, Game(losses.hinge, terms=(FeatureMatching(),), weight=0)),
    "an unconditional critic of a conditional generator": critic_of(LABELLED, classes=0),
    "draws of their own": dataclasses.replace(
        PLAIN, moves=(PLAIN.moves[0], (Turn("generator", PLAIN.moves[1][0].loss, draw=1, batch=128),))
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_can_work_is_not_refused(name):
    ALLOWED[name].check()


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
