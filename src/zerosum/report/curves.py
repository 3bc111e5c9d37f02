"""Charts as inline SVG: lines with their names at their ends, levels that are known, axes with units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from zerosum.report.html import count, short, text
from zerosum.report.thinned import Series

WIDTH, HEIGHT = 400, 230
LEFT, TOP, BOTTOM = 54, 16, 42
LETTER, LINE = 8.4, 17  # width of a letter and height of a line, of the largest text: that on a phone
NOISY = 60  # points from which on a mean is drawn over them
NARROW, ROOMY = 0.07, 0.14  # of the range, between what is drawn and the frame
LOG = 50.0  # from this ratio on, positive values get a logarithmic axis
COLOURS = 8


class Line(NamedTuple):
    """A course of values. ``colour`` is a place in the palette (0 training pictures or critic, 1 what is generated)."""

    name: str
    series: Series
    colour: int = 0
    dashed: bool = False


class Level(NamedTuple):
    """A value with a meaning of its own."""

    value: float
    name: str


class Band(NamedTuple):
    """What lies between two courses at the same places."""

    low: Series
    high: Series
    colour: int


class _Axes(NamedTuple):
    left: float
    right: float
    low: float
    high: float
    log: bool
    end: int  # of the frame, in pixels

    def x(self, value: float) -> float:
        return LEFT + (self.end - LEFT) * (value - self.left) / ((self.right - self.left) or 1)

    def y(self, value: float) -> float:
        value = math.log10(max(value, 1e-300)) if self.log else value
        share = (value - self.low) / ((self.high - self.low) or 1)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(1.0, max(0.0, share))

    def path(self, series: Series) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(*series, strict=True))


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    unit: str = "",
    along: str = "images seen",
    levels: Sequence[Level] = (),
    bands: Sequence[Band] = (),
) -> str:
    """A figure with its caption, or nothing where no line has a point.

    Values far beyond the others are cut off at the frame, and said so. Levels that lie beyond what was measured by more
    than its range stand at the edge, with an arrow.
    """
    lines = [line for line in lines if line.series.value]
    if not lines:
        return ""
    middles = [_smooth(line.series) for line in lines]
    everything = [value for line in lines for value in line.series.value]
    everything += [value for band in bands for side in (band.low, band.high) for value in side.value]
    places = [x for line in lines for x in line.series.images]
    log = min(everything) > 0 and max(everything) / min(everything) > LOG
    low, high, cut = _range(everything, levels, log)
    end = WIDTH - min(150, 14 + round(LETTER * max(len(line.name) for line in lines)))
    axes = _Axes(min(0.0, min(places)) if min(places) < max(places) else 0.0, max(places) or 1, low, high, log, end)
    parts = [*_grid(axes, along)]
    for band in bands:
        edge = Series((*band.high.images, *band.low.images[::-1]), (*band.high.value, *band.low.value[::-1]))
        parts.append(f'<polygon class="band c{band.colour % COLOURS}" points="{axes.path(edge)}"/>')
    for line, middle in zip(lines, middles, strict=True):
        parts += _drawn(axes, line, middle)
    parts += [_level(axes, level, lines) for level in levels]
    parts += _names(axes, lines, middles)
    cut_off = f" Beyond the frame: {', '.join(cut)}." if cut else ""
    told = ", ".join([unit] * bool(unit) + ["logarithmic"] * log)
    over = f"{low:.6g},{high:.6g},{int(log)},{axes.left:.6g},{axes.right:.6g},{LEFT},{end},{TOP},{HEIGHT - BOTTOM}"
    return (
        f'<figure class="chart"><figcaption><b>{text(title)}</b> {text(told)}'
        f"<small>{text(cut_off)}</small></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(_words(title, lines))}" data-axes="{over}">'
        f"{''.join(parts)}</svg></figure>"
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two ends."""
    span = high - low
    if not span / most > 0:
        return [low]
    unit = 10.0 ** math.floor(math.log10(span / most))
    step = next(part * unit for part in (1, 2, 2.5, 5, 10) if span / (part * unit) <= most)
    first = math.ceil(low / step - 1e-9)
    return [step * place for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _range(values: Sequence[float], levels: Sequence[Level], log: bool) -> tuple[float, float, list[str]]:
    """The ends of the axis (their logarithms where it is logarithmic), and what lies beyond it, in words."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    cut = []
    if not log and len(ordered) >= 20:
        inner_low, inner_high = ordered[len(ordered) // 50], ordered[-1 - len(ordered) // 50]
        room = 1.5 * (inner_high - inner_low)
        if room > 0 and low < inner_low - room:
            cut.append(f"down to {short(low)}")
            low = inner_low - room / 3
        if room > 0 and high > inner_high + room:
            cut.append(f"up to {short(high)}")
            high = inner_high + room / 3
    reach = high - low or abs(high) or 1.0
    known = [level.value for level in levels if level.value > 0 or not log]
    below, above = any(value <= low for value in known), any(value >= high for value in known)  # names need room there
    for value in known:
        if low - reach <= value <= high + reach:
            low, high = min(low, value), max(high, value)
    if log:
        low, high = math.log10(low), math.log10(high)
    room = high - low or abs(low) or 1.0
    least, most = low - (ROOMY if below else NARROW) * room, high + (ROOMY if above else NARROW) * room
    signed = log or low < 0 or (below and low == 0)
    return least if signed else max(0.0, least), most, cut


def _smooth(series: Series) -> Series:
    """The mean of the middle half of neighbouring points, where there are many: a spike leaves it as it is."""
    many = len(series.value)
    if many < NOISY:
        return series
    half = max(2, many // 50)
    near = (sorted(series.value[max(0, place - half) : place + half + 1]) for place in range(many))
    inner = (values[len(values) // 4 : -(len(values) // 4) or None] for values in near)
    return Series(series.images, tuple(sum(values) / len(values) for values in inner))


def _drawn(axes: _Axes, line: Line, middle: Series) -> list[str]:
    colour, dash = f"c{line.colour % COLOURS}", " dashed" if line.dashed else ""
    if len(line.series.value) == 1:
        x, y = axes.x(line.series.images[0]), axes.y(line.series.value[0])
        return [f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>']
    thin = [] if middle is line.series else [f'<polyline class="thin {colour}" points="{axes.path(line.series)}"/>']
    return [
        *thin,
        f'<polyline class="line {colour}{dash}" data-name="{text(line.name)}" points="{axes.path(middle)}"/>',
    ]


def _grid(axes: _Axes, along: str) -> list[str]:
    floor = HEIGHT - BOTTOM
    parts = []
    for value, name in _heights(axes):
        y = floor - (floor - TOP) * (value - axes.low) / ((axes.high - axes.low) or 1)
        parts.append(
            f'<path class="rule" d="M{LEFT},{y:.1f}H{axes.end}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
        )
    for value in ticks(axes.left, axes.right, max(2, (axes.end - LEFT) // 55)):
        x = axes.x(value)
        parts.append(
            f'<path class="axis" d="M{x:.1f},{floor}v4"/>'
            f'<text class="tick" x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{count(value)}</text>'
        )
    parts.append(f'<path class="axis" d="M{LEFT},{floor}H{axes.end}"/>')
    parts.append(f'<text class="tick" x="{axes.end}" y="{HEIGHT - 5}" text-anchor="end">{text(along)}</text>')
    return parts


def _heights(axes: _Axes) -> list[tuple[float, str]]:
    if not axes.log:
        return [(value, f"{value:.6g}") for value in ticks(axes.low, axes.high, 5)]
    wanted = [math.log10(part) + power for power in range(-300, 300) for part in (1, 2, 5)]
    found = [value for value in wanted if axes.low <= value <= axes.high]
    whole = [value for value in found if abs(value - round(value)) < 1e-9]
    found = whole[:: 1 + len(whole) // 7] if len(whole) > 2 else found
    return [(value, f"{10**value:.3g}") for value in found]


def _level(axes: _Axes, level: Level, lines: Sequence[Line]) -> str:
    """A dashed line, or an arrow at the edge beyond which it lies, and its name where the curves leave most room."""
    value = (math.log10(level.value) if level.value > 0 else -math.inf) if axes.log else level.value
    inside = axes.low <= value <= axes.high
    arrow = "" if inside else "↓ " if value < axes.low else "↑ "
    y, name = axes.y(level.value), arrow + level.name
    line = f'<path class="level" d="M{LEFT},{y:.1f}H{axes.end}"/>' if inside else ""
    courses = [[(axes.x(x), axes.y(y)) for x, y in zip(*line.series, strict=True)] for line in lines]
    curves = [pair for own in courses for pair in zip(own, own[1:] or own, strict=False)]
    baselines = [y - 5] * (y > TOP + LINE and arrow != "↑ ") + [y + LINE - 2] * (y < HEIGHT - BOTTOM - LINE)
    boxes = [_boxes(axes.end, len(name), baseline, right) for right in (False, True) for baseline in baselines]
    best = max(boxes, key=lambda box: [min((_room(part, *pair) for pair in curves), default=0.0) for part in box])[0]
    where = f'x="{best.left}"' if best.left == LEFT + 6 else f'x="{best.right}" text-anchor="end"'
    return f'{line}<text class="level" {where} y="{best.bottom - 3:.1f}">{text(name)}</text>'


class _Box(NamedTuple):
    """In pixels, downwards."""

    left: float
    right: float
    top: float
    bottom: float


def _boxes(end: int, letters: int, baseline: float, right: bool) -> tuple[_Box, _Box]:
    """Around a name on the right or on the left, where text is largest (on a phone) and where it is smaller."""
    wides = (min(LETTER * share * letters, end - LEFT - 10) for share in (0.9, 0.65))
    large, small = (
        _Box(end - 4 - wide if right else LEFT + 6, end - 4 if right else LEFT + 6 + wide, baseline - 13, baseline + 3)
        for wide in wides
    )
    return large, small


def _room(box: _Box, one: tuple[float, float], other: tuple[float, float]) -> float:
    """Pixels from a box up or down to a stretch of a curve; 0 where it runs through."""
    (begin, first), (end, last) = sorted((one, other))
    if end < box.left or begin > box.right:
        return math.inf
    slope = (last - first) / (end - begin) if end > begin else 0.0
    ends = [first + slope * (min(max(x, begin), end) - begin) for x in (box.left, box.right)]
    ends += [last] * (end == begin)
    return max(box.top - max(ends), min(ends) - box.bottom, 0.0)


def _names(axes: _Axes, lines: Sequence[Line], middles: Sequence[Series]) -> list[str]:
    """At the ends of the lines, moved apart where they would meet."""
    wanted = sorted((axes.y(middle.value[-1]), place) for place, middle in enumerate(middles))
    heights: list[float] = []
    for y, _ in wanted:
        heights.append(max(y, heights[-1] + LINE) if heights else y)
    over = max(0.0, heights[-1] - (HEIGHT - BOTTOM + 4))
    heights = [y - over for y in heights]
    return [
        f'<text class="name c{lines[place].colour % COLOURS}" x="{axes.end + 6}" y="{y + 4:.1f}">'
        f"{text(lines[place].name)}</text>"
        for y, (_, place) in zip(heights, wanted, strict=True)
    ]


def _words(title: str, lines: Sequence[Line]) -> str:
    ends = "; ".join(f"{line.name} {short(line.series.value[0])} to {short(line.series.value[-1])}" for line in lines)
    return f"{title}: {ends}"
