"""Whom something that takes long tells how far it is: sentences to a ``Say``, counts to a ``Progress``."""

from __future__ import annotations

import time
from collections.abc import Callable

Say = Callable[[str], None]
Progress = Callable[[int, int], None]  # done, of how many; may be called for every picture


def silent(*told: object) -> None:
    """Say nothing, show nothing."""


def clean(text: object, most: int = 1000) -> str:
    """Text in one line, without what could steer a terminal or break an encoding."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:most]).strip()


def safe(text: str) -> str:
    """Text without what could steer a terminal or break an encoding; its lines stay lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def sometimes(say: Say, first: float = 1.0, then: float = 10.0) -> Say:
    """A ``Say`` that passes on one sentence after ``first`` seconds, and one every ``then`` seconds."""
    due = time.monotonic() + first

    def told(text: str) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            say(text)
            due = now + then

    return told
