"""LPIPS against a plain computation of its definition, and the properties of a distance."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from random_weights import draw, fill

from zerosum.metrics.detectors.vgg import IGNORED, Heads, Vgg16, lpips

CONVOLUTIONS = {
    0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256),
    17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512),
}  # fmt: skip


@pytest.fixture(scope="module")
def nets():
    with torch.device("meta"):
        net, heads = Vgg16(), Heads()
    fill(net), fill(heads)
    for parameter in heads.parameters():
        parameter.abs_()
    return net, heads


def pictures(count=3, size=16, seed=0, channels=3):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def by_hand(state, weights, a, b):
    """Zhang et al. 2018, eq. 1, with the published scaling of the input."""

    def taps(x):
        mean, deviation = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x = (x - mean.reshape(3, 1, 1)) / deviation.reshape(3, 1, 1)
        found = []
        for index in CONVOLUTIONS:
            if index in (5, 10, 17, 24):
                found.append(x)
                x = F.max_pool2d(x, 2)
            x = F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1).relu()
        return [*found, x]

    total = torch.zeros(len(a))
    for level, (one, other) in enumerate(zip(taps(a), taps(b), strict=True)):
        one, other = (x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for x in (one, other))
        difference = (one - other).pow(2) * weights[f"lin{level}.model.1.weight"]
        total += difference.sum(1).mean((1, 2))
    return total


def test_equal_to_the_definition(nets):
    net, heads = nets
    a, b = pictures(seed=0), pictures(seed=1)
    found = lpips(net, heads, a, b)
    assert found.shape == (3,)
    torch.testing.assert_close(found, by_hand(net.state_dict(), heads.state_dict(), a, b), rtol=1e-5, atol=1e-6)


def test_a_distance(nets):
    a, b = pictures(seed=0), pictures(seed=1)
    assert lpips(*nets, a, a).tolist() == [0, 0, 0]
    assert (lpips(*nets, a, b) > 0.01).all()
    torch.testing.assert_close(lpips(*nets, a, b), lpips(*nets, b, a))
    nearer = lpips(*nets, a, a + 0.1 * (b - a))
    assert (nearer < lpips(*nets, a, b)).all()
    torch.testing.assert_close(lpips(*nets, a[1:2], b[1:2]), lpips(*nets, a, b)[1:2], rtol=1e-5, atol=1e-6)


def test_grey_is_repeated(nets):
    a, b = pictures(channels=1), pictures(channels=1, seed=1)
    colours = (x.expand(-1, 3, -1, -1) for x in (a, b))
    torch.testing.assert_close(lpips(*nets, a, b), lpips(*nets, *colours))


def test_small_pictures_are_refused(nets):
    with pytest.raises(ValueError, match="at least 16 pixels a side, not 40x15"):
        lpips(*nets, torch.zeros(1, 3, 15, 40), torch.zeros(1, 3, 15, 40))
    assert lpips(*nets, torch.zeros(1, 3, 16, 17), torch.zeros(1, 3, 16, 17)).isfinite().all()


def test_names_and_shapes_are_the_published_ones(nets):
    net, heads = nets
    shapes = {}
    for index, (outputs, inputs) in CONVOLUTIONS.items():
        shapes |= {f"features.{index}.weight": (outputs, inputs, 3, 3), f"features.{index}.bias": (outputs,)}
    assert {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()} == shapes
    assert sum(tensor.numel() for tensor in net.state_dict().values()) == 14_714_688
    assert {name: tuple(tensor.shape) for name, tensor in heads.state_dict().items()} == {
        f"lin{level}.model.1.weight": (1, width, 1, 1) for level, width in enumerate((64, 128, 256, 512, 512))
    }
    assert "classifier.0.weight".startswith(IGNORED)


@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (3, 3, 16, 8), (2, 3, 16, 16), (3, 16, 16)])
def test_other_shapes_are_refused(nets, shape):
    with pytest.raises(ValueError, match="LPIPS compares"):
        lpips(*nets, pictures(), torch.zeros(shape))


def test_drawn_weights_are_the_same_everywhere():
    drawn = draw({"x.weight": (2, 3)})["x.weight"]
    torch.testing.assert_close(drawn, draw({"x.weight": (2, 3), "y.bias": (4,)})["x.weight"])
