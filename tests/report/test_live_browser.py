"""The page in a real browser: it changes while runs do, obeys keys, fits a phone, and runs no text of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from live_pages import Page, add_metric, add_stats, key_of, quicken, served, wait_for, write_grid, write_run

from zerosum import files
from zerosum.run import Run

HOSTILE = "<img src=x onerror=window.pwned=1>&\"'-and-a-name-that-is-long-and-cannot-be-wrapped"
LIVE = "document.getElementById('link').textContent === 'live'"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs; the first has something to show in every part."""
    top = tmp_path / "runs"
    for number in (1, 2, 3):
        write_run(top / f"00{number}-digits-dcgan")
    full = Run(top / "003-digits-dcgan")
    for images in (1_000, 2_000, 3_000):
        add_stats(full, images)
        add_metric(full, images, 1 / images)
        write_grid(full, images)
    write_grid(full, 0, "real.png")
    full.snapshot_file(3_000).parent.mkdir()
    full.snapshot_file(3_000).write_bytes(b"no model")
    full.event("verdict", 3_000, verdict="critic overfits", level="warn", says="It knows what it was shown.")
    check = {"images": 3_000, "accuracy_train": 0.9, "accuracy_held": 0.5, "accuracy_fake": 0.8, "separates": 0.6}
    files.append_line(full.folder / "signals.jsonl", check)
    return top


@pytest.fixture
def page(runs: Path) -> Iterator[Page]:
    with served(runs) as found:
        yield found


def test_a_run_changes_while_it_is_looked_at(tab: Browser, page: Page, runs: Path) -> None:
    run = Run(runs / "003-digits-dcgan")
    tab.go(f"{page.url}/run/{key_of(run.folder.name)}")
    tab.wait(LIVE)
    tab.js("window.before = document.getElementById('part-again'); before.mark = 1")
    curve = tab.js("document.querySelector('#part-curves polyline').getAttribute('points')")
    for images in range(3_100, 4_000, 100):
        add_stats(run, images)
    tab.wait("document.getElementById('part-now').textContent.includes('3.9k of 10k')")
    tab.wait(f"document.querySelector('#part-curves polyline').getAttribute('points') !== {curve!r}")
    assert tab.js("document.getElementById('part-again').mark") == 1  # what did not change was left alone
    run.event("verdict", 3_900, verdict="generator collapsed", level="act", says="All alike.")
    tab.wait("document.getElementById('part-diagnosis').textContent.includes('All alike.')")
    assert "generator collapsed" in tab.js("document.getElementById('said').textContent")
    run.event("finished", 10_000)
    tab.wait("document.querySelector('#part-now .state').textContent.includes('finished')")


def test_runs_come_and_go(tab: Browser, page: Page, runs: Path) -> None:
    tab.go(page.url)
    tab.wait(LIVE)
    assert tab.js("document.querySelectorAll('.card').length") == 3
    write_run(runs / "004-digits-modern")
    tab.wait("document.querySelectorAll('.card').length === 4")
    assert tab.js("document.querySelector('.card h2').textContent") == "004-digits-modern"
    assert tab.js("document.getElementById('said').textContent") == "004-digits-modern: running"
    (runs / "004-digits-modern").rename(runs.parent / "away")
    tab.wait("document.querySelectorAll('.card').length === 3")
    tab.complaints.clear()  # its grid may have been asked for when it was gone


def test_what_somebody_has_chosen_stays(tab: Browser, page: Page, runs: Path) -> None:
    run = Run(runs / "003-digits-dcgan")
    tab.go(f"{page.url}/run/{key_of(run.folder.name)}")
    tab.wait(LIVE)
    shown = "document.querySelector('.scrub input:checked + figure img').src"
    assert "000000003000.png" in tab.js(shown)
    write_grid(run, 4_000)
    tab.wait(f"{shown}.includes('000000004000.png')")  # who looks at the newest grid goes on doing so
    tab.key("ArrowLeft")
    tab.key("ArrowLeft")
    assert "000000002000.png" in tab.js(shown)
    tab.js("document.querySelector('form.walk input').value = 7")
    tab.js("document.querySelector('.scrub input:checked').focus()")
    write_grid(run, 5_000)
    tab.wait("document.querySelectorAll('.scrub input').length === 6")
    assert "000000002000.png" in tab.js(shown)
    assert tab.js("document.activeElement === document.querySelector('.scrub input:checked')")


