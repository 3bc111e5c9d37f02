"""Several runs beside each other: what differs, how good each is, their curves and their newest pictures."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

from zerosum.errors import UserError
from zerosum.report.curves import Line, chart
from zerosum.report.defaults import flat
from zerosum.report.equilibrium import games, level
from zerosum.report.facts import Facts, Record, at, number
from zerosum.report.html import duration, folded, picture, said, table, text
from zerosum.report.measured import arrow, cell, newest, tracked
from zerosum.report.panel import Media, Panel
from zerosum.report.thinned import Series

LOSSES = (("critic.game", "Critic's loss without penalties"), ("generator.loss", "Generator's loss"))
CURVES = (
    ("critic.gradient", "Norm of the critic's gradient"),
    ("generator.gradient", "Norm of the generator's gradient"),
    ("images_per_second", "Images per second"),
)
SHOWN = 300  # settings that differ


def names(runs: Sequence[Facts]) -> list[str]:
    """A short name for each: a letter, or a number where there are more."""
    return (
        list(string.ascii_uppercase[: len(runs)]) if len(runs) <= 26 else [str(place + 1) for place in range(len(runs))]
    )


def panels(runs: Sequence[Facts], media: Media) -> list[Panel]:
    """The comparison, to stand before the runs themselves."""
    found = [
        Panel("runs", "These runs", _runs(runs)),
        Panel("beside", "Newest pictures side by side", _pictures(runs, media)),
        Panel("values", "How good they are", _values(runs)),
        Panel("overlaid", "Their courses", _courses(runs)),
        Panel("differing", "Settings that differ", _settings(runs)),
    ]
    return [panel for panel in found if panel.html]


def _runs(runs: Sequence[Facts]) -> str:
    rows = []
    for letter, facts in zip(names(runs), runs, strict=True):
        seconds = number(facts.latest.get("seconds"))
        whole = number(facts.says("budget", "images"))
        rows.append(
            [
                letter,
                text(facts.name, 120),
                text(f"{facts.says('recipe')} on {facts.says('data', 'name')}" if facts.recipe else facts.why, 300),
                text(facts.says("seed") if facts.recipe else ""),
                f"{facts.images:,}" + (f" of {whole:,.0f}" if whole else ""),
                "" if seconds is None else duration(seconds),
            ]
        )
    return table(rows, ("", "folder", "recipe and data", "seed", "images", "training"))


def _pictures(runs: Sequence[Facts], media: Media) -> str:
    figures = []
    for letter, facts in zip(names(runs), runs, strict=True):
        title = f"{letter}: {facts.name}"
        if not facts.grids:
            figures.append(said(f"{title} has no grid yet."))
            continue
        title += f", at {facts.grids[-1].images:,} images"
        try:
            source = media(facts.grids[-1].path)
        except UserError as error:
            figures.append(said(f"{title}: {error}"))
            continue
        figures.append(picture(source, title))
    return f'<div class="sheets">{"".join(figures)}</div>'


def _values(runs: Sequence[Facts]) -> str:
    """Newest values; the best is bold where one knows which way is better and chance does not explain it."""
    found = [newest(facts) for facts in runs]
    rows = []
    for own in dict.fromkeys(key for one in found for key in one if not key.metric.startswith("share.")):
        records, way = [one.get(own) for one in found], arrow(own.metric)
        best = clear([record for record in records if record is not None], way)
        cells = ["-" if record is None else cell(record) for record in records]
        cells = [
            f"<b>{shown}</b>" if best is not None and record is best else shown
            for shown, record in zip(cells, records, strict=True)
        ]
        more = text(
            ", ".join([own.protocol, *["raw"] * (own.weights == "raw"), *[own.detector] * bool(own.detector)]), 160
        )
        rows.append([f"{text(own.metric, 80)}{way}<br><small>{more}</small>", *cells])
    if not rows:
        return said("None of these runs has been measured yet.")
    words = (
        "Newest values; bold where the 95 % interval lies apart from all others. Intervals are of the pictures' "
        "chance, not of the training's: zerosum compare tests groups of seeds."
    )
    return table(rows, ("", *names(runs)), "metrics") + said(words)


def clear(records: Sequence[Record], way: str) -> Record | None:
    """The one whose 95 % interval lies on the better side (``way``: of the arrow) of all others'; often there is none.

    There is none either where one of them has no interval.
    """
    sign = {" ↓": -1.0, " ↑": 1.0}.get(way, 0.0)
    ends: list[list[float]] = []
    for record in records:
        low, high = number(record.get("low")), number(record.get("high"))
        if low is None or high is None:
            return None
        ends.append(sorted((sign * low, sign * high)))
    for place, record in enumerate(records):
        others = [high for other, (_, high) in enumerate(ends) if other != place]
        if others and ends[place][0] > max(others):
            return record
    return None


def _courses(runs: Sequence[Facts]) -> str:
    letters = names(runs)

    def lines(series: Sequence[Series]) -> list[Line]:
        return [Line(letters[place], one, place, place >= 8) for place, one in enumerate(series)]

    charts = [
        chart("Tracking metric ↓", lines([tracked(facts) for facts in runs]), unit="kernel distance, averaged weights")
    ]
    for loss in dict.fromkeys(map(_loss, runs)):  # losses of different games cannot be compared
        own = [facts for facts in runs if _loss(facts) == loss]
        for key, title in LOSSES:
            series = [
                facts.stats.get(key, Series((), ())) if _loss(facts) == loss else Series((), ()) for facts in runs
            ]
            levels = [found for facts in own if (found := level(facts, key.split(".")[0]))]
            charts.append(chart(title, lines(series), unit=loss, levels=list(dict.fromkeys(levels))))
    for key, title in CURVES:
        charts.append(chart(title, lines([facts.stats.get(key, Series((), ())) for facts in runs])))
    shown = "".join(charts)
    return f'<div class="charts">{shown}</div>' if shown else said("None of these runs has logged a round yet.")


def _loss(facts: Facts) -> str:
    return ", ".join(dict.fromkeys(str(at(game, "loss")) for _, game in games(facts)))


def _settings(runs: Sequence[Facts]) -> str:
    parts = ("recipe", "data", "seed", "budget", "dials", "set", "resolved", "choices", "versions")
    found = [flat({part: facts.says(part) for part in parts}) for facts in runs]
    rows: list[list[str]] = []
    deep: list[list[str]] = []
    for name in dict.fromkeys(name for one in found for name in one):
        values = [one.get(name) for one in found]
        if all(value == values[0] for value in values) or name.endswith("citation"):
            continue
        row = [
            f"<code>{text(name, 160)}</code>",
            *(text("-" if value is None else _shown(value), 200) for value in values),
        ]
        (deep if name.startswith("resolved.") else rows).append(row)
    if not rows and not deep:
        return said("These runs differ in nothing that is written down.")
    head = ("setting", *names(runs))
    more = folded("All fields of the recipes that differ", table(deep[:SHOWN], head)) if deep else ""
    shown = table(rows[:SHOWN], head) if rows else said("They were given the same settings.")
    return shown + more


def _shown(value: object) -> str:
    """A setting in a few words; of a hash the first digits."""
    if isinstance(value, Mapping) and value.get("kind") == "Ramp":
        return f"{value.get('start')} to {value.get('end')} ({value.get('shape')})"
    found = str(value)
    return found[:12] if len(found) == 64 and found.isalnum() else found
