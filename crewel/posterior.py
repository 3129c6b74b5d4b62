"""`Posterior`: the one result of every family. Data first; conversions are functions elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from crewel.protocol import Algorithm, Draws
from crewel.trees import named_leaves


@dataclass(frozen=True, repr=False)
class Posterior:
    """Draws of the parameters, how they were made, and all that goes on from there.

    Attributes:
        draws: pytree in the structure of the model's test point, leaves `(chain, draw, *event)`;
            or what `collect=` returned. Of an optimizer: one chain a particle, one draw.
        stats: leaves `(chain, draw)`, under ArviZ's names.
        losses: `(chain, step)` where there are any, else `None`.
        state: the backend's state, leaves with a leading chain axis.
        starts: `(chain,)`, the index of each chain's next draw.
        algorithm: the name.
        options: the call's options, ours and the backend's.
        timing: seconds of `compile`, `warmup`, `sampling` and in `total`.
        model: the model.
        key: the run's PRNG key.
    """

    draws: Any
    stats: dict[str, np.ndarray]
    losses: np.ndarray | None
    state: Any
    starts: np.ndarray
    algorithm: str
    options: dict[str, Any]
    timing: dict[str, float]
    model: Any
    key: Any = field(repr=False)

    @classmethod
    def of(
        cls, model: Any, row: Algorithm, key: Any, options: dict[str, Any], made: Draws
    ) -> Posterior:
        """A posterior out of what a run made."""
        return cls(**made._asdict(), algorithm=row.name, options=options, model=model, key=key)

    @property
    def num_chains(self) -> int:
        """Chains, or particles of an optimizer."""
        return jax.tree.leaves(self.draws)[0].shape[0]

    @property
    def num_draws(self) -> int:
        """Draws a chain."""
        return jax.tree.leaves(self.draws)[0].shape[1]

    def extend(self, num_draws: int, *, progress: bool = True) -> Posterior:
        """Go on from where every chain stopped: no warm-up, the same options, no compilation.

        A run of 500 draws extended by 500 equals one of 1,000, bit for bit.

        Args:
            num_draws: more draws a chain.
            progress: show a bar.

        Returns:
            A posterior with all the draws.

        Raises:
            ValueError: `num_draws` is not positive, or the family has no draws to go on with.
        """
        from crewel import driver

        return driver.extend(self, num_draws, progress=progress)

    def joined(self, more: Draws) -> Posterior:
        """This posterior with the draws of a further run behind its own."""

        def join(a, b):
            return np.concatenate([a, b], axis=1)

        return replace(
            self,
            draws=jax.tree.map(join, self.draws, more.draws),
            stats=jax.tree.map(join, self.stats, more.stats),
            state=more.state,
            starts=more.starts,
            timing={k: self.timing.get(k, 0.0) + v for k, v in more.timing.items()},
        )

    def __repr__(self) -> str:
        """Algorithm, sizes, divergences and time."""
        size = sum(leaf[0, 0].size for leaf in named_leaves(self.draws).values())
        lines = [
            f"<crewel.Posterior: {self.algorithm}, {self.num_chains} chains x "
            f"{self.num_draws} draws of {size:,} values"
        ]
        if "diverging" in self.stats:
            lines.append(f"{int(self.stats['diverging'].sum())} diverging")
        if "total" in self.timing:
            lines.append(f"{self.timing['total']:.1f} s")
        return ", ".join(lines) + ">"
