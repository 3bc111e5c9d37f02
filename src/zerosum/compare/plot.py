"""Metrics over the images seen as an SVG, with nothing but text: a panel a metric, a band for what chance allows."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

from zerosum.compare.groups import Group, Key, Point, label
from zerosum.errors import UserError
from zerosum.metrics.draws import interval

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by everybody
DASHES = ("none", "9 4", "2 3", "12 3 2 3")  # and without colours too
WIDTH, HEIGHT = 760, 300  # of a panel's axes with their numbers
LEFT, RIGHT, TITLE, LINE = 76, 44, 34, 20
BEYOND = 0.5  # by so much of the range of values a band may widen it


class _Course(NamedTuple):
    """A group in one panel: the finite points of each run, and the mean with its interval where all runs have one."""

    group: Group
    colour: str
    dash: str
    shift: int  # to the left, where single points of several groups would hide each other
    runs: tuple[tuple[Point, ...], ...]
    mean: tuple[Point, ...]
    low: tuple[Point, ...]
    high: tuple[Point, ...]


class _Scale(NamedTuple):
    """From images and values to places."""

    right: int
    low: float
    high: float
    top: float

    def x(self, images: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * images / max(self.right, 1)

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * (value - self.low) / ((self.high - self.low) or 1)

    @property
    def bottom(self) -> float:
        return self.top + HEIGHT - 40

    def line(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self.x(images):.1f},{self.y(value):.1f}" for images, value in points)


def plot(groups: Sequence[Group], keys: Sequence[Key], among: Sequence[Key] = ()) -> str:
    """An SVG of metrics over images seen, below each other.

    A thin line a run, a thick one for the mean of a group at those places where all its runs have values, and a band
    for the mean's 95 % interval there (Student's t). Values that are not finite are not drawn.

    Args:
        among: all metrics of the table, so that they have the same names here.

    Raises:
        UserError: no run has a finite value.
    """
    legend = TITLE + LINE * len(groups)
    panel = HEIGHT + TITLE
    height = legend + panel * len(keys)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        '<g font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, group in enumerate(groups):
        y = TITLE - 8 + LINE * number
        colour, dash = _look(number)
        many = "runs, mean and 95 % interval" if len(group.runs) > 1 else "run"
        text = html.escape(f"{group.name} ({len(group.runs)} {many})")
        parts.append(
            f'<path d="M{LEFT},{y - 4}h34" stroke="{colour}" stroke-width="3" stroke-dasharray="{dash}"/>'
            f'<text x="{LEFT + 44}" y="{y}">{text}</text>'
        )
    for number, key in enumerate(keys):
        parts += _panel(groups, key, label(key, among or keys), legend + panel * number, number)
    return "\n".join([*parts, "</g></svg>"]) + "\n"


def _panel(groups: Sequence[Group], key: Key, title: str, top: int, number: int) -> list[str]:
    courses = [_course(group, key, index) for index, group in enumerate(groups)]
    points = [point for course in courses for run in course.runs for point in run]
    if not points:
        raise UserError(f"No run has finite values of {title}.")
    low, high = min(value for _, value in points), max(value for _, value in points)
    reach = BEYOND * (high - low)
    bands = [point.value for course in courses for point in (*course.low, *course.high)]
    low, high = max(min([low, *bands]), low - reach), min(max([high, *bands]), high + reach)
    margin = (high - low) / 25 or (abs(low) or 1) / 10
    low, high = low - margin, high + margin
    scale = _Scale(max(images for images, _ in points), low, high, top + TITLE)
    edge = f"M{LEFT},{scale.top}H{WIDTH - RIGHT}V{scale.bottom}H{LEFT}Z"
    parts = [
        f'<text x="{LEFT}" y="{top + TITLE - 12}" font-weight="bold">{html.escape(title)}</text>',
        f'<clipPath id="axes{number}"><path d="{edge}"/></clipPath>',
    ]
    for value in ticks(low, high):
        y = scale.y(value)
        parts.append(
            f'<path d="M{LEFT},{y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>'
        )
    for images in ticks(0, scale.right):
        x = scale.x(images)
        parts.append(
            f'<path d="M{x:.1f},{scale.bottom}v5" stroke="#888"/>'
            f'<text x="{x:.1f}" y="{scale.bottom + 19}" text-anchor="middle">{images:,.0f}</text>'
        )
    parts.append(f'<path d="M{LEFT},{scale.top}V{scale.bottom}H{WIDTH - RIGHT}" fill="none" stroke="#888"/>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{scale.bottom + 35}" text-anchor="end">images seen</text>')
    for course in courses:
        if len(course.mean) > 1:
            band = scale.line([*course.high, *reversed(course.low)])
            parts.append(
                f'<polygon points="{band}" fill="{course.colour}" fill-opacity="0.18" clip-path="url(#axes{number})"/>'
            )
        elif course.mean:
            x, ends = scale.x(course.mean[0].images) - course.shift, (course.low[0].value, course.high[0].value)
            parts.append(
                f'<path d="M{x:.1f},{scale.y(ends[0]):.1f}V{scale.y(ends[1]):.1f}" stroke="{course.colour}" '
                f'stroke-opacity="0.4" stroke-width="6" clip-path="url(#axes{number})"/>'
            )
    for course in courses:
        several = len(course.runs) > 1
        for run in course.runs:
            parts.append(_line(scale, run, course, 1 if several else 3, faint=several))
        if course.mean:
            parts.append(_line(scale, course.mean, course, 3))
    return parts


def _course(group: Group, key: Key, number: int) -> _Course:
    runs = tuple(
        tuple(point for point in run.path[key] if math.isfinite(point.value)) for run in group.runs if key in run.path
    )
    runs = tuple(run for run in runs if run)
    tables = [dict(run) for run in runs]
    places = sorted(set.intersection(*map(set, tables))) if len(runs) > 1 else []
    found = [interval([own[images] for own in tables]) for images in places]
    columns = [tuple(Point(images, each[end]) for images, each in zip(places, found, strict=True)) for end in range(3)]
    colour, dash = _look(number)
    shift = 0 if any(len(run) > 1 for run in runs) else 8 + 14 * number
    return _Course(group, colour, dash, shift, runs, columns[0], columns[1], columns[2])


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends, three to seven of them."""
    span = high - low
    if not span > 0:
        return [low]
    unit = 10 ** math.floor(math.log10(span))
    step = next(part * unit for part in (0.2, 0.25, 0.5, 1.0, 2.0) if span / (part * unit) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [step * place for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _look(number: int) -> tuple[str, str]:
    return COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]


def _line(scale: _Scale, points: Sequence[Point], course: _Course, width: int, faint: bool = False) -> str:
    opacity = ' opacity="0.55"' if faint else ""
    if len(points) == 1:
        x, y = scale.x(points[0].images) - course.shift, scale.y(points[0].value)
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 2}" fill="{course.colour}"{opacity}/>'
    return (
        f'<polyline points="{scale.line(points)}" fill="none" stroke="{course.colour}" stroke-width="{width}" '
        f'stroke-dasharray="{course.dash}"{opacity}/>'
    )