def test_keys(tab: Browser, page: Page, runs: Path) -> None:
    tab.go(page.url)
    focused = "document.activeElement.textContent"
    tab.key("j")
    assert tab.js(focused) == "003-digits-dcgan"
    tab.key("ArrowRight")
    assert tab.js(focused) == "002-digits-dcgan"
    tab.key("k")
    tab.key("Enter")
    tab.wait("document.querySelector('h1').textContent === '003-digits-dcgan' && document.readyState === 'complete'")
    tab.key("?")
    assert tab.js("document.getElementById('keys').open")
    tab.key("Enter")
    tab.wait("!document.getElementById('keys').open")
    tab.key(" ")
    tab.wait("document.querySelector('.scrub input').checked")  # it plays from the beginning
    tab.key("j")
    tab.wait("document.querySelector('h1').textContent === '002-digits-dcgan' && document.readyState === 'complete'")
    tab.key("u")
    tab.wait("document.querySelectorAll('.card').length === 3")


def test_texts_of_a_run_are_not_executed(tab: Browser, page: Page, runs: Path) -> None:
    run = write_run(runs / HOSTILE, recipe=HOSTILE, data=f"</script><script>{HOSTILE}</script>")
    add_stats(run, 900, **{f"critic.{HOSTILE}": 1.0})
    run.event("verdict", 900, verdict=HOSTILE, level=HOSTILE, says=HOSTILE, remedy=HOSTILE, evidence={HOSTILE: HOSTILE})
    run.add_metrics([{"images": 900, "metric": HOSTILE, "value": 1.0, "protocol": HOSTILE, "weights": "ema"}])
    signals = {"images": 900, "classes": {HOSTILE: 0.5}, "classes_fake": {HOSTILE: 0.5}, HOSTILE: HOSTILE}
    files.append_line(run.folder / "signals.jsonl", signals)
    key = key_of(run.folder.name)
    for path in ("/", f"/run/{key}"):
        tab.go(page.url + path)
        tab.wait(LIVE)
        add_stats(run, 1_000)  # and as a change
        tab.wait("document.body.textContent.includes('onerror')")
        assert tab.js("document.querySelectorAll('img[src=x], main script').length") == 0
        assert tab.js("window.pwned") is None
        assert tab.complaints == []  # nor did the policy have to stop anything
        assert tab.js("[...document.querySelectorAll('h1, .card h2')].some((own) => own.textContent.includes('<img'))")
    broken = tab.js(  # the policy would stop it even if it were there
        "new Promise((done) => { addEventListener('securitypolicyviolation', (event) => done(event.violatedDirective));"
        " document.querySelector('main').innerHTML = '<img src=data:, onerror=\"window.pwned = 1\">'; })"
    )
    assert broken == "script-src-attr"
    assert tab.js("window.pwned") is None
    tab.complaints.clear()


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone(tab: Browser, page: Page, runs: Path, dark: bool) -> None:
    write_run(runs / HOSTILE, recipe="w" * 90)
    tab.size(360, 740, phone=True)
    tab.dark(dark)
    for path in ("/", f"/run/{key_of('003-digits-dcgan')}", f"/run/{key_of(HOSTILE)}"):
        tab.go(page.url + path)
        assert tab.js("document.documentElement.scrollWidth") <= 360, path
    light = tab.js("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)[0] > 128")
    assert light is not dark


def test_the_first_view_needs_no_script(tab: Browser, page: Page) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.go(f"{page.url}/run/{key_of('003-digits-dcgan')}")
        text = tab.js("document.body.innerText")
        assert "It knows what it was shown." in text
        assert tab.js("document.getElementById('link').hidden")
        assert tab.js("document.querySelector('noscript').textContent + document.head.innerHTML").count("refresh") > 0
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_it_finds_its_way_back_after_the_server_was_gone(tab: Browser, runs: Path) -> None:
    with served(runs) as page:
        tab.go(page.url)
        tab.wait(LIVE)
    tab.wait("document.getElementById('link').classList.contains('lost')")
    assert "trying again" in tab.js("document.getElementById('link').textContent")
    write_run(runs / "004-digits-modern")
    with served(runs, port=page.port):
        tab.wait(LIVE)
        tab.wait("document.querySelectorAll('.card').length === 4")
        tab.go("about:blank#away")
    tab.complaints.clear()


def test_a_tab_that_is_closed_leaves_nothing_behind(tab: Browser, page: Page) -> None:
    tab.go(page.url)
    tab.wait(LIVE)
    assert page.pages.streams == 1
    tab.go("about:blank#away")
    wait_for(lambda: page.pages.streams == 0)
