"""What a dial of ``compose`` makes of the game and of the networks, literally."""

from __future__ import annotations

import pytest

from zerosum.game import losses
from zerosum.game.augment import DiffAugment
from zerosum.game.game import Game
from zerosum.game.penalties import GradientPenalty
from zerosum.game.sight import Sight
from zerosum.game.terms import (
    AuxiliaryClassifier,
    Consistency,
    FeatureMatching,
    LabelSmoothing,
    LatentConsistency,
    LeCam,
)
from zerosum.recipes import compose

SIZE = (16, 16)


def playing(*terms: object) -> Game:
    return Game(losses.non_saturating, terms=terms)


GAMES = {
    "nothing": ({}, playing()),
    "a loss": ({"loss": "rals"}, Game(losses.rals)),
    "smoothing": ({"smoothing": 0.2}, playing(LabelSmoothing(0.2))),
    "matching alone": ({"matching": 0.5}, Game(losses.non_saturating, terms=(FeatureMatching(0.5),), weight=0.0)),
    "LeCam": ({"lecam": 0.1}, playing(LeCam(0.1, decay=0.99, begin=1000))),
    "CR": ({"consistency": ("real",)}, playing(Consistency(real=10.0, fake=0.0))),
    "bCR": ({"consistency": ("real", "fake")}, playing(Consistency(real=10.0, fake=10.0))),
    "consistency of fakes": ({"consistency": ("fake",)}, playing(Consistency(real=0.0, fake=10.0))),
    "zCR": ({"consistency": ("latent",)}, playing(LatentConsistency(20.0, 0.5, sigma=0.05))),
    "ICR": (
        {"consistency": ("real", "fake", "latent")},
        playing(Consistency(10.0, 10.0), LatentConsistency(20.0, 0.5, 0.05)),
    ),
    "a classifier": ({"classes": 3, "critic_labels": "classifier"}, playing(AuxiliaryClassifier(1.0, 1.0, 1.0))),
    "slopes at the batches": (
        {"penalties": ("r1", "r2"), "weight": 3.0},
        Game(losses.non_saturating, (GradientPenalty("real", 1.5), GradientPenalty("fake", 1.5))),
    ),
    "slopes elsewhere": (
        {"penalties": ("wgan_gp", "dragan")},
        Game(losses.non_saturating, (GradientPenalty("between", 10.0, 1.0), GradientPenalty("around", 10.0, 1.0))),
    ),
}


@pytest.mark.parametrize("name", GAMES)
def test_the_game_of_a_dial(name):
    dials, game = GAMES[name]
    recipe = compose(SIZE, 1, **dials)
    assert {turn.loss.game for move in recipe.moves for turn in move} == {game}


@pytest.mark.parametrize("networks", ["dcgan", "sndcgan", "resnet"])
def test_every_critic_has_the_norm_and_minibatch_layer_that_are_asked_for(networks):
    for norm, minibatch in (("none", "none"), ("layer", "deviation"), ("spectral", "discrimination")):
        recipe = compose(SIZE, 1, 3, networks=networks, norm=norm, minibatch=minibatch, width=8, pack=1)
        net = recipe.players["critic"].net
        assert (net.norm, net.minibatch, net.width, net.classes, net.labels) == (norm, minibatch, 8, 3, "projection")
        generator = recipe.players["generator"].net
        assert (generator.latent, generator.width, generator.classes, generator.labels) == (128, 8, 3, "concat")


def test_what_the_critic_sees():
    recipe = compose(SIZE, 1, augment=("color", "cutout"), strength=0.5, instance_noise=0.1, pack=2)
    sight = Sight(DiffAugment(("color", "cutout"), 0.5), 0.1, 2)
    assert {turn.loss.sight for move in recipe.moves for turn in move} == {sight}
    assert recipe.players["critic"].net.channels == 2
    plain = compose(SIZE, 1)
    assert {turn.loss.sight for move in plain.moves for turn in move} == {Sight(None, 0.0, 1)}
