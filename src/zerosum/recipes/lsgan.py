"""LSGAN (Mao et al. 2017): least squares instead of cross-entropy."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import alternating
from zerosum.networks.dcgan import DCGANDiscriminator
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.networks.lsgan import LSGANGenerator
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@inproceedings{mao2017lsgan,
  title={Least Squares Generative Adversarial Networks},
  author={Mao, Xudong and Li, Qing and Xie, Haoran and Lau, Raymond Y. K. and Wang, Zhen and Smolley, Stephen Paul},
  booktitle={ICCV}, year={2017}}"""
NUMBERS = "CIFAR-10 with plain DCGAN networks: FID 40 to 66 at best, then it diverges (StudioGAN's logs)."
DIFFERENCES = """The networks take any size (there: 112x112 alone). Samples are of an average of the weights."""
FORMS = {"112x112": {"resolution": (112, 112)}}


def lsgan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "concat",
    width: int = 64,
    latent_size: int = 1024,
    rate: float = 1e-3,
    batch: int = 64,
    images: int = 10_000_000,
) -> Recipe:
    """Fakes are pulled to 0, reals to 1, and the generator's pictures to 1, by squares of the raw scores.

    The published networks are for 112x112: a deep generator of 3x3 kernels against DCGAN's discriminator of 5x5 ones.
    """
    adam = Adam(rate, beta1=0.5)
    generator = LSGANGenerator(*resolution, channels, latent_size, width, classes=classes, labels=generator_labels)
    critic = DCGANDiscriminator(*resolution, channels, width, kernel=5, classes=classes, labels=critic_labels)
    return Recipe(
        name="lsgan",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(Game(losses.least_squares, terms=classifier(classes, critic_labels))),
        latent=Latent(latent_size, "uniform"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
