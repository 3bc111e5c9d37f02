"""What is on the page: parts of HTML with their digests, of all runs or of one. Only ``text`` lets a run's words in."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from zerosum.report import setup
from zerosum.report.facts import Facts
from zerosum.report.html import count, duration, short, text
from zerosum.report.live.glance import Glance
from zerosum.report.panel import Media, Panel, panels
from zerosum.report.thinned import Series
from zerosum.run import TRACKED

SPARK_WIDTH, SPARK_HEIGHT = 160, 36
LEVEL = {"note": "ℹ", "warn": "▲", "act": "✖"}
LOG = 8.0  # a sparkline whose values differ by more than this factor is logarithmic
SIGN = {"running": "▶", "finished": "✓", "stopped": "■"}  # told apart without colours


class Part(NamedTuple):
    """An element of the page, replaced when its digest changes. ``kind`` is its class, ``html`` what is in it."""

    kind: str
    html: str
    digest: str


class View(NamedTuple):
    """A page: its parts in order, and sentences for those who hear it, announced when they change.

    Attributes:
        whole: False while logs are still being read: there is more to come at once.
    """

    title: str
    parts: Mapping[str, Part]
    says: Mapping[str, str]
    whole: bool = True

    @property
    def token(self) -> str:
        """Of all that is shown: equal tokens, equal pages."""
        return digest(self.title, *(f"{key} {part.digest}" for key, part in self.parts.items()))


class Shown(NamedTuple):
    """A run on the page: its address, its folder's name, and what is known of it."""

    key: str
    name: str
    glance: Glance
    grid: str | None


def digest(*words: str) -> str:
    """Short, of text."""
    return hashlib.blake2s("\0".join(words).encode(errors="replace"), digest_size=8).hexdigest()


def part(kind: str, html: str) -> Part:
    """With its digest."""
    return Part(kind, html, digest(kind, html))


def overview(shown: Sequence[Shown], folder: str) -> View:
    """All runs of a folder, a card each."""
    running = sum(run.glance.state == "running" for run in shown)
    title = f"{running} running" if running else f"{len(shown)} run{'' if len(shown) == 1 else 's'}"
    parts = {run.key: part(f"card {run.glance.state}", card(run)) for run in shown}
    if not shown:
        empty = (
            f"<h2>No run here yet</h2><p>This page looks into <b>{text(folder)}</b>. A run appears as soon as "
            f"<code>zerosum train DATA</code> has begun there.</p>"
        )
        parts = {"empty": part("empty", empty)}
    return View(title, parts, heard(shown))


def heard(shown: Sequence[Shown]) -> dict[str, str]:
    """What is announced when it changes."""
    return {run.key: _said(run) for run in shown}


def card(run: Shown) -> str:
    """One run: its newest grid, where it stands, and what it is worth."""
    glance = run.glance
    strip = (
        f'<img src="{text(run.grid)}" alt="" loading="lazy" decoding="async">'
        if run.grid
        else '<span class="soft">no pictures yet</span>'
    )
    rate = f"{short(glance.rate)} img/s" if glance.rate else ""
    left = f"{_time(glance.left)} left" if glance.left is not None else ""
    facts = "".join(f"<span>{text(fact)}</span>" for fact in (seen(glance), rate, left) if fact)
    return (
        f'<div class="strip">{strip}</div><div class="told"><h2><a href="/run/{run.key}">{text(run.name)}</a></h2>'
        f'<p class="what">{text(what(glance))}</p><p class="tags">{tags(glance)}</p>'
        f'{bar(glance)}<p class="facts">{facts}</p>{_measure(glance)}</div>'
    )


def now(run: Shown, reading: float | None) -> str:
    """Where a run stands, in large numbers. ``reading``: the share of its logs that has been read, if not all."""
    glance = run.glance
    cells = [("images seen", seen(glance))]
    if glance.rate:
        cells.append(("images per second", short(glance.rate)))
    if glance.left is not None:
        cells.append(("left", _time(glance.left)))
    if glance.metric:
        best = "the best so far" if glance.metric[0] <= glance.metric[1] else f"best {_three(glance.metric[1])}"
        cells.append((f"kernel distance ({TRACKED}), {best}", _three(glance.metric[0])))
    numbers = "".join(f"<div><b>{text(value)}</b><span>{text(name)}</span></div>" for name, value in cells)
    still = f'<p class="note">Reading the logs: {reading:.0%}.</p>' if reading is not None else ""
    says = f'<p class="says">{text(glance.verdict.says)}</p>' if glance.verdict and glance.verdict.says else ""
    return f'<p class="tags">{tags(glance)}</p>{says}{bar(glance)}<div class="cards">{numbers}</div>{still}'


