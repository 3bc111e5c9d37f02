"""The round itself: no host read, the average, the optimizer's layout, not-finite."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from zerosum import files
from zerosum.data.pictures import Pictures
from zerosum.errors import Stopped, UserError
from zerosum.game.schedules import Clock
from zerosum.recipe import EMA, PlayerSpec, Recipe
from zerosum.recipes import CATALOGUE, compose
from zerosum.run import Run
from zerosum.training import checkpoint, saving
from zerosum.training import trainer as trainer_module
from zerosum.training.ema import Average, re_estimate
from zerosum.training.trainer import Budget, Choices, Moment, Trainer, train

RECIPES = [("dcgan", {}), ("modern", {}), ("modern", {"classes": 3})]


def pictures(count: int = 120, channels: int = 1) -> Pictures:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (count, channels, 16, 16), dtype=np.uint8)
    rows = np.arange(count)
    train, held_out = rows[rows % 10 != 0], rows[rows % 10 == 0]
    return Pictures("noise", pixels, rows % 3, ("a", "b", "c"), train, held_out, (16, 16), "identity")


def recipe(name: str, dials: dict[str, int], channels: int = 1) -> Recipe:
    return CATALOGUE[name](resolution=(16, 16), channels=channels, width=4, batch=8, images=800, **dials)


def trainer(name: str, dials: dict[str, int], folder: Path, choices: Choices = Choices()) -> Trainer:  # noqa: B008
    return Trainer(recipe(name, dials), pictures(), Run(folder), 0, choices)


@pytest.mark.parametrize(("name", "dials"), RECIPES)
def test_no_host_read_in_a_round(
    name: str, dials: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.init, "trunc_normal_", lambda tensor, **bounds: tensor)  # reads, but not in a round
    with FakeTensorMode():
        fake = trainer(name, dials, tmp_path)
        fake.play_round(Budget(800))
        fake.play_round(Budget(800))
        with pytest.raises(DataDependentOutputException):
            fake.sums["critic.loss"].item()


@pytest.mark.parametrize(("name", "dials"), RECIPES)
def test_a_round_moves_both_players_and_repeats_bit_for_bit(name: str, dials: dict[str, int], tmp_path: Path) -> None:
    one, two = trainer(name, dials, tmp_path), trainer(name, dials, tmp_path)
    before = copy.deepcopy({role: player.net.state_dict() for role, player in one.players.items()})
    for each in (one, two):
        for _ in range(6):
            each.play_round(Budget(800))
    for role, player in one.players.items():
        for key, tensor in player.net.named_parameters():
            assert torch.equal(tensor, dict(two.players[role].net.named_parameters())[key])
            assert not torch.equal(tensor, before[role][key]), f"{role}.{key} never moved"
    assert one.images == 48
    assert one.rounds == 6


@pytest.mark.parametrize("memory_format", ["channels_last", "contiguous"])
def test_restored_moments_have_their_weights_strides(memory_format: str, tmp_path: Path) -> None:
    """Fused Adam ignores strides: a moment in another layout would be applied to the wrong weights."""
    choices = Choices(memory_format=memory_format)
    one = trainer("dcgan", {}, tmp_path, choices)
    for _ in range(3):
        one.play_round(Budget(800))
    saved = checkpoint.gather(one.players, one.average, one.memory)
    contiguous = {name: tensor.contiguous().clone() for name, tensor in saved.items()}
    two = trainer("dcgan", {}, tmp_path, choices)
    two.memory = checkpoint.restore(contiguous, two.players, two.average, two.memory)
    two.images, two.rounds = one.images, one.rounds
    seen = 0
    for player in two.players.values():
        for parameter in player.net.parameters():
            for moment in player.optimizer.state[parameter].values():
                if moment.ndim == 4:
                    assert moment.stride() == parameter.stride()
                    seen += not parameter.is_contiguous()
    assert (seen > 0) == (memory_format == "channels_last")
    for each in (one, two):
        each.play_round(Budget(800))
    for name, tensor in checkpoint.gather(one.players, one.average, one.memory).items():
        assert torch.equal(checkpoint.gather(two.players, two.average, two.memory)[name], tensor), name


def test_a_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    one = trainer("dcgan", {}, tmp_path)
    saved = checkpoint.gather(one.players, one.average, one.memory)
    other = trainer("modern", {}, tmp_path)
    with pytest.raises(UserError, match="does not fit"):
        checkpoint.restore(saved, other.players, other.average, other.memory)


def test_not_finite_stops_and_nothing_moves(tmp_path: Path) -> None:
    one = trainer("modern", {}, tmp_path)
    train(one, Budget(160))
    saved = [path.name for path in Run(tmp_path).states()]
    weights = copy.deepcopy({role: dict(p.net.named_parameters()) for role, p in one.players.items()})
    last = list(one.players["critic"].net.parameters())[-1]
    with torch.no_grad():
        last.fill_(float("nan"))
    with pytest.raises(Stopped, match="not finite"):
        train(one, Budget(800))
    for role, player in one.players.items():
        for name, parameter in player.net.named_parameters():
            if parameter is not last:
                assert torch.equal(parameter, weights[role][name]), f"{role}.{name} moved"
    assert [path.name for path in Run(tmp_path).states()] == saved
    line = files.read_lines(Run(tmp_path).stats)[-1]
    assert line["critic.loss"] is None
    assert "critic.loss" in line["not_finite"]


def test_average_has_its_half_life() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    average = Average(net, EMA(half_life=100.0, ramp=0.0))
    torch.nn.init.ones_(net.weight)
    for step in range(10):
        average.update(net, (step + 1) * 10, 10)
    assert average.weights["weight"].item() == pytest.approx(0.5, rel=1e-6)


def test_average_ramps_up() -> None:
    """After n images the half-life is at most ramp * n: a young average follows quickly."""
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    average = Average(net, EMA(half_life=1e9, ramp=0.05))
    torch.nn.init.ones_(net.weight)
    average.update(net, 1000, 50)
    assert average.weights["weight"].item() == pytest.approx(1 - 0.5 ** (50 / 50.0), rel=1e-6)


def test_batch_norm_statistics_are_those_of_the_averaged_weights() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6))

    class Labelled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net

        def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
            return self.body(x)

    model = Labelled()
    batches = [(torch.randn(32, 4), None) for _ in range(4)]
    with torch.no_grad():
        net[0].weight.mul_(7)
    re_estimate(model, batches)
    hidden = [net[0](x) for x, _ in batches]
    expected = torch.stack([h.mean(0) for h in hidden]).mean(0)
    assert torch.allclose(net[1].running_mean, expected, atol=1e-6)
    assert torch.allclose(net[1].running_var, torch.stack([h.var(0) for h in hidden]).mean(0), rtol=1e-5)
    assert net[1].momentum == 0.1


def test_taking_an_average_changes_nothing_in_training(tmp_path: Path) -> None:
    one = trainer("dcgan", {}, tmp_path)
    one.play_round(Budget(800))
    before = {name: tensor.clone() for name, tensor in checkpoint.gather(one.players, one.average, one.memory).items()}
    saving.write_grids(one)
    saving.write_snapshot(one)
    for name, tensor in checkpoint.gather(one.players, one.average, one.memory).items():
        assert torch.equal(tensor, before[name]), name


def test_what_a_run_writes(tmp_path: Path) -> None:
    moments: list[Moment] = []
    one = trainer("modern", {"classes": 3}, tmp_path)
    assert train(one, Budget(800), watchers=[moments.append]).done
    run = Run(tmp_path)
    assert (tmp_path / "samples" / "real.png").is_file()
    assert run.sample_file(0).is_file()
    assert run.sample_file(800).is_file()
    assert run.snapshot_file(800).is_file()
    assert 1 <= len(run.states()) <= 2
    lines = files.read_lines(run.stats)
    assert [line["images"] for line in lines] == [160, 320, 480, 640, 800]
    assert {"seconds", "images_per_second", "critic.loss", "generator.loss", "critic.gradient"} <= lines[-1].keys()
    assert [moment.images for moment in moments] == [160, 320, 480, 640, 800]


def test_networks_compute_in_16_bits_and_nothing_else_does(tmp_path: Path) -> None:
    kinds: dict[str, torch.dtype] = {}
    for precision in ("fp32", "bf16"):
        small = dataclasses.replace(recipe("modern", {}), precision=precision)
        one = Trainer(small, pictures(), Run(tmp_path), 0, Choices())
        critic = one.players["critic"].net
        for name, layer in (("inner", critic.body[0]), ("last", critic.last)):
            layer.register_forward_hook(lambda _, given, out, name=name: kinds.update({name: out.dtype}))
        one.play_round(Budget(800))
        assert kinds == {"inner": torch.float32 if precision == "fp32" else torch.bfloat16, "last": torch.float32}
        assert {tensor.dtype for tensor in one.sums.values()} == {torch.float32}
        assert {p.dtype for player in one.players.values() for p in player.net.parameters()} == {torch.float32}


def test_factors_are_rounded_only_where_that_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bool] = []

    @contextlib.contextmanager
    def note(device: torch.device, *, tf32: bool, tried: bool) -> Iterator[None]:
        assert tried
        said.append(tf32)
        yield

    monkeypatch.setattr(trainer_module, "factors", note)
    for precision in ("fp32", "bf16", "tf32"):
        small = dataclasses.replace(recipe("modern", {}), precision=precision)
        Trainer(small, pictures(), Run(tmp_path), 0, Choices()).play_round(Budget(800))
    assert said == [False, False, True]


def test_parts_of_a_batch_are_the_whole_batch(tmp_path: Path) -> None:
    """Losses that are means: the same pictures, latents and noise, so the same weights but for the order of sums."""
    whole = compose(
        (16, 16),
        1,
        width=4,
        batch=12,
        images=800,
        loss="rpgan",
        penalties=("r1", "wgan_gp"),
        lecam=0.1,
        smoothing=0.0,
        instance_noise=0.1,
        consistency=("real", "latent"),
        augment=("color", "translation"),
        beta1=0.0,
    )
    generator = dataclasses.replace(whole.players["generator"].net, norm="none")
    players = {**whole.players, "generator": PlayerSpec(generator, whole.players["generator"].optimizer)}
    whole = dataclasses.replace(whole, players=players)
    after = []
    for parts in (1, 2, 6):
        one = Trainer(dataclasses.replace(whole, accumulate=parts), pictures(), Run(tmp_path), 0, Choices())
        for player in one.players.values():
            player.optimizer = torch.optim.SGD(player.net.parameters(), lr=1.0)
            player.rate = 1e-3
        one.rounds = 2000  # LeCam has begun
        for _ in range(3):
            one.play_round(Budget(800))
        after.append({**checkpoint.gather(one.players, one.average, one.memory), **one.sums})
    assert len(one.draws(Clock(2003))[0].rest) == 5
    for other in after[1:]:
        assert other.keys() == after[0].keys()
        for name, tensor in other.items():
            torch.testing.assert_close(
                tensor, after[0][name], rtol=2e-4, atol=2e-6, msg=lambda text, name=name: name + text
            )
    assert any(not torch.equal(after[0][name], after[1][name]) for name in after[0])  # it was played in parts


def test_a_time_becomes_a_budget_once(tmp_path: Path) -> None:
    import time

    one = trainer("modern", {}, tmp_path)
    fixed: list[Budget] = []
    outcome = train(one, None, deadline=time.monotonic() + 3, fixed=fixed.append)
    assert len(fixed) == 1
    assert fixed[0].since == 20 * 8
    assert fixed[0].images > fixed[0].since
    assert outcome.done or outcome.why == "time"
    assert fixed[0].at(fixed[0].since - 1) is None  # the schedules of the first rounds must not know it, ever


def test_old_snapshots_are_thinned(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for images in range(0, 4000, 100):
        files.write(run.snapshot_file(images), b"x")
        run.thin_snapshots()
    kept = [int(path.stem) for path in run.snapshots()]
    assert kept[0] == 0
    assert kept[-1] == 3900
    assert 10 <= len(kept) <= 12
    assert max(b - a for a, b in itertools.pairwise(kept)) < 1000


def test_what_is_played_rarely_draws_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WGAN's critic has long turns in the first rounds and then rarely: positions in the data have no gaps."""
    small = CATALOGUE["wgan"](resolution=(16, 16), channels=1, width=2, batch=4, critic_turns=2, long_turns=5)
    one = Trainer(small, pictures(), Run(tmp_path), 0, Choices())
    asked: list[tuple[int, int]] = []
    real = one.loader.batch
    monkeypatch.setattr(one.loader, "batch", lambda start, count: asked.append((start, count)) or real(start, count))
    for index in [*range(40), 499, 500, 501]:
        if index == 499:
            asked.clear()
        one.draws(Clock(round=index))
    sizes = [count for _, count in asked]
    assert sizes == [4] * (3 + 6 + 3)
    starts = [start for start, _ in asked]
    assert starts == list(range(starts[0], starts[0] + 4 * len(starts), 4))
    assert starts[0] == 4 * (25 * 6 + 474 * 3)  # long rounds have a turn of the generator too


