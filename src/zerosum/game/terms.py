"""What a player minimises besides the game itself: terms that see the critic's whole output, and may remember.

A term is a frozen value with two methods, one for each player's turn; ``None`` means that it says nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from zerosum.game.augment import jitter
from zerosum.game.critic import Critic, Noise, Output, full, output_of
from zerosum.game.schedules import START, Clock, Schedule, check_range, value

# Named 0-D tensors on the device: all that turns remember between rounds.
Memory = Mapping[str, Tensor]
NOTHING: Memory = MappingProxyType({})


class Seen(NamedTuple):
    """What a term is told of a turn.

    Attributes:
        critic: as a function of pictures alone.
        real: pictures (N, ...), None where the generator's turn has none.
        fake: pictures in the shape of ``real``; with a graph to the generator in its own turn only.
        on_real: the critic's output there; in the generator's turn without a graph, and None where nobody asked for it.
        on_fake: the critic's output there.
        labels: (N,) of both batches, or None.
        nearby: pictures of the same latents moved by normal noise of a given deviation, or None.
    """

    critic: Critic
    real: Tensor | None
    fake: Tensor
    on_real: Output | None
    on_fake: Output
    noise: Noise
    labels: Tensor | None = None
    nearby: Callable[[float], Tensor] | None = None
    clock: Clock = START
    memory: Memory = NOTHING


class Said(NamedTuple):
    """A term's share of the loss (0-D), its weight included, and what is remembered."""

    loss: Tensor
    memory: Memory = NOTHING


class Term(Protocol):
    """``name`` is the name of its stats; ``uses_real`` says that its generator's side needs the critic on reals."""

    name: ClassVar[str]
    uses_real: ClassVar[bool]

    def critic(self, seen: Seen) -> Said | None: ...

    def generator(self, seen: Seen) -> Said | None: ...


@dataclass(frozen=True)
class LabelSmoothing:
    """Reals are called real with probability 1 - ``amount`` only (one-sided; Salimans et al. 2016, section 3.4).

    For a cross-entropy game: (1 - a) softplus(-d) + a softplus(d) = softplus(-d) + a d, so it adds a E d(real).
    """

    amount: Schedule = 0.1
    name: ClassVar[str] = "smoothing"
    uses_real: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_range("label smoothing", self.amount, most=0.5)

    def critic(self, seen: Seen) -> Said:
        return Said(value(self.amount, seen.clock) * _on_real(seen).scores.mean())

    def generator(self, seen: Seen) -> None:
        return None


@dataclass(frozen=True)
class LeCam:
    """weight * (E relu(D(x) - F)^2 + E relu(R - D(G(z)))^2), R and F running mean scores (Tseng et al. 2021).

    The means take a ``decay`` per turn and are used from round ``begin`` on. Its weight belongs to the scale of the
    scores: .3 for a hinge game with BigGAN, 1e-6 for StyleGAN2's.
    """

    weight: Schedule = 0.3
    decay: float = 0.99
    begin: int = 1000
    name: ClassVar[str] = "lecam"
    uses_real: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_range("the weight of LeCam", self.weight)
        if not 0 <= self.decay < 1:
            raise ValueError(f"the decay of LeCam's means is at least 0 and below 1, not {self.decay:g}")

    def critic(self, seen: Seen) -> Said:
        real, fake = _on_real(seen).scores, seen.on_fake.scores
        means = {}
        for name, scores in (("lecam.real", real), ("lecam.fake", fake)):
            now = scores.detach().mean()
            means[name] = torch.lerp(now, seen.memory.get(name, torch.zeros_like(now)), self.decay)
        away = F.relu(real - means["lecam.fake"]).square().mean() + F.relu(means["lecam.real"] - fake).square().mean()
        weight = value(self.weight, seen.clock) if seen.clock.round >= self.begin else 0.0
        return Said(weight * away, means)

    def generator(self, seen: Seen) -> None:
        return None


