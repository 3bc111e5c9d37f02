"""A recipe: everything that a training is, as frozen values, with its JSON form and the way to change it by name."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zerosum import composition
from zerosum.errors import UserError
from zerosum.game.losses import CATALOGUE as LOSSES
from zerosum.game.losses import Loss
from zerosum.game.rounds import Move
from zerosum.game.schedules import Schedule, check_range
from zerosum.networks import CATALOGUE as NETWORKS
from zerosum.networks import Spec
from zerosum.networks.latent import Latent

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


@dataclass(frozen=True)
class Adam:
    """Adam's settings (Kingma and Ba 2015); ``rate`` may be a schedule."""

    rate: Schedule = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_range("a rate", self.rate)
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1 and self.eps > 0):
            raise ValueError(f"Adam needs betas in [0, 1) and eps > 0, not {self.beta1}, {self.beta2}, {self.eps}")


@dataclass(frozen=True)
class SGD:
    """Gradient descent; ``momentum`` may be a schedule."""

    rate: Schedule = 0.1
    momentum: Schedule = 0.0

    def __post_init__(self) -> None:
        check_range("a rate", self.rate)
        check_range("momentum", self.momentum, most=1.0)


@dataclass(frozen=True)
class RMSprop:
    """RMSprop's settings (Tieleman and Hinton 2012): ``decay`` of the mean square."""

    rate: Schedule = 5e-5
    decay: float = 0.99
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_range("a rate", self.rate)
        if not (0 <= self.decay < 1 and self.eps > 0):
            raise ValueError(f"RMSprop needs a decay in [0, 1) and eps > 0, not {self.decay}, {self.eps}")


Optimizer = Adam | SGD | RMSprop


@dataclass(frozen=True)
class PlayerSpec:
    """A network's description and how it is moved; ``clip`` bounds every weight after each step."""

    net: Spec
    optimizer: Optimizer
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.clip is not None and self.clip <= 0:
            raise ValueError(f"weights are clipped to a positive number, not {self.clip}")


@dataclass(frozen=True)
class EMA:
    """Running average of the generator's weights: half-life in images, at most ``ramp`` of the images seen so far.

    The ramp lets a young average forget the first weights quickly (Karras et al. 2020).
    """

    half_life: float = 50_000.0
    ramp: float = 0.05

    def __post_init__(self) -> None:
        if self.half_life <= 0 or self.ramp < 0:
            raise ValueError(f"an average needs half_life > 0 and ramp >= 0, not {self.half_life} and {self.ramp}")


Precision = Literal["fp32", "tf32", "bf16"]


@dataclass(frozen=True)
class Recipe:
    """A complete training. ``classes`` is 0 where the generator takes no label.

    Attributes:
        players: by name; "generator" and "critic" are the usual two.
        moves: one round.
        batch: real pictures in a draw.
        images: budget in real pictures seen by the critic.
        stats_every: images between two lines of ``stats.jsonl``; without it those of 20 batches.
        mirror: whether real pictures are flipped left to right half of the time.
        balanced: whether each class is shown equally often, however many pictures it has.
        accumulate: a draw is played in so many parts, whose gradients are averaged: less memory, the same batch. What
            compares the pictures of a batch (batch norm, minibatch layers, relativistic averages, top) sees a part.
        precision: of the networks' computations; weights, losses, slopes, averages and optimizers have 32 bits always.
            tf32 lets an NVIDIA GPU round the factors of its products, which the others do not.
        checkpoint: activations inside the networks are not kept for the backward pass but computed again (Chen et al.
            2016): less memory, more time, the same result bit for bit.
    """

    name: str
    players: Mapping[str, PlayerSpec]
    moves: tuple[Move, ...]
    latent: Latent
    width: int
    height: int
    channels: int
    batch: int
    images: int
    citation: str
    classes: int = 0
    ema: EMA = EMA(half_life=10_000.0)
    stats_every: int | None = None
    mirror: bool = False
    balanced: bool = False
    accumulate: int = 1
    precision: Precision = "fp32"
    checkpoint: bool = False

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("images", 1), ("stats_every", 1), ("accumulate", 1), ("classes", 0)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, not {getattr(self, name)}")
        turns = [turn for move in self.moves for turn in move]
        for turn in turns:
            if turn.player not in self.players:
                raise ValueError(f"a turn is played by '{turn.player}', but the players are {', '.join(self.players)}")
            if turn.every < 1 or turn.early < 0 or (turn.batch is not None and turn.batch < 1):
                given = f"{turn.batch}, {turn.every} and {turn.early}"
                raise ValueError(f"a turn's batch and every are at least 1 and its early at least 0, not {given}")
        if not {"generator", "critic"} <= {turn.player for turn in turns}:
            raise ValueError("the moves need a turn of the generator and one of the critic, whose pictures are counted")
        generator = describe(self.players["generator"].net)
        for name, own in (("latent", self.latent.size), ("classes", self.classes)):
            if isinstance(generator, dict) and generator.get(name, own) != own:
                raise ValueError(
                    f"the generator's {name} is {generator[name]}, the recipe's {own}: use the recipe's dial"
                )

    def check(self) -> None:
        """Whether its parts go together (``composition``); once all settings are made.

        Raises:
            ValueError: they do not.
        """
        composition.check(
            {name: player.net for name, player in self.players.items()},
            self.moves,
            picture=(self.width, self.height, self.channels),
            classes=self.classes,
            batch=self.batch,
            images=self.images,
            accumulate=self.accumulate,
            clips={name: player.clip for name, player in self.players.items()},
            bfloat16=self.precision == "bf16",
            checkpoint=self.checkpoint,
        )

    def depends_on_budget(self) -> bool:
        """Whether any schedule would have been another one under a larger budget."""
        return _any_ramp(describe(self))


