"""The HTML around the parts of a view: it says everything without a script, and with one it stays up to date."""

from __future__ import annotations

from typing import NamedTuple

from zerosum.errors import UserError
from zerosum.report.html import text
from zerosum.report.live.views import View
from zerosum.report.live.walk import MOST_SEED

KEYS = (
    ("j, k or ↓, ↑", "next, previous run"),
    ("Enter", "open the run"),
    ("u", "back to all runs"),
    ("←, →", "earlier, later grid of samples"),
    ("Space", "play the grids, stop"),
    ("?", "these keys"),
)


class Known(NamedTuple):
    """A run's name, the keys of those before and after it, and whether there is a page of all runs."""

    name: str
    before: str | None
    after: str | None
    many: bool


def overview(view: View, folder: str) -> str:
    """The page of all runs."""
    head = f'<p class="crumbs">zerosum</p><h1>{text(folder or "/")}</h1>'
    return _shell(view, f"{view.title} - {folder}", head, "", "overview", "Runs")


def run(view: View, key: str, known: Known) -> str:
    """The page of one run."""
    ways = [
        '<a href="/" rel="up">All runs</a>' if known.many else "",
        f'<a href="/run/{known.before}" rel="prev">↑ before</a>' if known.before else "",
        f'<a href="/run/{known.after}" rel="next">↓ after</a>' if known.after else "",
    ]
    head = f'<p class="crumbs">{" ".join(way for way in ways if way) or "zerosum"}</p><h1>{text(known.name)}</h1>'
    return _shell(view, view.title, head, key, "one", f"Run {known.name}")


def missing() -> str:
    """Said where there is no such run."""
    head = '<h1>There is no such run</h1><p>It may have been removed or renamed. <a href="/">All runs</a></p>'
    return _shell(View("no such run", {}, {}), "no such run", head, None, "one", "")


def seed_of(given: str) -> int:
    """A seed from an address.

    Raises:
        UserError: it is no possible one.
    """
    if not (given.isascii() and given.isdecimal() and len(given) <= 10):
        raise UserError(f"This seed is not possible: expected a whole number from 0 to {MOST_SEED}.")
    return int(given)


def _shell(view: View, title: str, head: str, key: str | None, kind: str, label: str) -> str:
    parts = "".join(
        f'<section id="part-{text(name)}" class="{part.kind}" data-digest="{part.digest}">{part.html}</section>'
        for name, part in view.parts.items()
    )
    source = "" if key is None else f' data-events="/events?of={key}&amp;since={view.token}"'
    keys = "".join(f"<dt>{name}</dt><dd>{meaning}</dd>" for name, meaning in KEYS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{text(title, 200)} - zerosum</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css">'
        '<script src="/page.js" defer></script><noscript><meta http-equiv="refresh" content="10"></noscript>'
        f'</head><body class="{kind}"{source}><a class="skip" href="#parts">To the content</a>'
        f'<header>{head}<p id="link" class="link" hidden><i></i><span></span></p></header>'
        f'<main id="parts" aria-label="{text(label)}">{parts}</main>'
        '<p id="said" class="unseen" role="status" aria-live="polite"></p>'
        f'<dialog id="keys" aria-labelledby="keys-title"><h2 id="keys-title">Keys</h2><dl>{keys}</dl>'
        '<form method="dialog"><button>Close</button></form></dialog>'
        "<footer>Everything here is read from the run folders on this machine; press ? for the keys.</footer>"
        "</body></html>"
    )
