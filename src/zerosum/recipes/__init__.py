"""One file per famous GAN: a function from a few dials to a complete recipe."""

from collections.abc import Mapping
from types import MappingProxyType

from zerosum.recipe import RecipeFunction
from zerosum.recipes.dcgan import dcgan
from zerosum.recipes.modern import modern

CATALOGUE: Mapping[str, RecipeFunction] = MappingProxyType({"dcgan": dcgan, "modern": modern})

__all__ = ["CATALOGUE", "dcgan", "modern"]
