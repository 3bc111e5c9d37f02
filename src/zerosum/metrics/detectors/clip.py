"""CLIP's image tower ViT-L/14 at 336x336 (Radford et al. 2021): the features of CMMD (Jayasumana et al. 2024).

Names and shapes of the parameters are those of OpenAI's weights on Hugging Face.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.metrics.detectors.dinov2 import normalised
from zerosum.metrics.resize import colour, pillow_bytes

EPS = 1e-5
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IGNORED = ("text_model.", "text_projection.", "logit_scale", "vision_model.embeddings.position_ids")


@dataclass(frozen=True)
class Spec:
    """A network; ``projection`` is the width of the common space of pictures and texts."""

    name: str
    width: int
    depth: int
    heads: int
    projection: int
    patch: int = 14
    size: int = 336

    @property
    def resizer(self) -> str:
        return f"centre crop to a square, Pillow bicubic, antialiased, 8 bits, to {self.size}x{self.size}"


VIT_L_336 = Spec("clip-vitl14-336", 1024, 24, 16, 768)


class Embeddings(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(spec.width))
        self.patch_embedding = nn.Conv2d(3, spec.width, spec.patch, spec.patch, bias=False)
        self.position_embedding = nn.Embedding(1 + (spec.size // spec.patch) ** 2, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embedding(x).flatten(2).transpose(1, 2)
        return torch.cat([self.class_embedding.expand(len(x), 1, -1), patches], dim=1) + self.position_embedding.weight


class Attention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.q_proj = nn.Linear(spec.width, spec.width)
        self.k_proj = nn.Linear(spec.width, spec.width)
        self.v_proj = nn.Linear(spec.width, spec.width)
        self.out_proj = nn.Linear(spec.width, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            project(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.fc1 = nn.Linear(spec.width, 4 * spec.width)
        self.fc2 = nn.Linear(4 * spec.width, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))  # CLIP's own approximation of the GELU


class Layer(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.self_attn = Attention(spec)
        self.layer_norm1 = nn.LayerNorm(spec.width, eps=EPS)
        self.mlp = Mlp(spec)
        self.layer_norm2 = nn.LayerNorm(spec.width, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(spec) for _ in range(spec.depth))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class VisionModel(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.embeddings = Embeddings(spec)
        self.pre_layrnorm = nn.LayerNorm(spec.width, eps=EPS)  # spelt as in the published weights
        self.encoder = Encoder(spec)
        self.post_layernorm = nn.LayerNorm(spec.width, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.post_layernorm(self.encoder(self.pre_layrnorm(self.embeddings(x)))[:, 0])


class Clip(nn.Module):
    """The image tower of ``spec``, to be filled with published weights."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.vision_model = VisionModel(spec)
        self.visual_projection = nn.Linear(spec.width, spec.projection, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, size, size), see ``prepare`` -> embeddings of length 1, (N, projection)."""
        return F.normalize(self.visual_projection(self.vision_model(x)), dim=1)


def prepare(pictures: Tensor, size: int) -> Tensor:
    """uint8 (N, 1|3|4, H, W) -> (N, 3, size, size) float32, normalised by CLIP's mean and deviation."""
    height, width = pictures.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = colour(pictures)[:, :, top : top + side, left : left + side]
    return normalised(pillow_bytes(square, (size, size), "bicubic").float().div_(255), MEAN, DEVIATION)
