"""SNGAN (Miyato et al. 2018): every layer of the critic divided by its largest singular value."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import CriticTurn, GeneratorTurn, Turn
from zerosum.game.schedules import Ramp
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.networks.resnet import ResNetCritic, ResNetGenerator
from zerosum.networks.sizes import stages
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@inproceedings{miyato2018sngan,
  title={Spectral Normalization for Generative Adversarial Networks},
  author={Miyato, Takeru and Kataoka, Toshiki and Koyama, Masanori and Yoshida, Yuichi}, booktitle={ICLR}, year={2018}}
@inproceedings{miyato2018projection,
  title={c{GAN}s with Projection Discriminator}, author={Miyato, Takeru and Koyama, Masanori},
  booktitle={ICLR}, year={2018}}"""
NUMBERS = """CIFAR-10: FID 21.7 in the paper (5,000 samples); 14.2 to 16.8 with 50,000 samples against the training set.
With labels (projection): 17.5 in the paper, 10.8 with 50,000 samples against the training set."""
FORMS = {
    "CIFAR-10": {"resolution": (32, 32)},
    "CIFAR-10, labels": {"resolution": (32, 32), "classes": 10},
    "48x48": {"resolution": (48, 48)},
    "64x64": {"resolution": (64, 64)},
    "128x128, 1,000 classes": {"resolution": (128, 128), "classes": 1000},
}
# by the larger side: width, largest multiple, the critic's blocks, its halvings, when the rate begins to fall
LARGE = {48: (64, 5, 4, 0.0), 64: (64, 5, 5, 0.8), 128: (64, 6, 5, 400 / 450)}


def sngan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "norm",
    critic_labels: CriticLabels = "projection",
    width: int | None = None,
    critic_turns: int = 5,
    rate: float = 2e-4,
    batch: int = 64,
    generator_batch: int = 128,
    mirror: bool = False,
    balanced: bool = False,
    images: int = 16_000_000,
) -> Recipe:
    """The hinge game of a residual pair; five turns of the critic a round, and no penalty.

    Published for 32 (``width`` 256 in the generator, half of it in the critic), 48, 64 and 128 pixels (width 64, up to
    sixteen times as wide at the smallest size). The rate falls to 0 over the budget of 50,000 rounds (from four fifths
    of 250,000 on at 64, eight ninths of 450,000 at 128).
    """
    image_width, image_height = resolution
    side, count = max(resolution), stages(image_width, image_height).count
    small = side <= 32
    wide, blocks, halvings, begin = (256, 4, 2, 0.0) if small else LARGE.get(side, (64, count + 1, count, 0.8))
    width = width or wide
    most = 1 if small else 16
    generator = ResNetGenerator(
        image_width,
        image_height,
        channels,
        width=width,
        most=8 if side == 48 else most,
        classes=classes,
        labels=generator_labels,
    )
    critic = ResNetCritic(
        image_width,
        image_height,
        channels,
        max(1, width // 2) if small else width,
        most,
        blocks,
        halvings,
        last_bias=not small or classes > 0,
        classes=classes,
        labels=critic_labels,
    )
    adam = Adam(Ramp(rate, 0.0, begin=begin), beta1=0.0, beta2=0.9)
    game = Game(losses.hinge, terms=classifier(classes, critic_labels))
    critics = tuple((Turn("critic", CriticTurn(game), draw),) for draw in range(critic_turns))
    return Recipe(
        name="sngan",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=(*critics, (Turn("generator", GeneratorTurn(game), critic_turns, generator_batch),)),
        latent=Latent(128, "normal"),
        width=image_width,
        height=image_height,
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        stats_every=20 * critic_turns * batch,
        mirror=mirror,
        balanced=balanced,
        citation=CITATION,
    )
