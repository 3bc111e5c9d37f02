"""What the checks of the diagnosis saw: the critic's scores as distributions, variety, weights, spectrum."""

from __future__ import annotations

import re

from zerosum.diagnose.symptoms import GRID, PEAK
from zerosum.report.course import others
from zerosum.report.curves import Band, Level, Line, chart
from zerosum.report.facts import Facts, Record, at, number, seen
from zerosum.report.html import count, said, short, text
from zerosum.report.thinned import Series

SIDES = (("train", "training pictures", 0), ("held", "held-out pictures", 2), ("fake", "generated pictures", 1))
DECILES = 11
EMPTY = -12.0  # log10 of the power of a ring without frequencies
WIDTH = 400  # of the charts that are no curves
KNOWN = (
    re.compile(  # names that have a place on the page, here or beside the cost, and those that keep the checks' books
        r"accuracy_\w+|separates|remembers|gap|spread|r_[vt]|scores|(coverage|precision|diversity|crowding)_(raw|ema)|"
        r"nearest(_train)?|copies|moved|saturated|leak_(augment|mirror)|grid|checkerboard|spectrum|classes(_fake)?|"
        r"(weights|sigma)\.(critic|generator)|waiting|memory_free|disk_free_mib|saved_mib|"
        r"images|round|share|seconds|next|not_finite"
    )
)
COUNTS = {"grid": GRID, "checkerboard": PEAK}  # from where on it is taken for one


def course(facts: Facts, *path: str) -> Series:
    """A number of the checks over the images."""
    found = [(seen(record.get("images")), number(at(record, *path))) for record in facts.signals]
    points = [(images, value) for images, value in found if images is not None and value is not None]
    return Series(tuple(images for images, _ in points), tuple(value for _, value in points))


def newest(facts: Facts, name: str) -> Record | None:
    """The newest check in which a part is there."""
    return next((record for record in reversed(facts.signals) if record.get(name)), None)


def critic(facts: Facts) -> str:
    """How the critic scores training, held-out and generated pictures, now and over the images."""
    if not facts.signals:
        return ""
    told = [Line(name.split()[0], course(facts, f"accuracy_{key}"), colour) for key, name, colour in SIDES]
    apart = [Line("held-out", course(facts, "separates"), 2)]
    heart = [Line("training", course(facts, "remembers"), 0)]
    over = [Line("r_v", course(facts, "r_v"), 3), Line("r_t", course(facts, "r_t"), 4)]
    far = [Line("gap", course(facts, "gap"), 0), Line("spread", course(facts, "spread"), 6)]
    charts = [
        _scores_now(facts),
        _scores_course(facts),
        chart(
            "Rightly told by the critic", told, unit="share of the pictures", levels=[Level(0.5, "1/2: it cannot tell")]
        ),
        chart(
            "A held-out picture scores above a generated one",
            apart,
            unit="chance",
            levels=[Level(0.5, "1/2: as often")],
        ),
        chart(
            "A training picture scores above a held-out one",
            heart,
            unit="chance",
            levels=[Level(0.5, "1/2: nothing by heart")],
        ),
        chart(
            "Measures of an overfitting critic",
            over,
            unit="r_v: 0 where held-out pictures score as training ones, 1 where as generated ones; r_t: mean sign of "
            "training pictures' scores (Karras et al. 2020)",
            levels=[Level(0.6, "0.6: target of r_t")],
        ),
        chart(
            "Gap and spread of the scores",
            far,
            unit="gap: mean of training pictures less that of generated ones; spread: deviation within either; in the "
            "critic's own unit",
        ),
    ]
    return grid(charts)


