"""Any loss with any penalties, networks and terms: one's own combination on one line."""

from __future__ import annotations

from typing import Literal

from zerosum.errors import UserError, did_you_mean
from zerosum.game import losses
from zerosum.game.augment import DiffAugment, Kind
from zerosum.game.game import Game
from zerosum.game.penalties import DRAGAN, R1, R2, WGANGP, Penalty
from zerosum.game.rounds import Order, in_order
from zerosum.game.schedules import Ramp, check_range
from zerosum.game.sight import Sight
from zerosum.game.terms import Consistency, FeatureMatching, LabelSmoothing, LatentConsistency, LeCam, Term
from zerosum.networks import Spec
from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.labels import CriticLabels, GeneratorLabels
from zerosum.networks.latent import Latent
from zerosum.networks.minibatch import Minibatch
from zerosum.networks.norms import CriticNorm
from zerosum.networks.resnet import ResNetCritic, ResNetGenerator
from zerosum.networks.sizes import stages
from zerosum.networks.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from zerosum.recipe import EMA, Adam, PlayerSpec, Recipe
from zerosum.recipes.labels import classifier

CITATION = """@misc{zerosum,
  title={zerosum}, note={the parts have citations of their own: see the recipe of each}, year={2026}}"""
NUMBERS = "They depend on what is composed."
DIFFERENCES = "Nothing was published as this; the parts are as their recipes have them."
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
    weight: float | None = None,
    clip: float | None = None,
    smoothing: float = 0.0,
    matching: float = 0.0,
    lecam: float = 0.0,
    consistency: tuple[Literal["real", "fake", "latent"], ...] = (),
    top: float = 1.0,
    augment: tuple[Kind, ...] = (),
    strength: float | None = None,
    instance_noise: float = 0.0,
    pack: int = 1,
    play: Order = "alternating",
    critic_turns: int = 1,
    generator_turns: int = 1,
    one_draw: bool = False,
    latent: Literal["uniform", "normal"] = "normal",
    latent_size: int = 128,
    rate: float = 2e-4,
    critic_rate: float | None = None,
    final_rate: float = 1.0,
    beta1: float = 0.5,
    beta2: float = 0.999,
    ema: float = 10_000.0,
    batch: int = 64,
    images: int = 2_000_000,
) -> Recipe:
    """Losses by their catalogue's names, penalties r1, r2 (gamma) and wgan_gp, dragan (lambda) of one ``weight`` (10).

    ``consistency`` in the real pictures (CR), the fake ones too (bCR) and the latents (zCR) with the papers' weights;
    ``matching`` leaves the generator feature matching alone. ``top``: the share of fakes that it learns from in the
    end, reached by a constant factor over the first half of the budget. Both rates fall linearly to ``final_rate`` of
    themselves. ``strength`` (1) is the probability of ``augment``.
    """
    if loss not in losses.CATALOGUE:
        raise UserError(f"loss={loss}: there is no loss of that name{did_you_mean(loss, losses.CATALOGUE)}.")
    for name, value, what, there in (
        ("weight", weight, "penalties", penalties),
        ("strength", strength, "augment", augment),
    ):
        if value is not None and (value <= 0 or not there):
            raise UserError(
                f"{name}={value:g} is not possible: it is above 0 and says how strong {what} is, so set both."
            )
    check_range("top", top, 1e-3, 1.0)
    check_range("final_rate", final_rate)
    sight = Sight(
        DiffAugment(augment, 1.0 if strength is None else strength) if augment else None, instance_noise, pack
    )
    size, wide = (*resolution, channels), (*resolution, pack * channels)
    generator: Spec
    critic: Spec
    match networks:
        case "dcgan":
            generator = DCGANGenerator(*size, latent_size, width, classes=classes, labels=generator_labels)
            critic = DCGANDiscriminator(
                *wide, width, norm=norm, minibatch=minibatch, classes=classes, labels=critic_labels
            )
        case "sndcgan":
            generator = SNDCGANGenerator(*size, latent_size, width, classes=classes, labels=generator_labels)
            critic = SNDCGANDiscriminator(*wide, width, norm, minibatch, classes, critic_labels)
        case "resnet":
            small, count = max(resolution) <= 32, stages(*resolution).count
            generator = ResNetGenerator(*size, latent_size, width, most=8, classes=classes, labels=generator_labels)
            critic = ResNetCritic(
                *wide,
                width,
                most=8,
                blocks=4 if small else count + 1,
                halvings=2 if small else count,
                last_bias=True,
                norm=norm,
                minibatch=minibatch,
                classes=classes,
                labels=critic_labels,
            )
    slopes: tuple[Penalty, ...] = tuple(PENALTIES[name](10.0 if weight is None else weight) for name in penalties)
    terms: list[Term] = [*classifier(classes, critic_labels)]
    terms += [LabelSmoothing(smoothing)] if smoothing else []
    terms += [FeatureMatching(matching)] if matching else []
    terms += [LeCam(lecam)] if lecam else []
    if {"real", "fake"} & set(consistency):
        terms += [Consistency(10.0 if "real" in consistency else 0.0, 10.0 if "fake" in consistency else 0.0)]
    terms += [LatentConsistency()] if "latent" in consistency else []
    best = Ramp(1.0, top, "geometric", until=0.5) if top < 1 else top
    game = Game(losses.CATALOGUE[loss], slopes, tuple(terms), best, weight=0.0 if matching else 1.0)

    def adam(rate: float) -> Adam:
        return Adam(rate if final_rate == 1 else Ramp(rate, final_rate * rate), beta1, beta2)

    return Recipe(
        name="compose",
        players={
            "generator": PlayerSpec(generator, adam(rate)),
            "critic": PlayerSpec(critic, adam(rate if critic_rate is None else critic_rate), clip),
        },
        moves=in_order(
            play, game, critic_turns=critic_turns, generator_turns=generator_turns, one_draw=one_draw, sight=sight
        ),
        latent=Latent(latent_size, latent),
        width=resolution[0],
        height=resolution[1],
        channels=channels,
        classes=classes,
        batch=batch,
        images=images,
        ema=EMA(ema),
        citation=CITATION,
    )
