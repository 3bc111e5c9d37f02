"""The diagnosis through time: each verdict from when to when, what was changed, and all of it in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from zerosum.report.curves import ticks
from zerosum.report.facts import Facts, Record, number
from zerosum.report.html import count, folded, said, short, table, text

LEFT, WIDTH, ROW = 178, 760, 26
ROWS, MARKS, LISTED = 12, 60, 40
LEVELS = ("act", "warn", "info")  # a note is info
SHOWN = {"act": "act", "warn": "warning", "info": "note"}
KINDS = {"amended": "settings changed", "rolled back": "rolled back", "not finite": "not finite"}


class Episode(NamedTuple):
    """A verdict from its first line to where it was taken back; ``until`` is None while it holds."""

    name: str
    since: float
    until: float | None
    record: Record


def episodes(facts: Facts) -> list[Episode]:
    """All verdicts; one that is repeated while it holds is one, with the newest words."""
    done: list[Episode] = []
    held: dict[str, Episode] = {}
    for record in facts.events:
        name, images = str(record.get("verdict")), number(record.get("images"))
        if images is None:
            continue
        if record.get("event") == "verdict":
            first = number(record.get("since"))
            since = held[name].since if name in held else images if first is None else min(first, images)
            held[name] = Episode(name, since, None, record)
        elif record.get("event") == "recovered" and name in held:
            done.append(held.pop(name)._replace(until=images))
    return sorted([*done, *held.values()], key=lambda episode: episode.since)


def level(episode: Episode) -> str:
    """How bad it is: one of ``LEVELS``."""
    found = str(episode.record.get("level"))
    return found if found in LEVELS else "info"


def html(facts: Facts) -> str:
    """The time line and the list."""
    found = episodes(facts)
    changes = [record for record in facts.events if record.get("event") in KINDS]
    if not found and not changes:
        checks = (
            f"{len(facts.signals)} checks found nothing to say." if facts.signals else "No verdict has been logged."
        )
        return _line(facts, found) + said(checks)
    now = [episode for episode in found if episode.until is None]
    past = [episode for episode in found if episode.until is not None]
    listed = [*sorted(now, key=lambda episode: (LEVELS.index(level(episode)), -episode.since)), *reversed(past)]
    items = "".join(_item(episode) for episode in listed[:LISTED])
    cut = said(f"{len(listed) - LISTED} older ones are left out.") if len(listed) > LISTED else ""
    return _line(facts, found) + f'<ul class="verdicts">{items}</ul>{cut}' + _changes(changes)


def _item(episode: Episode) -> str:
    record, own = episode.record, level(episode)
    when = f"since {episode.since:,.0f} images"
    if episode.until is not None:
        when = f"from {episode.since:,.0f} to {episode.until:,.0f} images"
    sure = number(record.get("confidence"))
    told = "" if sure is None else f", confidence {sure:.0%}"
    tag = (
        '<span class="tag past">over</span>'
        if episode.until is not None
        else f'<span class="tag {own}">{SHOWN[own]}</span>'
    )
    says = f"<p>{text(record['says'])}</p>" if record.get("says") else ""
    evidence = record.get("evidence")
    shown = ""
    if isinstance(evidence, Mapping) and evidence:
        parts = [f"{text(name, 80)} = {text(_value(value), 80)}" for name, value in list(evidence.items())[:16]]
        shown = f'<p class="note">Evidence: {", ".join(parts)}</p>'
    remedy = f"<pre><code>{text(record['remedy'])}</code></pre>" if record.get("remedy") else ""
    kind = "past" if episode.until is not None else own
    head = f"<b>{text(episode.name, 120)}</b>{tag} <small>{when}{told}</small>"
    return f'<li class="{kind}">{head}{says}{shown}{remedy}</li>'


def _changes(records: list[Record]) -> str:
    rows = []
    for record in records[-LISTED:]:
        settings = record.get("settings")
        what = ", ".join(f"{name}={value}" for name, value in settings.items()) if isinstance(settings, Mapping) else ""
        origin = number(record.get("from"))
        what = what or (f"from {origin:,.0f} images" if origin is not None else "")
        images = number(record.get("images"))
        rows.append(
            [
                text(KINDS[str(record.get("event"))]),
                "" if images is None else f"{images:,.0f}",
                text(what, 600),
                text(record.get("why") or "", 600),
            ]
        )
    return folded("What was changed", table(rows, ("", "at images", "what", "why"))) if rows else ""


def _value(value: object) -> str:
    found = number(value)
    return short(found) if found is not None else str(value)


def _line(facts: Facts, found: list[Episode]) -> str:
    marks = [
        (images, str(record.get("event")))
        for record in facts.events
        if record.get("event") not in ("verdict", "recovered") and (images := number(record.get("images"))) is not None
    ]
    end = max([1.0, float(facts.images), *(images for images, _ in marks), *(episode.since for episode in found)])
    names = list(dict.fromkeys(episode.name for episode in found))[:ROWS]
    if not names and len(marks) < 2:
        return ""
    place = {name: 8 + ROW * row for row, name in enumerate(names)}
    foot = 8 + ROW * len(names)

    def x(images: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * images / end

    parts = []
    for name in names:
        short_name = name if len(name) <= 24 else name[:23] + "…"
        parts.append(
            f'<text class="strong" x="{LEFT - 10}" y="{place[name] + 14}" text-anchor="end">{text(short_name)}</text>'
        )
        parts.append(f'<path class="rule" d="M{LEFT},{place[name] + 10}H{WIDTH - 20}"/>')
    for episode in found:
        if episode.name in place:
            begin, until = x(episode.since), x(end if episode.until is None else episode.until)
            words = (
                f"{episode.name}: {episode.since:,.0f} to {'now' if episode.until is None else f'{episode.until:,.0f}'}"
            )
            parts.append(
                f'<rect class="{level(episode)}" x="{begin:.1f}" y="{place[episode.name] + 3}" rx="3" '
                f'width="{max(4.0, until - begin):.1f}" height="14"><title>{text(words)}</title></rect>'
            )
    parts.append(f'<text class="tick" x="{LEFT - 10}" y="{foot + 15}" text-anchor="end">events</text>')
    parts.append(f'<path class="axis" d="M{LEFT},{foot + 22}H{WIDTH - 20}"/>')
    last = -1e9
    for images, event in marks[:MARKS]:
        parts.append(
            f'<path class="edge" d="M{x(images):.1f},{foot + 5}v17"><title>{text(event)}, {images:,.0f}</title></path>'
        )
        if x(images) - last > 7 * len(event) + 8:
            anchor = "end" if x(images) > WIDTH - 100 else "start"
            shift = -4 if anchor == "end" else 4
            parts.append(
                f'<text class="tick" x="{x(images) + shift:.1f}" y="{foot + 15}" text-anchor="{anchor}">'
                f"{text(event, 40)}</text>"
            )
            last = x(images)
    for value in ticks(0.0, end, 6):
        parts.append(
            f'<text class="tick" x="{x(value):.1f}" y="{foot + 38}" text-anchor="middle">{count(value)}</text>'
        )
    parts.append(f'<text class="tick" x="{WIDTH - 20}" y="{foot + 54}" text-anchor="end">images seen</text>')
    return (
        f'<div class="scroll" tabindex="0"><svg style="min-width:560px;width:100%" viewBox="0 0 {WIDTH} {foot + 60}" '
        f'role="img" aria-label="Verdicts over the images seen">{"".join(parts)}</svg></div>'
    )