def networks(facts: Facts) -> str:
    """Variety, distances to the training set, and the networks' weights."""
    real, none = Level(1.0, "1: as in real pictures"), Level(0.0, "0: as in real pictures")
    charts = [
        chart("Coverage", _both(facts, "coverage"), unit="share of real pictures with a generated one near them"),
        chart("Precision", _both(facts, "precision"), unit="share of generated pictures with a real one near them"),
        chart("Mean distance of two pictures", _both(facts, "diversity"), unit="real pictures = 1", levels=[real]),
        chart("Distance to the nearest other one", _both(facts, "crowding"), unit="real pictures = 1", levels=[real]),
        chart(
            "Distance to the nearest training picture",
            [_line(facts, "nearest_train", "generated")],
            unit="held-out pictures = 1",
            levels=[Level(1.0, "1: as held-out pictures")],
        ),
        chart(
            "The same, beside that to the nearest held-out one",
            [_line(facts, "nearest", "generated")],
            unit="held-out pictures = 1; copies lie below",
            levels=[Level(1.0, "1: no copies")],
        ),
        chart(
            "Near copies of training pictures", [_line(facts, "copies", "copies")], unit="share, less held-out ones'"
        ),
        chart(
            "Change since the check before",
            [_line(facts, "moved", "generated")],
            unit="of the same latents' pictures; 1: the mean distance of two real ones",
        ),
        chart(
            "The look of changed pictures",
            [_line(facts, "leak_augment", "augmented"), _line(facts, "leak_mirror", "mirrored", 3)],
            unit="0 as real pictures are, 1 as training changes them before the critic sees them",
        ),
        chart(
            "Values at the ends of the range",
            [_line(facts, "saturated", "generated")],
            unit="share that is black or white, less that of real pictures",
            levels=[none],
        ),
        chart(
            "Grid of the strides in the mean picture",
            [_line(facts, "grid", "generated")],
            unit="amplitude, of a range from -1 to 1, less that in real pictures",
            levels=[Level(COUNTS["grid"], f"counts from {COUNTS['grid']:g} on")],
        ),
        chart(
            "Grid of the strides, wherever it lies",
            [_line(facts, "checkerboard", "generated")],
            unit="amplitude beyond the frequencies beside, as in real pictures",
            levels=[Level(COUNTS["checkerboard"], f"counts from {COUNTS['checkerboard']:g} on")],
        ),
        chart("Norm of the weights", _players(facts, "weights"), unit="of all of a network's"),
        chart("Largest spectral norm of a layer", _players(facts, "sigma"), unit="by power iteration"),
    ]
    names = dict.fromkeys(name for record in facts.signals for name in record)
    unknown = [name for name in names if not KNOWN.fullmatch(name) and name not in facts.stats]
    more = [(name, series) for name in unknown if (series := course(facts, name)).value]
    return grid(charts) + others(more)


def _line(facts: Facts, name: str, title: str, colour: int = 1) -> Line:
    return Line(title, course(facts, name), colour)


def _both(facts: Facts, name: str) -> list[Line]:
    averaged, raw = (course(facts, f"{name}_{weights}") for weights in ("ema", "raw"))
    return [Line("averaged", averaged, 1), Line("raw", raw, 4, dashed=True)]


def _players(facts: Facts, name: str) -> list[Line]:
    return [_line(facts, f"{name}.{player}", player, colour) for player, colour in (("critic", 0), ("generator", 1))]


def spectrum(facts: Facts) -> str:
    """Power over spatial frequency, of real and of generated pictures."""
    record = newest(facts, "spectrum")
    lines = [
        Line(name, _bins(at(record, "spectrum", key)), colour)
        for key, name, colour in (("real", "real", 0), ("fake", "generated", 1))
    ]
    drawn = chart("Power over frequency", lines, unit="log10, mean over directions", along="cycles per pixel")
    if not drawn or record is None:
        return ""
    amplitude = number(record.get("checkerboard"))
    words = "Too little power on the right means blur; a peak there that real pictures lack, a checkerboard."
    least = f"(of a range from -1 to 1); this counts from {COUNTS['checkerboard']:g} on by itself, if it lasts."
    told = "" if amplitude is None else f" The strides' frequencies stand out by {amplitude:.2g} {least}"
    return f'<div class="charts">{drawn}</div>' + said(
        f"{words}{told} At {seen(record.get('images')) or 0:,.0f} images."
    )


