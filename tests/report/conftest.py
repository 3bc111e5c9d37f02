"""A real browser for the tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import PROGRAM, Browser, browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Browser]:
    """The browser in a state that is known, and without complaints at the end."""
    chromium.size(1280, 900)
    chromium.dark(False)
    chromium.complaints.clear()
    yield chromium
    chromium.go("about:blank#done")
    assert chromium.complaints == []
