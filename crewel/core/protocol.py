"""The contract between the driver and an algorithm: `Target` in, `Algorithm` rows, nothing else.

A sampler is two pure functions of a pytree state, for one chain: `warmup` and `step`. So is a fit:
its warm-up is the optimization, and its steps draw from what was fitted. An engine that cannot be
stepped is one function of all chains, `run`. Chains, devices, chunks, thinning, progress, names
and results belong to the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from crewel.core.backends import Backend as Backend
from crewel.core.families import Family as Family
from crewel.core.target import SEPARATE as SEPARATE
from crewel.core.target import Data as Data
from crewel.core.target import Params as Params
from crewel.core.target import Position as Position
from crewel.core.target import PyTree as PyTree
from crewel.core.target import Target as Target
from crewel.core.target import Transform as Transform

Array = jax.Array | np.ndarray  # on a device, or on the host
Key = jax.Array  # a typed PRNG key
Seed = int | np.integer[Any] | jax.Array | np.ndarray  # an integer, or a key, typed or raw
State = PyTree  # whatever a backend carries from step to step
Stats = dict[str, Any]  # arrays by ArviZ's names: scalars per step, on the host `(chain, draw)`
Options = Mapping[str, Any]  # the backend's own keywords
Gradients = tuple[float, float]  # the fewest and the most that a step takes


class Warmup(Protocol):
    """`(target, key, position, num_warmup, **options) -> state`, for one chain."""

    def __call__(
        self, target: Target, key: Key, position: Position, num_warmup: int, /, **options: Any
    ) -> State:
        """The state at the end of the warm-up."""
        ...


class Step(Protocol):
    """`(target, key, state, **options) -> (state, position, stats)`, for one chain."""

    def __call__(
        self, target: Target, key: Key, state: State, /, **options: Any
    ) -> tuple[State, Position, Stats]:
        """The state after one transition, its position, and statistics of the transition."""
        ...


class Run(Protocol):
    """All chains at once, on the host: an engine that cannot be stepped."""

    def __call__(
        self,
        target: Target,
        keys: Key,
        positions: Position,
        num_warmup: int,
        num_draws: int,
        /,
        **options: Any,
    ) -> EngineResult:
        """The draws of all chains."""
        ...


class SteppedWarmup(NamedTuple):
    """A warm-up that the driver may run in pieces, so it shows progress and can be interrupted.

    If the model's data come in batches, `init` and `finish` see all rows, and `update` a batch.

    Attributes:
        init: `(target, key, position, num_warmup, **options) -> state`.
        update: `(target, key, state, num_warmup, **options) -> state`, called `num_warmup` times.
        loss: `state -> scalar`, read after each update and kept in `Draws.losses`, or `None`.
        finish: `(target, key, state, num_warmup, **options) -> state`, called once at the end
            unless `num_warmup` is 0, or `None`.
    """

    init: Callable[..., State]
    update: Callable[..., State]
    loss: Callable[[State], jax.Array] | None = None
    finish: Callable[..., State] | None = None


class EngineResult(NamedTuple):
    """What an engine that cannot be stepped returns.

    Attributes:
        positions: unconstrained, leaves `(chain, draw, *event)`.
        stats: leaves `(chain, draw)`.
        losses: `(chain, step)`, or `None`.
    """

    positions: Position
    stats: Stats
    losses: jax.Array | np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Algorithm:
    """A row: how one backend moves a position.

    Attributes:
        name: `<backend>_<algorithm>`, what the user types.
        family: the family that it belongs to, for example `crewel.FAMILIES["mcmc"]`.
        summary: one line for lists and docs.
        reference: the paper.
        backend: the package that it runs.
        option_sources: dotted names of the backend's callables that take the row's own options.
        filled_by_row: parameters of those callables that the row fills itself.
        step: one transition of one chain; stats are scalars under ArviZ's names.
        warmup: produces the first state of one chain, in one call or as a `SteppedWarmup`.
        run: in place of `step` and `warmup`, for an engine that cannot be stepped; its runs cannot
            be extended or interrupted.
        needs: what the model must have, for example `{"data"}`.
        cross_chain: whether `warmup` and `step` take all chains at once (leading chain axis in
            position and state, one key).
        settings: other defaults for the family's settings.
        unsupported: settings of the family that the row does not take; a call with one raises.
        defaults: options that the row sets unless the user does.
        bias: why its draws are not exact even in the limit; empty if they are.
        recompiles: why a second call compiles again; empty if it does not.
        test_budget: the smallest budget with which the contract tests pass; empty if their models
            cannot run the row, which then has a test of its own.
        cycle: `options -> (length, skipped)` of a sampler that moves in cycles: the steps per
            cycle, and how many at its start only explore and are never kept; or `None`.
        own_batches: whether it draws its batches itself; its steps then see all rows, and
            `Target.batch_size`.
        gradients: the fewest and the most gradients that one step takes (`inf`: no bound), or a
            function of the options that returns them; `None` if unknown. For forecasts.
    """

    name: str
    family: Family
    summary: str
    reference: str
    backend: Backend
    option_sources: tuple[str, ...]
    filled_by_row: tuple[str, ...] = ()
    step: Step | None = None
    warmup: Warmup | SteppedWarmup | None = None
    run: Run | None = None
    needs: frozenset[str] = frozenset()
    cross_chain: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    unsupported: frozenset[str] = frozenset()
    defaults: Options = field(default_factory=dict)
    bias: str = ""
    recompiles: str = ""
    test_budget: Mapping[str, Any] = field(default_factory=dict)
    cycle: Callable[[Options], tuple[int, int]] | None = None
    own_batches: bool = False
    gradients: Gradients | Callable[[Options], Gradients] | None = None

    def gradients_of(self, options: Options) -> Gradients | None:
        """The fewest and the most gradients that one step takes with these options."""
        return self.gradients(options) if callable(self.gradients) else self.gradients

    @property
    def resumable(self) -> bool:
        """Whether a run can be extended and split into pieces."""
        return self.run is None

    def __deepcopy__(self, memo: dict[int, Any]) -> Algorithm:
        """The row itself: rows are compared by identity."""
        return self

    def __repr__(self) -> str:
        """Return the name; the functions of a row would not tell the reader anything."""
        return f"<Algorithm {self.name}>"


class Draws(NamedTuple):
    """What a run hands to `Posterior`: parameters, statistics and what is needed to go on.

    Attributes:
        draws: parameters, leaves `(chain, draw, *event)`.
        stats: leaves `(chain, draw)`.
        losses: `(chain, step)`, for an optimizer or a fit, or `None`.
        state: the backend's state, leaves with a leading chain axis.
        starts: `(chain,)`, the index of each chain's next draw.
        keys: `(chain,)`, the PRNG key that each chain's draws come from.
        timing: seconds by phase.
        surplus: draws that some chains have beyond those in `draws`, or `None`.
    """

    draws: Params
    stats: Stats
    losses: np.ndarray | None
    state: State
    starts: np.ndarray
    keys: Key
    timing: dict[str, float]
    surplus: Surplus | None = None


class Surplus(NamedTuple):
    """What an interrupted run drew beyond the draws that all its chains have.

    `extend` uses these first.

    Attributes:
        draws: leaves `(chain, draw, *event)`; only the first `count` draws of a chain are filled.
        stats: leaves `(chain, draw)`, filled in the same way.
        count: `(chain,)`, the number of draws that each chain has here.
    """

    draws: Params
    stats: Stats
    count: Any  # an array; NamedTuples have a method of this name
