"""The classes: how much of each is covered, and how often it is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zerosum.report.facts import Facts, number
from zerosum.report.html import text
from zerosum.report.signals import WIDTH, grid, newest

NAMES, BARS = 112, 212  # where the names end, and the length of the longest bar
MOST = 60


def html(facts: Facts) -> str:
    """How much of each class is covered, and how often it is generated, by the classifier or else by the checks."""
    record = newest(facts, "classes") or {}
    covered, made = (
        [(name, share, None) for name, share in _numbers(record.get(key))] for key in ("classes", "classes_fake")
    )
    named = {
        str(line.get("metric")).removeprefix("share."): (value, number(line.get("baseline")))
        for line in facts.metrics
        if str(line.get("metric")).startswith("share.") and (value := number(line.get("value"))) is not None
    }
    words = "share of the class's real pictures with a generated one in their neighbourhood"
    bars = [_bars("Covered", words, covered)]
    if named:
        words = "share of generated pictures by a classifier of real ones; the mark is the real share"
        bars.append(_bars("Generated", words, [(name, *pair) for name, pair in named.items()]))
    else:
        bars.append(_bars("Generated", "share of the generated pictures, by the nearest real one", made))
    return grid([bar for bar in bars if bar])


def _numbers(value: object) -> list[tuple[str, float]]:
    pairs = value.items() if isinstance(value, Mapping) else ()
    return [(str(name), share) for name, item in pairs if (share := number(item)) is not None]


def _bars(title: str, unit: str, rows: Sequence[tuple[str, float, float | None]]) -> str:
    """A bar a class, with a mark where there is something to compare with; of many the smallest."""
    cut = len(rows) - MOST
    rows = sorted(rows, key=lambda row: row[1] / (row[2] or 1))[:MOST] if cut > 0 else rows
    if not rows:
        return ""
    most = max(max(value, mark or 0.0) for _, value, mark in rows) or 1.0
    parts = []
    for place, (name, value, mark) in enumerate(rows):
        y = 24 * place
        wide, marked = (BARS * max(0.0, share) / most for share in (value, mark or 0.0))
        shown = name if len(name) <= 13 else name[:12] + "…"
        parts.append(
            f'<text class="strong" x="{NAMES}" y="{y + 15}" text-anchor="end">{text(shown)}'
            f"<title>{text(name)}</title></text>"
            f'<rect class="bar c1" rx="2" x="{NAMES + 8}" y="{y + 3}" width="{wide:.1f}" height="16"/>'
            f'<text class="tick" x="{NAMES + 16 + max(wide, marked):.1f}" y="{y + 15}">{value:.1%}</text>'
        )
        if mark is not None:
            parts.append(f'<path class="edge" d="M{NAMES + 8 + marked:.1f},{y + 1}v20"/>')
    words = "; ".join(f"{name} {value:.1%}" for name, value, _ in rows)
    more = f" The {MOST} smallest of {len(rows) + cut:,}." if cut > 0 else ""
    return (
        f'<figure class="chart"><figcaption><b>{title}</b> {unit}{more}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {24 * len(rows) + 4}" role="img" aria-label="{text(words)}">{"".join(parts)}</svg>'
        "</figure>"
    )
