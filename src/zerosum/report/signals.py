"""What the checks of the diagnosis saw: the critic's scores as distributions, variety, weights, spectrum, classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from zerosum.report.curves import Band, Level, Line, chart
from zerosum.report.facts import Facts, Record, at, number
from zerosum.report.html import count, said, short, text
from zerosum.report.thinned import Series

SIDES = (("train", "training pictures", 0), ("held", "held-out pictures", 2), ("fake", "generated pictures", 1))
DECILES = 11
EMPTY = -12.0  # log10 of the power of a ring without frequencies
MOST_CLASSES, MOST_OTHERS = 60, 12
KNOWN = re.compile(  # how the names begin that have a place on the page; all other numbers get a chart each
    r"images|round|seconds|accuracy_|separates|r_v|r_t|scores|coverage_|precision_|diversity_|crowding_|nearest|copies|"
    r"checkerboard|weights\.|sigma\.|spectrum|classes|not_finite"
)


def course(facts: Facts, *path: str) -> Series:
    """A number of the checks over the images."""
    found = [(number(record.get("images")), number(at(record, *path))) for record in facts.signals]
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
    over = [Line("r_v", course(facts, "r_v"), 3), Line("r_t", course(facts, "r_t"), 4)]
    charts = [
        _scores_now(facts),
        _scores_course(facts),
        chart("Rightly told by the critic", told, unit="share", levels=[Level(0.5, "1/2: it cannot tell")]),
        chart(
            "A held-out picture scores above a generated one", apart, unit="share", levels=[Level(0.5, "1/2: as often")]
        ),
        chart("Signs of an overfitting critic", over, levels=[Level(0.6, "0.6: target of r_t")]),
    ]
    return _grid(charts)


def networks(facts: Facts) -> str:
    """Variety, distances to the training set, and the networks' weights."""
    real = Level(1.0, "1: as in real pictures")
    charts = [
        chart(
            "Coverage and precision",
            [*_both(facts, "coverage"), _line(facts, "precision_ema", "precision", 3)],
            unit="share",
        ),
        chart("Mean distance of two pictures", _both(facts, "diversity"), unit="real = 1", levels=[real]),
        chart("Distance to the nearest other one", _both(facts, "crowding"), unit="real = 1", levels=[real]),
        chart(
            "Distance to the nearest training picture",
            [_line(facts, "nearest", "generated")],
            unit="beside that to a held-out one",
            levels=[Level(1.0, "1: no nearer to training than to held-out")],
        ),
        chart(
            "Near copies of training pictures", [_line(facts, "copies", "copies")], unit="share beyond held-out ones"
        ),
        chart(
            "The stride's frequencies stand out",
            [_line(facts, "checkerboard", "generated")],
            unit="real = 1",
            levels=[real],
        ),
        chart("Norm of the weights", _players(facts, "weights")),
        chart("Largest spectral norm of a layer", _players(facts, "sigma")),
    ]
    names = dict.fromkeys(name for record in facts.signals for name in record)
    shown = [name for name in names if not KNOWN.match(name) and name not in facts.stats][:MOST_OTHERS]
    return _grid([*charts, *(chart(name, [_line(facts, name, name.rpartition(".")[2][:14])]) for name in shown)])


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
    ratio = number(record.get("checkerboard"))
    words = "Too little power on the right means blur; a peak there that real pictures lack, a checkerboard."
    told = (
        "" if ratio is None else f" The stride's frequencies stand out {ratio:.3g} times as much as in real pictures."
    )
    at_images = number(record.get("images")) or 0
    return f'<div class="charts">{drawn}</div>' + said(f"{words}{told} At {at_images:,.0f} images.")


def classes(facts: Facts) -> str:
    """Which classes are generated: of the checks, or of the classifier's metrics."""
    record = newest(facts, "classes")
    if record is not None:
        covered = [(str(name), value, None) for name, value in _numbers(record.get("classes"))]
        made = [(str(name), value, None) for name, value in _numbers(record.get("classes_fake"))]
        bars = _bars("Covered", "share of the class's held-out pictures with a generated one beside them", covered)
        return _grid([bars, _bars("Generated", "share of the generated pictures", made)]) if covered else ""
    shares: dict[str, tuple[float, float | None]] = {}
    for line in facts.metrics:
        name, value = str(line.get("metric")), number(line.get("value"))
        if name.startswith("share.") and value is not None:
            shares[name.removeprefix("share.")] = value, number(line.get("baseline"))
    words = "share of generated pictures by a classifier of real ones; the mark is the real share"
    return _grid([_bars("Generated", words, [(name, *pair) for name, pair in shares.items()])])


