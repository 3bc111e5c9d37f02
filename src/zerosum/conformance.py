"""What every recipe must do. ``check(my_recipe)`` runs it over one's own; each check says in words what went wrong.

A recipe is given small: its batch and width decide how long this takes (a second for small networks).
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from zerosum import composition
from zerosum.data.pictures import Pictures
from zerosum.errors import UserError
from zerosum.game.critic import output_of
from zerosum.game.rounds import play
from zerosum.game.schedules import Clock
from zerosum.game.sight import PLAIN, packed
from zerosum.recipe import Recipe, RecipeFunction
from zerosum.run import Run
from zerosum.training import checkpoint, saving
from zerosum.training.trainer import Budget, Choices, Trainer

ROUNDS, LATE = 4, 10_000
SIZES = ((16, 16), (28, 28), (32, 32), (48, 48), (64, 64), (128, 128), (24, 16), (256, 384))


class NotConforming(AssertionError):
    """A recipe does not do what every recipe must do: which one, and what it did."""


def check(recipe: Recipe) -> None:
    """Run all checks.

    Raises:
        NotConforming: the first that fails.
    """
    with _in_words(recipe.name):
        recipe.check()
    for one in CHECKS:
        one(recipe)


def builds(function: RecipeFunction, sizes: Sequence[tuple[int, int]] = SIZES, **dials: Any) -> list[tuple[int, int]]:
    """Build a recipe's networks at many sizes and with 1, 3 and 4 channels, without memory; return the sizes it can do.

    Raises:
        NotConforming: at one size it fails in another way than with a sentence, or its networks do not fit together.
    """
    able = []
    for size in sizes:
        with _in_words(f"{getattr(function, '__name__', function)} at {size[0]}x{size[1]}"):
            try:
                recipes = [function(resolution=size, channels=channels, **dials) for channels in (1, 3, 4)]
            except UserError:
                continue
            for recipe in recipes:
                recipe.check()
                _fits_together(recipe)
        able.append(size)
    return able


def _fits_together(recipe: Recipe) -> None:
    with torch.device("meta"):
        nets = {name: spec.net.build() for name, spec in recipe.players.items()}
        latents = torch.zeros(recipe.batch, recipe.latent.size)
        labels = torch.zeros(recipe.batch, dtype=torch.int64) if recipe.classes else None
        pictures = nets["generator"](latents, labels)
        pack = _pack(recipe)
        scores = output_of(functools.partial(nets["critic"], labels=labels), packed(pictures, pack)).scores
    if (shape := tuple(pictures.shape)) != (recipe.batch, recipe.channels, recipe.height, recipe.width):
        raise NotConforming(f"{recipe.name} makes pictures of shape {shape} at {recipe.width}x{recipe.height}")
    if len(scores) * pack != recipe.batch:
        raise NotConforming(f"{recipe.name}: its critic gives {len(scores)} scores for {recipe.batch} pictures")


def moves_who_moves(recipe: Recipe) -> None:
    """In each move the players that play move, and no other."""
    with _trainer(recipe) as one:
        draws, memory = one.draws(Clock(budget=recipe.images)), one.memory
        for index, move in enumerate(recipe.moves):
            before = _weights(one) | _vectors(one)
            _, memory = play((move,), one.players, draws, memory)
            after = _weights(one) | _vectors(one)
            moved = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
            playing = {turn.player for turn in move if turn.is_played(0)}
            if moved != playing:
                raise NotConforming(f"{recipe.name}: in move {index} {_list(playing)} should move, {_list(moved)} did")


def reaches_every_weight(recipe: Recipe) -> None:
    """Every weight that is trained gets a gradient, and every matrix one that is not zero.

    Nor is a vector's zero in every round, unless scores or pictures depend on it all the same: some games ignore what
    is added to all scores. Not seen: tensors of which a part is idle, and idle vectors of further players.
    """
    with _trainer(recipe) as one:
        weights = {name: weight for name, weight in _parameters(one).items() if weight.requires_grad}
        before: set[str] = set()
        _play(one, ROUNDS, LATE, after=lambda: before.update(_reached(weights)))
        idle = weights.keys() - _reached(weights)
        vectors = {name for name in idle if weights[name].ndim < 2 and weights[name].grad is not None}
        if idle := idle - (before & vectors):
            idle -= _used(one, weights) & vectors
        if idle:
            raise NotConforming(f"{recipe.name}: no gradient reaches {_list(idle)}")


def waits_for_nothing(recipe: Recipe, rounds: Sequence[int] = (0, 1, LATE)) -> None:
    """No round of these indices reads a number from the device. It is played without memory, at any width."""
    with FakeTensorMode(), mock.patch("torch.nn.init.trunc_normal_"), _trainer(recipe) as one:
        try:
            for one.rounds in rounds:
                one.play_round(Budget(recipe.images))
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise NotConforming(f"{recipe.name}: a round reads a number from the device ({error})") from None
        except RuntimeError as error:  # as of numpy()
            raise NotConforming(f"{recipe.name}: a round cannot be played without memory ({error})") from error


def repeats(recipe: Recipe) -> None:
    """The same seed gives the same state, bit for bit."""
    with _trainer(recipe) as one, _trainer(recipe) as two:
        for seed, each in enumerate((one, two)):
            torch.manual_seed(seed)  # nobody may ask torch's own generator
            for _ in range(ROUNDS):
                each.play_round(Budget(recipe.images))
        _same(recipe, _state(one), _state(two), "two runs of one seed differ")


def goes_on(recipe: Recipe) -> None:
    """A state that is saved and restored goes on as if nothing had been, memory included."""
    with _trainer(recipe) as one, _trainer(recipe) as two:
        for _ in range(ROUNDS):
            one.play_round(Budget(recipe.images))
        saving.write_state(one)
        saved, _ = one.run.newest_state()
        if saved is None:
            raise NotConforming(f"{recipe.name}: its state cannot be read again")
        two.memory = checkpoint.restore(saved.tensors, two.players, two.average, two.memory)
        two.images, two.rounds = one.images, one.rounds
        for each in (one, two):
            _play(each, ROUNDS, LATE)
        _same(recipe, _state(one), _state(two), "a resumed run differs")


def stops_in_time(recipe: Recipe) -> None:
    """Once a weight is not finite nothing else moves."""
    with _trainer(recipe) as one:
        one.play_round(Budget(recipe.images))
        last = [p for p in one.players["critic"].net.parameters() if p.requires_grad][-1]
        with torch.no_grad():
            last.fill_(float("nan"))
        before = _weights(one)
        one.play_round(Budget(recipe.images))
        for name, tensor in _weights(one).items():
            if not torch.equal(tensor.nan_to_num(7), before[name].nan_to_num(7)):
                raise NotConforming(f"{recipe.name}: {name} moved though a loss was not finite")


def computes_in_16_bits(recipe: Recipe) -> None:
    """In bfloat16 everything stays finite, and weights and what is kept beside them have 32 bits."""
    with _trainer(dataclasses.replace(recipe, precision="bf16")) as one:
        _play(one, ROUNDS, LATE)
        if one.healthy < 1:
            raise NotConforming(f"{recipe.name}: in bfloat16 a loss or gradient is not finite")
        for name, tensor in _state(one).items():
            if tensor.is_floating_point() and tensor.dtype != torch.float32:
                raise NotConforming(f"{recipe.name}: in bfloat16 {name} is {tensor.dtype}")


def computes_again(recipe: Recipe) -> None:
    """With checkpoint=true the state is the same, bit for bit, wherever that is permitted."""
    try:
        composition.check_recomputation({name: spec.net for name, spec in recipe.players.items()})
    except ValueError:
        return
    with _trainer(recipe) as one, _trainer(dataclasses.replace(recipe, checkpoint=not recipe.checkpoint)) as two:
        for each in (one, two):
            _play(each, 0, LATE)
        _same(recipe, _state(one), _state(two), "what is computed again is not the same")


def samples(recipe: Recipe) -> None:
    """The averaged generator makes finite pictures in [-1, 1], each by itself."""
    with _trainer(recipe) as one:
        one.play_round(Budget(recipe.images))
        net = saving.averaged(one)
        latents = recipe.latent.draw(0, "conformance", 0, 6)
        labels = torch.arange(6) % recipe.classes if recipe.classes else None
        with torch.no_grad():
            together = net(latents, labels)
            alone = net(latents[:1], None if labels is None else labels[:1])
        if not (torch.isfinite(together).all() and together.abs().max() <= 1):
            raise NotConforming(f"{recipe.name}: the generator's pictures are not in [-1, 1]")
        if not torch.allclose(together[:1], alone, atol=1e-5):
            raise NotConforming(f"{recipe.name}: a picture depends on what is generated with it")


CHECKS: tuple[Callable[[Recipe], None], ...] = (
    moves_who_moves,
    reaches_every_weight,
    waits_for_nothing,
    repeats,
    goes_on,
    stops_in_time,
    computes_in_16_bits,
    computes_again,
    samples,
)


def noise(recipe: Recipe, count: int = 64) -> Pictures:
    """Random pictures of a recipe's shape and classes."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, recipe.channels, recipe.height, recipe.width), dtype=np.uint8)
    rows, size = np.arange(count), (recipe.width, recipe.height)
    labels, names = rows % recipe.classes if recipe.classes else None, tuple(map(str, range(recipe.classes)))
    return Pictures("noise", pixels, labels, names, rows, rows[:0], size, "noise")


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Whatever a recipe's own code raises is told as ``NotConforming``."""
    try:
        yield
    except NotConforming:
        raise
    except Exception as error:
        raise NotConforming(f"{name} fails with {type(error).__name__}: {error}") from error


