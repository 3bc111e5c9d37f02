"""The players: one file per architecture, each a frozen spec with ``build()``.

Fields of one name mean the same everywhere. ``width`` counts maps or units. ``classes`` > 0 makes a network
conditional, in the way that ``labels`` says (labels.py). ``norm`` is the normalisation (norms.py, spectral.py).
``minibatch`` lets a critic compare the samples of a batch (minibatch.py).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from torch import nn

from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.goodfellow import (
    GoodfellowConvDiscriminator,
    GoodfellowConvGenerator,
    GoodfellowDiscriminator,
    GoodfellowGenerator,
)
from zerosum.networks.lsgan import LSGANGenerator
from zerosum.networks.points import PointsCritic, PointsGenerator
from zerosum.networks.residual import ResidualCritic, ResidualGenerator
from zerosum.networks.resnet import ResNetCritic, ResNetGenerator
from zerosum.networks.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator


class Spec(Protocol):
    """A frozen description of a network. ``build`` draws the initial weights from torch's global generator."""

    def build(self) -> nn.Module: ...


CATALOGUE: Mapping[str, type] = MappingProxyType(
    {
        "DCGANGenerator": DCGANGenerator,
        "DCGANDiscriminator": DCGANDiscriminator,
        "ResidualGenerator": ResidualGenerator,
        "ResidualCritic": ResidualCritic,
        "GoodfellowGenerator": GoodfellowGenerator,
        "GoodfellowDiscriminator": GoodfellowDiscriminator,
        "GoodfellowConvGenerator": GoodfellowConvGenerator,
        "GoodfellowConvDiscriminator": GoodfellowConvDiscriminator,
        "LSGANGenerator": LSGANGenerator,
        "ResNetGenerator": ResNetGenerator,
        "ResNetCritic": ResNetCritic,
        "SNDCGANGenerator": SNDCGANGenerator,
        "SNDCGANDiscriminator": SNDCGANDiscriminator,
        "PointsGenerator": PointsGenerator,
        "PointsCritic": PointsCritic,
    }
)

__all__ = [
    "CATALOGUE",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "GoodfellowConvDiscriminator",
    "GoodfellowConvGenerator",
    "GoodfellowDiscriminator",
    "GoodfellowGenerator",
    "LSGANGenerator",
    "PointsCritic",
    "PointsGenerator",
    "ResNetCritic",
    "ResNetGenerator",
    "ResidualCritic",
    "ResidualGenerator",
    "SNDCGANDiscriminator",
    "SNDCGANGenerator",
    "Spec",
]
