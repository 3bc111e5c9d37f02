"""Opens the page: a socket, an address to say, and an end without a word."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zerosum.errors import UserError
from zerosum.report.live.hall import Hall, runs_of
from zerosum.report.live.hosts import local

if TYPE_CHECKING:
    import uvicorn

    from zerosum.report.live.server import Pages

PATIENCE = 3  # seconds that connections get to end


def serve(folder: Path, host: str, port: int, say: Callable[[str], None]) -> None:
    """Show the runs of a folder (or the one run that it is) on a local page, until Ctrl-C.

    Args:
        host: the address to listen on; only ``127.0.0.1`` (or ``::1``) keeps others out.
        port: 0 takes a free one.
        say: told the page's address as soon as it answers.

    Raises:
        UserError: no such folder, a host or a port that cannot be had, or the extra ``[live]`` is not installed.
    """
    with contextlib.suppress(KeyboardInterrupt):
        if not folder.is_dir():
            raise UserError(f"There is no folder '{folder}': give a run, or a folder of runs such as runs/.")
        folder = folder.resolve()
        server = server_of(Hall(folder), host)[0]
        with listen(host, port) as sock:
            say(f"{folder}: {_what(folder)}")
            say(f"  {address(sock)}   (Ctrl-C ends)")
            if not local(host):
                say("  Everybody who reaches this machine's network can look: there is no password.")
            server.run(sockets=[sock])


def server_of(hall: Hall, host: str) -> tuple[uvicorn.Server, Pages]:
    """A server that has not begun, and what it serves.

    Raises:
        UserError: the extra ``[live]`` is not installed.
    """
    try:
        import uvicorn

        from zerosum.report.live.server import app_of
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise UserError(
            "The live page needs starlette and uvicorn, which are not installed: pip install 'zerosum[live]'."
        ) from None
    app, pages = app_of(hall, host, lambda: server.should_exit)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=PATIENCE,
            server_header=False,
            proxy_headers=False,
        )
    )
    return server, pages


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: the port is taken or reserved, or this machine does not have the address.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port} is not possible: expected 0 (any free one) to 65535.")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError):
        raise UserError(f"--host {host} is not known here: expected an address such as 127.0.0.1.") from None
    try:
        with contextlib.suppress(AttributeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"Port {port} is in use on {host}: give another one with --port, or --port 0 for any free one."
            ) from None
        raise UserError(
            f"{host} port {port} cannot be had ({error.strerror}): choose others with --host and --port."
        ) from None
    return sock


def address(sock: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _what(folder: Path) -> str:
    found = len(runs_of(folder))
    return "no run yet, they appear as they begin" if not found else "1 run" if found == 1 else f"{found} runs"
