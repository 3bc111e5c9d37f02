"""Real and generated pictures side by side, the grid through time, and nearest training pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from zerosum.errors import UserError
from zerosum.report.facts import Facts, Moment, number, seen
from zerosum.report.html import picture, said, short

Media = Callable[[Path], str]
FRAMES = 24


def html(facts: Facts, media: Media, frames: int = FRAMES, place: int = 0) -> str:
    """The real grid beside the generated one, which goes through time by radio buttons: no script is needed.

    Args:
        place: the run's among those of the page, which tells its buttons from others'.
    """
    shown: list[tuple[int, str]] = []
    lost: list[str] = []
    for moment in spread(facts.grids, frames):
        try:
            shown.append((moment.images, media(moment.path)))
        except UserError as error:
            lost.append(str(error))
    real = figure(facts.real, media, "Real pictures") if facts.real else ""
    if not shown and not real:
        return said(lost[0] if lost else "There is no sample grid yet.")
    more = f"{len(facts.grids):,} grids were saved, {len(shown)} are shown. " if len(facts.grids) > len(shown) else ""
    words = said(more + " ".join(lost[:3]) + (f" {len(lost) - 3} more cannot be shown." if len(lost) > 3 else ""))
    generated = _scrubber(shown, place) if shown else said("There is no generated grid yet.")
    return f'<div class="pair">{real}{generated}</div>{words if more or lost else ""}'


def nearest(facts: Facts, media: Media) -> str:
    """Generated pictures beside their nearest training and held-out ones, and how near they are on the whole."""
    check = next((line for line in reversed(facts.signals) if number(line.get("nearest")) is not None), None)
    words = []
    if check is not None and (ratio := number(check.get("nearest"))) is not None:
        words.append(
            f"By the check at {seen(check.get('images')) or 0:,.0f} images, generated pictures lie {short(ratio)} "
            "times as far from training pictures as from held-out ones (1: as held-out pictures do; well below 1: "
            "copies)."
        )
    if check is not None and (copies := number(check.get("copies"))) is not None:
        words.append(f"{copies:.2%} of them are near copies of training pictures, beyond the share of held-out ones.")
    found = {
        str(line.get("metric")): line for line in facts.metrics if line.get("metric") in ("nearest", "near_copies")
    }
    for name, title in (
        ("nearest", "the median distance of a generated picture to its nearest training picture"),
        ("near_copies", "the share of near copies"),
    ):
        value, beside = number(found.get(name, {}).get("value")), number(found.get(name, {}).get("baseline"))
        if value is not None:
            base = "" if beside is None else f", where held-out pictures have {short(beside)}"
            words.append(f"By the metrics ({found[name].get('protocol')}), {title} is {short(value)}{base}.")
    if facts.nearest is None and not words:
        return ""
    told = "".join(map(said, words))
    sheet = figure(facts.nearest, media, "Generated, its nearest training picture, its nearest held-out picture")
    return (sheet if facts.nearest else said("No sheet of nearest pictures was written.")) + told


def figure(path: Path | None, media: Media, title: str) -> str:
    """A picture with its caption, or why there is none."""
    if path is None:
        return said(f"{title}: there is none.")
    try:
        source = media(path)
    except UserError as error:
        return said(str(error))
    return picture(source, title)


def spread(moments: Sequence[Moment], most: int) -> list[Moment]:
    """At most so many of them at even distances, the first and the last among them."""
    if len(moments) <= most:
        return list(moments)
    places = dict.fromkeys(round(place * (len(moments) - 1) / max(1, most - 1)) for place in range(most))
    return [moments[place] for place in places] if most > 1 else [moments[-1]]


def _scrubber(frames: Sequence[tuple[int, str]], place: int) -> str:
    parts = []
    for at, (images, source) in enumerate(frames):
        checked = " checked" if at == len(frames) - 1 else ""
        title = f"Generated at {images:,} images"
        parts.append(
            f'<input type="radio" name="grid-{place}" aria-label="{title}" title="{images:,}"{checked}>'
            f"{picture(source, title)}"
        )
    columns = f"grid-template-columns:repeat({len(frames)},minmax(0,1fr))"
    scale = said("Through time: choose a bar, or use the arrow keys.") if len(frames) > 1 else ""
    box = f'<fieldset class="scrub" style="{columns}" aria-label="Grids through time">{"".join(parts)}</fieldset>'
    return f"<div>{box}{scale}</div>"
