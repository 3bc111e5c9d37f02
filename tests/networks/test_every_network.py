"""What holds for every network of the catalogue, at several sizes and channel counts and with labels in every way."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import re

import pytest
import torch
from small_networks import (
    CLASSES,
    CONV_SHAPES,
    COUNT,
    CRITICS,
    GENERATORS,
    LATENT,
    SHAPES,
    built,
    choices,
    every_generator,
    every_network,
    first_of,
    given,
    shape_of,
    spec_of,
    still,
    stirred,
)
from torch._subclasses.fake_tensor import FakeTensorMode

from zerosum.errors import UserError
from zerosum.game.critic import Output
from zerosum.networks import CATALOGUE, convolution
from zerosum.networks.layout import channels_last


def test_there_are_generators_and_critics() -> None:
    assert len(GENERATORS) == 8
    assert len(CRITICS) == 7
    assert all(name == kind.__name__ for name, kind in CATALOGUE.items())


# --- shapes ---


@every_generator
def test_generators_make_pictures(name: str, fields: dict) -> None:
    for shape in CONV_SHAPES if "Conv" in name else SHAPES:
        spec = spec_of(name, shape, **fields)
        net = built(spec)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(5)
            x = net(*given(spec, dtype=torch.float32))
            assert x.shape == (COUNT, *shape_of(spec))
            pictures = net.eval()(*given(spec, dtype=torch.float32))
        assert pictures.isfinite().all()
        assert pictures.std() > 0
        if not hasattr(spec, "dims"):
            assert pictures.abs().max() <= 1


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_size_or_words(name: str) -> None:
    """Sizes of all aspects, large and small; what cannot be made is refused before anything is built."""
    if "image_width" not in inspect.signature(CATALOGUE[name]).parameters:
        return
    possible = 0
    for size in [(6, 8), (10, 14), (28, 28), (48, 48), (112, 112), (256, 384), (32, 128), (33, 47)]:
        refusal = ""
        try:
            spec = spec_of(name, (*size, 1))
            possible += 1
        except UserError as error:
            refusal = str(error)
        if refusal:
            assert re.search(r"nearest that work are|at least \d+", refusal)
            assert refusal.endswith("(--resolution).")
            continue
        with torch.device("meta"):
            x = torch.empty(2, *((LATENT,) if hasattr(spec, "latent") else shape_of(spec)))
            output = spec.build()(x, None)
            assert first_of(output).shape == (2, *(shape_of(spec) if hasattr(spec, "latent") else ()))
    assert possible >= (1 if name == "GoodfellowConvGenerator" else 6)


@pytest.mark.parametrize("name", CATALOGUE)
def test_impossible_values_are_refused(name: str) -> None:
    for field in {"width", "channels", "latent", "blocks"} & set(inspect.signature(CATALOGUE[name]).parameters):
        with pytest.raises(ValueError, match=f"{field} is a whole number of at least 1, not 0"):
            spec_of(name, **{field: 0})
    with pytest.raises(ValueError, match="classes is a whole number of at least 0, not -1"):
        spec_of(name, classes=-1)
    for field, values in choices(name).items():
        if values and not isinstance(values[0], bool):
            with pytest.raises(ValueError, match=f"{field} is .*, not nonsense"):
                spec_of(name, **{field: "nonsense"})


@pytest.mark.parametrize("name", [name for name in GENERATORS if "norm" in choices(name)])
def test_labels_by_norm_need_a_norm(name: str) -> None:
    with pytest.raises(ValueError, match="needs norm=batch"):
        spec_of(name, norm="none", classes=CLASSES, labels="norm")
    assert spec_of(name, norm="none", labels="norm").classes == 0  # without classes labels do nothing


# --- weights ---


@every_network
def test_initial_weights_are_a_function_of_torchs_seed(name: str, fields: dict) -> None:
    spec = spec_of(name, **fields)
    one, same, other = (built(spec, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


@every_network
def test_state_round_trips(name: str, fields: dict) -> None:
    spec = spec_of(name, **fields)
    net = still(built(spec))
    x, labels = given(spec, dtype=torch.float32)
    net(x, labels)  # batch norm's statistics move
    for module in net.modules():
        if hasattr(module, "advance"):
            module.advance()
    other = still(built(spec, seed=1))
    other.load_state_dict(net.state_dict())
    for left, right in ((net, other), (net.eval(), other.eval())):
        assert torch.equal(first_of(left(x, labels)), first_of(right(x, labels)))


@every_network
def test_every_parameter_receives_a_gradient(name: str, fields: dict) -> None:
    spec = spec_of(name, **fields)
    net = stirred(spec)
    x, labels = given(spec, count=12)
    output = net(x, labels)
    loss = first_of(output).square().sum()
    if isinstance(output, Output) and output.logits is not None:
        loss = loss + output.logits.square().sum()
    loss.backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        if parameter.ndim > 1:  # what batch norm takes away again has none to speak of
            assert parameter.grad.abs().max() > 0, key


@every_network
@pytest.mark.parametrize("chosen", ["all", "weight"])
def test_products_in_place_of_convolutions(
    name: str, fields: dict, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks this small never choose them; each stands whatever its layers do behind them."""
    monkeypatch.setattr(convolution, "products", lambda *args, **kwargs: chosen)
    spec = spec_of(name, **fields)
    net = still(stirred(spec))
    x, labels = given(spec, count=4)
    first_of(net(x, labels)).square().sum().backward()
    found = [parameter.grad for parameter in net.parameters()]
    monkeypatch.undo()
    net.zero_grad()
    first_of(net(x, labels)).square().sum().backward()
    for own, parameter in zip(found, net.parameters(), strict=True):
        torch.testing.assert_close(own, parameter.grad, rtol=1e-3, atol=1e-4)


