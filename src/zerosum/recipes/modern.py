"""The default: a small norm-free residual pair, the game of R3GAN (Huang et al. 2024: RpGAN, R1, R2), DiffAugment."""

from __future__ import annotations

from typing import Literal

from zerosum.game import losses
from zerosum.game.augment import DiffAugment, Kind
from zerosum.game.game import Game
from zerosum.game.penalties import R1, R2
from zerosum.game.rounds import alternating
from zerosum.game.schedules import cosine
from zerosum.game.sight import Sight
from zerosum.networks.latent import Latent
from zerosum.networks.residual import ResidualCritic, ResidualGenerator
from zerosum.recipe import EMA, Adam, PlayerSpec, Recipe

CITATION = """@inproceedings{huang2024r3gan,
  title={The {GAN} is dead; long live the {GAN}! A Modern {GAN} Baseline},
  author={Huang, Nick and Gokaslan, Aaron and Kuleshov, Volodymyr and Tompkin, James}, booktitle={NeurIPS}, year={2024}}
@inproceedings{zhao2020diffaugment,
  title={Differentiable Augmentation for Data-Efficient {GAN} Training},
  author={Zhao, Shengyu and Liu, Zhijian and Lin, Ji and Zhu, Jun-Yan and Han, Song},
  booktitle={NeurIPS}, year={2020}}"""

NUMBERS = "The paper's own networks: CIFAR-10 1.96, FFHQ-64 1.95 (FID); this one's numbers are in results/."
DIFFERENCES = """Networks, DiffAugment, the fall of the rate and gamma's scale are this project's own; the game is
the paper's."""
FORMS = {
    "28x28, 1 channel, 10 classes": {"resolution": (28, 28), "channels": 1, "classes": 10},
    "64x64, width 64": {"resolution": (64, 64), "width": 64},
}


def modern(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int | None = None,
    width: int = 32,
    blocks: int = 1,
    latent_size: int = 64,
    gamma: float | None = None,
    penalty_every: int = 1,
    rate: float = 1e-3,
    final_rate: float = 0.1,
    beta2: float = 0.9,
    augment: tuple[Kind, ...] = ("color", "translation", "cutout"),
    strength: float | None = None,
    fill: float | None = None,
    batch: int = 64,
    ema: float = 20_000.0,
    images: int = 2_000_000,
) -> Recipe:
    """RpGAN + R1 + R2 (both weighted ``gamma`` / 2, each ``penalty_every``-th round), on one draw per round.

    Without ``gamma`` it is a hundredth of the number of pixels, since a slope is a sum over them: 1 to 3 at 12x12 and 5
    to 20 at 28x28 were found to be equally good, while 1 at 28x28 lets the critic run away. The rate falls to
    ``final_rate`` of itself and ``gamma`` to 0.3 of itself by half cosines over the budget (to less, and on small data
    the generator's variety shrinks at the end). A short ``beta2`` bounds a step of Adam at rate / sqrt(1 - beta2): with
    0.99 one sudden gradient threw a run back to nothing. ``augment`` acts with probability ``strength`` (.3; cutout
    and what moves in are ``fill``, 0); ``ema`` is the
    average's half-life in images. With ``classes`` (None: as many as the data have) both players see labels, and every
    generated picture is paired with a real one of its own class.
    """
    gamma = resolution[0] * resolution[1] / 100 if gamma is None else gamma
    classes = classes or 0
    slope = cosine(gamma, 0.3 * gamma)
    game = Game(losses.rpgan, (R1(slope, penalty_every), R2(slope, penalty_every)))
    if (strength, fill) != (None, None) and (not augment or (strength == 0 and fill is not None)):
        raise ValueError("strength and fill say how augment changes pictures, and nothing changes them: leave them out")
    strength = 0.3 if strength is None else strength
    sight = Sight(DiffAugment(augment, strength, fill=fill or 0.0) if augment and strength > 0 else None)
    adam = Adam(cosine(rate, rate * final_rate), beta1=0.0, beta2=beta2)
    return Recipe(
        name="modern",
        players={
            "generator": PlayerSpec(
                ResidualGenerator(*resolution, channels, latent_size, width, blocks, classes), adam
            ),
            "critic": PlayerSpec(ResidualCritic(*resolution, channels, width, blocks, classes), adam),
        },
        moves=alternating(game, one_draw=True, sight=sight),
        latent=Latent(latent_size, "normal"),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        ema=EMA(half_life=ema),
        citation=CITATION,
    )
