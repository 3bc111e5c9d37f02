"""Metrics: the newest value of each with its interval, what stands beside it and its protocol; and their courses."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from zerosum.report.curves import Line, chart
from zerosum.report.facts import Facts, Record, number, seen
from zerosum.report.html import folded, said, short, table, text
from zerosum.report.thinned import Series
from zerosum.run import TRACKED

MEANINGS = {  # lower is better, and what it says
    "kernel": (
        True,
        "unbiased squared kernel distance of features (Binkowski et al. 2018); 0 is equal, noise may be below",
    ),
    "fid": (True, "Fréchet distance of Inception features (Heusel et al. 2017)"),
    "precision": (False, "share of generated pictures inside the real ones' neighbourhoods (Kynkäänniemi et al. 2019)"),
    "recall": (False, "share of real pictures inside the generated ones' neighbourhoods (Kynkäänniemi et al. 2019)"),
    "density": (False, "how many real neighbourhoods a generated picture lies in (Naeem et al. 2020); may exceed 1"),
    "coverage": (False, "share of real pictures with a generated one in their neighbourhood (Naeem et al. 2020)"),
    "confident": (False, "share of pictures that a classifier of real ones is sure of"),
    "nearest": (None, "median distance to the nearest training picture; held-out pictures have 1, copies far less"),
    "near_copies": (True, "share nearer to a training picture than real ones are; above its baseline means copies"),
}


class Key(NamedTuple):
    """What makes two lines values of the same thing."""

    metric: str
    protocol: str
    weights: str
    detector: str
    data: str


def key(record: Record) -> Key:
    """Of a line of metrics.jsonl."""
    names = (record.get(name) for name in ("metric", "protocol", "weights", "detector", "data"))
    return Key(*("" if name is None else str(name) for name in names))


def newest(facts: Facts) -> dict[Key, Record]:
    """The newest line of each metric, in the order of their first lines."""
    found: dict[Key, Record] = {}
    for record in facts.metrics:
        if record.get("metric") is not None:
            found[key(record)] = record
    return found


def course(facts: Facts, wanted: Key) -> Series:
    """A metric's finite values over the images."""
    points = {
        images: value
        for record in facts.metrics
        if key(record) == wanted
        and (images := seen(record.get("images"))) is not None
        and (value := number(record.get("value"))) is not None
    }
    return Series(tuple(sorted(points)), tuple(points[images] for images in sorted(points)))


def tracked(facts: Facts) -> Series:
    """The tracking metric of the averaged weights."""
    return next(
        (course(facts, own) for own in newest(facts) if own.protocol == TRACKED and own.weights == "ema"),
        Series((), ()),
    )


def best(facts: Facts) -> int | None:
    """The images at which the tracking metric was best."""
    series = tracked(facts)
    return round(min(zip(series.value, series.images, strict=True))[1]) if series.images else None


def cell(record: Record) -> str:
    """A value and its 95 % interval."""
    value = number(record.get("value"))
    low, high = number(record.get("low")), number(record.get("high"))
    ends = "" if low is None or high is None else f" <small>[{short(low)}, {short(high)}]</small>"
    return ("not finite" if value is None else short(value)) + ends


def arrow(metric: str) -> str:
    """Which way is better, where that is known."""
    name = metric.lower()
    lower = MEANINGS[name][0] if name in MEANINGS else name.startswith(("fid", "fd", "kid", "cmmd")) or None
    return "" if lower is None else " ↓" if lower else " ↑"


def html(facts: Facts) -> str:
    """The table and the courses."""
    found = {own: record for own, record in newest(facts).items() if not own.metric.startswith("share.")}
    if not found:
        return said(
            "Nothing has been measured yet: zerosum evaluate RUN --against DATA does, and training does at its end."
        )
    charts = []
    for name, protocol in dict.fromkeys((own.metric, own.protocol) for own in found):
        own = [one for one in found if (one.metric, one.protocol) == (name, protocol)]
        lines = [
            Line(
                {"ema": "averaged", "raw": "raw"}.get(one.weights, one.weights or "value"),
                course(facts, one),
                4 if one.weights == "raw" else 1,
                one.weights == "raw",
            )
            for one in own[:4]
        ]
        if max(len(line.series.value) for line in lines) >= 3:
            charts.append(chart(name + arrow(name), lines, unit=protocol))
    rows: list[list[str]] = []
    groups = ((_how(own, record), _row(own, record)) for own, record in found.items())
    for how, group in itertools.groupby(groups, key=lambda pair: pair[0]):
        rows += [[how], *(row for _, row in group)]
    head = ("metric", "value, 95 % interval", "beside it")
    words = [
        f"<b>{name}</b>: {text(meaning)}."
        for name, (_, meaning) in MEANINGS.items()
        if any(o.metric == name for o in found)
    ]
    shown = f'<div class="charts">{"".join(charts)}</div>' if charts else ""
    meant = folded("What they mean", f"<p>{'<br>'.join(words)}</p>") if words else ""
    return shown + table(rows, head, "metrics") + meant


def _row(own: Key, record: Record) -> list[str]:
    beside, words = number(record.get("baseline")), text(record.get("beside") or "baseline", 80)
    return [
        text(own.metric, 80) + arrow(own.metric),
        cell(record),
        "" if beside is None else f"{short(beside)} <small>{words}</small>",
    ]


def _how(own: Key, record: Record) -> str:
    """On what a value was taken, to stand above those that were taken alike."""
    images = seen(record.get("images"))
    fake, real, draws = (number(record.get(name)) for name in ("fake", "real", "draws"))
    parts = [f"<code>{text(own.protocol, 80)}</code>"] if own.protocol else []
    parts += [f"{text({'ema': 'averaged'}.get(own.weights, own.weights), 40)} weights"] if own.weights else []
    parts += [f"at {images:,.0f} images"] if images is not None else []
    parts += [f"{fake:,.0f} generated"] if fake else []
    parts += [f"{real:,.0f} real"] if real else []
    parts += [f"{draws:,.0f} draws"] if draws and draws > 1 else []
    parts += [f"looked at by {text(own.detector, 80)}"] if own.detector else []
    return f"<small>{', '.join(parts)}</small>"
