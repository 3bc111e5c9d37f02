"""The curves of a training: losses, scores, gradients, speed."""

from __future__ import annotations

from collections.abc import Sequence

from zerosum.report.curves import Level, Line, chart
from zerosum.report.equilibrium import level
from zerosum.report.facts import Facts
from zerosum.report.html import folded, said, text
from zerosum.report.thinned import Series

PLAYERS = (("critic", 0), ("generator", 1))
POINTS = ("real", "fake", "between", "around")  # where penalties are taken
TERMS = ("smoothing", "lecam", "classifier", "matching", "consistency", "latent_consistency")
KNOWN = ("loss", "game", "gradient", "real_score", "fake_score", "real_sign", "fake_sign")
MOST = 12  # numbers of no known meaning that get a chart


def html(facts: Facts) -> str:
    """Charts of what stats.jsonl holds."""
    if not facts.stats:
        return said("No round has been logged yet, so there are no curves.")
    charts = [*_losses(facts), *_scores(facts), _gradients(facts), *_parts(facts), _speed(facts)]
    broken = ", ".join(f"{text(name)} from {images:,} images on" for name, images in list(facts.broken.items())[:8])
    return (
        '<p class="note">Thin: the values; thick: the mean of the middle half of their neighbours. '
        "Dashed: the value at the equilibrium, where generated pictures cannot be told from real ones.</p>"
        + (f'<p><span class="tag act">not finite</span> {broken}</p>' if broken else "")
        + f'<div class="charts">{"".join(charts)}</div>'
        + _others(facts)
    )


def line(facts: Facts, key: str, name: str, colour: int, dashed: bool = False) -> Line:
    """A number of stats as a line; one without points where there is none."""
    return Line(name, facts.stats.get(key, Series((), ())), colour, dashed)


def _losses(facts: Facts) -> list[str]:
    game = "critic.game" if "critic.game" in facts.stats else "critic.loss"
    penalised = "critic.loss" in facts.stats and facts.stats["critic.loss"] != facts.stats.get(game)
    critic, generator = level(facts, "critic"), level(facts, "generator")
    lines = [line(facts, game, "game", 0)]
    if penalised:
        lines.append(line(facts, "critic.loss", "with penalties", 3))
    return [
        chart("Critic's loss", lines, levels=[critic] if critic else []),
        chart(
            "Generator's loss", [line(facts, "generator.loss", "generator", 1)], levels=[generator] if generator else []
        ),
    ]


def _scores(facts: Facts) -> list[str]:
    means = [line(facts, "critic.real_score", "real", 0), line(facts, "critic.fake_score", "generated", 1)]
    signs = [line(facts, "critic.real_sign", "real", 0), line(facts, "critic.fake_sign", "generated", 1)]
    return [
        chart("The critic's scores", means, unit="mean of a batch"),
        chart("Signs of the scores", signs, unit="mean, -1 to 1", levels=[Level(0.0, "as often + as -")]),
    ]


def _gradients(facts: Facts) -> str:
    lines = [line(facts, f"{player}.gradient", player, colour) for player, colour in PLAYERS]
    return chart("Norm of the gradient", lines)


def _speed(facts: Facts) -> str:
    return chart("Speed", [line(facts, "images_per_second", "images/s", 6)], unit="images per second")


def _parts(facts: Facts) -> list[str]:
    """What is added to the game: penalties before their weights, terms with theirs."""
    penalties = [line(facts, f"critic.penalty_{point}", f"at {point}", place) for place, point in enumerate(POINTS)]
    charts = [chart("Gradient penalties", penalties, unit="mean of (slope - target)², before the weight")]
    for player, _ in PLAYERS:
        terms = [line(facts, f"{player}.{term}", term[:14], place) for place, term in enumerate(TERMS)]
        charts.append(chart(f"Added to the {player}'s loss", terms, unit="its terms, weights included"))
    return charts


def _others(facts: Facts) -> str:
    parts = (*KNOWN, *TERMS, *(f"penalty_{point}" for point in POINTS))
    shown = {f"{player}.{name}" for player, _ in PLAYERS for name in parts} | {"images_per_second", "seconds"}
    return others([(name, series) for name, series in facts.stats.items() if name not in shown])


def others(named: Sequence[tuple[str, Series]]) -> str:
    """A chart each of numbers of no known meaning, folded away."""
    charts = [chart(name, [Line(name.rpartition(".")[2][:14], series, 2)]) for name, series in named[:MOST]]
    found = "".join(charts)
    return folded("Other numbers", f'<div class="charts">{found}</div>') if found else ""
