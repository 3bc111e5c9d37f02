"""DRAGAN (Kodali et al. 2017): the slope is held at one around the real pictures alone."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import DRAGAN
from zerosum.game.rounds import alternating
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@article{kodali2017dragan,
  title={On Convergence and Stability of {GAN}s},
  author={Kodali, Naveen and Abernethy, Jacob and Hays, James and Kira, Zsolt}, journal={arXiv:1705.07215},
  year={2017}}"""
NUMBERS = "CIFAR-10: FID 34.7 (StudioGAN)."
DIFFERENCES = """The networks are DCGAN's, for any size. Samples are of an average of the weights."""
FORMS = {"64x64": {"resolution": (64, 64)}}


def dragan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "concat",
    width: int = 64,
    weight: float = 10.0,
    rate: float = 1e-4,
    batch: int = 128,
    images: int = 5_000_000,
) -> Recipe:
    """DCGAN's game and networks with (|slope| - 1)^2 at points near the reals: x + u v std(x) / 2.

    The critic keeps its batch norm: real pictures alone are in that batch.
    """
    adam = Adam(rate, beta1=0.5, beta2=0.9)
    game = Game(losses.non_saturating, (DRAGAN(weight),), classifier(classes, critic_labels))
    generator = DCGANGenerator(*resolution, channels, 100, width, classes=classes, labels=generator_labels)
    critic = DCGANDiscriminator(*resolution, channels, width, classes=classes, labels=critic_labels)
    return Recipe(
        name="dragan",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(game),
        latent=Latent(100, "uniform"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
