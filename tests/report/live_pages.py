"""Runs of a few lines, and the page about them on a real server."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn
from PIL import Image

from zerosum import files
from zerosum.report.live.hall import Hall, key_of
from zerosum.report.live.server import Pages
from zerosum.report.live.serving import address, listen, server_of
from zerosum.run import Run

PATIENCE = 20.0  # seconds; a machine may be busy


def write_run(folder: Path, recipe: str = "dcgan", data: str = "digits", budget: int = 10_000, lines: int = 5) -> Run:
    """A run that has begun, without any network."""
    run = Run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "recipe": recipe, "dials": {"width": 8}, "set": {}, "resolved": {}, "seed": 0,
        "data": {"name": data, "identity": "00", "pictures": 100},
        "budget": {"images": budget, "since": 0, "seconds": None}, "choices": {}, "versions": {},
    }  # fmt: skip
    run.write(content)
    run.event("started", 0)
    for place in range(lines):
        add_stats(run, 100 * (place + 1))
    write_grid(run, 0)
    return run


def add_stats(run: Run, images: int, **more: float) -> None:
    """A line as a training writes it."""
    line = {"images": images, "seconds": images / 50, "images_per_second": 50.0, "critic.loss": 1 + 100 / (images + 1)}
    files.append_line(run.stats, {**line, "generator.loss": 0.7, **more})


def add_metric(run: Run, images: int, value: float, weights: str = "ema") -> None:
    """A line of the tracking metric."""
    run.add_metrics(
        [{"images": images, "metric": "kernel", "value": value, "protocol": "track400", "weights": weights}]
    )


def write_grid(run: Run, images: int, name: str = "") -> Path:
    """A small grid of samples."""
    path = run.folder / "samples" / (name or f"{images:012d}.png")
    path.parent.mkdir(exist_ok=True)
    Image.new("L", (64, 64), images % 200).save(path)
    return path


class Page(NamedTuple):
    """A page that is served."""

    host: str
    port: int
    pages: Pages
    server: uvicorn.Server

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def get(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer; the path goes out as it is."""
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content.decode(errors="replace")

    def hall_view(self, key: str) -> str:
        """The token of a view."""
        view = self.pages.hall.view(key)
        assert view is not None
        return view.token

    @contextlib.contextmanager
    def events(self, of: str = "", since: str = "", headers: dict[str, str] | None = None) -> Iterator[Stream]:
        """A browser's event stream."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"/events?of={of}&since={since}", headers=headers or {})
            yield Stream(connection.getresponse())
        finally:
            connection.close()


class Stream:
    """Server-sent events as they come."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer

    def next(self) -> tuple[str, str, dict[str, object]]:
        """Name, id and content of the next event."""
        found: dict[str, str] = {}
        while True:
            whole = self.answer.readline().decode()
            if not whole:
                raise AssertionError("the stream has ended")
            if line := whole.rstrip("\n"):
                name, _, value = line.partition(": ")
                found[name] = value
            elif "event" in found:
                return found["event"], found.get("id", ""), json.loads(found["data"])
            else:
                found.clear()

    def until(self, wanted: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        """The first content that is wanted."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            content = self.next()[2]
            if wanted(content):
                return content
        raise AssertionError("it did not come")


@contextlib.contextmanager
def served(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[Page]:
    """The page of a folder, in a thread."""
    with listen(host, port) as sock:
        server, pages = server_of(Hall(folder), host)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        wait_for(lambda: server.started)
        try:
            yield Page(host, int(address(sock).rstrip("/").rpartition(":")[2]), pages, server)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()
            assert pages.streams == 0


def quicken(patch: pytest.MonkeyPatch) -> None:
    """A page that looks twenty times a second."""
    for name, seconds in (("server.TICK", 0.05), ("hall.FRESH", 0.02), ("hall.REDRAWN", 0.05)):
        patch.setattr(f"zerosum.report.live.{name}", seconds)


def wait_for(true: Callable[[], object]) -> None:
    """Until it is."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)


__all__ = [
    "PATIENCE",
    "Page",
    "Stream",
    "add_metric",
    "add_stats",
    "key_of",
    "quicken",
    "served",
    "wait_for",
    "write_grid",
    "write_run",
]
