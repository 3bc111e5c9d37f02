"""Ctrl-C and SIGTERM: a wish to stop, granted at the next moment at which nothing is lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Interrupted(BaseException):
    """A wish to stop outside of training, where there is nothing to save."""


class Interrupt:
    """Turns the first Ctrl-C or SIGTERM into a wish to stop; a second one stops at once.

    Outside of ``saves`` the first one raises ``Interrupted`` at once too. Only a process's main thread can do this;
    elsewhere signals stay as they were.
    """

    def __init__(self) -> None:
        self.asked = False
        self._patient = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread() and not self._before:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *details: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextlib.contextmanager
    def saves(self) -> Iterator[None]:
        """While training: a wish to stop waits until the state is saved."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again or not self._patient:
            raise Interrupted
