"""Ctrl-C during a run: every chain stops at the end of its chunk, and nothing is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

DOUBLE = 1.0  # seconds in which a second Ctrl-C counts as the same one


class Stop:
    """A request, seen by all threads, to stop at the end of the chunk.

    Attributes:
        interrupted: whether it was the user's.
        trouble: why the run itself stopped; empty where it did not.
    """

    def __init__(self) -> None:
        """Go on."""
        self._event = threading.Event()
        self.interrupted = False
        self.trouble = ""

    def __bool__(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def interrupt(self) -> None:
        """The user wants to stop."""
        self.interrupted = True
        self._event.set()

    def because(self, trouble: str) -> None:
        """The run cannot go on; the first reason counts."""
        self.trouble = self.trouble or trouble
        self._event.set()


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Within the block Ctrl-C asks to stop; one that comes a second later ends at once.

    It changes nothing in other threads than the main one, or where the user has a handler.
    """
    usual = signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return
    first = float("inf")

    def handle(number, frame):
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
