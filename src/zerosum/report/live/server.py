"""The page's addresses. All of them only read, and each answer says how little it may do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zerosum.errors import UserError
from zerosum.report.live import page
from zerosum.report.live.follow import words
from zerosum.report.live.hall import Hall
from zerosum.report.live.hosts import may_ask
from zerosum.report.live.views import View
from zerosum.report.live.walk import Walks
from zerosum.report.page import SCRIPT
from zerosum.report.pictures import FRAMES
from zerosum.report.style import STYLE

TICK = 1.0  # seconds between two looks
SOON = 0.05  # while logs are still being read
HEARTBEAT = 15  # looks without anything new, after which a line says that the connection lives
STREAMS = 64  # browsers at a time
WAITING = 4  # walks that may wait for the one that is being made
HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
KEPT = {"cache-control": "private, max-age=86400"}  # the address changes with the content
NOT_KEPT = {"cache-control": "no-store"}
BARS = "".join(  # below the grids through time, however many there are
    f".scrub:has(> input:first-of-type:nth-last-of-type({many})) "
    f"{{ grid-template-columns: repeat({many}, minmax(0, 1fr)) }}"
    for many in range(2, FRAMES + 1)
)


class Pages:
    """What each address answers.

    Attributes:
        leaving: whether streams should end because the server does.
        streams: how many browsers are connected.
        walking: how many wait for a walk.
        reading: whose turn it is to read a run's logs; so the page of all runs never waits for more than one of them.
    """

    def __init__(self, hall: Hall, leaving: Callable[[], bool]) -> None:
        self.hall, self.leaving, self.walks = hall, leaving, Walks()
        self.streams = 0
        self.walking = 0
        self.one = anyio.CapacityLimiter(1)
        self.reading = anyio.CapacityLimiter(1)

    def routes(self) -> list[Route]:
        """All there is."""
        style = STYLE + BARS + Path(__file__).with_name("page.css").read_text()
        dress = SCRIPT.replace("document.querySelectorAll", "root.querySelectorAll")  # for a part at a time
        script = f"const dress = (root) => {{{dress}}};\n" + Path(__file__).with_name("page.js").read_text()
        return [
            Route("/", self.overview),
            Route("/run/{key}", self.run),
            Route("/events", self.events),
            Route("/file/{key}/samples/{name}", self.file),
            Route("/walk/{key}", self.walk),
            Route("/page.css", _constant(style, "text/css")),
            Route("/page.js", _constant(script, "text/javascript")),
        ]

    async def overview(self, request: Request) -> Response:
        """All runs; where the folder is a run, that one."""
        if (single := await run_in_threadpool(lambda: self.hall.single)) is not None:
            return RedirectResponse(f"/run/{single}")
        view = await self.view("")
        assert view is not None
        return HTMLResponse(page.overview(view, self.hall.folder.name), headers=NOT_KEPT)

    async def run(self, request: Request) -> Response:
        """One run."""
        key = request.path_params["key"]
        view = await self.view(key)
        if view is None:
            return HTMLResponse(page.missing(), 404, headers=NOT_KEPT)
        known = await run_in_threadpool(self.hall.known, key)
        return HTMLResponse(page.run(view, key, known), headers=NOT_KEPT)

    async def view(self, key: str) -> View | None:
        """What there is to see of all runs (``""``) or of one; None where there is no such run."""
        return await anyio.to_thread.run_sync(self.hall.view, key, limiter=self.reading if key else None)

    async def file(self, request: Request) -> Response:
        """A picture of a run's samples."""
        path = await run_in_threadpool(self.hall.picture, request.path_params["key"], request.path_params["name"])
        if path is None:
            return PlainTextResponse("There is no such picture.", 404)
        return FileResponse(path, media_type="image/png", headers=KEPT)

    async def walk(self, request: Request) -> Response:
        """A latent walk of a run's newest model, one at a time."""
        snapshot = await run_in_threadpool(self.hall.snapshot, request.path_params["key"])
        if snapshot is None:
            return PlainTextResponse("This run has no model yet: wait for its first snapshot.", 404)
        if self.walking > WAITING:
            return PlainTextResponse("Other walks are being made: try again in a moment.", 503)
        self.walking += 1
        try:
            seed = page.seed_of(request.query_params.get("seed", "0"))
            made = await anyio.to_thread.run_sync(self.walks.walk, snapshot, seed, limiter=self.one)
        except UserError as error:
            return PlainTextResponse(words(error, snapshot.parents[1]), 422)
        finally:
            self.walking -= 1
        return Response(made, media_type="image/webp", headers={"cache-control": "private, max-age=60"})

    async def events(self, request: Request) -> Response:
        """Server-sent events: what changed on a page since the state that the browser names."""
        key = request.query_params.get("of", "")
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        if self.streams >= STREAMS:
            return PlainTextResponse("Too many pages are open.", 503)
        if key and await self.view(key) is None:
            return PlainTextResponse("There is no such run.", 404)
        return StreamingResponse(self.stream(key, since), media_type="text/event-stream", headers=NOT_KEPT)

    async def stream(self, key: str, since: str) -> AsyncIterator[str]:
        """Lines of the event stream, until the browser or the server leaves."""
        before: View | None = None
        quiet = 0
        self.streams += 1
        try:
            yield "retry: 2000\n\n"
            while not self.leaving():
                view = await self.view(key)
                if view is None:
                    yield _event("gone", "", {})
                    return
                if before is None and view.token == since:
                    yield _event("parts", view.token, changes(view, view))  # nothing, but now it is known to live
                elif before is None or view.token != before.token:
                    yield _event("parts", view.token, changes(before, view))
                    quiet = 0
                elif (quiet := quiet + 1) % HEARTBEAT == 0:
                    yield ": still here\n\n"
                before = view
                await anyio.sleep(TICK if view.whole else SOON)
        finally:
            self.streams -= 1


def changes(before: View | None, view: View) -> dict[str, object]:
    """What a browser that shows ``before`` needs to show ``view``; without it, everything."""
    known = before.parts if before else {}
    parts = {key: part._asdict() for key, part in view.parts.items() if known.get(key) != part}
    news = [text for key, text in view.says.items() if before is not None and before.says.get(key) != text]
    return {"title": view.title, "order": list(view.parts), "parts": parts, "say": ". ".join(news[:3])}


def app_of(hall: Hall, host: str, leaving: Callable[[], bool] = lambda: False) -> tuple[ASGIApp, Pages]:
    """The page as an ASGI application bound to ``host``."""
    pages = Pages(hall, leaving)
    return guarded(Starlette(routes=pages.routes()), host), pages


def guarded(app: ASGIApp, host: str) -> ASGIApp:
    """Answers only who asked for this machine by its address or name, and no other site's page; adds headers.

    A page of another site may let its own name point to this address (DNS rebinding); then the Host header has it.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def said(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        foreign = headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"
        if foreign or len(headers.getlist("host")) != 1 or not may_ask(headers["host"], host):
            answer = PlainTextResponse("This page answers only to the address that it was started on.", 403)
            await answer(scope, receive, said)
            return
        await app(scope, receive, said)

    return guard


def _constant(content: str, kind: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return Response(content, media_type=kind, headers=NOT_KEPT)

    return answer


def _event(name: str, token: str, content: dict[str, object]) -> str:
    """One event; JSON has no line breaks, so no text of a run can end it."""
    return f"event: {name}\nid: {token}\ndata: {json.dumps(content)}\n\n"
