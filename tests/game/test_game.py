"""``play``: who moves when, on what, and what is computed for it. Tiny networks, float64."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.game import losses
from zerosum.game.augment import DiffAugment
from zerosum.game.critic import TorchNoise
from zerosum.game.game import Game, Stats
from zerosum.game.penalties import R1, R2
from zerosum.game.player import Player
from zerosum.game.rounds import (
    Batch,
    CriticTurn,
    Draw,
    GeneratorTurn,
    Move,
    Turn,
    alternating,
    generated,
    play,
    simultaneous,
)
from zerosum.game.schedules import START, Clock, linear
from zerosum.game.sight import Sight
from zerosum.game.terms import LeCam, Memory
from zerosum.networks.spectral import SpectralLinear

LATENT, SIDE, COUNT = 3, 4, 5
GAME = Game(losses.non_saturating)


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(LATENT, SIDE, dtype=torch.float64)
        self.seen: list[tuple[Tensor, Tensor | None, bool]] = []

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        self.seen.append((latents, labels, self.layer.weight.requires_grad))
        return torch.tanh(self.layer(latents))


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(SIDE, 1, dtype=torch.float64)
        self.seen: list[tuple[Tensor, Tensor | None, bool]] = []

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        self.seen.append((x.detach(), labels, self.layer.weight.requires_grad))
        return F.leaky_relu(self.layer(x), 0.2).squeeze(1)


def make_players(rate=0.1, optimizer=torch.optim.SGD) -> dict[str, Player]:
    torch.manual_seed(0)
    nets = {"generator": Generator(), "critic": Critic()}
    return {name: Player(net, optimizer(net.parameters(), lr=1.0), rate) for name, net in nets.items()}


def make_draws(count: int, *, clock: Clock = START, shared: bool = True, seed: int = 0) -> dict[int, Draw]:
    generator = torch.Generator().manual_seed(seed)
    draws = {}
    for number in range(count):
        real = torch.randn(COUNT, SIDE, dtype=torch.float64, generator=generator)
        latents = torch.randn(COUNT, LATENT, dtype=torch.float64, generator=generator)
        labels = torch.full((COUNT,), number)
        draws[number] = Draw(Batch(real, labels), latents, TorchNoise(real), {}, clock, shared)
    return draws


def weights(players: dict[str, Player]) -> dict[str, list[Tensor]]:
    return {name: [p.detach().clone() for p in player.net.parameters()] for name, player in players.items()}


def gradients(players: dict[str, Player], name: str) -> list[Tensor | None]:
    return [None if p.grad is None else p.grad.clone() for p in players[name].net.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


class Watch:
    """A ``before_steps`` that notes the weights and gradients at each move."""

    def __init__(self, players: dict[str, Player]) -> None:
        self.players, self.movers, self.weights, self.gradients, self.stats = players, [], [], [], []

    def __call__(self, turns: Sequence[Turn], stats: Stats) -> Stats:
        self.movers.append([turn.player for turn in turns])
        self.weights.append(weights(self.players))
        self.gradients.append({name: gradients(self.players, name) for name in self.players})
        self.stats.append(dict(stats))
        return {}


def watched(
    moves: tuple[Move, ...], players: dict[str, Player], draws: dict[int, Draw]
) -> tuple[Watch, Stats, list[dict[str, list[Tensor]]]]:
    """Play a round; return the watch, the stats, and the weights before each move and after the last."""
    watch = Watch(players)
    stats, _ = play(moves, players, draws, {}, before_steps=watch)
    return watch, stats, [*watch.weights, weights(players)]


# --- the plan of a round ---


def plan(moves: tuple[Move, ...]) -> list[list[tuple[str, int]]]:
    return [[(turn.player, turn.draw) for turn in move] for move in moves]


@pytest.mark.parametrize(
    ("dials", "expected"),
    [
        ({}, [("critic", 0), ("generator", 1)]),
        ({"one_draw": True}, [("critic", 0), ("generator", 0)]),
        ({"critic_turns": 3}, [("critic", 0), ("critic", 1), ("critic", 2), ("generator", 3)]),
        ({"critic_turns": 2, "one_draw": True}, [("critic", 0), ("critic", 1), ("generator", 1)]),
        ({"generator_turns": 2}, [("critic", 0), ("generator", 1), ("generator", 2)]),
        ({"generator_turns": 2, "one_draw": True}, [("critic", 0), ("generator", 0), ("generator", 0)]),
    ],
)
def test_alternating_moves(dials: dict, expected: list[tuple[str, int]]) -> None:
    assert plan(alternating(GAME, **dials)) == [[turn] for turn in expected]


def test_simultaneous_is_one_move_on_one_draw() -> None:
    assert plan(simultaneous(GAME)) == [[("critic", 0), ("generator", 0)]]


# --- who moves ---


@pytest.mark.parametrize("dials", [{}, {"one_draw": True}, {"critic_turns": 2, "generator_turns": 2}])
def test_only_the_mover_moves(dials: dict) -> None:
    players = make_players()
    moves = alternating(GAME, **dials)
    watch, _, path = watched(moves, players, make_draws(4))
    assert watch.movers == [[turn.player for turn in move] for move in moves]
    for index, (mover,) in enumerate(watch.movers):
        still = "critic" if mover == "generator" else "generator"
        assert not same(path[index][mover], path[index + 1][mover])
        assert same(path[index][still], path[index + 1][still])


def test_a_players_gradients_stay_untouched_in_its_opponents_turn() -> None:
    players = make_players()
    watch, _, _ = watched(alternating(GAME), players, make_draws(2))
    first, second = watch.gradients
    assert first["generator"] == [None, None]  # none computed in the critic's turn
    assert all(gradient is not None for gradient in first["critic"])
    assert same(first["critic"], second["critic"])  # none added in the generator's turn
    assert all(gradient is not None for gradient in second["generator"])


@pytest.mark.parametrize("name", ["non_saturating", "rpgan"])
def test_the_still_critic_computes_no_gradient_for_its_weights(name: str) -> None:
    players = make_players()
    game = Game(losses.CATALOGUE[name])
    play(((Turn("generator", GeneratorTurn(game)),),), players, make_draws(1), {})
    critic = players["critic"].net
    assert gradients(players, "critic") == [None, None]
    assert [takes for _, _, takes in critic.seen] == [False] * (2 if name == "rpgan" else 1)
    assert all(p.requires_grad for player in players.values() for p in player.net.parameters())


def test_players_are_released_when_a_turn_fails() -> None:
    def fails(players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]:
        raise RuntimeError("no")

    players = make_players()
    with pytest.raises(RuntimeError, match="no"):
        play(((Turn("critic", fails),),), players, make_draws(1), {})
    assert all(p.requires_grad for p in players["generator"].net.parameters())


@pytest.mark.parametrize("make", [alternating, simultaneous])
@pytest.mark.parametrize("name", ["generator", "critic"])
def test_weights_that_are_frozen_stay_frozen(make, name: str) -> None:
    players = make_players()
    net = players[name].net
    net.layer.bias.requires_grad_(False)
    players[name] = Player(net, torch.optim.SGD(net.parameters(), lr=1.0), 0.1)
    bias = net.layer.bias.clone()
    weight = net.layer.weight.detach().clone()
    for _ in range(3):
        play(make(GAME), players, make_draws(2), {})
        assert not net.layer.bias.requires_grad
        assert net.layer.bias.grad is None
        assert net.layer.weight.requires_grad
    assert torch.equal(net.layer.bias, bias)
    assert not torch.equal(net.layer.weight, weight)


def test_gradients_do_not_add_up_from_round_to_round() -> None:
    players = make_players(rate=0.0)
    rounds = [watched(alternating(GAME), players, make_draws(2))[0].gradients[-1] for _ in range(2)]
    assert same(rounds[0]["generator"], rounds[1]["generator"])
    assert same(rounds[0]["critic"], rounds[1]["critic"])


# --- against loops written out by hand ---


def bce(scores: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


def adam(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999))


def by_hand(rounds: int, *, critic_turns: int, generator_turns: int, one_draw: bool) -> dict[str, list[Tensor]]:
    """The loop that everybody writes (pytorch/examples/dcgan), with fresh or the same latents for the generator."""
    players = make_players()
    generator, critic = players["generator"].net, players["critic"].net
    steps = {name: adam(player.net.parameters(), 0.1) for name, player in players.items()}
    for number in range(rounds):
        draws = make_draws(critic_turns + generator_turns, seed=number)
        for turn in range(critic_turns):
            critic.zero_grad()
            fake = generator(draws[turn].latents)
            (bce(critic(draws[turn].real.x), 1) + bce(critic(fake.detach()), 0)).backward()
            steps["critic"].step()
        for turn in range(generator_turns):
            generator.zero_grad()
            draw = draws[critic_turns - 1 if one_draw else critic_turns + turn]
            bce(critic(generator(draw.latents)), 1).backward()
            steps["generator"].step()
    return weights(players)


@pytest.mark.parametrize("critic_turns", [1, 3])
@pytest.mark.parametrize("generator_turns", [1, 2])
@pytest.mark.parametrize("one_draw", [True, False])
def test_alternating_is_the_loop_that_everybody_writes(critic_turns: int, generator_turns: int, one_draw: bool) -> None:
    dials = {"critic_turns": critic_turns, "generator_turns": generator_turns, "one_draw": one_draw}
    players = make_players(optimizer=adam)
    for number in range(4):
        play(alternating(GAME, **dials), players, make_draws(critic_turns + generator_turns, seed=number), {})
    for name, expected in by_hand(4, **dials).items():
        for found, wanted in zip(weights(players)[name], expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["non_saturating", "rpgan"])
def test_simultaneous_takes_both_losses_at_the_same_weights(name: str) -> None:
    game = Game(losses.CATALOGUE[name], (R1(1.0), R2(1.0)))
    players = make_players(rate=0.1)
    draw = make_draws(1)[0]
    other = copy.deepcopy({name: player.net for name, player in players.items()})
    _, _, path = watched(simultaneous(game), players, {0: draw})
    assert len(path) == 2
    generator, critic = other["generator"], other["critic"]
    fake = generator(draw.latents)
    critic_loss, _, _ = game.critic_loss(critic, real=draw.real.x, fake=fake.detach())
    generator_loss, _, _ = game.generator_loss(critic, real=draw.real.x, fake=fake)
    for net, loss, found in (
        (critic, critic_loss, path[1]["critic"]),
        (generator, generator_loss, path[1]["generator"]),
    ):
        for p, gradient, after in zip(
            net.parameters(), torch.autograd.grad(loss, list(net.parameters())), found, strict=True
        ):
            torch.testing.assert_close(after, p.detach() - 0.1 * gradient, rtol=1e-10, atol=1e-12)


def test_alternating_answers_the_critic_that_has_moved() -> None:
    one, two = make_players(), make_players()
    play(alternating(GAME, one_draw=True), one, make_draws(1), {})
    play(simultaneous(GAME), two, make_draws(1), {})
    assert same(weights(one)["critic"], weights(two)["critic"])
    assert not same(weights(one)["generator"], weights(two)["generator"])


# --- draws and the generator's passes ---


@pytest.mark.parametrize(
    ("dials", "passes"),
    [
        ({"one_draw": True}, 1),
        ({"one_draw": True, "generator_turns": 2}, 2),
        ({"one_draw": True, "critic_turns": 3}, 3),
        ({}, 2),
        ({"critic_turns": 2, "generator_turns": 2}, 4),
    ],
)
def test_generator_passes(dials: dict, passes: int) -> None:
    players = make_players()
    play(alternating(GAME, **dials), players, make_draws(4), {})
    assert len(players["generator"].net.seen) == passes


def test_simultaneous_has_one_generator_pass() -> None:
    players = make_players()
    play(simultaneous(GAME), players, make_draws(1), {})
    assert len(players["generator"].net.seen) == 1


def test_each_turn_sees_its_own_draw() -> None:
    players, draws = make_players(), make_draws(3)
    play(alternating(GAME, critic_turns=2), players, draws, {})
    critic, generator = players["critic"].net, players["generator"].net
    assert [labels[0].item() for _, labels, _ in generator.seen] == [0, 1, 2]
    assert all(seen[0] is draws[number].latents for number, seen in enumerate(generator.seen))
    # real and fake for each critic turn, then the generator's fake; the generated carry the real batch's labels
    assert [labels[0].item() for _, labels, _ in critic.seen] == [0, 0, 1, 1, 2]
    assert torch.equal(critic.seen[0][0], draws[0].real.x)
    assert torch.equal(critic.seen[2][0], draws[1].real.x)


def test_no_pass_is_kept_after_the_generator_has_moved() -> None:
    players, draws = make_players(), make_draws(2)
    play(alternating(GAME), players, draws, {})
    assert all(draw.kept == {} for draw in draws.values())


@pytest.mark.parametrize("shared", [True, False])
def test_a_draw_that_no_generator_turn_shares_has_no_graph(shared: bool) -> None:
    players = make_players()
    draw = make_draws(1, shared=shared)[0]
    fake = generated(players, draw)
    assert fake.requires_grad == shared
    assert (fake.grad_fn is not None) == shared
    assert generated(players, draw) is fake
    assert [takes for _, _, takes in players["generator"].net.seen] == [shared]
    assert all(p.requires_grad for p in players["generator"].net.parameters())


def test_a_critics_turn_is_the_same_with_and_without_the_graph() -> None:
    after = []
    for shared in (True, False):
        players = make_players()
        play(((Turn("critic", CriticTurn(GAME)),),), players, make_draws(1, shared=shared), {})
        after.append(weights(players)["critic"])
    assert same(*after)


def test_turns_whose_draw_is_missing_are_left_out() -> None:
    players = make_players()
    before = weights(players)
    stats, _ = play(alternating(GAME), players, {0: make_draws(1)[0]}, {})
    assert same(before["generator"], weights(players)["generator"])
    assert not any(name.startswith("generator.") for name in stats)


# --- every n-th round, rates, memory, before_steps, stats ---


def test_every_skips_rounds() -> None:
    players = make_players()
    moves = ((Turn("critic", CriticTurn(GAME)),), (Turn("generator", GeneratorTurn(GAME), draw=1, every=3),))
    moved = []
    for number in range(7):
        before = weights(players)
        stats, _ = play(moves, players, make_draws(2, clock=Clock(round=number)), {})
        moved.append([not same(before[name], weights(players)[name]) for name in ("critic", "generator")])
        assert ("generator.loss" in stats) == moved[-1][1]
    assert [critic for critic, _ in moved] == [True] * 7
    assert [number for number, (_, generator) in enumerate(moved) if generator] == [0, 3, 6]


def test_rates_follow_their_schedules() -> None:
    players = make_players(rate=linear(0.0, 0.4, images=100))
    players["critic"].rate = 0.05
    for images, rate in ((0, 0.0), (25, 0.1), (100, 0.4)):
        before = weights(players)
        watch, _, _ = watched(alternating(GAME), players, make_draws(2, clock=Clock(images=images)))
        gradient = watch.gradients[1]["generator"]
        for old, new, slope in zip(before["generator"], weights(players)["generator"], gradient, strict=True):
            torch.testing.assert_close(new, old - rate * slope)
        assert players["generator"].optimizer.param_groups[0]["lr"] == pytest.approx(rate)
        assert players["critic"].optimizer.param_groups[0]["lr"] == 0.05


def test_memory_goes_from_turn_to_turn_and_comes_back() -> None:
    seen = []

    def remembers(players, draw: Draw, memory: Memory) -> tuple[Tensor, Stats, Memory]:
        seen.append(memory["count"].item())
        loss = players["critic"].net(draw.real.x).mean()
        return loss, {"count": memory["count"]}, memory | {"count": memory["count"] + 1}

    turn = Turn("critic", remembers)
    players, memory = make_players(), {"count": torch.tensor(5), "other": torch.tensor(1)}
    moves = ((turn, Turn("generator", GeneratorTurn(GAME))), (turn,), (turn,))
    stats, after = play(moves, players, make_draws(1), memory)
    assert seen == [5, 6, 7]
    assert after == {"count": torch.tensor(8), "other": torch.tensor(1)}
    assert memory["count"] == 5
    assert stats["critic.count"] == 6  # the mean over the critic's turns


@pytest.mark.parametrize("make", [alternating, simultaneous])
def test_before_steps_is_called_once_per_move_before_any_step(make) -> None:
    players = make_players()
    start = weights(players)
    watch, _, path = watched(make(GAME), players, make_draws(2))
    assert watch.movers == ([["critic"], ["generator"]] if make is alternating else [["critic", "generator"]])
    assert same(path[0]["critic"], start["critic"])
    assert same(path[0]["generator"], start["generator"])
    for movers, found in zip(watch.movers, watch.gradients, strict=True):
        assert all(gradient is not None for mover in movers for gradient in found[mover])
    for movers, stats in zip(watch.movers, watch.stats, strict=True):
        assert {name for name in stats if name.endswith(".loss")} == {f"{mover}.loss" for mover in movers}


def test_before_steps_can_change_gradients_and_add_stats() -> None:
    players = make_players()
    start = weights(players)

    def stop(turns: Sequence[Turn], stats: Stats) -> Stats:
        for turn in turns:
            for p in players[turn.player].net.parameters():
                p.grad = torch.zeros_like(p)
        return {f"{turn.player}.doubled": 2 * stats[f"{turn.player}.loss"] for turn in turns}

    stats, _ = play(alternating(GAME), players, make_draws(2), {}, before_steps=stop)
    assert all(same(start[name], weights(players)[name]) for name in players)
    for name in players:
        assert stats[f"{name}.doubled"] == 2 * stats[f"{name}.loss"]


def test_stats_are_the_mean_over_a_players_turns() -> None:
    players = make_players()
    watch, stats, _ = watched(alternating(GAME, critic_turns=3), players, make_draws(4))
    each = torch.stack([found["critic.loss"] for found in watch.stats if "critic.loss" in found])
    assert len(each.unique()) == 3
    torch.testing.assert_close(stats["critic.loss"], each.mean())
    assert stats["generator.loss"] == watch.stats[3]["generator.loss"]


def test_stats_are_named_after_their_player_and_detached() -> None:
    players = make_players()
    stats, _ = play(alternating(Game(losses.rpgan, (R1(1.0), R2(1.0)))), players, make_draws(2), {})
    critic = {"real_score", "fake_score", "real_sign", "fake_sign", "game", "penalty_real", "penalty_fake", "loss"}
    assert set(stats) == {f"critic.{name}" for name in critic} | {"generator.loss", "generator.fake_score"}
    assert all(tensor.shape == () and not tensor.requires_grad for tensor in stats.values())


# --- what the losses see ---


def test_generator_loss_scores_reals_only_where_they_count_and_without_a_graph() -> None:
    critic = Critic()
    real = torch.randn(COUNT, SIDE, dtype=torch.float64, requires_grad=True)
    fake = torch.randn(COUNT, SIDE, dtype=torch.float64, requires_grad=True)
    Game(losses.hinge).generator_loss(critic, real=real, fake=fake)
    assert len(critic.seen) == 1
    loss, stats, _ = Game(losses.rpgan).generator_loss(critic, real=real, fake=fake)
    loss.backward()
    assert len(critic.seen) == 3
    assert real.grad is None
    assert fake.grad is not None
    assert not stats["loss"].requires_grad
    assert stats["fake_score"].item() == pytest.approx(critic(fake).mean().item())


@pytest.mark.parametrize("name", list(losses.CATALOGUE))
def test_losses_are_the_means_over_pairs_of_real_and_fake(name: str) -> None:
    torch.manual_seed(0)
    critic, loss = Critic(), losses.CATALOGUE[name]
    real, fake = torch.randn(2, COUNT, SIDE, dtype=torch.float64)
    scores = {"real": critic(real), "fake": critic(fake)}
    found = Game(loss).critic_loss(critic, real=real, fake=fake)[0]
    torch.testing.assert_close(found, loss.critic(**scores).mean())
    found = Game(loss).generator_loss(critic, real=real, fake=fake)[0]
    torch.testing.assert_close(found, loss.generator(**scores).mean())


def test_generator_loss_without_reals() -> None:
    critic, fake = Critic(), torch.zeros(COUNT, SIDE, dtype=torch.float64)
    Game(losses.hinge).generator_loss(critic, real=None, fake=fake)
    with pytest.raises(ValueError, match="real="):
        Game(losses.ragan).generator_loss(critic, real=None, fake=fake)


def test_augmentation_stands_before_the_critic_in_every_turn() -> None:
    class Pictures(Critic):
        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            return super().forward(x.flatten(1), labels)

    class Painter(Generator):
        def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            return super().forward(latents, labels).view(-1, 1, 2, 2)

    torch.manual_seed(0)
    players = {
        name: Player(net, torch.optim.SGD(net.parameters(), lr=1.0), 0.0)
        for name, net in {"generator": Painter(), "critic": Pictures()}.items()
    }
    draw = make_draws(1)[0]
    draw = draw._replace(real=Batch(draw.real.x.view(-1, 1, 2, 2) + 10))
    grey = DiffAugment(("cutout",), fill=-7.0)  # covers one of the four pixels, or none
    play(alternating(Game(losses.rpgan), one_draw=True, sight=Sight(grey)), players, {0: draw}, {})
    seen = players["critic"].net.seen
    assert len(seen) == 4  # real and fake for the critic, real and fake for the generator
    assert all((x == -7).any() for x, _, _ in seen)
    assert len({tuple((x == -7).flatten().tolist()) for x, _, _ in seen}) > 1  # drawn anew each time


# --- who plays when, and what follows from a step ---


@pytest.mark.parametrize("every", [1, 2, 5, 500])
@pytest.mark.parametrize("early", [0, 1, 3, 25])
def test_played_before_counts_the_rounds(every: int, early: int) -> None:
    turn = Turn("critic", CriticTurn(GAME), every=every, early=early)
    count = 0
    for index in range(1100):
        assert turn.played_before(index) == count
        assert turn.is_played(index) == (index < early or index % every == 0)
        count += turn.is_played(index)


def test_weights_are_clipped_after_the_step() -> None:
    players = make_players(rate=10.0)
    players["critic"].clip = 0.01
    play(alternating(GAME), players, make_draws(2), {})
    assert max(p.abs().max().item() for p in players["critic"].net.parameters()) == 0.01
    assert max(p.abs().max().item() for p in players["generator"].net.parameters()) > 0.01


def test_momentum_follows_its_schedule() -> None:
    players = make_players()
    players["critic"].momentum = linear(0.5, 0.7, images=100)
    for images, expected in ((0, 0.5), (50, 0.6), (200, 0.7)):
        play(alternating(GAME), players, make_draws(2, clock=Clock(images=images)), {})
        assert players["critic"].optimizer.param_groups[0]["momentum"] == pytest.approx(expected)
        assert players["generator"].optimizer.param_groups[0]["momentum"] == 0


def test_layers_advance_when_their_player_has_stepped() -> None:
    class Advancing(Critic):
        def __init__(self) -> None:
            super().__init__()
            self.moments: list[Tensor] = []

        def advance(self) -> None:
            self.moments.append(self.layer.weight.detach().clone())

    players = make_players()
    net = Advancing()
    players["critic"] = Player(net, torch.optim.SGD(net.parameters(), lr=1.0), 0.1)
    play(alternating(GAME, critic_turns=2, generator_turns=2), players, make_draws(4), {})
    assert len(net.moments) == 2
    assert not torch.equal(*net.moments)
    assert torch.equal(net.moments[1], net.layer.weight)


def test_every_layer_advances_once() -> None:
    torch.manual_seed(0)
    layers = [SpectralLinear(SIDE, SIDE) for _ in range(3)]
    net = nn.Sequential(layers[0], nn.Sequential(layers[1], nn.ReLU()), layers[2])
    twins = copy.deepcopy(layers)
    Player(net, torch.optim.SGD(net.parameters(), lr=1.0), 0.0).step(START)
    for layer, twin in zip(layers, twins, strict=True):
        assert not torch.equal(layer.u, twin.u)
        twin.advance()
        assert torch.equal(layer.u, twin.u)


def test_random_layers_ask_the_draw() -> None:
    class Dropping(Critic):
        def __init__(self) -> None:
            super().__init__()
            self.noise = None

        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            return super().forward(x * self.noise.uniform(*x.shape), labels)

    asked: list[int] = []

    class Asked(TorchNoise):
        def uniform(self, *shape: int) -> Tensor:
            asked.append(shape[0])
            return super().uniform(*shape)

    players = make_players()
    net = Dropping()
    players["critic"] = Player(net, torch.optim.SGD(net.parameters(), lr=1.0), 0.1)
    draws = {n: draw._replace(noise=Asked(draw.real.x)) for n, draw in make_draws(2).items()}
    play(alternating(GAME), players, draws, {})
    assert asked == [COUNT, COUNT, COUNT]  # real and fake for the critic, fake for the generator


def test_packs_reach_the_critic_and_no_one_else() -> None:
    players = make_players()
    wide = Critic()
    wide.layer = nn.Linear(2 * SIDE, 1, dtype=torch.float64)
    players["critic"] = Player(wide, torch.optim.SGD(wide.parameters(), lr=1.0), 0.1)
    draw = make_draws(1)[0]
    draw = draw._replace(real=Batch(draw.real.x[:4], None), latents=draw.latents[:4])
    play(alternating(GAME, one_draw=True, sight=Sight(pack=2)), players, {0: draw}, {})
    assert [tuple(x.shape) for x, _, _ in wide.seen] == [(2, 2 * SIDE)] * 3
    assert len(players["generator"].net.seen[0][0]) == 4


def test_memory_goes_from_turn_to_turn() -> None:
    """Two critic turns of one round move LeCam's means twice; the generator's turn leaves them."""
    game = Game(losses.hinge, terms=(LeCam(decay=0.5),))
    players = make_players(rate=0.0)
    draws = make_draws(3)
    _, memory = play(alternating(game, critic_turns=2), players, draws, {})
    net = players["critic"].net
    first, second = (net(draws[n].real.x).mean() for n in (0, 1))
    torch.testing.assert_close(memory["lecam.real"], 0.5 * (0.5 * first) + 0.5 * second)
