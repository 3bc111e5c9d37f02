"""The published settings of each recipe as one literal line: from the papers and the authors' code, not from ours."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from zerosum import recipes
from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import GradientPenalty
from zerosum.game.schedules import Clock, value
from zerosum.game.sight import Sight
from zerosum.game.terms import AuxiliaryClassifier
from zerosum.networks.latent import Latent
from zerosum.recipe import SGD, Adam, Recipe, RMSprop


class Play(NamedTuple):
    """A round: its turns by player and draw, and the batches of the critic and of the generator."""

    turns: str
    batches: tuple[int, int] = (64, 64)


class Descent(NamedTuple):
    """An optimizer with its settings, and its rate after so many iterations; ``share`` of it is the critic's rate."""

    optimizer: tuple[Any, ...]
    rates: dict[int, float]
    share: float = 1.0


class Published(NamedTuple):
    """``critic`` and ``generator``: fields of their networks. ``iterations``: the budget, where it was told."""

    recipe: Recipe
    game: Game
    play: Play
    descent: Descent
    latent: Latent
    critic: Mapping[str, Any] = MappingProxyType({"norm": "batch"})
    generator: Mapping[str, Any] = MappingProxyType({"norm": "batch"})
    iterations: int | None = None
    pack: int = 1
    clip: float | None = None


