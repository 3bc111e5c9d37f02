"""Which parts go together: what cannot work is refused before anything is trained, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from zerosum.game.game import Game
from zerosum.game.losses import cross_entropy_critic, ragan, rahinge, rals, wasserstein_critic
from zerosum.game.penalties import FiniteDifference, GradientPenalty
from zerosum.game.rounds import CriticTurn, GeneratorTurn, Move
from zerosum.game.sight import Sight
from zerosum.game.terms import AuxiliaryClassifier, Consistency, LabelSmoothing, LeCam
from zerosum.networks import Spec


def check(
    nets: Mapping[str, Spec],
    moves: Sequence[Move],
    *,
    picture: tuple[int, int, int],
    classes: int,
    batch: int,
    images: int,
    accumulate: int = 1,
    clips: Mapping[str, float | None],
    bfloat16: bool = False,
    checkpoint: bool = False,
) -> None:
    """Refuse combinations that cannot work or that do not mean anything.

    Args:
        nets: the players' networks by name; "generator" and "critic" are looked at.
        picture: width, height and channels.
        batch: of draws that do not have their own.
        images: the budget.
        accumulate: parts in which a draw is played.
        clips: bounds on the players' weights.
        bfloat16: whether networks compute in 16 bits.
        checkpoint: whether networks' activations are computed again.

    Raises:
        ValueError: the first such combination, and why.
    """
    turns = [turn for move in moves for turn in move]
    sizes: dict[int, int] = {}
    for turn in turns:
        size = turn.batch or batch
        if sizes.setdefault(turn.draw, size) != size:
            raise ValueError(f"turns on draw {turn.draw} ask for batches of {sizes[turn.draw]} and {size}")
    for size in sizes.values():
        if size % accumulate:
            raise ValueError(f"a batch of {size} cannot be played in {accumulate} equal parts: accumulate divides it")
    rounds = images / sum({turn.draw: sizes[turn.draw] for turn in turns if turn.player == "critic"}.values())
    sizes = {draw: size // accumulate for draw, size in sizes.items()}
    _pictures(
        nets, picture, [turn.loss.sight.pack for turn in turns if isinstance(turn.loss, CriticTurn | GeneratorTurn)]
    )
    parts = [(turn.loss.game, turn.loss.sight) for turn in turns if isinstance(turn.loss, CriticTurn | GeneratorTurn)]
    _labels(nets, [game for game, _ in parts], classes)
    for game, sight in parts:
        _game(game, rounds)
        if bfloat16 and any(isinstance(penalty, FiniteDifference) for penalty in game.penalties):
            raise ValueError("a finite difference is lost in the rounding of 16 bits: use R1 and R2, or precision=fp32")
        _packs(sight, game, classes, sizes)
    plays = [turn.loss.game for turn in turns if isinstance(turn.loss, CriticTurn)]
    _layers(nets["critic"], plays, clips.get("critic"))
    _batches(nets, sorted(set(sizes.values())), parts[0][1].pack if parts else 1)
    if checkpoint:
        check_recomputation(nets)


def check_recomputation(nets: Mapping[str, Spec]) -> None:
    """Refuse networks that would come to something else when they are computed again.

    Raises:
        ValueError: random layers in a network that does not recompute in segments, around them.
    """
    for name, net in nets.items():
        layers = _layers_of(net)
        in_segments = any(hasattr(layer, "recompute") for layer in layers)
        if not in_segments and any(hasattr(layer, "noise") for layer in layers):
            raise ValueError(
                f"the {name} would be computed again as a whole, and its random layers would draw other numbers then: "
                "checkpoint=false, or a network without them"
            )


def _game(game: Game, rounds: float) -> None:
    for term in game.terms:
        if isinstance(term, LeCam) and term.begin >= rounds:
            raise ValueError(
                f"LeCam begins after {term.begin:,} rounds, and the budget is one of {rounds:,.0f}: it would do nothing"
            )
    if any(isinstance(term, LabelSmoothing) for term in game.terms) and game.loss.critic is not cross_entropy_critic:
        raise ValueError(
            "label smoothing changes the labels of a cross-entropy, and this loss has none: use it with "
            "non_saturating or saturating"
        )
    if game.loss in (ragan, rals, rahinge) and game.top != 1:
        raise ValueError(
            "an average over all generated pictures does not leave any of them out, so top means nothing with this "
            "loss: use rpgan, or top=1"
        )
    if game.weight == 0 and not any(term.name in ("matching", "classifier") for term in game.terms):
        raise ValueError("with weight 0 the generator learns from the terms alone, and no term teaches it anything")


def _labels(nets: Mapping[str, Spec], games: Sequence[Game], classes: int) -> None:
    generator, critic = (int(_field(nets[name], "classes", 0)) for name in ("generator", "critic"))
    if critic and not generator and hasattr(nets["generator"], "classes"):
        raise ValueError(
            "the critic sees labels and the generator does not: it would be asked, and with a paired loss compared, "
            "for classes that it cannot know"
        )
    if critic not in (0, classes):
        raise ValueError(f"the critic's classes are {critic}, the recipe's {classes}: use the recipe's dial")
    if critic and _field(nets["critic"], "labels", "projection") != "classifier":
        for game in games:
            if game.loss in (ragan, rals, rahinge):
                raise ValueError(
                    "a relativistic average compares scores across different labels, which a critic that sees labels "
                    "does not give on one scale: use rpgan, which pairs pictures of one label, or the labels classifier"
                )
    asked = any(isinstance(term, AuxiliaryClassifier) for game in games for term in game.terms)
    if not hasattr(nets["critic"], "labels"):
        return
    able = critic > 0 and _field(nets["critic"], "labels", "") == "classifier"
    if asked and not able:
        raise ValueError("an auxiliary classifier needs labels, and a critic whose labels are 'classifier'")
    if able and games and not asked:
        raise ValueError("the critic has a classifier that nothing teaches: add the term AuxiliaryClassifier")


def _pictures(nets: Mapping[str, Spec], size: tuple[int, int, int], packs: Sequence[int]) -> None:
    """Whether both players speak of the same pictures."""
    if len(set(packs)) > 1:
        raise ValueError("all turns show the critic packs of one size, or it would need several first layers")
    width, height, channels = size
    shown = channels * (packs[0] if packs else 1)
    for name, own in (("generator", channels), ("critic", shown)):
        for field, needed in (("image_width", width), ("image_height", height), ("channels", own)):
            found = _field(nets[name], field, needed)
            if found != needed:
                packed = f" (packs of {packs[0]})" if field == "channels" and shown > channels else ""
                raise ValueError(f"the {name}'s {field} is {found}, and the recipe's pictures need {needed}{packed}")


def _packs(sight: Sight, game: Game, classes: int, sizes: Mapping[int, int]) -> None:
    if sight.pack == 1:
        return
    if any(isinstance(term, Consistency) for term in game.terms):
        raise ValueError("consistency moves and flips a pack as if it were one picture: pack=1, or no consistency")
    if classes:
        raise ValueError("the pictures of a pack share one score, which cannot be asked for several labels: pack=1")
    for size in sizes.values():
        if size % sight.pack:
            raise ValueError(f"a batch of {size} cannot be shown in packs of {sight.pack}")


def _layers(critic: Spec, games: Sequence[Game], clip: float | None) -> None:
    """What only the critic's layers tell.

    Batch norm under R1, R2 and DRAGAN, and minibatch layers under any penalty, are as they were published: the slope is
    that of all scores together there.
    """
    penalties = [penalty for game in games for penalty in game.penalties]
    between = any(isinstance(penalty, GradientPenalty) and penalty.at == "between" for penalty in penalties)
    finite = any(isinstance(penalty, FiniteDifference) for penalty in penalties)
    free = clip is None and _ours(critic) and any(_is_free(game) for game in games)
    if not (between or finite or clip or free):
        return
    layers = _layers_of(critic)
    if free and not any(hasattr(layer, "advance") for layer in layers):
        raise ValueError(
            "nothing bounds the critic of this Wasserstein game, so that its scores grow without end: add the penalty "
            "wgan_gp or dragan, clip the weights, or use norm=spectral"
        )
    mixing = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in layers)
    if between and mixing:
        raise ValueError(
            "the penalty between real and generated pictures asks for the slope at each picture by itself, but batch "
            "norm makes every score depend on the whole batch: use a critic with norm none, layer or spectral"
        )
    if finite and (mixing or any(hasattr(layer, "noise") for layer in layers)):
        raise ValueError(
            "a finite difference compares the critic at two points, but batch norm and dropout treat each of them in "
            "another way: use R1 and R2, or a critic without them"
        )
    if clip and any(hasattr(layer, "advance") for layer in layers):
        raise ValueError("spectral norm divides the weights by their norm, so that clipping them means nothing")


def _batches(nets: Mapping[str, Spec], batches: Sequence[int], pack: int) -> None:
    """Whether there are others in each batch for the layers that compare with others."""
    kind = _field(nets["critic"], "minibatch", "none")
    for packs in (batch // pack for batch in batches):
        if kind != "none" and packs < 2:
            raise ValueError("a minibatch layer compares the pictures of a batch, and there is one: use a larger batch")
        if kind == "deviation" and all(packs % group for group in (2, 3)):
            raise ValueError(f"minibatch deviation compares groups of 2 to 4, into which {packs} cannot be cut")
    for name, count in (("generator", batches[0]), ("critic", batches[0] // pack)):
        if count < 2 and any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in _layers_of(nets[name])):
            raise ValueError(f"batch norm needs a batch to compare with, and the {name}'s is of {count}: use more")


def _is_free(game: Game) -> bool:
    """Whether the critic's loss has no end below, and no slope is held (LeCam holds scores, but late)."""
    return game.loss.critic is wasserstein_critic and all(penalty.weight == 0 for penalty in game.penalties)


def _ours(net: Spec) -> bool:
    """A stranger's network may be bounded in ways that cannot be seen."""
    return type(net).__module__.startswith("zerosum.")


def _layers_of(net: Spec) -> list[nn.Module]:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return list(net.build().modules())


def _field(spec: Any, name: str, otherwise: Any) -> Any:
    return getattr(spec, name, otherwise)