def grid(charts: list[str]) -> str:
    """Charts beside each other; nothing of none."""
    found = "".join(charts)
    return f'<div class="charts">{found}</div>' if found else ""


def _bins(powers: object) -> Series:
    if not isinstance(powers, list) or not powers:
        return Series((), ())
    width = 0.5 / len(powers)  # rings of equal width up to half the sampling rate
    found = [
        ((place + 0.5) * width, power)
        for place, value in enumerate(powers)
        if (power := number(value)) is not None and power > EMPTY
    ]
    return Series(tuple(x for x, _ in found), tuple(y for _, y in found))


def _deciles(record: Record, side: str) -> list[float] | None:
    values = at(record, "scores", side)
    found = [number(value) for value in values] if isinstance(values, list) else []
    whole = [value for value in found if value is not None]
    return whole if len(whole) == len(found) == DECILES and whole == sorted(whole) else None


def _scores_course(facts: Facts) -> str:
    lines: list[Line] = []
    bands: list[Band] = []
    for side, name, colour in SIDES:
        found = [
            (images, deciles)
            for record in facts.signals
            if (images := seen(record.get("images"))) is not None and (deciles := _deciles(record, side))
        ]
        along = tuple(images for images, _ in found)
        low, middle, high = (Series(along, tuple(deciles[place] for _, deciles in found)) for place in (1, 5, 9))
        lines.append(Line(name.split()[0], middle, colour))
        bands.append(Band(low, high, colour))
    return chart("Scores over the training", lines, unit="median, and 80 % of the pictures", bands=bands)


def _scores_now(facts: Facts) -> str:
    """Nested bars from decile to decile for the three sides, and a mark at the median."""
    record = newest(facts, "scores")
    sides = [(name, colour, found) for key, name, colour in SIDES if record and (found := _deciles(record, key))]
    if not sides or record is None:
        return ""
    low, high = min(found[0] for *_, found in sides), max(found[-1] for *_, found in sides)
    span = (high - low) or 1.0
    parts = []
    for row, (name, colour, found) in enumerate(sides):
        y = 34 + 62 * row
        parts.append(f'<text class="name c{colour}" x="10" y="{y - 8}">{name}</text>')
        x = [10 + (WIDTH - 20) * (value - low) / span for value in found]
        for begin, height in ((0, 4), (1, 12), (2, 18), (3, 24), (4, 30)):
            top, wide = y + 16 - height / 2, max(1.0, x[10 - begin] - x[begin])
            parts.append(
                f'<rect class="bar c{colour}" opacity="0.3" rx="2" x="{x[begin]:.1f}" y="{top:.1f}" width="{wide:.1f}" '
                f'height="{height}"/>'
            )
        parts.append(f'<path class="edge" d="M{x[5]:.1f},{y}v32"/>')
        parts.append(
            f'<text class="tick" x="{WIDTH - 10}" y="{y - 8}" text-anchor="end">median {short(found[5])}</text>'
        )
    foot = 34 + 62 * len(sides)
    parts.append(f'<text class="tick" x="10" y="{foot}">{short(low)}</text>')
    parts.append(f'<text class="tick" x="{WIDTH - 10}" y="{foot}" text-anchor="end">{short(high)}</text>')
    words = "; ".join(f"median of {name} {short(found[5])}" for name, _, found in sides)
    images = seen(record.get("images")) or 0
    return (
        f'<figure class="chart"><figcaption><b>Scores at {count(images)} images</b> bars hold 100, 80, 60, 40 and 20 % '
        f'of the pictures, the mark is the median</figcaption><svg viewBox="0 0 {WIDTH} {foot + 8}" role="img" '
        f'aria-label="{text(words)}">{"".join(parts)}</svg></figure>'
    )
