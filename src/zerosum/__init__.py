"""zerosum trains GANs on your own pictures.

``zerosum.train`` and ``zerosum.load`` are the two doors; the parts behind them (``zerosum.Game``, ``zerosum.losses``,
``zerosum.networks``, ...) are for loops of one's own. Importing zerosum imports no torch: each name is loaded when it
is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerosum import conformance, metrics, networks, recipes
    from zerosum.errors import Stopped, UserError
    from zerosum.game import augment, losses, penalties, schedules, terms
    from zerosum.game.game import Game
    from zerosum.generate import Generator, load
    from zerosum.launch import train
    from zerosum.recipe import Recipe
    from zerosum.run import Run

__version__ = "0.1.0"

_HOMES = {
    "Game": "zerosum.game.game",
    "Generator": "zerosum.generate",
    "Recipe": "zerosum.recipe",
    "Run": "zerosum.run",
    "Stopped": "zerosum.errors",
    "UserError": "zerosum.errors",
    "load": "zerosum.generate",
    "train": "zerosum.launch",
}
_MODULES = {
    "augment": "zerosum.game.augment",
    "conformance": "zerosum.conformance",
    "losses": "zerosum.game.losses",
    "metrics": "zerosum.metrics",
    "networks": "zerosum.networks",
    "penalties": "zerosum.game.penalties",
    "recipes": "zerosum.recipes",
    "schedules": "zerosum.game.schedules",
    "terms": "zerosum.game.terms",
}

__all__ = [
    "Game",
    "Generator",
    "Recipe",
    "Run",
    "Stopped",
    "UserError",
    "__version__",
    "augment",
    "conformance",
    "load",
    "losses",
    "metrics",
    "networks",
    "penalties",
    "recipes",
    "schedules",
    "terms",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'zerosum' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