def test_images_seen_count_the_turns_that_are_played(tmp_path: Path) -> None:
    small = CATALOGUE["wgan"](resolution=(16, 16), channels=1, width=2, batch=4, critic_turns=2, long_turns=5)
    one = Trainer(small, pictures(), Run(tmp_path), 0, Choices())
    one.play_round(Budget(800))
    assert one.images == 20
    one.rounds = 26
    one.play_round(Budget(800))
    assert one.images == 28


@pytest.mark.parametrize("name", ["wgan", "goodfellow2014"])
def test_other_optimizers_move_as_torch_does(name: str, tmp_path: Path) -> None:
    """One step of the critic by hand: the same loss, torch's own RMSprop or SGD."""
    dials = {"long_turns": 1, "critic_turns": 1} if name == "wgan" else {"play": "alternating"}
    small = CATALOGUE[name](resolution=(16, 16), channels=1, width=10, batch=8, **dials)
    one, two = (Trainer(small, pictures(), Run(tmp_path), 0, Choices()) for _ in range(2))
    one.play_round(Budget(800))
    net = two.players["critic"].net
    if name == "wgan":
        optimizer = torch.optim.RMSprop(net.parameters(), lr=5e-5, alpha=0.99)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
    draw = two.draws(Clock())[0]
    turn = small.moves[0][0]
    loss, _, _ = turn.loss(two.players, draw, {})
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.clamp_(-0.01, 0.01) if name == "wgan" else None
    for found, expected in zip(one.players["critic"].net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
