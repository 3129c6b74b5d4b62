"""The contract between the driver and an algorithm: `Target` in, `Algorithm` rows, nothing else.

A sampler is two pure functions over a pytree state, for one chain: `warmup` and `step`. So is a
fit: its warm-up is the optimization, and its steps draw from what was fitted. An engine that
cannot be stepped is one function of all chains, `run`.
Chains, devices, chunks, thinning, progress, names and results belong to the driver.
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

Key = jax.Array  # a typed PRNG key
Seed = int | np.integer[Any] | jax.Array | np.ndarray  # an integer, or a key, typed or raw
State = PyTree  # whatever a backend carries from step to step
Stats = dict[str, Any]  # scalars by ArviZ's names, per step
Options = Mapping[str, Any]  # the backend's own keywords
Gradients = tuple[float, float]  # the least and the most that a step takes


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
        """The state after one transition, the position there, and statistics of it."""
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
    """A warm-up that the driver may run in pieces, so that it shows progress and can be cut.

    Where the model's data come in batches, `init` and `finish` see all rows, `update` a batch.

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
    losses: Any = None


@dataclass(frozen=True, eq=False)
class Algorithm:
    """A row: how one backend moves a position.

    Attributes:
        name: `<backend>_<algorithm>`, what the user types.
        family: what it has in common with its kind, such as `crewel.FAMILIES["mcmc"]`.
        summary: one line for lists and docs.
        reference: the paper.
        backend: the package that it runs.
        option_sources: dotted names of the backend's callables that take the row's own options.
        filled_by_row: parameters of those callables that the row fills itself.
        step: one transition of one chain; stats are scalars under ArviZ's names.
        warmup: what leads to the first state, for one chain; in one call, or `SteppedWarmup`.
        run: in place of `step` and `warmup`, for an engine that cannot be stepped; its runs can be
            neither extended nor cut.
        needs: what the model must have, e.g. `{"data"}`.
        cross_chain: whether `warmup` and `step` take all chains at once (leading chain axis in
            position and state, one key).
        settings: defaults of the family's settings that do not suit the row.
        unsupported: settings of the family that the row does not take; a call with one raises.
        defaults: options that the row sets where the user does not.
        bias: why its draws are not exact even in the limit; empty where they are.
        recompiles: why a second call compiles again; empty where it does not.
        test_budget: the smallest budget with which the contract tests pass; empty where their
            models lack what the row needs, which then has a test of its own.
        cycle: `options -> (length, skipped)` of a sampler that moves in cycles: the steps of a
            cycle, and how many at its start only travel and are never kept; or `None`.
        own_batches: whether it draws its batches itself: its steps see all rows, and
            `Target.batch_size`.
        gradients: the least and the most gradients that one step takes (`inf`: no bound), or a
            function of the options that returns them; `None` where it is unknown. For forecasts.
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
        """The least and the most gradients that one step takes with these options."""
        return self.gradients(options) if callable(self.gradients) else self.gradients

    @property
    def resumable(self) -> bool:
        """Whether a run can be extended, and cut into pieces."""
        return self.run is None

    def __repr__(self) -> str:
        """The name; a row holds functions that say nothing."""
        return f"<Algorithm {self.name}>"


class Draws(NamedTuple):
    """What a run hands to `Posterior`: parameters, statistics and all that goes on from there.

    Attributes:
        draws: parameters, leaves `(chain, draw, *event)`.
        stats: leaves `(chain, draw)`.
        losses: `(chain, step)` of an optimizer or a fit, or `None`.
        state: the backend's state, leaves with a leading chain axis.
        starts: `(chain,)`, the index of each chain's next draw.
        keys: `(chain,)`, the PRNG key that each chain's draws come from.
        timing: seconds by phase.
        surplus: draws that some chains have beyond those in `draws`, or `None`.
    """

    draws: Params
    stats: Stats
    losses: Any
    state: State
    starts: Any
    keys: Any
    timing: dict[str, float]
    surplus: Surplus | None = None


class Surplus(NamedTuple):
    """What an interrupted run drew beyond the draws that all its chains have.

    `extend` begins with these.

    Attributes:
        draws: leaves `(chain, draw, *event)`, of which each chain's first `count` are filled.
        stats: likewise, leaves `(chain, draw)`.
        count: `(chain,)`.
    """

    draws: Params
    stats: Stats
    count: Any
