"""SNGAN (Miyato et al. 2018): every layer of the critic divided by its largest singular value."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import alternating
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
DIFFERENCES = """Pixels are not dequantised (there: noise as wide as a grey level). The vectors of spectral norm move
on once in each turn of the critic. Samples are of an average of the weights (there: of the last ones)."""
FORMS = {
    "CIFAR-10": {"resolution": (32, 32)},
    "CIFAR-10, labels": {"resolution": (32, 32), "classes": 10},
    "48x48": {"resolution": (48, 48)},
    "64x64": {"resolution": (64, 64)},
    "128x128, 1,000 classes": {"resolution": (128, 128), "classes": 1000},
}
# by side: width, the largest multiple in either player, the critic's blocks and halvings, rounds, and the share of them
# after which the rate begins to fall
PUBLISHED = {
    32: (256, 1, 1, 4, 2, 50_000, 0.0),
    48: (64, 8, 16, 5, 4, 50_000, 0.0),
    64: (64, 16, 16, 5, 5, 250_000, 0.8),
    128: (64, 16, 16, 6, 5, 450_000, 8 / 9),
}


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
    images: int | None = None,
) -> Recipe:
    """The hinge game of a residual pair; five turns of the critic a round, and no penalty.

    Published for 32 pixels (``width`` 256 in the generator, half of it in the critic), 48, 64 and 128 (64, up to
    sixteen times as wide at the smallest size). The rate falls to 0 over the budget of 50,000 rounds (from four fifths
    of 250,000 on at 64, eight ninths of 450,000 at 128).
    """
    size, side, count = (*resolution, channels), max(resolution), stages(*resolution).count
    small = side <= 32
    other = 64, 16, 16, count + 1, count, 250_000, 0.8
    wide, most, critic_most, blocks, halvings, rounds, begin = PUBLISHED.get(32 if small else side, other)
    width = wide if width is None else width
    generator = ResNetGenerator(*size, width=width, most=most, classes=classes, labels=generator_labels)
    wide, bias = max(1, width // 2) if small else width, not small or classes > 0
    critic = ResNetCritic(
        *size, wide, critic_most, blocks, halvings, last_bias=bias, classes=classes, labels=critic_labels
    )
    adam = Adam(Ramp(rate, 0.0, begin=begin), beta1=0.0, beta2=0.9)
    game = Game(losses.hinge, terms=classifier(classes, critic_labels))
    return Recipe(
        name="sngan",
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
