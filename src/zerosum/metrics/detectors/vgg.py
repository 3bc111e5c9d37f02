"""LPIPS 0.1 on VGG16 (Zhang et al. 2018): how different two pictures look.

Names and shapes of the parameters are those of torchvision's VGG16 weights and of the published linear heads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)  # channels; 0: 2x2 maximum
TAPS = (3, 8, 15, 22, 29)  # conv1_2, 2_2, 3_3, 4_3, 5_3, each after its ReLU
WIDTHS = (64, 128, 256, 512, 512)
IGNORED = ("classifier.", "features.30")  # what follows the last of the taps
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's mean and deviation for [-1, 1]
LEAST = 16  # pixels a side: less is nothing after four halvings
_TINY = 1e-10


class Vgg16(nn.Module):
    """The convolutions of VGG16; (N, 3, H, W) -> activations at the five taps."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in LAYERS:
            if outputs == 0:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in TAPS:
                found.append(x)
        return found


class Heads(nn.Module):
    """The learned weight of each channel at each tap."""

    def __init__(self) -> None:
        super().__init__()
        for index, width in enumerate(WIDTHS):
            head = nn.Module()
            head.model = nn.Sequential(nn.Identity(), nn.Conv2d(width, 1, 1, bias=False))  # 0 was dropout
            self.add_module(f"lin{index}", head)

    def weights(self) -> list[Tensor]:
        """One (1, channels, 1, 1) for each tap."""
        return [self.state_dict()[f"lin{index}.model.1.weight"] for index in range(len(WIDTHS))]


@torch.no_grad()
def lpips(net: Vgg16, heads: Heads, a: Tensor, b: Tensor) -> Tensor:
    """LPIPS between pictures i of ``a`` and of ``b``, both (N, 1|3, H, W) in [-1, 1]; (N,) (Zhang et al. 2018, eq. 1).

    At each tap the activations of a pixel are brought to length 1; squared differences, weighted by the head, are
    summed over channels, averaged over pixels and added over the taps. Raises ``ValueError`` for other shapes, and for
    sides of less than 16 pixels.
    """
    if a.shape != b.shape or a.ndim != 4 or a.shape[1] not in (1, 3):
        raise ValueError(
            f"LPIPS compares pictures (N, 1|3, H, W) of one shape, not {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if min(a.shape[2:]) < LEAST:
        raise ValueError(f"LPIPS compares pictures of at least {LEAST} pixels a side, not {a.shape[3]}x{a.shape[2]}")
    shift, scale = (a.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
    sides = [_unit_length(net((x.expand(-1, 3, -1, -1) - shift) / scale)) for x in (a, b)]
    total = a.new_zeros(len(a))
    for one, other, weight in zip(*sides, heads.weights(), strict=True):
        total += F.conv2d((one - other).square(), weight).mean(dim=(1, 2, 3))
    return total


def _unit_length(activations: list[Tensor]) -> list[Tensor]:
    return [x / (x.square().sum(dim=1, keepdim=True).sqrt() + _TINY) for x in activations]
