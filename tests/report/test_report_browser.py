"""The report in a real browser: it fits a phone, obeys keys without a script too, and loads and runs nothing."""

from __future__ import annotations

import making
import pytest
from browser import Browser

from zerosum import report

HOSTILE = "<img src=x onerror=document.title='pwned'>&\"'</script><script>document.title='pwned'</script>" + "w" * 120


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page about a run twice, and one whose texts are hostile."""
    top = tmp_path_factory.mktemp("runs")
    whole, hostile = making.whole(top / "whole"), making.whole(top / "hostile")
    making.run(hostile, recipe=HOSTILE, dials={HOSTILE: HOSTILE}, data={"name": HOSTILE, "identity": HOSTILE})
    making.write_lines(
        hostile / "events.jsonl",
        [
            making.verdict(9, HOSTILE, says=HOSTILE, remedy=HOSTILE, evidence={HOSTILE: HOSTILE}, since=-1e299),
            {"images": 1e299, "event": HOSTILE},
            {"images": 20, "event": "amended", "settings": {HOSTILE: HOSTILE}, "why": HOSTILE},
        ],
    )
    making.write_lines(
        hostile / "metrics.jsonl",
        [{"images": 5, "metric": HOSTILE, "value": 1, "protocol": HOSTILE, "detector": HOSTILE, "weights": HOSTILE}],
    )
    making.write_lines(hostile / "signals.jsonl", [making.check(9, 0.5) | {HOSTILE: 1.0, "classes": {HOSTILE: 0.5}}])
    return report.write([whole, whole, hostile], top / "page.html").as_uri()


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits(tab: Browser, page: str, width: int, dark: bool) -> None:
    tab.size(width, 800, phone=width < 600)
    tab.dark(dark)
    tab.go(page)
    tab.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert tab.js("document.documentElement.scrollWidth") <= width
    inner = "[...document.querySelectorAll('#run1 .scroll')].filter((one) => one.scrollWidth > one.clientWidth).length"
    assert tab.js(inner) == 0  # nothing of an ordinary run hides beside its table
    small = (
        "Math.min(...[...document.querySelectorAll('svg text')].map((one) => { const svg = one.closest('svg[viewBox]');"
        " return parseFloat(getComputedStyle(one).fontSize) * (svg ? svg.getScreenCTM().a : 1); }))"
    )
    assert tab.js(small) > 10.5


@pytest.mark.parametrize("script", [True, False])
def test_grids_through_time_by_keys(tab: Browser, page: str, script: bool) -> None:
    shown = "[...document.querySelectorAll('#run1 figure')].filter((one) => one.closest('.scrub') && "
    shown += "getComputedStyle(one).visibility === 'visible').map((one) => one.textContent).join()"
    tab.call("Emulation.setScriptExecutionDisabled", value=not script)
    try:
        tab.go(page)
        assert tab.js(shown) == "Generated at 51,200 images"
        assert tab.js(shown.replace("run1", "run2")) == "Generated at 51,200 images"  # the same run again
        assert tab.js("document.querySelectorAll('#run1 .scrub ~ button').length") == int(script)
        tab.js("document.querySelector('#run1 .scrub input:checked').focus()")
        tab.key("ArrowLeft")
        tab.key("ArrowLeft")
        assert tab.js(shown) == "Generated at 25,600 images"
        assert tab.js(shown.replace("run1", "run2")) == "Generated at 51,200 images"
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_texts_of_a_run_are_not_executed(tab: Browser, page: str) -> None:
    tab.go(page)
    assert tab.js("document.body.textContent.split('onerror').length") > 20
    assert tab.js("document.querySelectorAll('img[src=x]').length") == 0
    assert tab.js("document.scripts.length") == 1
    assert tab.js("document.title") == "3 runs beside each other"


def test_nothing_leaves_the_file(tab: Browser, page: str) -> None:
    tab.go(page)
    assert tab.js("performance.getEntriesByType('resource').filter((one) => !one.name.startsWith('data:')).length") == 0
    stopped = tab.js(  # and the policy would stop what tried to
        "new Promise((done) => { addEventListener('securitypolicyviolation', (event) => done(event.violatedDirective));"
        " document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' })); })"
    )
    assert stopped == "img-src"
    tab.complaints.clear()
