"""The file around the panels: title, way through it, and a little script for comfort alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from zerosum.report.html import text
from zerosum.report.panel import Panel
from zerosum.report.style import STYLE

SCRIPT = """
document.querySelectorAll('svg[data-axes]').forEach(svg => {
  const [low, high, log, left, right, begin, end, top, floor] = svg.dataset.axes.split(',').map(Number);
  const lines = [...svg.querySelectorAll('polyline[data-name]')].map(line => [line.dataset.name,
    line.getAttribute('points').split(' ').map(point => point.split(',').map(Number))]);
  if (!lines.length) return;
  const tip = document.createElement('div'); tip.className = 'tip'; tip.hidden = true; svg.parentNode.append(tip);
  const show = number => Number(number.toPrecision(4)).toString();
  svg.addEventListener('pointerleave', () => { tip.hidden = true; });
  svg.addEventListener('pointermove', event => {
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    const at = left + (x - begin) / (end - begin) * (right - left);
    const rows = lines.map(([name, points]) => {
      const near = points.reduce((a, b) => Math.abs(a[0] - x) < Math.abs(b[0] - x) ? a : b);
      const value = low + (floor - near[1]) / (floor - top) * (high - low);
      return name + '  ' + show(log ? 10 ** value : value); });
    tip.hidden = x < begin || x > end; tip.textContent = [show(right > 10 ? Math.round(at) : at), ...rows].join('\\n');
  });
});
document.querySelectorAll('.scrub').forEach(scrub => {
  const frames = [...scrub.querySelectorAll('input')];
  if (frames.length < 2) return;
  const button = document.createElement('button'); button.type = 'button'; button.textContent = 'Play';
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = 'Play'; };
  button.addEventListener('click', () => {
    if (timer) return stop();
    let at = frames.findIndex(frame => frame.checked); at = at === frames.length - 1 ? -1 : at;
    button.textContent = 'Pause';
    timer = setInterval(() => { frames[++at].checked = true; if (at === frames.length - 1) stop(); }, 350);
  });
  scrub.after(button);
});
"""


def page(title: str, below: str, groups: Sequence[tuple[str, Sequence[Panel]]], foot: str) -> str:
    """A whole HTML file. ``groups`` are headings (of runs; empty for none) and their panels; texts are escaped here."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    several = len(groups) > 1
    parts: list[str] = []
    links: list[str] = []
    for place, (name, panels) in enumerate(groups):
        within = f"r{place}-" if several else ""
        if name:
            links.append(f'<a href="#run{place}">{text(name, 60)}</a>')
            parts.append(f'<section class="run" id="run{place}"><h2>{text(name, 200)}</h2>')
        for panel in panels:
            if not name:
                links.append(f'<a href="#{within}{panel.key}">{text(panel.title)}</a>')
            parts.append(show(panel, within))
        parts.append("</section>" if name else "")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title, 200)}</title><style>{STYLE}</style></head>\n<body><header><h1>{text(title, 200)}</h1>"
        f'{f"<p>{text(below)}</p>" if below else ""}</header><nav aria-label="Contents">{"".join(links)}</nav>\n'
        f"<main>{''.join(parts)}</main>\n<footer>{text(foot)}</footer><script>{SCRIPT}</script></body></html>\n"
    )


def show(panel: Panel, within: str = "") -> str:
    """A panel as a section with its heading."""
    return f'<section class="panel" id="{within}{panel.key}"><h2>{text(panel.title)}</h2>{panel.html}</section>\n'