@dataclass(frozen=True)
class AuxiliaryClassifier:
    """Cross-entropy of the critic's own classifier (Odena et al. 2017, eq. 3), each part with its weight.

    On ``real`` and ``fake`` pictures in the critic's turn, on ``generated`` ones in the generator's.
    """

    real: Schedule = 1.0
    fake: Schedule = 1.0
    generated: Schedule = 1.0
    name: ClassVar[str] = "classifier"
    uses_real: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for part in (self.real, self.fake, self.generated):
            check_range("a weight of the auxiliary classifier", part)

    def critic(self, seen: Seen) -> Said:
        on_real = value(self.real, seen.clock) * _classification(_on_real(seen), seen.labels)
        return Said(on_real + value(self.fake, seen.clock) * _classification(seen.on_fake, seen.labels))

    def generator(self, seen: Seen) -> Said:
        return Said(value(self.generated, seen.clock) * _classification(seen.on_fake, seen.labels))


@dataclass(frozen=True)
class FeatureMatching:
    """weight * |E f(x) - E f(G(z))|^2 for the generator, f the critic's features (Salimans et al. 2016, eq. 1)."""

    weight: Schedule = 1.0
    name: ClassVar[str] = "matching"
    uses_real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("the weight of feature matching", self.weight)

    def critic(self, seen: Seen) -> None:
        return None

    def generator(self, seen: Seen) -> Said:
        apart = _features(_on_real(seen)).mean(dim=0) - _features(seen.on_fake).mean(dim=0)
        return Said(value(self.weight, seen.clock) * apart.square().sum())


@dataclass(frozen=True)
class Consistency:
    """weight * E (D(x) - D(T(x)))^2, T a random flip and shift; no gradient is stopped.

    On reals it is CR (Zhang et al. 2020), on both batches bCR (Zhao et al. 2021, algorithm 1).
    """

    real: Schedule = 10.0
    fake: Schedule = 0.0
    name: ClassVar[str] = "consistency"
    uses_real: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for part in (self.real, self.fake):
            check_range("a weight of consistency", part)

    def critic(self, seen: Seen) -> Said | None:
        total: Tensor | None = None
        for weight, x, output in ((self.real, seen.real, seen.on_real), (self.fake, seen.fake, seen.on_fake)):
            if weight == 0 or x is None or output is None:
                continue
            moved = output_of(seen.critic, jitter(x.detach(), seen.noise)).scores
            part = value(weight, seen.clock) * (output.scores - moved).square().mean()
            total = part if total is None else total + part
        return None if total is None else Said(total)

    def generator(self, seen: Seen) -> None:
        return None


@dataclass(frozen=True)
class LatentConsistency:
    """Latents z and z + d, d normal with deviation ``sigma`` (zCR; Zhao et al. 2021, algorithm 2).

    The critic minimises ``critic_weight`` * E (D(G(z)) - D(G(z + d)))^2, the generator maximises ``generator_weight`` *
    the mean square of G(z) - G(z + d), so that nearby latents do not become one picture.
    """

    critic_weight: Schedule = 20.0
    generator_weight: Schedule = 0.5
    sigma: float = 0.05
    name: ClassVar[str] = "latent_consistency"
    uses_real: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for part in (self.critic_weight, self.generator_weight, self.sigma):
            check_range("a weight of consistency in the latents", part)

    def critic(self, seen: Seen) -> Said:
        moved = output_of(seen.critic, self._nearby(seen).detach()).scores
        return Said(value(self.critic_weight, seen.clock) * (seen.on_fake.scores - moved).square().mean())

    def generator(self, seen: Seen) -> Said:
        apart = (seen.fake - self._nearby(seen)).square().mean()
        return Said(-value(self.generator_weight, seen.clock) * apart)

    def _nearby(self, seen: Seen) -> Tensor:
        if seen.nearby is None:
            raise ValueError("consistency in the latents needs pictures of moved latents: pass nearby=")
        return seen.nearby(self.sigma)


def _on_real(seen: Seen) -> Output:
    if seen.on_real is None:
        raise ValueError("this term compares with real pictures: pass real=")
    return seen.on_real


def _features(output: Output) -> Tensor:
    if output.features is None:
        raise ValueError("feature matching needs a critic that returns Output(scores, features)")
    return full(output.features).flatten(1)


def _classification(output: Output, labels: Tensor | None) -> Tensor:
    if output.logits is None or labels is None:
        raise ValueError("an auxiliary classifier needs labels, and a critic that returns Output(..., logits)")
    return F.cross_entropy(output.logits, labels)
