"""Convolutions as products of matrices, on a CPU, where the library's own are slow: many channels in few places.

A convolution, the gradient with respect to its input (which a transposed convolution is) and that with respect to its
weight are each linear in two arguments, and the derivatives of each are the other two. So three functions that know
each other can be differentiated as often as anyone likes. Where products pay was measured (docs/log.md).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW, LARGE = 16, 64 * 128  # places of a convolution, and weights of one place of its kernel, for which products pay
SOME, LARGER = 64, 128 * 256  # the same, for the weight's gradient alone,
COPIES = 7  # if a value stands no more often in its matrix

Products = Literal["none", "weight", "all"]


class Shape(NamedTuple):
    """Of a convolution: ``stride`` and ``padding`` in both directions, ``height`` and ``width`` of its input."""

    stride: int
    padding: int
    height: int
    width: int


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` with ``convolve``, where it is plain: equal strides, paddings of zeros, no groups, no dilation."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not _plain(self):
            return super()._conv_forward(x, weight, bias)
        return convolve(x, weight, bias, self.stride[0], int(self.padding[0]))


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with ``spread``, likewise."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or not _plain(self) or any(self.output_padding):
            return super().forward(x, output_size)
        return spread(x, self.weight, self.bias, self.stride[0], int(self.padding[0]))


def _plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    even = layer.kernel_size[0] == layer.kernel_size[1] and layer.stride[0] == layer.stride[1]
    numbers = not isinstance(layer.padding, str) and layer.padding[0] == layer.padding[1]
    return even and numbers and layer.padding_mode == "zeros" and layer.groups == 1 and layer.dilation == (1, 1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """``F.conv2d``: x (N, C, H, W), weight (K, C, k, k) -> (N, K, H', W')."""
    height, width = ((side + 2 * padding - weight.shape[-1]) // stride + 1 for side in x.shape[2:])
    kind = _kind(x)
    chosen = _chosen(x, kind, weight.shape, stride, height * width)
    if chosen == "none":
        return F.conv2d(x, weight, bias, stride, padding)
    y: Tensor = _Output.apply(x.to(kind), _own(weight, kind), Shape(stride, padding, *x.shape[2:]), chosen == "all")
    return y if bias is None else y + bias.to(kind)[:, None, None]


def spread(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """``F.conv_transpose2d``: x (N, K, H', W'), weight (K, C, k, k) -> (N, C, H, W)."""
    height, width = ((side - 1) * stride - 2 * padding + weight.shape[-1] for side in x.shape[2:])
    kind = _kind(x)
    chosen = _chosen(x, kind, weight.shape, stride, x.shape[2] * x.shape[3])
    if chosen == "none":
        return F.conv_transpose2d(x, weight, bias, stride, padding)
    y: Tensor = _Input.apply(x.to(kind), _own(weight, kind), Shape(stride, padding, height, width), chosen == "all")
    return y if bias is None else y + bias.to(kind)[:, None, None]


def products(kind: torch.dtype, size: Sequence[int], stride: int, places: int, *, quick: bool) -> Products:
    """What is a product in a convolution with a weight of this size (K, C, k, k) in ``places`` of its output.

    Args:
        quick: whether the machine's products of this kind are as quick as its convolutions.
    """
    maps, channels, kernel, _ = size
    if not quick:
        return "none"
    if places <= FEW and channels * maps >= LARGE:
        return "all"
    half = kind == torch.bfloat16
    if places <= SOME and channels * maps >= LARGER and half and (kernel / stride) ** 2 <= COPIES:
        return "weight"
    return "none"


@functools.cache
def quick_products(kind: torch.dtype) -> bool:
    """Whether torch's products use all that this processor can: MKL's do on Intel's alone, those in 16 bits with AMX.

    Elsewhere it was not measured, and the library's own convolutions stand.
    """
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return ("amx_bf16" if kind == torch.bfloat16 else "GenuineIntel") in processor


def _kind(x: Tensor) -> torch.dtype:
    """The type that a convolution of ``x`` is computed in."""
    autocast = x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and x.dtype != torch.float64
    return torch.get_autocast_dtype("cpu") if autocast else x.dtype


def _chosen(x: Tensor, kind: torch.dtype, size: Sequence[int], stride: int, places: int) -> Products:
    if x.device.type != "cpu" or not x.numel() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return "none"
    if getattr(torch._C, "_are_functorch_transforms_active", bool)():  # which know the library's own alone
        return "none"
    return products(kind, size, stride, places, quick=quick_products(kind))


def _own(weight: Tensor, kind: torch.dtype) -> Tensor:
    """The weight in another type, or at least as a node of its own in the graph, of which ``_wanted`` can be asked."""
    return weight.view_as(weight) if weight.dtype == kind else weight.to(kind)


def _wanted(ctx: Any) -> bool:
    """Whether the weight's slope is asked for in this pass: a penalty takes slopes at pictures alone."""
    asked = getattr(torch._C, "_will_engine_execute_node", None)
    if not ctx.needs_input_grad[1] or asked is None:
        return bool(ctx.needs_input_grad[1])
    node = ctx.next_functions[1][0]
    return type(node).__name__ == "AccumulateGrad" or asked(node)


