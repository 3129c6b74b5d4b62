"""Ctrl-C during a run: every chain stops at the end of its chunk, and nothing is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

DOUBLE = 1.0  # seconds during which a second Ctrl-C counts as the first


class Stop:
    """A request, seen by all threads, to stop at the end of the chunk.

    Attributes:
        interrupted: whether the user asked.
        trouble: why the run itself stopped; empty if it did not.
    """

    def __init__(self) -> None:
        """Start without a request."""
        self._event = threading.Event()
        self.interrupted = False
        self.trouble = ""

    def __bool__(self) -> bool:
        """Return whether to stop."""
        return self._event.is_set()

    def interrupt(self) -> None:
        """Stop because the user asked."""
        self.interrupted = True
        self._event.set()

    def because(self, trouble: str) -> None:
        """Stop because the run cannot go on; the first reason counts."""
        self.trouble = self.trouble or trouble
        self._event.set()


@contextmanager
def interruptible(stop: Stop) -> Generator[None, None, None]:
    """Make Ctrl-C a request to stop; another one, more than a second later, interrupts at once.

    This changes nothing outside the main thread, or if the user has installed a handler.
    """
    usual = signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return
    first = float("inf")

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        first = min(first, now)
        if now - first > DOUBLE:
            usual(number, frame)
        stop.interrupt()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