RecipeFunction = Callable[..., Recipe]


def describe(value: Any) -> JSON:
    """The JSON form: values from our catalogues by name, anything foreign as its place and the hash of its source."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Loss) and value in LOSSES.values():
        return next(name for name, loss in LOSSES.items() if loss == value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {**_kind(type(value)), **fields}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {**_kind(type(value)), **{name: describe(item) for name, item in value._asdict().items()}}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [describe(item) for item in value]
    return _custom(value)


def network(description: Mapping[str, Any]) -> Spec:
    """A network's spec from its JSON form. Only names of our own catalogue are known; no code is looked up.

    Raises:
        UserError: another name, or fields that the spec does not have.
    """
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in NETWORKS:
        raise UserError(f"The network '{kind}' is not one of zerosum's ({', '.join(NETWORKS)}): it cannot be built.")
    fields = {name: value for name, value in description.items() if name != "kind"}
    try:
        return NETWORKS[kind](**fields)
    except (TypeError, ValueError) as error:
        raise UserError(f"The description of {kind} does not fit this version of zerosum ({error}).") from None


def parts(value: Any) -> dict[str, Any]:
    """The named parts of a value: a dataclass's or NamedTuple's fields, a mapping's or a sequence's items."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Loss):
        return {}
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    if isinstance(value, tuple):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def _kind(kind: type) -> dict[str, JSON]:
    if kind.__module__.startswith("zerosum."):
        return {"kind": kind.__name__}
    return {"kind": kind.__name__, **typing.cast("dict[str, JSON]", _custom(kind))}


def _custom(value: Any) -> JSON:
    try:
        source = inspect.getsource(value if isinstance(value, type) or inspect.isroutine(value) else type(value))
    except (OSError, TypeError):
        source = repr(value)
    name = getattr(value, "__qualname__", type(value).__qualname__)
    found: dict[str, JSON] = {
        "custom": f"{value.__module__}:{name}",
        "sha256": hashlib.sha256(source.encode()).hexdigest(),
    }
    if isinstance(value, functools.partial):
        found["partial"] = describe([value.func, value.args, value.keywords])
    elif getattr(value, "__closure__", None):
        found["closure"] = describe([cell.cell_contents for cell in value.__closure__])
    elif not isinstance(value, type) and not inspect.isroutine(value) and getattr(value, "__dict__", None):
        found["state"] = describe(vars(value))
    return found


def _any_ramp(description: JSON) -> bool:
    if isinstance(description, dict):
        if description.get("kind") == "Ramp" and description.get("unit") == "budget":
            return True
        return any(_any_ramp(item) for item in description.values())
    return isinstance(description, list) and any(_any_ramp(item) for item in description)
