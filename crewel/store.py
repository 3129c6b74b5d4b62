"""Host arrays that a run's draws and losses are copied into, chunk by chunk."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from crewel.placement import Placement
from crewel.watch import DIVERGING


class Store:
    """What left the device. Each chain is written by one thread."""

    def __init__(
        self,
        placement: Placement,
        num_chains: int,
        num_draws: int,
        num_losses: int,
        *,
        latest: bool,
    ):
        """Hold nothing yet.

        Args:
            placement: where the chains run.
            num_chains: chains.
            num_draws: draws of each.
            num_losses: steps of warm-up that have a loss; 0: it has none.
            latest: hold the latest draw's only.
        """
        self.placement, self.num_chains = placement, num_chains
        self.length = 1 if latest else num_draws
        self.latest = latest
        self.done = np.zeros(num_chains, int)
        self.sound = np.zeros(num_chains, int)  # draws before the first that a watch found broken
        self.kept: Any = None
        self.losses = np.zeros((num_chains, num_losses), np.float32) if num_losses else None

    def allocate(self, chunk: Any) -> None:
        """Arrays for all draws, from the shapes of a chunk."""

        def empty(leaf):
            event = leaf.shape[2:] if self.placement.batched else leaf.shape[1:]
            return np.zeros((self.num_chains, self.length, *event), leaf.dtype)

        self.kept = jax.tree.map(empty, chunk)

    def write(self, block: np.ndarray, count: int, chunk: Any, *, watched: bool) -> dict[str, Any]:
        """Copy a chunk of `count` draws; the statistics of its draws."""
        done = int(self.done[block[0]])
        there = slice(0, 1) if self.latest else slice(done, done + count)
        here = slice(count - 1, count) if self.latest else slice(0, count)

        def copy(out, leaf):
            leaf = np.asarray(leaf)
            many = self.placement.batched and leaf.ndim == out.ndim
            out[block, there] = leaf[:, here] if many else leaf[here]
            return out[np.unique(block), there]

        stats = jax.tree.map(copy, self.kept, chunk)[1]
        if watched:
            broken = np.asarray(chunk[1][DIVERGING])[..., :count].reshape(-1, count)
            first = np.where(broken.any(1), broken.argmax(1), count)
            self.sound[block] += np.where(self.sound[block] == done, first, 0)
        else:
            self.sound[block] = done + count
        self.done[block] = done + count
        return stats

    def write_losses(self, block: np.ndarray, done: int, count: int, losses: Any) -> Any:
        """Copy a fit's losses, if it has any; also as statistics for the bar."""
        if self.losses is None:
            return None
        steps = slice(done, done + count)
        self.losses[block, steps] = np.asarray(losses)[..., steps]
        return {"loss": self.losses[np.unique(block), steps]}
