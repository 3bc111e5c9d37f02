"""The GAN of Goodfellow et al. 2014, as the authors' code plays it."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import Order, in_order
from zerosum.game.schedules import geometric, linear
from zerosum.networks import Spec
from zerosum.networks.goodfellow import (
    GoodfellowConvDiscriminator,
    GoodfellowConvGenerator,
    GoodfellowDiscriminator,
    GoodfellowGenerator,
)
from zerosum.networks.labels import CriticLabels
from zerosum.networks.latent import Latent
from zerosum.recipe import SGD, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@inproceedings{goodfellow2014generative,
  title={Generative Adversarial Nets},
  author={Goodfellow, Ian and Pouget-Abadie, Jean and Mirza, Mehdi and Xu, Bing and Warde-Farley, David and
    Ozair, Sherjil and Courville, Aaron and Bengio, Yoshua}, booktitle={NeurIPS}, year={2014}}"""
NUMBERS = "MNIST: 225 +- 2 nats by a Parzen window, a measure that nobody uses any more; there is no FID of that time."
DIFFERENCES = """The generator's last bias starts at zero (there: at the mean picture). CIFAR-10's pictures are in
[-1, 1] (there: normalised in contrast). Labels are the idea of cGAN, not its networks. Samples are of an average of
the weights."""
FORMS = {
    "MNIST": {"resolution": (28, 28)},
    "MNIST, labels": {"resolution": (28, 28), "classes": 10},
    "CIFAR-10, convolutional": {"resolution": (32, 32), "channels": 3, "form": "convolutional"},
}
EPOCH = 50_000  # training pictures of MNIST as they were used
DECAY = 287_823_000  # images until a rate that loses a factor 1.000004 with each 100 of them has lost 1e5


def goodfellow2014(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 1,
    classes: int = 0,
    critic_labels: CriticLabels = "concat",
    form: Literal["mlp", "convolutional"] = "mlp",
    play: Order = "simultaneous",
    critic_turns: int = 1,
    loss: Literal["non_saturating", "saturating"] = "non_saturating",
    width: int | None = None,
    rate: float | None = None,
    batch: int | None = None,
    images: int = 12_500_000,
) -> Recipe:
    """Maxout discriminator with dropout against a rectified generator, both by gradient descent with momentum.

    play=alternating with critic_turns=k is the paper's Algorithm 1, loss=saturating its minimax game; the code moves
    both at once and maximises log D(G(z)). form=convolutional is the one for CIFAR-10. ``width`` (1200) is the
    generator's in the mlp form, of which the discriminator has a fifth. Without ``rate`` and ``batch``:
    .1 and 100, convolutional .004 and 128.
    """
    size, mlp = (*resolution, channels), form == "mlp"
    batch = batch if batch is not None else 100 if mlp else 128
    rate = rate if rate is not None else 0.1 if mlp else 0.004
    if not mlp and width is not None:
        raise ValueError("width is that of form=mlp: the convolutional networks are as published")
    if rate <= 0:
        raise ValueError(f"rate is above 0, not {rate:g}")
    width = 1200 if width is None else width
    generator: Spec
    critic: Spec
    if mlp:
        generator = GoodfellowGenerator(*size, width=width, classes=classes)
        critic = GoodfellowDiscriminator(*size, max(1, width // 5), classes=classes, labels=critic_labels)
    else:
        generator = GoodfellowConvGenerator(*size, classes=classes)
        critic = GoodfellowConvDiscriminator(*size, classes=classes, labels=critic_labels)
    fall = DECAY * max(1, batch) / 100
    momentum = linear(0.5, 0.7, images=250 * EPOCH)
    return Recipe(
        name="goodfellow2014",
        players={
            "generator": PlayerSpec(generator, SGD(geometric(rate, 1e-5 * rate, images=fall), momentum)),
            # the code halves the discriminator's loss
            "critic": PlayerSpec(critic, SGD(geometric(rate / 2, 0.5e-5 * rate, images=fall), momentum)),
        },
        moves=in_order(
            play, Game(losses.CATALOGUE[loss], terms=classifier(classes, critic_labels)), critic_turns=critic_turns
        ),
        latent=Latent(100, "unit-uniform"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
