"""The two ways zerosum stops with a sentence instead of a traceback.

Everything else that is raised is a programming error and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """The user's mistake: one sentence saying what was given, what was expected and what to do. Exit code 2."""


class Stopped(RuntimeError):
    """The machine gave out (a full disk, say) in words; what was saved is whole. Exit code 1."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean X?)"`` for the closest of ``known``, or the whole list where none is close."""
    known = sorted(known)
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(known)})"
