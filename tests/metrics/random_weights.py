"""Weights for tests: the same numbers on every machine, scaled so that activations stay near 1."""

from __future__ import annotations

import math

import torch

from zerosum import streams


def draw(shapes, seed=0, gain=2.0):
    """Tensors for {name: shape}: matrices by their fan-in, factors and variances about 1, the rest about 0."""
    drawn = {}
    for name, shape in shapes.items():
        count = math.prod(shape)
        values = torch.from_numpy(streams.uniforms(seed, f"test weights {name}", 0, 1, count)[0]).reshape(shape) * 2 - 1
        if len(shape) >= 2:
            drawn[name] = values * math.sqrt(3 * gain / math.prod(shape[1:]))
        elif name.endswith(("weight", "running_var", "gamma")):
            drawn[name] = 1 + 0.5 * values
        else:
            drawn[name] = 0.2 * values
    return drawn


def fill(net, seed=0, gain=2.0):
    """Give ``net`` (on any device, meta too) drawn weights; it no longer trains."""
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    net.load_state_dict(draw(shapes, seed, gain), assign=True)
    return net.eval().requires_grad_(False)