class _Output(torch.autograd.Function):
    """(input, weight) -> output."""

    @staticmethod
    def forward(  # pyrefly: ignore [bad-override]
        ctx: Any, x: Tensor, weight: Tensor, shape: Shape, whole: bool
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.shape, ctx.whole = shape, whole
        if not whole:
            return F.conv2d(x, weight, None, shape.stride, shape.padding)
        rows, places = _rows(x, weight.shape[-1], shape)
        return _maps(rows, _matrix(weight).T, *places)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (slope,), (x, weight) = slopes, ctx.saved_tensors
        return (
            _Input.apply(slope, weight, ctx.shape, ctx.whole) if ctx.needs_input_grad[0] else None,
            _Weight.apply(x, slope, weight.shape[-1], ctx.shape, ctx.whole) if _wanted(ctx) else None,
            None,
            None,
        )


class _Input(torch.autograd.Function):
    """(slope at the output, weight) -> slope at the input."""

    @staticmethod
    def forward(  # pyrefly: ignore [bad-override]
        ctx: Any, slope: Tensor, weight: Tensor, shape: Shape, whole: bool
    ) -> Tensor:
        ctx.save_for_backward(slope, weight)
        ctx.shape, ctx.whole = shape, whole
        if whole:
            return _placed(slope, weight, shape)
        left = [  # lines that no kernel reached
            side - ((places - 1) * shape.stride - 2 * shape.padding + weight.shape[-1])
            for side, places in zip((shape.height, shape.width), slope.shape[2:], strict=True)
        ]
        return F.conv_transpose2d(slope, weight, None, shape.stride, shape.padding, left)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (x,), (slope, weight) = slopes, ctx.saved_tensors
        return (
            _Output.apply(x, weight, ctx.shape, ctx.whole) if ctx.needs_input_grad[0] else None,
            _Weight.apply(x, slope, weight.shape[-1], ctx.shape, ctx.whole) if _wanted(ctx) else None,
            None,
            None,
        )


class _Weight(torch.autograd.Function):
    """(input, slope at the output) -> slope at the weight."""

    @staticmethod
    def forward(  # pyrefly: ignore [bad-override]
        ctx: Any, x: Tensor, slope: Tensor, kernel: int, shape: Shape, whole: bool
    ) -> Tensor:
        ctx.save_for_backward(x, slope)
        ctx.shape, ctx.whole = shape, whole
        rows, _ = _rows(x, kernel, shape)
        matrix = slope.permute(0, 2, 3, 1).reshape(-1, slope.shape[1]).T @ rows
        return matrix.view(slope.shape[1], kernel, kernel, x.shape[1]).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (weight,), (x, slope) = slopes, ctx.saved_tensors
        return (
            _Input.apply(slope, weight, ctx.shape, ctx.whole) if ctx.needs_input_grad[0] else None,
            _Output.apply(x, weight, ctx.shape, ctx.whole) if ctx.needs_input_grad[1] else None,
            None,
            None,
            None,
        )


def _rows(x: Tensor, kernel: int, shape: Shape) -> tuple[Tensor, tuple[int, int, int]]:
    """What the kernel sees at each place of the output, (N H' W', k k C), and (N, H', W')."""
    pad = shape.padding
    seen = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
    seen = seen.unfold(1, kernel, shape.stride).unfold(2, kernel, shape.stride)  # N H' W' C k k
    count, height, width = seen.shape[:3]
    return seen.permute(0, 1, 2, 4, 5, 3).reshape(count * height * width, -1), (count, height, width)


def _matrix(weight: Tensor) -> Tensor:
    """(K, k k C)."""
    return weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)


def _placed(slope: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """Each slope times the kernel, added up where the kernel stood: (N, C, H, W)."""
    (count, maps, height, width), (channels, kernel) = slope.shape, weight.shape[1:3]
    stride, pad = shape.stride, shape.padding
    if (height, width, pad) == (1, 1, 0) and (shape.height, shape.width) == (kernel, kernel):
        return _maps(slope.flatten(1), _matrix(weight), count, kernel, kernel)
    rows = slope.permute(0, 2, 3, 1).reshape(-1, maps) @ _matrix(weight)
    at = rows.view(count, height, width, kernel, kernel, channels)
    x = slope.new_zeros(count, shape.height + 2 * pad, shape.width + 2 * pad, channels)
    for i in range(kernel):
        for j in range(kernel):
            x[:, i : i + stride * height : stride, j : j + stride * width : stride] += at[:, :, :, i, j]
    inside = x[:, pad : pad + shape.height, pad : pad + shape.width].permute(0, 3, 1, 2)
    return inside.clone(memory_format=torch.channels_last)  # no view: whoever comes next may change it in place


def _maps(rows: Tensor, matrix: Tensor, count: int, height: int, width: int) -> Tensor:
    """A product as maps (count, C, height, width) in memory of their own: no view, for the same reason."""
    channels = rows.shape[0] * matrix.shape[1] // (count * height * width)
    maps = torch.empty(
        (count, channels, height, width), dtype=rows.dtype, device=rows.device, memory_format=torch.channels_last
    )
    flat = maps.permute(0, 2, 3, 1).view(rows.shape[0], -1)
    torch.mm(rows, matrix, out=flat)
    return maps
