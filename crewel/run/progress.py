"""A progress bar over all chains: their phase, and how many draws diverged."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np


class Progress:
    """Count steps over all chains; safe to call from many threads."""

    def __init__(self, name: str, total: int, *, show: bool):
        """Open a bar of `total` steps; it is hidden unless `show`."""
        from tqdm.auto import tqdm

        self._lock = threading.Lock()
        self._diverging = 0
        self._scores = ""
        self._phase = "compiling"
        self._bar = tqdm(total=total, desc=name, disable=not show, unit="step", mininterval=0.2)
        self.note()

    def note(self) -> None:
        """Show the phase, the divergences and the held-out scores."""
        diverging = f", {self._diverging} diverging" if self._diverging else ""
        self._bar.set_postfix_str(self._phase + diverging + self._scores)

    def phase(self, phase: str) -> None:
        """Set the phase that the run is in."""
        with self._lock:
            if phase != self._phase:
                self._phase = phase
                self.note()

    def advance(self, steps: int, stats: dict[str, Any] | None = None) -> None:
        """Count `steps` more steps; `stats` are those of the draws just made."""
        with self._lock:
            before = self._diverging
            if stats and "diverging" in stats:
                self._diverging += int(stats["diverging"].sum())
            scores = _scores(stats or {}) or self._scores
            if self._diverging != before or scores != self._scores:
                self._scores = scores
                self.note()
            self._bar.update(steps)

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()


def _scores(stats: dict[str, Any]) -> str:
    """The latest held-out scores, averaged over the chains that have them."""
    latest = {k: v[:, -1] for k, v in stats.items() if k.startswith("test_")}
    return "".join(
        f", {name} {value[~np.isnan(value)].mean():.4g}"
        for name, value in latest.items()
        if not np.isnan(value).all()
    )
