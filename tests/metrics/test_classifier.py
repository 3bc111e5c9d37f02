"""The judge of labelled pictures."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest
import torch

from zerosum.metrics import classifier
from zerosum.metrics.classifier import Classifier, _shifted, train_classifier


def bars(count, seed, channels=1, size=10):
    """Pictures of two classes: a horizontal or a vertical bar, in noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, channels, size, size, generator=generator) * 0.5
    labels = torch.arange(count) % 2
    places = torch.randint(1, size - 1, (count,), generator=generator)
    for index, (label, place) in enumerate(zip(labels.tolist(), places.tolist(), strict=True)):
        if label:
            x[index, :, place] = 0.9
        else:
            x[index, :, :, place] = 0.9
    return x, labels


@pytest.fixture(scope="module")
def trained():
    return train_classifier(*bars(128, 0), 2)


def test_the_judge_is_pinned():
    assert hashlib.sha256(classifier.SPEC.encode()).hexdigest() == classifier.SPEC_SHA256
    assert classifier.SPEC_SHA256 == "e3834393f81854fdd7c6de878dc74c451da9ce0faf55874460fc3ccf4a9f9782"


@pytest.mark.parametrize("training", [classifier.USUAL, classifier.LONG])
def test_how_long_it_is_trained_is_pinned(training):
    assert hashlib.sha256(training.spec.encode()).hexdigest() == training.sha256
    assert f"40 passes or {training.steps:,} steps" in training.spec
    usual = training.spec.replace(f"{training.steps:,} steps", "1,000 steps")
    assert usual == classifier.SPEC


def test_the_network_is_the_one_of_the_spec():
    net = Classifier(3, 10)
    assert [tuple(p.shape) for p in net.parameters()] == [
        (32, 3, 3, 3), (32,), (64, 32, 3, 3), (64,), (64, 64, 3, 3), (64,), (64, 576), (64,), (10, 64), (10,),
    ]  # fmt: skip
    assert net(torch.rand(2, 3, 28, 17)).shape == (2, 10)
    for text in ("5e-3", "batch 64", "40 passes or 1,000 steps", str(classifier.SEED), "linear 576->64"):
        assert text in classifier.SPEC
    assert (classifier._BATCH, classifier._PASSES, classifier._STEPS, classifier._RATE) == (64, 40, 1000, 5e-3)


def test_it_learns(trained):
    x, labels = bars(200, 1)
    found = trained.judge(x)
    assert found.features.shape == (200, classifier.FEATURES)
    assert found.probabilities.shape == (200, 2)
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(200))
    assert (found.probabilities.argmax(1) == labels).double().mean() > 0.97
    assert (found.features < 0).any()  # before the last activation, as the spec says


def test_training_is_repeatable_to_the_bit_and_touches_no_global_state(trained):
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - it is the global state that must stay
    before, numpys = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = train_classifier(*bars(128, 0), 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)  # noqa: NPY002
    assert again.sha256() == trained.sha256()
    for a, b in zip(again.parameters(), trained.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_hash_tells_judges_apart(trained):
    x, labels = bars(128, 0)
    x[5] = 0
    other = train_classifier(x, labels, 2)
    assert other.sha256() != trained.sha256()
    assert len(trained.sha256()) == 64


def test_it_stands_still_after_training(trained):
    assert not trained.training
    assert not any(parameter.requires_grad for parameter in trained.parameters())


def test_judging_in_blocks_is_judging_at_once(trained):
    x, _ = bars(50, 2)
    torch.testing.assert_close(trained.judge(x, block=7).features, trained.judge(x).features)


@pytest.mark.parametrize(
    ("count", "steps", "training"),
    [
        (64, 40, classifier.USUAL),
        (65, 80, classifier.USUAL),
        (128, 80, classifier.USUAL),
        (6400, 1000, classifier.USUAL),
        (65, 80, classifier.LONG),
        (6400, 1100, classifier.LONG._replace(steps=1100)),
    ],
)
def test_forty_passes_or_a_thousand_steps(count, steps, training, monkeypatch):
    """The network is taken out, so that only the schedule runs."""
    calls = []

    def forward(self, x):
        calls.append(len(x))
        return self.head.bias.expand(len(x), -1)

    monkeypatch.setattr(Classifier, "forward", forward)
    train_classifier(torch.zeros(count, 1, 4, 4), torch.zeros(count, dtype=torch.int64), 2, training=training)
    assert calls == [64] * steps


def test_a_classifier_that_is_not_ready_in_time_is_none():
    before = torch.random.get_rng_state()
    assert train_classifier(*bars(64, 0), 2, deadline=time.monotonic()) is None
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("vertical", [-1, 0, 1])
@pytest.mark.parametrize("horizontal", [-1, 0, 1])
def test_pictures_are_shifted_and_zeros_move_in(vertical, horizontal):
    x = torch.rand(2, 3, 5, 4) + 1
    found = _shifted(x, torch.tensor([[vertical, horizontal], [0, 0]]))
    assert torch.equal(found[1], x[1])
    wanted = torch.zeros(3, 5, 4)
    for row in range(5):
        for column in range(4):
            if 0 <= row + vertical < 5 and 0 <= column + horizontal < 4:
                wanted[:, row, column] = x[0, :, row + vertical, column + horizontal]
    assert torch.equal(found[0], wanted)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_channels(channels):
    net = train_classifier(*bars(64, 0, channels, size=8), 2)
    assert net.judge(bars(10, 1, channels, size=8)[0]).probabilities.isfinite().all()


def test_the_constants_are_those_of_the_spec():
    """The hash pins the sentence, this pins the code to it."""
    from zerosum.metrics import classifier

    spec = classifier.SPEC
    assert f"Adam {classifier._RATE:.0e} decayed".replace("e-03", "e-3") in spec
    assert f"batch {classifier._BATCH}, {classifier._PASSES} passes or {classifier._STEPS:,} steps" in spec
    assert f"from seed {classifier.SEED};" in spec
    weights = {name: tuple(tensor.shape) for name, tensor in Classifier(1, 10).state_dict().items()}
    assert weights["body.0.weight"] == (32, 1, 3, 3)
    assert weights["body.2.weight"] == (64, 32, 3, 3)
    assert weights["body.4.weight"] == (64, 64, 3, 3)
    assert weights["body.8.weight"] == (64, 576)
    assert weights["head.weight"] == (10, 64)