@contextmanager
def _trainer(recipe: Recipe) -> Iterator[Trainer]:
    with _in_words(recipe.name), tempfile.TemporaryDirectory() as folder:
        yield Trainer(recipe, noise(recipe), Run(Path(folder)), 0, Choices())


def _play(one: Trainer, rounds: int, late: int, after: Callable[[], None] = lambda: None) -> None:
    """Some rounds, and one of those in which everything has begun that begins late; ``after`` each, something."""
    for index in range(rounds + 1):
        if index == rounds:
            one.rounds, one.images = late, one.recipe.images - 1
        one.play_round(Budget(one.recipe.images))
        after()


def _pack(recipe: Recipe) -> int:
    return max(getattr(getattr(turn.loss, "sight", PLAIN), "pack", 1) for move in recipe.moves for turn in move)


def _reached(weights: Mapping[str, Tensor]) -> set[str]:
    return {name for name, weight in weights.items() if weight.grad is not None and weight.grad.any()}


def _used(one: Trainer, weights: Mapping[str, Tensor]) -> set[str]:
    """Weights on which the generator's pictures or the critic's scores depend, and all of further players."""
    draw = next(iter(one.draws(Clock(budget=one.recipe.images)).values()))
    critic = functools.partial(one.players["critic"].play, labels=draw.real.labels, noise=draw.noise)
    scores = output_of(critic, packed(draw.real.x, _pack(one.recipe))).scores
    pictures = one.players["generator"].play(draw.latents, draw.real.labels, draw.noise)
    output = torch.cat([scores, pictures.flatten()])
    slopes = torch.autograd.grad(output @ torch.linspace(1, 2, len(output)), list(weights.values()), allow_unused=True)
    used = {name for name, slope in zip(weights, slopes, strict=True) if slope is not None and slope.any()}
    return used | {name for name in weights if not name.startswith(("generator.", "critic."))}


def _vectors(one: Trainer) -> dict[str, Tensor]:
    """What moves with the weights: the vectors of spectral norm."""
    return {
        f"{role}.{name}": buffer.clone()
        for role, player in one.players.items()
        for name, buffer in player.net.named_buffers()
        if name.split(".")[-1] in ("u", "v")
    }


def _parameters(one: Trainer) -> dict[str, Tensor]:
    return {
        f"{role}.{name}": parameter
        for role, player in one.players.items()
        for name, parameter in player.net.named_parameters()
    }


def _weights(one: Trainer) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in _parameters(one).items()}


def _state(one: Trainer) -> dict[str, Tensor]:
    return checkpoint.gather(one.players, one.average, one.memory)


def _same(recipe: Recipe, first: dict[str, Tensor], second: dict[str, Tensor], what: str) -> None:
    if first.keys() != second.keys():
        raise NotConforming(f"{recipe.name}: {what}: {_list(first.keys() ^ second.keys())}")
    for name, tensor in first.items():
        if not torch.equal(tensor, second[name]):
            raise NotConforming(f"{recipe.name}: {what} in {name}")


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "nobody"