# --- labels ---


@every_network
def test_labels_act_only_where_there_are_classes(name: str, fields: dict) -> None:
    spec = spec_of(name, **fields)
    net = still(stirred(spec))
    x, labels = given(spec)
    if labels is None:
        assert torch.equal(first_of(net(x, torch.arange(COUNT))), first_of(net(x, None)))
        return
    if fields.get("labels") == "classifier":
        assert torch.equal(first_of(net(x, labels)), first_of(net(x, None)))
        return
    assert not torch.equal(first_of(net(x, labels)), first_of(net(x, (labels + 1) % CLASSES)))
    with pytest.raises(ValueError, match="needs labels"):
        net(x, None)


# --- what the rounds ask for ---


@every_network
def test_nothing_is_read_back(name: str, fields: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under FakeTensorMode there are no numbers to read: building, forward and backward pass without them."""
    monkeypatch.setattr(torch.nn.init, "trunc_normal_", lambda tensor, **bounds: tensor)  # reads, but not in a round
    spec = spec_of(name, **fields)
    with FakeTensorMode():
        net = spec.build()
        x, labels = given(spec, dtype=torch.float32)
        output = net(x.requires_grad_(), labels)
        first_of(output).sum().backward()
        for module in net.modules():
            if hasattr(module, "advance"):
                module.advance()
    assert x.grad is not None


@every_network
def test_a_sample_in_eval_mode_does_not_depend_on_its_batch(name: str, fields: dict) -> None:
    if fields.get("minibatch", "none") != "none":
        return  # it is to depend on it
    spec = spec_of(name, **fields)
    net = stirred(spec)
    x, labels = given(spec)
    net(x, labels)
    net.eval()
    whole = first_of(net(x, labels))
    for index in range(COUNT):
        own = None if labels is None else labels[index : index + 1]
        torch.testing.assert_close(first_of(net(x[index : index + 1], own)), whole[index : index + 1])


@every_network
def test_the_layout_changes_nothing(name: str, fields: dict) -> None:
    spec = spec_of(name, **fields)
    net = still(stirred(spec))
    other = channels_last(copy.deepcopy(net))
    x, labels = given(spec)
    turned = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    results = []
    for player, point in ((net, x.requires_grad_()), (other, turned.detach().requires_grad_())):
        output = player(point, labels)
        (slope,) = torch.autograd.grad(first_of(output).square().sum(), point)
        results.append((first_of(output), slope, [p.clone() for p in player.buffers()]))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_description_is_hashable_and_equal_to_its_like(name: str) -> None:
    spec = spec_of(name)
    assert spec == dataclasses.replace(spec)
    assert hash(spec) == hash(dataclasses.replace(spec))
    for field in dataclasses.fields(spec):
        assert isinstance(getattr(spec, field.name), int | float | str | bool | None)