def tags(glance: Glance) -> str:
    """The state and the gravest verdict, each with a sign and a word."""
    state = f'<span class="state {glance.state}"><i aria-hidden="true">{SIGN[glance.state]}</i>{glance.state}</span>'
    if glance.verdict is None:
        return state
    level, name = glance.verdict.level, text(glance.verdict.name, 60)
    return f'{state} <span class="tag {level}"><i aria-hidden="true">{LEVEL[level]}</i> {name}</span>'


def bar(glance: Glance) -> str:
    """How much of the budget is used up."""
    if not glance.budget:
        return ""
    return (
        f'<progress max="{glance.budget}" value="{min(glance.images, glance.budget)}" aria-label="budget"></progress>'
    )


def seen(glance: Glance) -> str:
    """Images of the budget."""
    return f"{count(glance.images)} of {count(glance.budget)}" if glance.budget else f"{count(glance.images)} images"


def what(glance: Glance) -> str:
    """Recipe and data."""
    recipe = glance.recipe or "recipe.json cannot be read"
    return f"{recipe} on {glance.data}" if glance.data else recipe


def drawn(facts: Facts, media: Media, key: str) -> dict[str, Part]:
    """The report's panels by key. What they say of the recipe takes no torch, and the walk is made when asked for."""
    found = panels(facts, media, walk=_walk(facts, key), recipe=setup.given(facts))
    if facts.recipe is not None:  # the numbers of this panel stand above it, as large
        found = [
            own._replace(html=f"<p>{text(setup.sentence(facts))}</p>") if own.key == "overview" else own
            for own in found
        ]
    ways = "".join(f'<a href="#part-{own.key}">{text(own.title)}</a>' for own in found)
    return {"contents": part("contents", ways), **{own.key: _panel(own) for own in found}}


def _panel(own: Panel) -> Part:
    html = re.sub(' style="[^"]*"', "", own.html)  # the page's policy allows none; page.css has what they say
    return part("panel", f"<h2>{text(own.title)}</h2>{html}")


def _walk(facts: Facts, key: str) -> str:
    """The form that asks for a walk through the newest model's latents."""
    if not facts.snapshots:
        return ""
    return (
        f'<p class="note">Each picture follows a closed way through the generator\'s latents (averaged weights, model '
        f"of {count(facts.snapshots[-1].images)} images). Smooth changes speak for a generator that has learnt the "
        f"data's shape, jumps between fixed pictures for copying.</p>"
        f'<form class="walk" action="/walk/{key}" data-keep="walk"><label>Seed <input name="seed" type="number" '
        f'value="0" min="0" max="2147483647" step="1" inputmode="numeric"></label> <button>Walk</button>'
        f'<div class="stage" aria-live="polite"></div></form>'
    )


def sparkline(series: Series, what: str) -> str:
    """A small curve without axes; its words say from what to what."""
    if len(series.value) < 2:
        return ""
    values = series.value
    if min(values) > 0 and max(values) > LOG * min(values):
        values = tuple(math.log(value) for value in values)
    low, high, last = min(values), max(values), series.images[-1]
    first = series.images[0]
    points = [
        (
            2 + (SPARK_WIDTH - 8) * (images - first) / ((last - first) or 1),
            4 + (SPARK_HEIGHT - 8) * (high - value) / ((high - low) or 1),
        )
        for images, value in zip(series.images, values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    words = f"{what}: {short(series.value[0])} to {short(series.value[-1])}"
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img" aria-label="{text(words)}">'
        f'<polyline class="line c0" points="{line}"/>'
        f'<circle class="dot c0" cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3"/></svg>'
    )


def _measure(glance: Glance) -> str:
    value = f"<b>{_three(glance.metric[0])}</b> kernel distance" if glance.metric else text(glance.spark_of)
    spark = sparkline(glance.spark, glance.spark_of)
    return f'<div class="measure">{spark}<span>{value}</span></div>' if spark or glance.metric else ""


def _three(value: float) -> str:
    return f"{value:.3g}"


def _said(run: Shown) -> str:
    verdict = f", {run.glance.verdict.name}" if run.glance.verdict else ""
    return f"{run.name}: {run.glance.state}{verdict}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds / 10) * 10} s" if seconds > 10 else "a few seconds"
    return duration(seconds)
