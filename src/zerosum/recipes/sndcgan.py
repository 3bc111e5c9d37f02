"""SNDCGAN: the plain convolutional pair of the spectral norm paper (Miyato et al. 2018), as compare_gan builds it."""

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

CITATION = """@inproceedings{miyato2018sngan,
  title={Spectral Normalization for Generative Adversarial Networks},
  author={Miyato, Takeru and Kataoka, Toshiki and Koyama, Masanori and Yoshida, Yuichi}, booktitle={ICLR}, year={2018}}
@inproceedings{kurach2019compare,
  title={A Large-Scale Study on Regularization and Normalization in {GAN}s},
  author={Kurach, Karol and Lucic, Mario and Zhai, Xiaohua and Michalski, Marcin and Gelly, Sylvain},
  booktitle={ICML}, year={2019}}"""
NUMBERS = "None that was checked at its source."
DIFFERENCES = """Fewer than three halvings where a size allows no more. Samples are of an average of the weights
(there: of the last ones)."""
FORMS = {"32x32": {"resolution": (32, 32)}, "128x128": {"resolution": (128, 128)}}


def sndcgan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "projection",
    width: int = 64,
    critic_turns: int = 1,
    rate: float = 2e-4,
    batch: int = 64,
    images: int = 12_800_000,
) -> Recipe:
    """Convolutions of 3x3 and 4x4 in turn, spectral norm in the discriminator, the non-saturating game.

    One turn each, Adam with momentum .5.
    """
    adam = Adam(rate, beta1=0.5, beta2=0.999)
    generator = SNDCGANGenerator(*resolution, channels, width=width, classes=classes, labels=generator_labels)
    critic = SNDCGANDiscriminator(*resolution, channels, width, classes=classes, labels=critic_labels)
    game = Game(losses.non_saturating, terms=classifier(classes, critic_labels))
    return Recipe(
        name="sndcgan",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(game, critic_turns=critic_turns),
        latent=Latent(128, "normal"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
