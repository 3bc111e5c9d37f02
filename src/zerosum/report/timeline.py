"""The diagnosis through time: each verdict from when to when, what was changed, and all of it in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from zerosum.report.curves import ticks
from zerosum.report.facts import Facts, Record, number, seen
from zerosum.report.html import count, folded, said, short, table, text

END, ROW, NAME = 94.0, 38, 44  # per cent of the width that time takes, pixels of a row, characters of its name
ROWS, MARKS, LISTED = 12, 60, 40
LEVELS = ("act", "warn", "info")  # a note is info
SIGNS = {"act": "✖", "warn": "▲", "info": "ℹ"}  # told apart without colours
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
        name, images = str(record.get("verdict")), seen(record.get("images"))
        if images is None:
            continue
        if record.get("event") == "verdict":
            first = seen(record.get("since"))
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
    sure = said("Confidence is 1 - 2^-n after n checks in a row that said so.") if listed else ""
    return _line(facts, found) + f'<ul class="verdicts">{items}</ul>{cut}{sure}' + _changes(changes)


def _item(episode: Episode) -> str:
    record, own = episode.record, level(episode)
    when = f"since {episode.since:,.0f} images"
    if episode.until is not None:
        when = f"from {episode.since:,.0f} to {episode.until:,.0f} images"
    sure = number(record.get("confidence"))
    told = f", confidence {sure:.0%}" if sure is not None and 0 <= sure <= 1 else ""
    tag = (
        '<span class="tag past">over</span>'
        if episode.until is not None
        else f'<span class="tag {own}">{SIGNS[own]} {SHOWN[own]}</span>'
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
        origin = seen(record.get("from"))
        what = what or (f"from {origin:,.0f} images" if origin is not None else "")
        images = seen(record.get("images"))
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
    """A row for each verdict and for each kind of event: its name, and below it bars or marks over the images seen."""
    marks = [
        (images, str(record.get("event")))
        for record in facts.events
        if record.get("event") not in ("verdict", "recovered") and (images := seen(record.get("images"))) is not None
    ]
    rows = dict.fromkeys(episode.name for episode in found)
    if not rows and len(marks) < 2:
        return ""
    end = max([1.0, float(facts.images), *(images for images, _ in marks), *(episode.since for episode in found)])
    kinds = {name: [mark for mark in marks if mark[1] == name] for name in KINDS}
    others = [mark for mark in marks if mark[1] not in KINDS]
    parts = [(name, _bars([one for one in found if one.name == name], end)) for name in list(rows)[:ROWS]]
    parts += [(KINDS[name], _marks(own, end, "act")) for name, own in kinds.items() if own]
    parts += [(", ".join(dict.fromkeys(name for _, name in others)), _marks(others, end, "edge"))] if others else []
    shown = "".join(
        f'<svg y="{ROW * row}" overflow="visible"><text class="strong" y="12">{text(_cut(name))}</text>'
        f'<rect class="rail" y="25" width="{END}%" height="1"/>{drawn}</svg>'
        for row, (name, drawn) in enumerate(parts)
    )
    foot = ROW * len(parts) + 12
    scale = "".join(
        f'<text class="tick" x="{_x(value, end)}" y="{foot}" text-anchor="{"middle" if value else "start"}">'
        f"{count(value)}</text>"
        for value in ticks(0.0, end, 4)
    )
    return (
        f'<svg class="times" height="{foot + 22}" role="img" aria-label="Verdicts and events over the images seen">'
        f'{shown}{scale}<text class="tick" x="{END}%" y="{foot + 17}" text-anchor="end">images seen</text></svg>'
    )


def _x(images: float, end: float) -> str:
    return f"{END * images / end:.2f}%"


def _cut(name: str) -> str:
    return name if len(name) <= NAME else name[: NAME - 1] + "…"


def _bars(found: list[Episode], end: float) -> str:
    """From when to when, each with the sign of its level in a square at its begin."""
    parts = []
    for one in found:
        own, begin, until = level(one), _x(one.since, end), end if one.until is None else one.until
        words = f"{one.name}: {one.since:,.0f} to {'now' if one.until is None else f'{one.until:,.0f}'}"
        parts.append(
            f'<g class="{own}"><title>{text(words)}</title>'
            f'<rect x="{begin}" y="17" rx="3" width="{_x(max(0.0, until - one.since), end)}" height="16"/>'
            f'<rect x="{begin}" y="17" rx="3" width="17" height="16"/>'
            f'<text class="sign" x="{begin}" dx="8.5" y="29.5" text-anchor="middle">{SIGNS[own]}</text></g>'
        )
    return "".join(parts)


def _marks(found: list[tuple[float, str]], end: float, kind: str) -> str:
    """The newest of the log, in the order of the images: a roll-back goes to earlier ones."""
    return "".join(
        f'<rect class="{kind}" x="{_x(images, end)}" y="17" width="3" height="16">'
        f"<title>{text(name)}, {images:,.0f}</title></rect>"
        for images, name in sorted(found[-MARKS:])
    )
