"""DCGAN (Radford, Metz and Chintala 2015), as the article that zerosum starts from plays it."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import alternating
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator, FirstNorm
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.recipe import Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@article{radford2015dcgan,
  title={Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks},
  author={Radford, Alec and Metz, Luke and Chintala, Soumith}, journal={arXiv:1511.06434}, year={2015}}"""
NUMBERS = "CIFAR-10: FID about 48 at best with two turns of the discriminator, then it diverges (StudioGAN's logs)."
DIFFERENCES = """All of the discriminator's convolutions start from DCGAN-tensorflow's truncated normal (the others:
normal). Batch norm's gains start at 1 (the authors' own and PyTorch's examples: normal, 1 +- .02), with an epsilon of
1e-5 (the authors' own: 1e-8). No weight decay (the authors' own: 1e-5). Kernels of 5 pad as TensorFlow does (the
authors' own: 2 on both sides). Labels enter once (DCGAN-tensorflow: at every layer). Samples are of an average of the
weights (there: of the last ones)."""
OWN = {"batch": 128, "width": 128, "kernel": 5, "bias": False, "first_norm": "feature"}
FORMS = {
    "64x64, DCGAN-tensorflow": {"resolution": (64, 64), "kernel": 5, "generator_turns": 2},
    "64x64, the authors' own": {"resolution": (64, 64), **OWN},
    "64x64, PyTorch's examples": {"resolution": (64, 64), "bias": False, "latent": "normal"},
}


def dcgan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "concat",
    width: int = 64,
    kernel: Literal[4, 5] = 4,
    bias: bool = True,
    first_norm: FirstNorm = "channel",
    latent: Literal["uniform", "normal"] = "uniform",
    latent_size: int = 100,
    generator_turns: int = 1,
    rate: float = 2e-4,
    batch: int = 64,
    images: int = 2_000_000,
) -> Recipe:
    """In each round first the discriminator, then the generator on the same z, with the discriminator held still.

    The published variants: kernel=5, generator_turns=2 is DCGAN-tensorflow; kernel=5, width=128, bias=false,
    first_norm=feature, batch=128 the authors' own; bias=false, latent=normal the one of PyTorch's examples.
    """
    size = *resolution, channels
    generator = DCGANGenerator(
        *size, latent_size, width, kernel, bias, first_norm, classes=classes, labels=generator_labels
    )
    critic = DCGANDiscriminator(*size, width, kernel, bias, classes=classes, labels=critic_labels)
    adam = Adam(rate, beta1=0.5, beta2=0.999)
    game = Game(losses.non_saturating, terms=classifier(classes, critic_labels))
    return Recipe(
        name="dcgan",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(game, generator_turns=generator_turns, one_draw=True),
        latent=Latent(latent_size, latent),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
