"""Text into HTML. Nothing of a run reaches a page but through ``text``."""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST = 4_000  # characters of one text that are shown
_OUT = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control and direction characters, halves of pairs


def text(value: object, most: int = LONGEST) -> str:
    """Anything as text, for between tags and for inside quoted attributes; what no page can show becomes U+FFFD."""
    found = str(value)
    found = found if len(found) <= most else found[:most] + " ..."
    if not (found.isascii() and found.isprintable()):
        found = "".join("\ufffd" if unicodedata.category(c) in _OUT and c not in "\n\t" else c for c in found)
    return html.escape(found, quote=True)


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = (), kind: str = "") -> str:
    """Rows of cells (HTML already) in a box of its own that scrolls; a row of one cell heads those below it."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        if len(row) > 1
        else f'<tr><th scope="rowgroup" colspan="{len(head)}">{row[0]}</th></tr>'
        for row in rows
    )
    thead = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll" tabindex="0"><table class="{kind}">{thead}<tbody>{body}</tbody></table></div>'


def picture(source: str, title: str, below: str = "", kind: str = "") -> str:
    """A picture with its caption; ``source`` is its address."""
    words = text(below or title)
    shown = f'<img class="{kind}" src="{text(source, len(source))}" alt="{text(title)}">'
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def said(sentence: str) -> str:
    """A sentence in the place of what there is not, or below what there is."""
    return f'<p class="note">{text(sentence)}</p>'


def folded(title: str, content: str) -> str:
    """HTML that opens on a click."""
    return f"<details><summary>{text(title)}</summary>{content}</details>"


def short(value: float) -> str:
    """A measured number with four digits."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def count(images: float) -> str:
    """A number of images for an axis: 250k, 1.5M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(images) >= unit:
            return f"{images / unit:.4g}{name}"
    return f"{images:.4g}"


def duration(seconds: float) -> str:
    """A time for people: 48 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
