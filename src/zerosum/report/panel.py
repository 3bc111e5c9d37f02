"""The parts of a page about one run, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from zerosum.report import citations, classes, course, measured, pictures, setup, signals, timeline
from zerosum.report.facts import Facts

Media = Callable[[Path], str]  # a picture's address; UserError where it cannot be shown


class Panel(NamedTuple):
    """A heading and what is below it: HTML in which all that comes from the run is escaped. ``key`` is its id."""

    key: str
    title: str
    html: str


def panels(
    facts: Facts, media: Media, *, walk: str, recipe: str, frames: int = pictures.FRAMES, place: int = 0
) -> list[Panel]:
    """All that there is to say of a run. A panel with nothing to show is left out, or says why in one sentence.

    Args:
        media: a picture's address for the page; raises ``UserError`` where it cannot be shown.
        walk, recipe: HTML of two panels that take torch, or do without.
        frames: grids through time that are shown.
        place: the run's among those of the page.
    """
    found = [
        Panel("overview", "In short", setup.overview(facts)),
        Panel("pictures", "Real and generated", pictures.html(facts, media, frames, place)),
        Panel("walk", "Between the pictures", walk),
        Panel("diagnosis", "Diagnosis", timeline.html(facts)),
        Panel("metrics", "How good is it", measured.html(facts)),
        Panel("curves", "The game", course.html(facts)),
        Panel("critic", "What the critic knows", signals.critic(facts)),
        Panel("networks", "Variety, copies and weights", signals.networks(facts)),
        Panel("nearest", "Nearest training pictures", pictures.nearest(facts, media)),
        Panel("classes", "Classes", classes.html(facts)),
        Panel("spectrum", "Power spectrum", signals.spectrum(facts)),
        Panel("recipe", "Recipe", recipe),
        Panel("cost", "Cost", setup.cost(facts)),
        Panel("again", "Do it again", setup.again(facts)),
        Panel("citations", "To cite", citations.html(facts)),
    ]
    return [panel for panel in found if panel.html]
