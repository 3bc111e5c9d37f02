"""Any loss with any penalties, networks and terms: one's own combination on one line."""

from __future__ import annotations

from typing import Literal

from zerosum.errors import UserError, did_you_mean
from zerosum.game import losses
from zerosum.game.augment import DiffAugment, Kind
from zerosum.game.game import Game
from zerosum.game.penalties import DRAGAN, R1, R2, WGANGP, Penalty
from zerosum.game.rounds import alternating, simultaneous
from zerosum.game.sight import Sight
from zerosum.game.terms import Consistency, FeatureMatching, LabelSmoothing, LatentConsistency, LeCam, Term
from zerosum.networks import Spec
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.networks.minibatch import Minibatch
from zerosum.networks.norms import CriticNorm
from zerosum.networks.resnet import ResNetCritic, ResNetGenerator
from zerosum.networks.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from zerosum.recipe import EMA, Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@misc{zerosum,
  title={zerosum}, note={the parts have citations of their own: see the recipe of each}, year={2026}}"""
NUMBERS = "Yours."
FORMS = {f"64x64, {name}": {"resolution": (64, 64), "networks": name} for name in ("dcgan", "sndcgan", "resnet")}
PENALTIES = {"r1": R1, "r2": R2, "wgan_gp": WGANGP, "dragan": DRAGAN}


def compose(
    resolution: tuple[int, int],
    channels: Literal[1, 3, 4] = 3,
    classes: int = 0,
    generator_labels: GeneratorLabels = "concat",
    critic_labels: CriticLabels = "projection",
    networks: Literal["dcgan", "sndcgan", "resnet"] = "dcgan",
    norm: CriticNorm = "none",
    minibatch: Minibatch = "none",
    width: int = 64,
    loss: str = "non_saturating",
    penalties: tuple[Literal["r1", "r2", "wgan_gp", "dragan"], ...] = (),
    weight: float = 10.0,
    smoothing: float = 0.0,
    matching: float = 0.0,
    lecam: float = 0.0,
    consistency: tuple[Literal["real", "fake", "latent"], ...] = (),
    top: float = 1.0,
    augment: tuple[Kind, ...] = (),
    strength: float = 1.0,
    instance_noise: float = 0.0,
    pack: int = 1,
    play: Literal["alternating", "simultaneous"] = "alternating",
    critic_turns: int = 1,
    generator_turns: int = 1,
    one_draw: bool = False,
    latent: Literal["uniform", "normal"] = "normal",
    latent_size: int = 128,
    rate: float = 2e-4,
    critic_rate: float | None = None,
    beta1: float = 0.5,
    beta2: float = 0.999,
    ema: float = 10_000.0,
    batch: int = 64,
    mirror: bool = False,
    balanced: bool = False,
    images: int = 2_000_000,
) -> Recipe:
    """Losses by their catalogue's names, penalties r1, r2 (gamma) and wgan_gp, dragan (lambda) with one ``weight``.

    ``consistency`` in the real pictures (CR), the fake ones too (bCR) and the latents (zCR) with the papers' weights;
    ``matching`` 1 leaves the generator feature matching alone. ``top``: the share of fakes that it learns from.
    """
    if loss not in losses.CATALOGUE:
        raise UserError(f"loss={loss}: there is no loss of that name{did_you_mean(loss, losses.CATALOGUE)}.")
    image_width, image_height = resolution
    size = (image_width, image_height)
    wide = pack * channels
    generator: Spec
    critic: Spec
    match networks:
        case "dcgan":
            generator = DCGANGenerator(*size, channels, latent_size, width, classes=classes, labels=generator_labels)
            critic = DCGANDiscriminator(
                *size, wide, width, norm=norm, minibatch=minibatch, classes=classes, labels=critic_labels
            )
        case "sndcgan":
            generator = SNDCGANGenerator(*size, channels, latent_size, width, classes=classes, labels=generator_labels)
            critic = SNDCGANDiscriminator(*size, wide, width, norm, minibatch, classes, critic_labels)
        case "resnet":
            generator = ResNetGenerator(
                *size, channels, latent_size, width, most=8, classes=classes, labels=generator_labels
            )
            critic = ResNetCritic(
                *size,
                wide,
                width,
                most=8,
                last_bias=True,
                norm=norm,
                minibatch=minibatch,
                classes=classes,
                labels=critic_labels,
            )
    slopes: tuple[Penalty, ...] = tuple(PENALTIES[name](weight) for name in penalties)
    terms: list[Term] = [*classifier(classes, critic_labels)]
    terms += [LabelSmoothing(smoothing)] if smoothing else []
    terms += [FeatureMatching(matching)] if matching else []
    terms += [LeCam(lecam)] if lecam else []
    if {"real", "fake"} & set(consistency):
        terms += [Consistency(10.0 if "real" in consistency else 0.0, 10.0 if "fake" in consistency else 0.0)]
    terms += [LatentConsistency()] if "latent" in consistency else []
    game = Game(losses.CATALOGUE[loss], slopes, tuple(terms), top, weight=0.0 if matching else 1.0)
    sight = Sight(DiffAugment(augment, strength) if augment else None, instance_noise, pack)
    moves = simultaneous(game, sight=sight)
    if play == "alternating":
        moves = alternating(
            game, critic_turns=critic_turns, generator_turns=generator_turns, one_draw=one_draw, sight=sight
        )
    return Recipe(
        name="compose",
        players={
            "generator": PlayerSpec(generator, Adam(rate, beta1, beta2)),
            "critic": PlayerSpec(critic, Adam(critic_rate or rate, beta1, beta2)),
        },
        moves=moves,
        latent=Latent(latent_size, latent),
        width=image_width,
        height=image_height,
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        ema=EMA(ema),
        stats_every=20 * critic_turns * batch,
        mirror=mirror,
        balanced=balanced,
        citation=CITATION,
    )
