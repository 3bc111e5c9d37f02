"""WGAN (Arjovsky et al. 2017): the Wasserstein distance, estimated by a critic whose weights are clipped."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import CriticTurn, GeneratorTurn, Move, Turn
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.recipe import PlayerSpec, Recipe, RMSprop
from zerosum.recipes.labels import classifier

CITATION = r"""@inproceedings{arjovsky2017wgan,
  title={Wasserstein Generative Adversarial Networks},
  author={Arjovsky, Martin and Chintala, Soumith and Bottou, L{\'e}on}, booktitle={ICML}, year={2017}}"""
NUMBERS = "CIFAR-10: FID 107.7 with weight clipping (StudioGAN)."
DIFFERENCES = """DCGAN's networks without biases, for any size (there: 64x64), with its truncated normal in the critic
and gains of 1 at the start (there: normal, the gains 1 +- .02). Samples are of an average of the weights (there: of
the last ones)."""
FORMS = {"64x64": {"resolution": (64, 64)}}
FIRST_ROUNDS, EVERY = 25, 500  # rounds in which the critic has its long turn


def wgan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "concat",
    width: int = 64,
    critic_turns: int = 5,
    long_turns: int = 100,
    clip: float = 0.01,
    rate: float = 5e-5,
    batch: int = 64,
    images: int = 20_000_000,
) -> Recipe:
    """RMSprop, and every weight of the critic within +-``clip``; its negative loss follows the distance.

    The critic moves ``critic_turns`` times a round; ``long_turns`` times in each of the first 25 rounds and in every
    500th. Momentum, Adam's too, makes it unstable.
    """
    if long_turns < critic_turns:
        raise ValueError(f"long_turns is at least critic_turns ({critic_turns}), which means none, not {long_turns}")
    game = Game(losses.wasserstein, terms=classifier(classes, critic_labels))
    critic = CriticTurn(game)
    moves: list[Move] = [(Turn("critic", critic, draw),) for draw in range(critic_turns)]
    for draw in range(critic_turns, long_turns):
        moves.append((Turn("critic", critic, draw, every=EVERY, early=FIRST_ROUNDS),))
    moves.append((Turn("generator", GeneratorTurn(game), draw=len(moves)),))
    descent = RMSprop(rate)
    size = *resolution, channels
    generator = DCGANGenerator(*size, 100, width, bias=False, classes=classes, labels=generator_labels)
    discriminator = DCGANDiscriminator(*size, width, bias=False, classes=classes, labels=critic_labels)
    return Recipe(
        name="wgan",
        players={
            "generator": PlayerSpec(generator, descent),
            "critic": PlayerSpec(discriminator, descent, clip),
        },
        moves=tuple(moves),
        latent=Latent(100, "normal"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        citation=CITATION,
    )
