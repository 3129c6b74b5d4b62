"""Ctrl-C at a known draw, with a real signal."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter

import pytest

from crewel.run import blocks
from crewel.run.interrupts import Stop
from crewel.run.progress import Progress

PATIENCE = 120  # seconds after which a test that hangs fails


@pytest.fixture
def ctrl_c():
    """Python's own handler, which a run must leave in place; a background job begins without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    left = signal.signal(signal.SIGINT, before)
    assert left is signal.default_int_handler


@pytest.fixture
def interrupt(monkeypatch, ctrl_c):
    """`interrupt(report)`: Ctrl-C at the given report of the progress bar.

    With `threads`, once each of so many threads has come to that report; `times` in a row.
    """
    monkeypatch.setattr(blocks, "CHUNK_SECONDS", 0.0)  # one step in each chunk
    advance, asked = Progress.advance, Stop.interrupt
    heard = threading.Event()

    def noticed(self):
        asked(self)
        heard.set()

    def arm(report, times=1, threads=1):
        reports, lock, done = Counter(), threading.Lock(), []

        def interrupted(self, steps, stats=None):
            advance(self, steps, stats)
            with lock:
                reports[threading.get_ident()] += 1
                come = [number >= report for number in reports.values()]
                now = not done and come.count(True) == threads
                done.extend([True] * now)
            if now:
                heard.clear()
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)
                assert heard.wait(PATIENCE)

        monkeypatch.setattr(Progress, "advance", interrupted)

    monkeypatch.setattr(Stop, "interrupt", noticed)
    return arm
