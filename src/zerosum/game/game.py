"""The game: what each player minimises, as two functions of a critic and two batches.

Who moves when, and on what, is ``rounds``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from zerosum.game.critic import Critic, Noise, Output, Slopes, TorchNoise, output_of, slopes_of
from zerosum.game.losses import Loss
from zerosum.game.penalties import FiniteDifference, GradientPenalty, Penalty
from zerosum.game.schedules import START, Clock, Schedule, check_range, value
from zerosum.game.terms import NOTHING, LeCam, Memory, Seen, Term

Stats = dict[str, Tensor]


class Result(NamedTuple):
    """A loss to step on, what it is made of (0-D tensors on the device, detached), and the memory after it."""

    loss: Tensor
    stats: Stats
    memory: Memory


@dataclass(frozen=True)
class Game:
    """A loss, penalties on the critic, and further terms.

    Attributes:
        top: share of the generated pictures, those scored best, that the generator learns from (Sinha et al. 2020).
        weight: of the loss in the generator's turn; 0 leaves it to the terms, as feature matching does.
    """

    loss: Loss
    penalties: tuple[Penalty, ...] = ()
    terms: tuple[Term, ...] = ()
    top: Schedule = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_range("top, a share of the generated pictures,", self.top, 1e-6, 1.0)
        check_range("the weight of the loss", self.weight)
        places = [penalty.at for penalty in self.penalties]
        if len(set(places)) < len(places):
            raise ValueError(f"one penalty at each place, not {' and '.join(places)}: give one of them both weights")
        if self.weight == 0 and self.top != 1:
            raise ValueError(
                "with weight 0 the loss teaches the generator nothing, so top means nothing: leave it at 1"
            )

    def pattern(self, index: int) -> tuple[bool, ...]:
        """What of it is played in the round of this index; all else that changes is a number."""
        begun = (index >= term.begin for term in self.terms if isinstance(term, LeCam))
        return (*(index % penalty.every == 0 for penalty in self.penalties), *begun)

    def critic_loss(
        self,
        critic: Critic,
        *,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None = None,
        nearby: Callable[[float], Tensor] | None = None,
        noise: Noise | None = None,
        clock: Clock = START,
        memory: Memory = NOTHING,
    ) -> Result:
        """What the critic minimises.

        ``real`` and ``fake`` have one shape; no gradient reaches the generator. Penalties at the two batches share the
        forward pass with the loss. ``labels`` (N,) belong to both; ``nearby`` is what ``Seen`` says.
        """
        if real.shape != fake.shape:
            raise ValueError(f"real {tuple(real.shape)} and fake {tuple(fake.shape)} must have one shape")
        noise = noise or TorchNoise(real)
        batches = {"real": real.detach(), "fake": fake.detach()}
        active = [penalty for penalty in self.penalties if clock.round % penalty.every == 0]
        exact = {penalty.at for penalty in active if isinstance(penalty, GradientPenalty)}
        outputs: dict[str, Output] = {}
        slopes: dict[str, Slopes] = {}
        for name, x in batches.items():
            if name in exact:
                slopes[name] = slopes_of(critic, x)
                outputs[name] = slopes[name].output
            else:
                outputs[name] = output_of(critic, x)
        scores = {name: output.scores for name, output in outputs.items()}
        loss = self.loss.critic(real=scores["real"], fake=scores["fake"]).mean()
        stats = {
            "real_score": scores["real"].mean(),
            "fake_score": scores["fake"].mean(),
            "real_sign": scores["real"].sign().mean(),
            "fake_sign": scores["fake"].sign().mean(),
            "game": loss,
        }
        for penalty in active:
            if isinstance(penalty, FiniteDifference):
                each = penalty.of(critic, batches[penalty.at], scores[penalty.at], noise)
            elif penalty.at in slopes:
                each = penalty.of(slopes[penalty.at])
            else:
                point = penalty.point(real=batches["real"], fake=batches["fake"], noise=noise)
                each = penalty.of(slopes_of(critic, point))
            stats[f"penalty_{penalty.at}"] = each.mean()
            loss = loss + value(penalty.weight, clock) * penalty.every * each.mean()
        (x_real, x_fake), (on_real, on_fake) = batches.values(), outputs.values()
        seen = Seen(critic, x_real, x_fake, on_real, on_fake, noise, labels, nearby, clock, memory)
        return self._with_terms("critic", loss, stats, seen)

    def generator_loss(
        self,
        critic: Critic,
        *,
        real: Tensor | None,
        fake: Tensor,
        labels: Tensor | None = None,
        nearby: Callable[[float], Tensor] | None = None,
        noise: Noise | None = None,
        clock: Clock = START,
        memory: Memory = NOTHING,
    ) -> Result:
        """What the generator minimises. ``real`` may be None where nothing compares with it, and is not scored then."""
        on_real = None
        if real is not None and (self.loss.uses_real or any(term.uses_real for term in self.terms)):
            with torch.no_grad():
                on_real = output_of(critic, real)
        on_fake = output_of(critic, fake)
        stats = {"fake_score": on_fake.scores.mean()}
        loss = on_fake.scores.new_zeros(())
        if self.weight:
            real_scores = on_real.scores if on_real is not None and self.loss.uses_real else None
            each = self.loss.generator(real=real_scores, fake=on_fake.scores)
            loss = self.weight * _mean_of_best(each, on_fake.scores, value(self.top, clock))
        noise = noise or TorchNoise(fake)
        seen = Seen(critic, real, fake, on_real, on_fake, noise, labels, nearby, clock, memory)
        return self._with_terms("generator", loss, stats, seen)

    def _with_terms(self, player: Literal["critic", "generator"], loss: Tensor, stats: Stats, seen: Seen) -> Result:
        memory = dict(seen.memory)
        for term in self.terms:
            said = term.critic(seen) if player == "critic" else term.generator(seen)
            if said is not None:
                stats[term.name] = said.loss
                loss = loss + said.loss
                memory |= said.memory
        return Result(loss, {key: tensor.detach() for key, tensor in (stats | {"loss": loss}).items()}, memory)


def _mean_of_best(each: Tensor, scores: Tensor, share: float | Tensor) -> Tensor:
    """The mean of ``each`` (N,) over the given share of samples, those with the highest ``scores``."""
    if isinstance(share, Tensor):  # how many there are may not change the shape of anything
        count = (share * len(each)).round().clamp_min(1)
        places = torch.arange(len(each), device=each.device)
        best = each.gather(0, scores.argsort(descending=True, stable=True))
        return torch.where(places < count, best, 0).sum() / count
    if share >= 1:
        return each.mean()
    count = max(1, round(share * len(each)))
    return each.gather(0, scores.topk(count).indices).mean()
