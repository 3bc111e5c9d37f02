"""DINOv2's vision transformers with 14x14 patches (Oquab et al. 2023): the features of FD-DINOv2 (Stein et al. 2023).

Names and shapes of the parameters are those of the weights that Meta publishes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.metrics.resize import colour, pillow_bytes

EPS = 1e-6
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IGNORED = ("mask_token",)  # needed in training only
_KLUDGE = 0.1  # the published network's grid scale is (patches + 0.1) / trained patches


@dataclass(frozen=True)
class Spec:
    """A network: ``size`` is what pictures are resized to, ``trained`` the size its positions were trained for."""

    name: str
    width: int
    depth: int
    heads: int
    patch: int = 14
    size: int = 224
    trained: int = 518

    @property
    def resizer(self) -> str:
        return f"Pillow bicubic, antialiased, 8 bits, to {self.size}x{self.size}"


VIT_S = Spec("dinov2-vits14", 384, 12, 6)
VIT_B = Spec("dinov2-vitb14", 768, 12, 12)
VIT_L = Spec("dinov2-vitl14", 1024, 24, 16)


class PatchEmbed(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, spec.width, spec.patch, spec.patch)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, size, size) -> (N, patches, width), row by row."""
        return self.proj(x).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.qkv = nn.Linear(spec.width, 3 * spec.width)
        self.proj = nn.Linear(spec.width, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.fc1 = nn.Linear(spec.width, 4 * spec.width)
        self.fc2 = nn.Linear(4 * spec.width, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Scale(nn.Module):
    """A learned factor for each channel of a branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.width, eps=EPS)
        self.attn = Attention(spec)
        self.ls1 = Scale(spec.width)
        self.norm2 = nn.LayerNorm(spec.width, eps=EPS)
        self.mlp = Mlp(spec)
        self.ls2 = Scale(spec.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class DinoV2(nn.Module):
    """The network of ``spec``, to be filled with published weights."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        grid = spec.trained // spec.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, spec.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, spec.width))
        self.patch_embed = PatchEmbed(spec)
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.width, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, size, size), see ``prepare`` -> the class token after the last norm, (N, width)."""
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], dim=1)
        x = x + positions(self.pos_embed, self.spec.size // self.spec.patch)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])


def positions(trained: Tensor, grid: int) -> Tensor:
    """The positions (1, 1 + n * n, width) for a grid of ``grid`` by ``grid`` patches, bicubic without antialiasing.

    Patch i of the new grid lies at (i + 1/2) / s - 1/2 of the trained one with s = (grid + 0.1) / n: the 0.1 was meant
    against rounding, but it shifts the positions, and the published features are made with it.
    """
    side = math.isqrt(trained.shape[1] - 1)
    if side == grid:
        return trained
    square = trained[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scale = (grid + _KLUDGE) / side
    square = F.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([trained[:, :1], square.flatten(2).transpose(1, 2)], dim=1)


def prepare(pictures: Tensor, size: int) -> Tensor:
    """uint8 (N, 1|3|4, H, W) -> (N, 3, size, size) float32, normalised by ImageNet's mean and deviation.

    A picture that is not square is stretched, as in the published evaluation.
    """
    x = pillow_bytes(colour(pictures), (size, size), "bicubic").float().div_(255)
    return normalised(x, MEAN, DEVIATION)


def normalised(x: Tensor, mean: tuple[float, float, float], deviation: tuple[float, float, float]) -> Tensor:
    """(x - mean) / deviation for each channel of (N, 3, H, W)."""
    return (x - x.new_tensor(mean)[:, None, None]) / x.new_tensor(deviation)[:, None, None]
