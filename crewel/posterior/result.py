"""What a run returned, as data: draws, statistics, and where the chains stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from crewel.core.model_like import ModelLike
from crewel.core.protocol import Key, Params, State, Stats, Surplus
from crewel.core.text import count
from crewel.core.trees import named_leaves
from crewel.posterior import weights
from crewel.posterior.verdict import Verdict

if TYPE_CHECKING:
    from crewel.run.call import Call


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """The data of a `Posterior`, which documents them, and what follows from them at once."""

    draws: Params
    stats: Stats
    losses: np.ndarray | None
    state: State
    starts: np.ndarray
    keys: Key
    timing: dict[str, float]
    surplus: Surplus | None
    call: Call
    model: ModelLike
    verdict: Verdict = Verdict()

    @property
    def algorithm(self) -> str:
        """The name of the algorithm."""
        return self.call.row.name

    @property
    def options(self) -> dict[str, Any]:
        """The settings and the backend's options, given or default."""
        return self.call.keywords

    @property
    def num_chains(self) -> int:
        """Number of chains, or of an optimizer's particles."""
        return jax.tree.leaves(self.draws)[0].shape[0]

    @property
    def num_draws(self) -> int:
        """Number of draws per chain."""
        return jax.tree.leaves(self.draws)[0].shape[1]

    @property
    def params(self) -> Params:
        """The draws as parameters of the model; warns where they carry weights.

        Raises:
            ValueError: as `points`.
        """
        weights.warn_of(self)
        return self.points

    @property
    def points(self) -> Params:
        """The draws as parameters of the model, each on its own, whatever its weight.

        Raises:
            ValueError: the run kept what `collect=` returned instead.
        """
        if self.call.settings.get("collect") is not None:
            raise ValueError(
                "This run kept what `collect=` returned, not parameters. Run without `collect=` "
                "to predict, summarize weights, or start another run from it."
            )
        return self.draws

    def __repr__(self) -> str:
        """Return the algorithm, the sizes, the divergences, the time and the verdict."""
        chains, draws = count(self.num_chains, "chain"), count(self.num_draws, "draw")
        size = sum(leaf[0, 0].size for leaf in named_leaves(self.draws).values())
        lines = [
            f"<crewel.Posterior: {self.algorithm}, {chains} x {draws} of {count(size, 'value')}"
        ]
        if "diverging" in self.stats:
            lines.append(f"{int(self.stats['diverging'].sum())} diverging")
        lines += [f"{self.timing['total']:.1f} s"] if "total" in self.timing else []
        if self.verdict.looked_at:
            names = ", ".join(fault.name for fault in self.verdict.faults)
            lines.append(f"verdict: {names}" if names else "verdict: no fault found")
        return ", ".join(lines) + ">"
