"""The losses at the end of a game: generated pictures cannot be told from real ones, and the critic plays its best.

Then every critic's score is the same for both, and what the losses are follows from the formulas alone: D = 1/2 for the
games of Goodfellow et al. 2014 and Mao et al. 2017; -f(1) and -f'(1) for f-divergences (Nowozin et al. 2016, table 2);
the relativistic ones (Jolicoeur-Martineau 2018) and the hinge game at equal scores. Wasserstein's losses have no value
to reach: only their difference to zero counts, on a scale of the critic's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from zerosum.report.curves import Level
from zerosum.report.facts import Facts, at

_LOG2 = Level(math.log(2), "log 2 = 0.693")
_TWO_LOG2 = Level(2 * math.log(2), "2 log 2 = 1.386")
_MINUS_LOG2 = Level(-math.log(2), "-log 2 = -0.693")
_ZERO, _ONE, _MINUS_ONE = Level(0.0, "0"), Level(1.0, "1"), Level(-1.0, "-1")

CRITIC_AND_GENERATOR: Mapping[str, tuple[Level, Level | None]] = MappingProxyType(
    {
        "saturating": (_TWO_LOG2, _MINUS_LOG2),
        "non_saturating": (_TWO_LOG2, _LOG2),
        "least_squares": (Level(0.25, "1/4"), Level(0.125, "1/8")),
        "hinge": (Level(2.0, "2"), _ZERO),
        "rpgan": (_LOG2, _LOG2),
        "ragan": (_LOG2, _LOG2),
        "rals": (_ONE, _ONE),
        "rahinge": (_ONE, _ONE),
        "fgan_kl": (_ZERO, _MINUS_ONE),
        "fgan_reverse_kl": (_ZERO, _ONE),
        "fgan_pearson": (_ZERO, _ZERO),
        "fgan_neyman": (_ZERO, _ZERO),
        "fgan_hellinger": (_ZERO, _ZERO),
        "fgan_jeffrey": (_ZERO, _ZERO),
        "fgan_js": (_ZERO, _ZERO),
        "fgan_gan": (_TWO_LOG2, _LOG2),
        "fgan_total_variation": (_ZERO, None),
        "fgan_kl_minimax": (_ZERO, _MINUS_ONE),
        "fgan_reverse_kl_minimax": (_ZERO, _ONE),
        "fgan_pearson_minimax": (_ZERO, _ZERO),
        "fgan_neyman_minimax": (_ZERO, _ZERO),
        "fgan_hellinger_minimax": (_ZERO, _ZERO),
        "fgan_jeffrey_minimax": (_ZERO, _ZERO),
        "fgan_js_minimax": (_ZERO, _ZERO),
        "fgan_gan_minimax": (_TWO_LOG2, _MINUS_LOG2),
        "fgan_total_variation_minimax": (_ZERO, None),
    }
)


def turns(facts: Facts) -> list[object]:
    """The turns of a round, as JSON."""
    moves = facts.says("resolved", "moves")
    return [turn for move in moves if isinstance(move, list) for turn in move] if isinstance(moves, list) else []


def games(facts: Facts) -> list[tuple[str, object]]:
    """The player and the game of each turn of a round."""
    return [(str(at(turn, "player")), at(turn, "loss", "game")) for turn in turns(facts)]


def level(facts: Facts, player: str) -> Level | None:
    """The value of a player's loss at the equilibrium; None where the game has none or its losses are not all the same.

    The critic's is that of the game without penalties; the generator's is left out where terms are added to it.
    """
    own = [game for name, game in games(facts) if name == player]
    names = {str(at(game, "loss")) for game in own}
    if len(names) != 1 or (name := names.pop()) not in CRITIC_AND_GENERATOR:
        return None
    if player == "critic":
        return _called(CRITIC_AND_GENERATOR[name][0])
    plain = all(not at(game, "terms") and at(game, "weight") in (None, 1, 1.0) for game in own)
    return _called(CRITIC_AND_GENERATOR[name][1]) if plain and player == "generator" else None


def _called(found: Level | None) -> Level | None:
    return found and Level(found.value, f"equilibrium: {found.name}")