FIVE_AND_ONE = "c0 c1 c2 c3 c4 g5"
ADAM, ADAM_GP = (Adam, 0.5, 0.999, 1e-8), (Adam, 0.0, 0.9, 1e-8)
LIKE_DCGAN = Descent(ADAM, {0: 2e-4, 30_000: 2e-4})
TO_ZERO = Descent(ADAM_GP, {0: 2e-4, 25_000: 1e-4, 40_000: 0.4e-4, 50_000: 0.0})
SLOPE_BETWEEN = GradientPenalty("between", 10.0, target=1.0, every=1)
SLOPE_AROUND = GradientPenalty("around", 10.0, target=1.0, every=1)
UNIFORM, NORMAL = Latent(100, "uniform"), Latent(128, "normal")
GP = Game(losses.wasserstein, (SLOPE_BETWEEN,))
DEEP = {"width": 64, "most": 16, "norm": "spectral", "pool": "sum"}
TABLE = {
    # the rate is divided by 1.000004 after each update until it is 1e-6; the code halves the discriminator's loss
    "Goodfellow et al. 2014, MNIST": Published(
        recipes.goodfellow2014((28, 28)),
        Game(losses.non_saturating),
        Play("c0+g0", (100, 100)),
        Descent((SGD,), {0: 0.1, 100_000: 0.1 / 1.000004**100_000, 10_000_000: 1e-6}, share=0.5),
        Latent(100, "unit-uniform"),
        critic={"width": 240, "input_dropout": 0.2, "dropout": 0.5},
        generator={"width": 1200},
    ),
    "Goodfellow et al. 2014, CIFAR-10": Published(
        recipes.goodfellow2014((32, 32), 3, form="convolutional"),
        Game(losses.non_saturating),
        Play("c0+g0", (128, 128)),
        Descent((SGD,), {0: 0.004}, share=0.5),
        Latent(100, "unit-uniform"),
        critic={"width": 32, "units": 500},
        generator={"width": 80},
    ),
    "DCGAN-tensorflow": Published(
        recipes.dcgan((64, 64), kernel=5, generator_turns=2),
        Game(losses.non_saturating),
        Play("c0 g0 g0"),
        LIKE_DCGAN,
        UNIFORM,
        critic={"width": 64, "kernel": 5, "bias": True, "norm": "batch"},
        generator={"width": 64, "kernel": 5, "bias": True, "norm": "batch", "first_norm": "channel"},
    ),
    "DCGAN, the authors' own": Published(
        recipes.dcgan((64, 64), width=128, kernel=5, bias=False, first_norm="feature", batch=128),
        Game(losses.non_saturating),
        Play("c0 g0", (128, 128)),
        LIKE_DCGAN,
        UNIFORM,
        critic={"width": 128, "kernel": 5, "bias": False, "norm": "batch"},
        generator={"width": 128, "kernel": 5, "bias": False, "norm": "batch", "first_norm": "feature"},
    ),
    "DCGAN, PyTorch's examples": Published(
        recipes.dcgan((64, 64), bias=False, latent="normal"),
        Game(losses.non_saturating),
        Play("c0 g0"),
        LIKE_DCGAN,
        Latent(100, "normal"),
        critic={"width": 64, "kernel": 4, "bias": False, "norm": "batch"},
        generator={"width": 64, "kernel": 4, "bias": False, "norm": "batch", "first_norm": "channel"},
    ),
    "LSGAN, LSUN": Published(
        recipes.lsgan((112, 112)),
        Game(losses.least_squares),
        Play("c0 g1"),
        Descent(ADAM, {0: 1e-3, 100_000: 1e-3}),
        Latent(1024, "uniform"),
        critic={"width": 64, "kernel": 5, "norm": "batch"},
        generator={"width": 64, "norm": "batch"},
    ),
    "f-GAN": Published(
        recipes.fgan((64, 64)),
        Game(losses.fgan_js),
        Play("c0 g1"),
        LIKE_DCGAN,
        UNIFORM,
    ),
    "WGAN": Published(
        recipes.wgan((64, 64)),
        Game(losses.wasserstein),
        Play("c0 c1 c2 c3 c4 g100"),
        Descent((RMSprop, 0.99, 1e-8), {0: 5e-5, 1_000: 5e-5}),
        Latent(100, "normal"),
        critic={"width": 64, "kernel": 4, "bias": False, "norm": "batch"},
        generator={"width": 64, "kernel": 4, "bias": False, "norm": "batch"},
        clip=0.01,
    ),
    "WGAN-GP, CIFAR-10": Published(
        recipes.wgan_gp((32, 32)),
        GP,
        Play(FIVE_AND_ONE, (64, 128)),
        Descent(ADAM_GP, {0: 2e-4, 50_000: 1e-4, 90_000: 0.2e-4, 100_000: 0.0}),
        NORMAL,
        critic={"width": 128, "norm": "none", "pool": "mean", "last_bias": True},
        generator={"width": 128, "norm": "batch"},
        iterations=100_000,
    ),
    "WGAN-GP, CIFAR-10, labels": Published(
        recipes.wgan_gp((32, 32), classes=10),
        Game(losses.wasserstein, (SLOPE_BETWEEN,), (AuxiliaryClassifier(real=1.0, fake=0.0, generated=0.1),)),
        Play(FIVE_AND_ONE, (64, 128)),
        Descent(ADAM_GP, {0: 2e-4, 50_000: 1e-4, 100_000: 0.0}),
        NORMAL,
        critic={"norm": "none", "pool": "mean", "labels": "classifier", "classes": 10},
        generator={"norm": "batch", "labels": "norm", "classes": 10},
        iterations=100_000,
    ),
    "WGAN-GP, CIFAR-10, DCGAN": Published(
        recipes.wgan_gp((32, 32), form="dcgan"),
        GP,
        Play(FIVE_AND_ONE, (64, 64)),
        Descent((Adam, 0.5, 0.9, 1e-8), {0: 1e-4, 199_999: 1e-4}),
        NORMAL,
        critic={"width": 128, "kernel": 5, "norm": "none"},
        generator={"width": 128, "kernel": 5, "norm": "batch", "first_norm": "feature"},
        iterations=200_000,
    ),
    "WGAN-GP, 64x64": Published(
        recipes.wgan_gp((64, 64)),
        GP,
        Play(FIVE_AND_ONE, (64, 64)),
        Descent(ADAM_GP, {0: 1e-4, 199_999: 1e-4}),
        NORMAL,
        critic={"width": 64, "most": 8, "norm": "layer", "pool": "flatten", "inner_bias": False, "last_bias": True},
        generator={"width": 64, "most": 8, "norm": "batch", "inner_bias": False},
        iterations=200_000,
    ),
    "DRAGAN": Published(
        recipes.dragan((64, 64)),
        Game(losses.non_saturating, (SLOPE_AROUND,)),
        Play("c0 g1", (128, 128)),
        Descent((Adam, 0.5, 0.9, 1e-8), {0: 1e-4, 30_000: 1e-4}),
        UNIFORM,
    ),
    "SNGAN, 32x32": Published(
        recipes.sngan((32, 32)),
        Game(losses.hinge),
        Play(FIVE_AND_ONE, (64, 128)),
        TO_ZERO,
        NORMAL,
        critic={"width": 128, "most": 1, "norm": "spectral", "pool": "sum", "last_bias": False},
        generator={"width": 256, "most": 1, "norm": "batch"},
        iterations=50_000,
    ),
    "SNGAN, 32x32, labels": Published(
        recipes.sngan((32, 32), classes=10),
        Game(losses.hinge),
        Play(FIVE_AND_ONE, (64, 128)),
        TO_ZERO,
        NORMAL,
        critic={"norm": "spectral", "pool": "sum", "labels": "projection", "classes": 10},
        generator={"norm": "batch", "labels": "norm", "classes": 10},
        iterations=50_000,
    ),
    "SNGAN, 64x64": Published(
        recipes.sngan((64, 64)),
        Game(losses.hinge),
        Play(FIVE_AND_ONE, (64, 128)),
        Descent(ADAM_GP, {0: 2e-4, 199_999: 2e-4, 225_000: 1e-4, 250_000: 0.0}),
        NORMAL,
        critic=DEEP | {"blocks": 5, "halvings": 5},
        generator={"width": 64, "most": 16},
        iterations=250_000,
    ),
    "SNGAN, 128x128": Published(
        recipes.sngan((128, 128), classes=1000),
        Game(losses.hinge),
        Play(FIVE_AND_ONE, (64, 128)),
        Descent(ADAM_GP, {0: 2e-4, 399_999: 2e-4, 425_000: 1e-4, 450_000: 0.0}),
        NORMAL,
        critic=DEEP | {"blocks": 6, "halvings": 5, "labels": "projection"},
        generator={"width": 64, "most": 16, "labels": "norm"},
        iterations=450_000,
    ),
    "SNDCGAN": Published(
        recipes.sndcgan((32, 32)),
        Game(losses.non_saturating),
        Play("c0 g1"),
        LIKE_DCGAN,
        NORMAL,
        critic={"width": 64, "norm": "spectral"},
        generator={"width": 64, "norm": "batch"},
    ),
    "PacGAN 2": Published(
        recipes.pacgan((28, 28)),
        Game(losses.non_saturating),
        Play("c0 g0 g0", (128, 128)),
        LIKE_DCGAN,
        UNIFORM,
        critic={"channels": 6, "norm": "batch"},
        generator={"channels": 3, "norm": "batch"},
        pack=2,
    ),
    "relativistic, CIFAR-10": Published(
        recipes.relativistic((32, 32)),
        Game(losses.ragan),
        Play("c0 g1", (32, 32)),
        LIKE_DCGAN,
        NORMAL,
        critic={"norm": "spectral"},
    ),
}
every_line = pytest.mark.parametrize("line", TABLE.values(), ids=TABLE)


