"""The players: one file per architecture, each a frozen spec with ``build()``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from torch import nn

from zerosum.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from zerosum.networks.residual import ResidualCritic, ResidualGenerator


class Spec(Protocol):
    """A frozen description of a network. ``build`` draws the initial weights from torch's global generator."""

    def build(self) -> nn.Module: ...


CATALOGUE: Mapping[str, type] = MappingProxyType(
    {
        "DCGANGenerator": DCGANGenerator,
        "DCGANDiscriminator": DCGANDiscriminator,
        "ResidualGenerator": ResidualGenerator,
        "ResidualCritic": ResidualCritic,
    }
)

__all__ = ["CATALOGUE", "DCGANDiscriminator", "DCGANGenerator", "ResidualCritic", "ResidualGenerator", "Spec"]