def _grid(charts: list[str]) -> str:
    found = "".join(charts)
    return f'<div class="charts">{found}</div>' if found else ""


def _numbers(value: object) -> list[tuple[str, float]]:
    pairs = value.items() if isinstance(value, Mapping) else ()
    return [(str(name), share) for name, item in pairs if (share := number(item)) is not None]


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
            if (images := number(record.get("images"))) is not None and (deciles := _deciles(record, side))
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
        x = [10 + 460 * (value - low) / span for value in found]
        for begin, height in ((0, 4), (1, 12), (2, 18), (3, 24), (4, 30)):
            top, wide = y + 16 - height / 2, max(1.0, x[10 - begin] - x[begin])
            parts.append(
                f'<rect class="bar c{colour}" opacity="0.3" rx="2" x="{x[begin]:.1f}" y="{top:.1f}" width="{wide:.1f}" '
                f'height="{height}"/>'
            )
        parts.append(f'<path class="edge" d="M{x[5]:.1f},{y}v32"/>')
        parts.append(f'<text class="tick" x="470" y="{y - 8}" text-anchor="end">median {short(found[5])}</text>')
    foot = 34 + 62 * len(sides)
    parts.append(f'<text class="tick" x="10" y="{foot}">{short(low)}</text>')
    parts.append(f'<text class="tick" x="470" y="{foot}" text-anchor="end">{short(high)}</text>')
    words = "; ".join(f"median of {name} {short(found[5])}" for name, _, found in sides)
    images = number(record.get("images")) or 0
    return (
        f'<figure class="chart"><figcaption><b>Scores at {count(images)} images</b> bars hold 100, 80, 60, 40 and 20 % '
        f'of the pictures, the mark is the median</figcaption><svg viewBox="0 0 480 {foot + 8}" role="img" '
        f'aria-label="{text(words)}">{"".join(parts)}</svg></figure>'
    )


def _bars(title: str, unit: str, rows: Sequence[tuple[str, float, float | None]]) -> str:
    """A bar a class, with a mark where there is something to compare with; of many the smallest."""
    cut = len(rows) - MOST_CLASSES
    rows = sorted(rows, key=lambda row: row[1] / (row[2] or 1))[:MOST_CLASSES] if cut > 0 else rows
    if not rows:
        return ""
    most = max(max(value, mark or 0.0) for _, value, mark in rows) or 1.0
    parts = []
    for place, (name, value, mark) in enumerate(rows):
        y = 24 * place
        wide = 300 * max(0.0, value) / most
        shown = name if len(name) <= 18 else name[:17] + "…"
        parts.append(
            f'<text class="strong" x="124" y="{y + 15}" text-anchor="end">{text(shown)}'
            f"<title>{text(name)}</title></text>"
            f'<rect class="bar c1" rx="2" x="132" y="{y + 3}" width="{wide:.1f}" height="16"/>'
            f'<text class="tick" x="{140 + max(wide, 300 * (mark or 0) / most):.1f}" y="{y + 15}">{value:.1%}</text>'
        )
        if mark is not None:
            parts.append(f'<path class="edge" d="M{132 + 300 * mark / most:.1f},{y + 1}v20"/>')
    words = "; ".join(f"{name} {value:.1%}" for name, value, _ in rows)
    more = f" The {MOST_CLASSES} smallest of {len(rows) + cut:,}." if cut > 0 else ""
    return (
        f'<figure class="chart"><figcaption><b>{title}</b> {unit}{more}</figcaption>'
        f'<svg viewBox="0 0 480 {24 * len(rows) + 4}" role="img" aria-label="{text(words)}">{"".join(parts)}</svg>'
        "</figure>"
    )
