"""WGAN-GP (Gulrajani et al. 2017): a critic whose slope between real and generated pictures is held at one."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.penalties import WGANGP
from zerosum.game.rounds import CriticTurn, GeneratorTurn, Turn
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
    generator_batch: int = 128,
    mirror: bool = False,
    balanced: bool = False,
    images: int = 32_000_000,
) -> Recipe:
    """(|slope| - 1)^2 at one point between each real picture and a generated one; no batch norm in the critic.

    form=resnet is the one for CIFAR-10 up to 32 pixels and the one for 64x64 above (with layer norm), whose ``width``
    are 128 and 64; form=dcgan the plain one (width 128, no decay, momentum .5). The rate falls to 0 over the budget of
    100,000 rounds. With labels the critic classifies (1.0 on reals, .1 for the generator).
    """
    size = *resolution, channels
    small = max(resolution) <= 32
    width = width or (128 if small or form == "dcgan" else 64)
    generator: Spec
    critic: Spec
    if form == "dcgan":
        generator = DCGANGenerator(
            *size, 128, width, kernel=5, first_norm="feature", classes=classes, labels=generator_labels
        )
        critic = DCGANDiscriminator(*size, width, kernel=5, norm="none", classes=classes, labels=critic_labels)
        adam = Adam(rate or 1e-4, beta1=0.5, beta2=0.9)
    else:
        most = 1 if small else 8
        generator = ResNetGenerator(*size, 128, width, most, inner_bias=small, classes=classes, labels=generator_labels)
        critic = ResNetCritic(
            *size,
            width,
            most,
            halvings=2 if small else 4,
            first="block" if small else "conv",
            pool="mean" if small else "flatten",
            inner_bias=small,
            last_bias=True,
            norm="none" if small else "layer",
            classes=classes,
            labels=critic_labels,
        )
        adam = Adam(Ramp(rate or 2e-4, 0.0) if small else rate or 1e-4, beta1=0.0, beta2=0.9)
    terms = classifier(classes, critic_labels, fake=0.0, generated=0.1)
    game = Game(losses.wasserstein, (WGANGP(weight),), terms)
    critics = tuple((Turn("critic", CriticTurn(game), draw),) for draw in range(critic_turns))
    return Recipe(
        name="wgan_gp",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=(*critics, (Turn("generator", GeneratorTurn(game), critic_turns, generator_batch),)),
        latent=Latent(128, "normal"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        stats_every=20 * critic_turns * batch,
        mirror=mirror,
        balanced=balanced,
        citation=CITATION,
    )
