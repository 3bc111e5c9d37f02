"""One file per famous GAN: a function from a few dials to a complete recipe."""

from collections.abc import Mapping
from types import MappingProxyType

from zerosum.recipe import RecipeFunction
from zerosum.recipes.compose import compose
from zerosum.recipes.dcgan import dcgan
from zerosum.recipes.dragan import dragan
from zerosum.recipes.fgan import fgan
from zerosum.recipes.goodfellow2014 import goodfellow2014
from zerosum.recipes.lsgan import lsgan
from zerosum.recipes.modern import modern
from zerosum.recipes.pacgan import pacgan
from zerosum.recipes.relativistic import relativistic
from zerosum.recipes.sndcgan import sndcgan
from zerosum.recipes.sngan import sngan
from zerosum.recipes.wgan import wgan
from zerosum.recipes.wgan_gp import wgan_gp

CATALOGUE: Mapping[str, RecipeFunction] = MappingProxyType(
    {
        "goodfellow2014": goodfellow2014,
        "dcgan": dcgan,
        "fgan": fgan,
        "lsgan": lsgan,
        "wgan": wgan,
        "wgan_gp": wgan_gp,
        "dragan": dragan,
        "sngan": sngan,
        "sndcgan": sndcgan,
        "pacgan": pacgan,
        "relativistic": relativistic,
        "modern": modern,
        "compose": compose,
    }
)

__all__ = ["CATALOGUE", *CATALOGUE]