def turns_of(recipe: Recipe, index: int) -> str:
    """A round's moves: players and draws, those of one move joined by +."""
    played = [[turn for turn in move if turn.is_played(index)] for move in recipe.moves]
    return " ".join("+".join(f"{turn.player[0]}{turn.draw}" for turn in move) for move in played if move)


@every_line
def test_game_and_order_of_play(line):
    recipe, batches = line.recipe, dict(zip(("critic", "generator"), line.play.batches, strict=True))
    turns = [turn for move in recipe.moves for turn in move]
    assert {turn.loss.game for turn in turns} == {line.game}
    assert {turn.loss.sight for turn in turns} == {Sight(augment=None, noise=0.0, pack=line.pack)}
    assert turns_of(recipe, 26) == line.play.turns
    assert {(turn.player, turn.batch or recipe.batch) for turn in turns} == set(batches.items())
    if line.iterations is not None:
        assert recipe.images == line.iterations * line.play.turns.count("c") * batches["critic"]


@every_line
def test_optimizers_and_rates(line):
    seen_in_one = line.play.turns.count("c") * line.play.batches[0]
    for role, player in line.recipe.players.items():
        kind = type(player.optimizer)
        fields = {SGD: (), Adam: ("beta1", "beta2", "eps"), RMSprop: ("decay", "eps")}[kind]
        assert (kind, *(getattr(player.optimizer, name) for name in fields)) == line.descent.optimizer
        assert player.clip == (line.clip if role == "critic" else None)
        for iteration, rate in line.descent.rates.items():
            found = value(player.optimizer.rate, Clock(iteration * seen_in_one, iteration, line.recipe.images))
            share = line.descent.share if role == "critic" else 1.0
            assert found == pytest.approx(share * rate, rel=1e-4, abs=1e-12), (role, iteration)


@every_line
def test_networks_and_latents(line):
    assert line.recipe.latent == line.latent
    for role, fields in (("critic", line.critic), ("generator", line.generator)):
        assert {name: getattr(line.recipe.players[role].net, name) for name in fields} == fields


def test_momentum_of_2014_grows_linearly_over_250_epochs_of_50_000_pictures():
    for player in recipes.goodfellow2014((28, 28)).players.values():
        found = [value(player.optimizer.momentum, Clock(50_000 * epoch)) for epoch in (0, 125, 250, 400)]
        assert found == pytest.approx([0.5, 0.6, 0.7, 0.7])


def test_wgans_critic_has_100_turns_in_the_first_25_rounds_and_in_every_500th():
    recipe = recipes.wgan((64, 64))
    turns = [turns_of(recipe, index).count("c") for index in (0, 1, 24, 25, 26, 499, 500, 501, 1000)]
    assert turns == [100, 100, 100, 5, 5, 5, 100, 5, 100]
