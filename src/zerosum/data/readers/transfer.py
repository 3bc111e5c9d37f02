"""One file over http(s): in pieces, no longer than it should be, going on where an earlier attempt was cut."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from zerosum import files

TIMEOUT = 30.0  # seconds without a byte
PIECE = 2**18
OPEN = ("http://", "https://")
ELSEWHERE = "name a folder of yours with ZEROSUM_CACHE"


class Failed(Exception):
    """A file could not be fetched; the text says why, to be read after its address."""


def transfer(address: str, partial: Path, size: int, progress: Callable[[int], None]) -> None:
    """Fetch a file of ``size`` bytes into ``partial``, after what is there already where the server can do that.

    Args:
        progress: is told the number of bytes that are there.

    Raises:
        Failed: the server does not answer, answers with something else, or the connection was cut; what came is kept.
        UserError: the disk may not be written to.
        Stopped: the disk is full.
    """
    start = partial.stat().st_size if partial.exists() else 0
    if start == size:
        return
    if start > size:
        start = 0
    headers = {"User-Agent": "zerosum", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with _asked(address, headers, partial) as response:
        resumed = response.status == 206
        if resumed and not (response.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
            raise Failed("answers with another part than it was asked for")
        done = start if resumed else 0
        length = response.headers.get("Content-Length")
        if length is not None and length.isdecimal() and int(length) != size - done:
            raise Failed(f"offers {length} bytes, not {size - done}")
        with files.in_words(partial, ELSEWHERE), open(partial, "ab" if resumed else "wb") as file:
            for piece in _pieces(response):
                done += len(piece)
                if done > size:
                    file.truncate(0)
                    raise Failed(f"sends more than {size} bytes")
                file.write(piece)
                progress(done)
            file.flush()
            os.fsync(file.fileno())
    if done < size:
        raise Failed(f"was cut after {done} of {size} bytes")


@contextmanager
def _asked(address: str, headers: dict[str, str], partial: Path) -> Iterator[http.client.HTTPResponse]:
    if not address.lower().startswith(OPEN):
        raise Failed("is no http or https address")
    opener = urllib.request.build_opener(_Redirects())
    try:
        response = opener.open(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # there is no such part: what is there does not belong to this file
                partial.unlink(missing_ok=True)
            raise Failed(f"answers {error.code} ({_line(error.reason)})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"cannot be reached ({_line(getattr(error, 'reason', error))})") from None
    with response:
        yield response


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while piece := response.read(PIECE):
            yield piece
    except (OSError, http.client.HTTPException):
        return  # the count of bytes tells what is missing


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows addresses of the web only, never to a file of this machine."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith(OPEN):
            raise Failed(f"leads to {newurl}, which is no http or https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _line(error: object) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
