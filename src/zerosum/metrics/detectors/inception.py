"""The Inception-v3 that TensorFlow published on 2015-12-05: the network of the FID, of the KID and of the IS.

Names and shapes of the parameters are those of the well-known PyTorch port of the weights. The network differs from
other Inception-v3s: 1008 classes, average pools that leave out the padding, and a maximum in the last block's pool.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.metrics.resize import colour, legacy_bilinear
from zerosum.networks.layout import channels_last

EPS = 1e-3
SIZE = 299
CLASSES = 1008
WIDTH = 2048
SPATIAL_CHANNELS = 7
RESIZER = "TensorFlow 1 bilinear to 299x299, no antialiasing, no half pixel"


class Outputs(NamedTuple):
    """What Inception says of N pictures.

    Attributes:
        pool: ``pool_3``, features of the FID; (N, 2048).
        logits: ``pool`` times the last matrix, without its bias, as the Inception score takes them; (N, 1008).
        spatial: the first 7 channels of ``mixed_6/conv``, features of the sFID; (N, 17 * 17 * 7 = 2023).
    """

    pool: Tensor
    logits: Tensor
    spatial: Tensor


class Norm(nn.Module):
    """A batch norm that only ever applies its statistics."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(
                name, torch.ones(channels) if name in ("weight", "running_var") else torch.zeros(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPS)


class Unit(nn.Module):
    """Convolution, batch norm, ReLU; padded to keep the size unless ``stride`` is 2 or ``padded`` is False."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int] = 1, stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2, width // 2) if padded and stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)
        self.bn: Norm | nn.Identity = Norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.bn(self.conv(x)))

    def fold(self) -> None:
        """Multiply the batch norm into the convolution, in double precision."""
        norm = self.bn
        if isinstance(norm, nn.Identity):
            return
        scale = norm.weight.double() / (norm.running_var.double() + EPS).sqrt()
        bias = norm.bias.double() - norm.running_mean.double() * scale
        self.conv.weight.data = (self.conv.weight.double() * scale[:, None, None, None]).float()
        self.conv.bias = nn.Parameter(bias.float(), requires_grad=False)
        self.bn = nn.Identity()


def _average(x: Tensor) -> Tensor:
    """3x3 means of what lies inside the picture: TensorFlow counts no padding."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35x35; ``inputs`` -> 224 + ``pooled`` channels."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(inputs, 64)
        self.branch5x5_1 = Unit(inputs, 48)
        self.branch5x5_2 = Unit(48, 64, 5)
        self.branch3x3dbl_1 = Unit(inputs, 64)
        self.branch3x3dbl_2 = Unit(64, 96, 3)
        self.branch3x3dbl_3 = Unit(96, 96, 3)
        self.branch_pool = Unit(inputs, pooled)

    def forward(self, x: Tensor) -> Tensor:
        middle = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), middle, double, self.branch_pool(_average(x))], dim=1)


class BlockB(nn.Module):
    """35x35 -> 17x17; 288 -> 768 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = Unit(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = Unit(288, 64)
        self.branch3x3dbl_2 = Unit(64, 96, 3)
        self.branch3x3dbl_3 = Unit(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], dim=1)


class BlockC(nn.Module):
    """17x17; 768 -> 768 channels, ``narrow`` inside."""

    def __init__(self, narrow: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(768, 192)
        self.branch7x7_1 = Unit(768, narrow)
        self.branch7x7_2 = Unit(narrow, narrow, (1, 7))
        self.branch7x7_3 = Unit(narrow, 192, (7, 1))
        self.branch7x7dbl_1 = Unit(768, narrow)
        self.branch7x7dbl_2 = Unit(narrow, narrow, (7, 1))
        self.branch7x7dbl_3 = Unit(narrow, narrow, (1, 7))
        self.branch7x7dbl_4 = Unit(narrow, narrow, (7, 1))
        self.branch7x7dbl_5 = Unit(narrow, 192, (1, 7))
        self.branch_pool = Unit(768, 192)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average(x))], dim=1)


class BlockD(nn.Module):
    """17x17 -> 8x8; 768 -> 1280 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Unit(768, 192)
        self.branch3x3_2 = Unit(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Unit(768, 192)
        self.branch7x7x3_2 = Unit(192, 192, (1, 7))
        self.branch7x7x3_3 = Unit(192, 192, (7, 1))
        self.branch7x7x3_4 = Unit(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), wide, F.max_pool2d(x, 3, stride=2)], dim=1)


class BlockE(nn.Module):
    """8x8; ``inputs`` -> 2048 channels. The network's last block pools by the maximum instead of the average."""

    def __init__(self, inputs: int, last: bool) -> None:
        super().__init__()
        self.last = last
        self.branch1x1 = Unit(inputs, 320)
        self.branch3x3_1 = Unit(inputs, 384)
        self.branch3x3_2a = Unit(384, 384, (1, 3))
        self.branch3x3_2b = Unit(384, 384, (3, 1))
        self.branch3x3dbl_1 = Unit(inputs, 448)
        self.branch3x3dbl_2 = Unit(448, 384, 3)
        self.branch3x3dbl_3a = Unit(384, 384, (1, 3))
        self.branch3x3dbl_3b = Unit(384, 384, (3, 1))
        self.branch_pool = Unit(inputs, 192)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.last else _average(x)
        parts = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *parts, self.branch_pool(pooled)], dim=1)


class Inception(nn.Module):
    """The whole network, to be filled with published weights; it knows no training."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3, padded=False)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3)
        self.Conv2d_3b_1x1 = Unit(64, 80)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3, padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = BlockC(128), BlockC(160), BlockC(160), BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, last=False), BlockE(WIDTH, last=True)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Outputs:
        """x: (N, 3, 299, 299) in [-1, 1), see ``prepare``."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        # TensorFlow's mixed_6 is Mixed_6d here, and its first convolution the 1x1 branch
        spatial = self.Mixed_6d.branch1x1(x)[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        x = self.Mixed_7a(self.Mixed_6e(self.Mixed_6d(x)))
        pool = self.Mixed_7c(self.Mixed_7b(x)).mean(dim=(2, 3))
        return Outputs(pool, F.linear(pool, self.fc.weight), spatial)


def fold(net: Inception) -> Inception:
    """Multiply every batch norm into its convolution and lay the weights out channels-last, in place."""
    for module in net.modules():
        if isinstance(module, Unit):
            module.fold()
    return channels_last(net)


def prepare(pictures: Tensor) -> Tensor:
    """uint8 (N, 1|3|4, H, W) -> what the network wants: (N, 3, 299, 299) float32 in [-1, 1), (value - 128) / 128."""
    x = legacy_bilinear(colour(pictures), (SIZE, SIZE)).sub_(128).div_(128)
    return x.contiguous(memory_format=torch.channels_last)
