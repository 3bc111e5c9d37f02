"""f-GAN (Nowozin et al. 2016): every f-divergence is a game."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import alternating
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@inproceedings{nowozin2016fgan,
  title={f-{GAN}: Training Generative Neural Samplers using Variational Divergence Minimization},
  author={Nowozin, Sebastian and Cseke, Botond and Tomioka, Ryota}, booktitle={NeurIPS}, year={2016}}"""
NUMBERS = "None is comparable: the paper compares by Parzen windows, and on LSUN by eye."
DIFFERENCES = """The networks are DCGAN's (there: perceptrons on MNIST, and others on LSUN). Samples are of an
average of the weights."""
FORMS = {"64x64": {"resolution": (64, 64)}}
Divergence = Literal["kl", "reverse_kl", "pearson", "neyman", "hellinger", "jeffrey", "js", "gan", "total_variation"]


def fgan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "concat",
    divergence: Divergence = "js",
    form: Literal["practical", "minimax"] = "practical",
    width: int = 64,
    rate: float = 2e-4,
    batch: int = 64,
    images: int = 2_000_000,
) -> Recipe:
    """The critic estimates a divergence of the two distributions from below, the generator makes it small.

    form=practical maximises g(V(G(z))) instead of minimising the conjugate, as the paper does against weak gradients.
    The networks are DCGAN's. gan and js are nearly the same game. Only pearson, js,
    gan and total_variation are free of exponentials, which overflow where a player is far ahead.
    """
    adam = Adam(rate, beta1=0.5)
    loss = losses.CATALOGUE[f"fgan_{divergence}" + ("_minimax" if form == "minimax" else "")]
    generator = DCGANGenerator(*resolution, channels, 100, width, classes=classes, labels=generator_labels)
    critic = DCGANDiscriminator(*resolution, channels, width, classes=classes, labels=critic_labels)
    return Recipe(
        name="fgan",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(Game(loss, terms=classifier(classes, critic_labels))),
        latent=Latent(100, "uniform"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
