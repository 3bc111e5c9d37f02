"""What is computed again is what it was: buffers, random numbers, slopes of slopes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from zerosum.game.critic import TorchNoise
from zerosum.game.player import Player
from zerosum.game.recompute import recomputed

Pass = Callable[[nn.Module, Tensor], Tensor]


def again(net: nn.Module, x: Tensor) -> Tensor:
    return recomputed(net, [net], x, torch_random=True)


class Counting(nn.Linear):
    """Does something else in each pass, by a buffer."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__(3, 1)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(1)
        return torch.tanh(super().forward(x) * (1 + self.count))


NETS: dict[str, Callable[[], nn.Module]] = {
    "batch norm": lambda: nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)),
    "a cumulative mean": lambda: nn.Sequential(nn.BatchNorm1d(3, momentum=None), nn.Linear(3, 8), nn.Linear(8, 1)),
    "a power iteration in each pass": lambda: nn.Sequential(
        spectral_norm(nn.Linear(3, 8)), nn.Tanh(), spectral_norm(nn.Linear(8, 1))
    ),
    "a counter": Counting,
    "torch's dropout": lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1)),
    "activations in place": lambda: nn.Sequential(nn.Linear(3, 8), nn.ReLU(inplace=True), nn.Linear(8, 1)),
}


def penalised(net: nn.Module, run: Pass) -> dict[str, Tensor]:
    """Two passes and the slope of one, then the gradients: everything that came of it."""
    torch.manual_seed(1)
    real, fake = torch.randn(2, 6, 3)
    real.requires_grad_()
    scores = run(net, real)
    (slopes,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    loss = (run(net, fake) - scores).mean() + slopes.square().sum()
    loss.backward()
    found = {"loss": loss.detach(), "next": torch.rand(3)}  # the generator stands where it stood
    return found | {f"{name}.grad": weight.grad for name, weight in net.named_parameters()} | net.state_dict()


@pytest.mark.parametrize("name", NETS)
def test_the_same_bit_for_bit(name: str) -> None:
    torch.manual_seed(0)
    net = NETS[name]()
    plain, found = penalised(copy.deepcopy(net), nn.Module.__call__), penalised(copy.deepcopy(net), again)
    assert plain.keys() == found.keys()
    assert [key for key in plain if not torch.equal(plain[key], found[key])] == []
    changed = [key for key, before in net.state_dict().items() if not torch.equal(before, found[key])]
    assert bool(changed) == (name not in ("torch's dropout", "activations in place"))


def test_nothing_is_kept_but_what_is_given() -> None:
    net = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(9)])
    x = torch.randn(2, 4, requires_grad=True)
    kept: dict[bool, list[Tensor]] = {False: [], True: []}
    for recompute, tensors in kept.items():
        with torch.autograd.graph.saved_tensors_hooks(lambda t, own=tensors: own.append(t) or t, lambda t: t):
            (again(net, x) if recompute else net(x)).sum().backward()
    assert len(kept[False]) >= 18
    assert [tensor is x for tensor in kept[True]] == [True]


def test_a_pass_without_gradients_is_only_a_pass() -> None:
    net = nn.BatchNorm1d(3)
    with torch.no_grad():
        again(net, torch.randn(4, 3))
    assert net.num_batches_tracked == 1


class Switched(nn.Linear):
    """A network that recomputes by itself."""

    recompute = False


def test_a_player_turns_switches_on_or_plays_a_whole_network_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wholes: list[nn.Module] = []

    def watched(net: nn.Module, layers: list[nn.Module], *given: Tensor, torch_random: bool) -> Tensor:
        wholes.append(net)
        return net(*given[:1])

    monkeypatch.setattr("zerosum.game.player.recomputed", watched)

    class Plain(nn.Linear):
        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            return super().forward(x)

    class Holder(Plain):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.inner = Switched(2, 2)

    x = torch.zeros(1, 2)
    for net, checkpoint, whole in ((Plain(2, 2), False, False), (Plain(2, 2), True, True), (Holder(), True, False)):
        player = Player(net, torch.optim.SGD(net.parameters(), lr=1.0), 1.0, checkpoint=checkpoint)
        player.play(x, None, TorchNoise(x))
        assert wholes == ([net] if whole else [])
        wholes.clear()
    assert net.inner.recompute
