"""How pages look: light and dark, phone to print.

Colours near Okabe and Ito's, moved apart: any two differ for people who lack a kind of cones too (as simulated after
Machado et al. 2009), and all are dark, or light, enough for text.
"""

from __future__ import annotations

STYLE = (
    """
:root { color-scheme: light dark;
  --paper: #fbfbf9; --card: #ffffff; --ink: #1c2227; --soft: #5c666e; --rule: #e3e5e3; --edge: #b9bfc2; --tint: #f1f3f2;
  --c0: #0072b2; --c1: #c94a00; --c2: #198754; --c3: #8f296d; --c4: #4a2c00; --c5: #3030e0;
  --c6: #464638; --c7: #1c2227;
  --act: #c0392b; --warn: #8f5e00; --info: #0072b2; --good: #00835f; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14181b; --card: #1b2024; --ink: #e8eaea; --soft: #9aa5ac; --rule: #2c3338; --edge: #56616a; --tint: #232a2f;
  --c0: #56b4e9; --c1: #ff9248; --c2: #5cdc9c; --c3: #d07fa6; --c4: #fff27a; --c5: #4a8cff;
  --c6: #8a8a6e; --c7: #e8eaea;
  --act: #ff7b6b; --warn: #f0b840; --info: #56b4e9; --good: #3ccf9f; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header, footer, nav { max-width: 1160px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 36px; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.15; margin: 0 0 6px; letter-spacing: -.02em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 10px; letter-spacing: -.01em; }
h3 { font-size: 1rem; margin: 22px 0 6px; }
p { margin: 6px 0 10px; max-width: 76ch; overflow-wrap: anywhere; }
header p, .note, small, figcaption { color: var(--soft); }
small, .note, figcaption { font-size: .86rem; font-weight: 400; }
nav { display: flex; flex-wrap: wrap; gap: 2px 16px; padding-top: 10px; padding-bottom: 14px; font-size: .9rem; }
a { color: var(--c0); text-decoration-thickness: 1px; text-underline-offset: 2px; }
:focus-visible { outline: 3px solid var(--c4); outline-offset: 2px; border-radius: 3px; }
section.panel { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 20px 22px;
  margin: 0 0 18px; scroll-margin-top: 12px; overflow-wrap: break-word; overflow-x: clip; }
section.run > h2 { font-size: 1.5rem; margin: 34px 0 12px; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); gap: 10px; margin: 14px 0 4px; }
.cards > div { background: var(--tint); border-radius: 9px; padding: 10px 13px; min-width: 0; }
.cards b { display: block; font-size: 1.32rem; line-height: 1.25; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.cards span { color: var(--soft); font-size: .82rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 14px 22px; }
figure { margin: 0; min-width: 0; }
figure.chart { position: relative; max-width: 560px; }
figure.chart svg { width: 100%; height: auto; display: block; overflow: visible; }
figcaption b { color: var(--ink); font-weight: 600; font-size: .95rem; }
figcaption small { margin-left: .4em; }
svg text { font: 10.5px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--soft);
  font-variant-numeric: tabular-nums; }
svg text.name { font-weight: 600; }
svg text.level { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
svg text.strong { fill: var(--ink); }
svg .rule { stroke: var(--rule); fill: none; } svg .axis { stroke: var(--edge); fill: none; }
svg .level { stroke: var(--ink); stroke-dasharray: 5 4; fill: none; opacity: .75; } svg text.level { opacity: 1; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .thin { fill: none; stroke-width: 1; opacity: .28; stroke-linejoin: round; }
svg .dashed { stroke-dasharray: 5 4; }
svg .band { opacity: .16; stroke: none; }
"""
    + "".join(
        f"svg .line.c{n}, svg .thin.c{n} {{ stroke: var(--c{n}); }} "
        f"svg text.c{n}, svg .dot.c{n}, svg .band.c{n}, svg .bar.c{n} {{ fill: var(--c{n}); }}\n"
        for n in range(8)
    )
    + """
svg .act { fill: var(--act); } svg .warn { fill: var(--warn); } svg .info { fill: var(--info); }
svg.times { display: block; width: 100%; overflow: hidden; margin: 4px 0 10px; }
svg.times rect.edge { fill: var(--ink); stroke: none; } svg .rail { fill: var(--edge); }
svg.times text { font-size: 12.5px; } svg.times text.sign { fill: var(--card); font-weight: 600; }
svg .edge { stroke: var(--ink); stroke-width: 2; fill: none; }
.tip { position: absolute; top: 26px; right: 0; background: var(--card); border: 1px solid var(--edge);
  border-radius: 6px; padding: 3px 8px; font-size: .8rem; pointer-events: none; white-space: pre;
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-width: 100%; margin: 8px 0; background:  /* a shadow at a side where there is more */
  linear-gradient(90deg, var(--card) 40%, transparent) 0 0 / 40px 100% no-repeat local,
  linear-gradient(270deg, var(--card) 40%, transparent) 100% 0 / 40px 100% no-repeat local,
  linear-gradient(90deg, var(--edge), transparent) 0 0 / 14px 100% no-repeat scroll,
  linear-gradient(270deg, var(--edge), transparent) 100% 0 / 14px 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: break-word; max-width: 60ch; }
thead th { color: var(--soft); font-weight: 500; font-size: .84rem; vertical-align: bottom; }
tbody th { font-weight: 600; } th small { display: block; max-width: 54ch; }
table.facts th { color: var(--soft); font-weight: 500; white-space: nowrap; }
table.facts td { max-width: none; }
code, pre { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--tint); border-radius: 8px; padding: 12px 14px; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; margin: 8px 0; }
details { margin: 10px 0; } summary { cursor: pointer; color: var(--c0); }
img { max-width: 100%; height: auto; display: block; border-radius: 6px; }
.pair img, .sheets img { width: 100%; }
img.wide { width: 100%; max-width: 860px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); gap: 18px; }
.sheets { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); gap: 18px; }
.scrub { border: 0; padding: 0; margin: 0; min-width: 0; display: grid; grid-template-rows: auto auto; }
.scrub figure { grid-row: 1; grid-column: 1 / -1; visibility: hidden; }
.scrub input:checked + figure { visibility: visible; }
.scrub input { grid-row: 2; appearance: none; -webkit-appearance: none; margin: 10px 1px 0; height: 26px; min-width: 0;
  background: var(--tint); border-bottom: 3px solid var(--edge); cursor: pointer; border-radius: 4px 4px 0 0; }
.scrub input:hover { background: var(--rule); } .scrub input:checked { background: var(--c1); border-color: var(--c1); }
button { font: inherit; font-size: .86rem; color: var(--ink); background: var(--tint); border: 1px solid var(--edge);
  border-radius: 7px; padding: 3px 12px; cursor: pointer; }
ul.verdicts { list-style: none; padding: 0; margin: 12px 0 0; overflow-wrap: anywhere; }
ul.verdicts li { border-left: 4px solid var(--info); padding: 2px 0 2px 14px; margin: 0 0 14px; }
ul.verdicts li.act { border-color: var(--act); } ul.verdicts li.warn { border-color: var(--warn); }
ul.verdicts li.past { border-color: var(--edge); }
.tag { font-size: .76rem; font-weight: 600; border-radius: 20px; padding: 1px 9px; margin-left: 6px; color: var(--card);
  background: var(--info); white-space: nowrap; }
.tag.act { background: var(--act); } .tag.warn { background: var(--warn); } .tag.past { background: var(--soft); }
.tag.good { background: var(--good); }
footer { color: var(--soft); font-size: .84rem; padding-top: 10px; padding-bottom: 40px; }
@media (max-width: 600px) { main, header, footer, nav { padding-left: 12px; padding-right: 12px; }
  section.panel { padding: 15px 13px; border-radius: 9px; } header { padding-top: 20px; }
  svg text { font-size: 15px; } th, td { padding-right: 12px; overflow-wrap: anywhere;
  min-width: 4.4em; } table.facts th { white-space: normal; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print { :root { --paper: #fff; --card: #fff; } body { font-size: 11pt; } nav, button, .tip { display: none; }
  section.panel { border: 0; padding: 0; } figure, tr, li { break-inside: avoid; } .scrub input { display: none; } }
"""
)
