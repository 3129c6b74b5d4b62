"""Host arrays that a run's draws and losses are copied into, chunk by chunk."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from crewel.core.protocol import Array, PyTree, Stats, Surplus
from crewel.run.monitor import DIVERGING
from crewel.run.placement import Placement


class Store:
    """What has left the device. Each chain is written by one thread.

    Attributes:
        done: `(chain,)`, the number of draws that each chain has.
        finite: `(chain,)`, the number before the first that the monitor found not finite.
        kept: `(draws, stats)`, leaves `(chain, draw, ...)`; filled up to `done`.
        losses: `(chain, step)`, for a fit, or `None`.
    """

    def __init__(
        self,
        placement: Placement,
        num_chains: int,
        num_draws: int,
        num_losses: int,
        *,
        latest: bool,
        surplus: Surplus | None = None,
    ):
        """Create an empty store.

        Args:
            placement: where the chains run.
            num_chains: number of chains.
            num_draws: number of draws per chain.
            num_losses: number of warm-up steps that have a loss; 0 if they have none.
            latest: whether to hold only the latest draw.
            surplus: draws that chains already have.
        """
        self.placement, self.num_chains = placement, num_chains
        self.latest, self.surplus = latest, surplus
        already = np.zeros(num_chains, np.int32) if surplus is None else surplus.count
        self.length = 1 if latest else max(num_draws, int(already.max()))
        self.done = already.astype(np.int32)
        self.finite = self.done.copy()
        self.kept: Any = None
        self.losses = np.zeros((num_chains, num_losses), np.float32) if num_losses else None

    @property
    def ready(self) -> np.ndarray:
        """`(chain,)`, good draws that are complete, whenever a chain's thread was cut off."""
        return np.minimum(self.finite, self.done)

    def allocate(self, chunk: PyTree) -> None:
        """Make arrays for all draws from the shapes of a chunk, and copy the surplus into them."""

        def empty(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
            event = leaf.shape[2:] if self.placement.batched else leaf.shape[1:]
            return np.zeros((self.num_chains, self.length, *event), leaf.dtype)

        self.kept = jax.tree.map(empty, chunk)
        if self.surplus is not None:
            for chain, count in enumerate(self.surplus.count):
                jax.tree.map(
                    lambda out, leaf, c=chain, n=count: out[c].__setitem__(slice(n), leaf[c, :n]),
                    self.kept,
                    (self.surplus.draws, self.surplus.stats),
                )

    def write(self, block: np.ndarray, count: int, chunk: PyTree, *, monitored: bool) -> Stats:
        """Copy a chunk of `count` draws, and return their statistics."""
        done = int(self.done[block[0]])
        there = slice(0, 1) if self.latest else slice(done, done + count)
        here = slice(count - 1, count) if self.latest else slice(0, count)

        def copy(out: np.ndarray, leaf: Array) -> np.ndarray:
            leaf = np.asarray(leaf)
            many = self.placement.batched and leaf.ndim == out.ndim
            out[block, there] = leaf[:, here] if many else leaf[here]
            return out[np.unique(block), there]

        stats = jax.tree.map(copy, self.kept, chunk)[1]
        if monitored:
            broken = np.asarray(chunk[1][DIVERGING])[..., :count].reshape(-1, count)
            first = np.where(broken.any(1), broken.argmax(1), count)
            self.finite[block] += np.where(self.finite[block] == done, first, 0).astype(np.int32)
        else:
            self.finite[block] = done + count
        self.done[block] = done + count
        return stats

    def complete(self, block: np.ndarray) -> None:
        """Note that a block of an optimizer ran out of patience and needs no more steps."""
        self.kept[1]["loss"][block, self.done[block[0]] :] = np.nan
        self.finite[block] = self.done[block] = self.length

    def write_losses(
        self, block: np.ndarray, done: int, count: int, losses: jax.Array
    ) -> Stats | None:
        """Copy a fit's losses, if it has any, and return them as statistics for the bar."""
        if self.losses is None:
            return None
        steps = slice(done, done + count)
        self.losses[block, steps] = np.asarray(losses)[..., steps]
        return {"loss": self.losses[np.unique(block), steps]}
