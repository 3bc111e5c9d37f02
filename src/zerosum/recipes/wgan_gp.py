"""WGAN-GP (Gulrajani et al. 2017): a critic whose slope between real and generated pictures is held at one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import WGANGP
from zerosum.game.rounds import alternating
from zerosum.game.schedules import Ramp
from zerosum.networks import Spec
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.networks.resnet import ResNetCritic, ResNetGenerator
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@inproceedings{gulrajani2017wgangp,
  title={Improved Training of {W}asserstein {GAN}s},
  author={Gulrajani, Ishaan and Ahmed, Faruk and Arjovsky, Martin and Dumoulin, Vincent and Courville, Aaron},
  booktitle={NeurIPS}, year={2017}}"""
NUMBERS = "CIFAR-10, resnet: FID 29.3 in that time; 22.3 in mimicry (50,000 samples against the training set)."
DIFFERENCES = """Pixels are not dequantised (there: noise as wide as a grey level). The last convolution at 64x64
starts as Glorot's (there: as He's). form=dcgan starts from DCGAN's weights (there: uniform, as He's). Samples are of
an average of the weights (there: of the last ones)."""
FORMS = {
    "CIFAR-10, resnet": {"resolution": (32, 32)},
    "CIFAR-10, resnet, labels": {"resolution": (32, 32), "classes": 10},
    "CIFAR-10, dcgan": {"resolution": (32, 32), "form": "dcgan"},
    "64x64, resnet": {"resolution": (64, 64)},
}


def wgan_gp(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "norm",
    critic_labels: CriticLabels = "classifier",
    form: Literal["resnet", "dcgan"] = "resnet",
    width: int | None = None,
    weight: float = 10.0,
    critic_turns: int = 5,
    rate: float | None = None,
    batch: int = 64,
    generator_batch: int | None = None,
    images: int | None = None,
) -> Recipe:
    """(|slope| - 1)^2 at one point between each real picture and a generated one; no batch norm in the critic.

    form=resnet is the one for CIFAR-10 up to 32 pixels (width 128, generator_batch 128, rate 2e-4 falling to 0 over
    100,000 rounds) and the one for 64x64 above (width 64, layer norm, rate 1e-4); form=dcgan the plain one (width 128,
    rate 1e-4, momentum .5; 200,000 rounds both). With labels the critic classifies (1.0 on reals, .1 for the
    generator).
    """
    size, cifar = (*resolution, channels), form == "resnet" and max(resolution) <= 32
    if width is None:
        width = 64 if form == "resnet" and not cifar else 128
    if rate is None:
        rate = 2e-4 if cifar else 1e-4
    if generator_batch is None:
        generator_batch = 128 if cifar else batch
    rounds = 100_000 if cifar else 200_000
    generator: Spec
    critic: Spec
    if form == "dcgan":
        generator = DCGANGenerator(
            *size, 128, width, kernel=5, first_norm="feature", classes=classes, labels=generator_labels
        )
        critic = DCGANDiscriminator(*size, width, kernel=5, norm="none", classes=classes, labels=critic_labels)
    elif cifar:
        generator = ResNetGenerator(*size, 128, width, classes=classes, labels=generator_labels)
        critic = ResNetCritic(
            *size, width, pool="mean", last_bias=True, norm="none", classes=classes, labels=critic_labels
        )
    else:
        generator = ResNetGenerator(
            *size, 128, width, most=8, inner_bias=False, classes=classes, labels=generator_labels
        )
        large = ResNetCritic(*size, width, most=8, halvings=4, first="conv", pool="flatten", last_bias=True)
        critic = replace(large, inner_bias=False, norm="layer", classes=classes, labels=critic_labels)
    adam = Adam(Ramp(rate, 0.0) if cifar else rate, beta1=0.5 if form == "dcgan" else 0.0, beta2=0.9)
    terms = classifier(classes, critic_labels, fake=0.0, generated=0.1)
    game = Game(losses.wasserstein, (WGANGP(weight),), terms)
    return Recipe(
        name="wgan_gp",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(game, critic_turns=critic_turns, generator_batch=generator_batch),
        latent=Latent(128, "normal"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images if images is not None else rounds * critic_turns * batch,
        citation=CITATION,
    )
