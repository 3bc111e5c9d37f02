"""Relativistic GANs (Jolicoeur-Martineau 2018): the critic says whether a real picture is more real than a fake one."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import alternating
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.networks.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@inproceedings{jolicoeur2019relativistic,
  title={The relativistic discriminator: a key element missing from standard {GAN}},
  author={Jolicoeur-Martineau, Alexia}, booktitle={ICLR}, year={2019}}"""
NUMBERS = "At the equilibrium both players' losses are log 2 with rpgan and ragan, 1 with rals and rahinge."
DIFFERENCES = """The batch of 32 and the networks are those of one of the paper's settings, for any size. Samples are
of an average of the weights."""
FORMS = {"32x32": {"resolution": (32, 32)}}


def relativistic(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "projection",
    loss: Literal["rpgan", "ragan", "rals", "rahinge"] | None = None,
    width: int = 64,
    rate: float = 2e-4,
    batch: int = 32,
    images: int = 3_200_000,
) -> Recipe:
    """Scores count only against scores of the other side: pair by pair (rpgan) or against their mean (ragan, ...).

    Without ``loss`` it is ragan, and with labels rpgan, since a mean over different labels means little.

    The networks are the plain convolutional ones of the spectral norm paper, one turn each.
    """
    adam = Adam(rate, beta1=0.5, beta2=0.999)
    generator = SNDCGANGenerator(*resolution, channels, width=width, classes=classes, labels=generator_labels)
    critic = SNDCGANDiscriminator(*resolution, channels, width, classes=classes, labels=critic_labels)
    return Recipe(
        name="relativistic",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(
            Game(losses.CATALOGUE[loss or ("rpgan" if classes else "ragan")], terms=classifier(classes, critic_labels))
        ),
        latent=Latent(128, "normal"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
