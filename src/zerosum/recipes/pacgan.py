"""PacGAN (Lin et al. 2018): the discriminator judges several pictures at once, so that sameness shows."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.game import Game
from zerosum.game.rounds import alternating
from zerosum.game.sight import Sight
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.latent import Latent
from zerosum.recipe import Adam, PlayerSpec, Recipe

CITATION = """@inproceedings{lin2018pacgan,
  title={{PacGAN}: The power of two samples in generative adversarial networks},
  author={Lin, Zinan and Khetan, Ashish and Fanti, Giulia and Oh, Sewoong}, booktitle={NeurIPS}, year={2018}}"""
NUMBERS = "Stacked MNIST, 26,000 samples: 1,000 of 1,000 modes and KL .06 with pack=2; 99 modes and KL 3.4 without."
DIFFERENCES = """The networks are dcgan's, for any size: two layers of 4x4 at 28 pixels (there: four of 5x5). Samples
are of an average of the weights (there: of the last ones)."""
FORMS = {"28x28, pack 2": {"resolution": (28, 28)}, "28x28, pack 4": {"resolution": (28, 28), "pack": 4}}


def pacgan(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    pack: int = 2,
    width: int = 64,
    generator_turns: int = 2,
    rate: float = 2e-4,
    batch: int | None = None,
    images: int = 3_200_000,
) -> Recipe:
    """DCGAN whose discriminator sees ``pack`` pictures, one behind the other in its input's channels.

    Only its first layer knows. A batch is cut into packs, of which there are 64 (``batch`` / ``pack``). No labels: the
    pictures of a pack share one score, which cannot be asked for several of them.
    """
    sight = Sight(pack=pack)
    batch = 64 * pack if batch is None else batch
    adam = Adam(rate, beta1=0.5)
    generator = DCGANGenerator(*resolution, channels, 100, width)
    critic = DCGANDiscriminator(*resolution, pack * channels, width)
    return Recipe(
        name="pacgan",
        players={"generator": PlayerSpec(generator, adam), "critic": PlayerSpec(critic, adam)},
        moves=alternating(Game(losses.non_saturating), generator_turns=generator_turns, one_draw=True, sight=sight),
        latent=Latent(100, "uniform"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        batch=batch,
        images=images,
        citation=CITATION,
    )
