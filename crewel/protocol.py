"""The contract between the driver and an algorithm: `Target` in, `Algorithm` rows, nothing else.

A sampler is two pure functions over a pytree state, for one chain: `warmup` and `step`. So is a
fit: its warm-up is the optimization, its steps draw from what was fitted. An engine that cannot
be stepped is one function, `run`, of all chains.
Chains, devices, chunks, thinning, progress, names and results are the driver's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax

from crewel.transforms import Transform

Position = Any
State = Any
# What minibatches need of a model: its rows, and prior and likelihood apart.
APART = frozenset({"data", "log_prior", "log_likelihood"})
# What a model must have, where it is not simply an argument that `wrap` gives to every model.
_NEEDS = {
    "gaussian": "a Gaussian prior. Make every prior a `numpyro.distributions.Normal`, or give "
    "`Model(..., gaussian=(location, scale))`.",
}
Gradients = tuple[float, float]  # the least and the most that a step takes


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["log_joint", "transform", "log_prior", "log_likelihood", "data", "gaussian"],
    meta_fields=["jacobian", "rows", "batch_size"],
)
@dataclass(frozen=True)
class Target:
    """One density on one unconstrained space; a pytree, so that `jax.jit` takes it as argument.

    Its functions are `jax.tree_util.Partial`: code is structure, numbers are leaves. Two models
    with the same code and other numbers of the same shape share their compiled programs.

    Attributes:
        log_joint: `params -> scalar`, or `(params, data) -> scalar` where there is `data`.
        transform: unconstrained position to parameters, for one sample.
        log_prior: `params -> scalar`, or `None` where the model does not split.
        log_likelihood: `(params, batch) -> (n,)`, one value a datum, or `None`.
        data: pytree of arrays with a leading axis of N rows, or `None`.
        gaussian: `(location, scale)` of the prior, each a pytree like the parameters, where the
            prior is independent normal and nothing is transformed; else `None`.
        jacobian: whether `log_density` includes the log-determinant of the transform (not in
            family `optimize`, where the mode in the parameters' own space is sought).
        rows: N, where `data` is a batch of them; `None`: all rows are there.
        batch_size: rows of the batches that steps see; `None`: they see all.
    """

    log_joint: Callable[..., jax.Array]
    transform: Transform
    log_prior: Callable[..., jax.Array] | None = None
    log_likelihood: Callable[..., jax.Array] | None = None
    data: Any = None
    gaussian: tuple[Any, Any] | None = None
    jacobian: bool = True
    rows: int | None = None
    batch_size: int | None = None

    def constrain(self, position: Position) -> Any:
        """The parameters at an unconstrained position."""
        return self.transform.forward(position)

    @property
    def num_data(self) -> int:
        """Rows of data, N also on a batch; 1 where the model has none."""
        if self.rows is not None:
            return self.rows
        leaves = jax.tree.leaves(self.data)
        return leaves[0].shape[0] if leaves else 1

    def require(self, needs: Iterable[str], what: str) -> None:
        """Refuse a model that lacks what an algorithm or a word of the call needs.

        Raises:
            ValueError: one of `needs`, names of attributes, is `None`.
        """
        for need in sorted(needs):
            if getattr(self, need) is None:
                usual = (
                    f"`{need}`. Give `Model(..., {need}=...)`, or use `crewel.wrap`, whose models "
                    "have it."
                )
                raise ValueError(f"`{what}` needs a model with {_NEEDS.get(need, usual)}")

    def on(self, batch: Any) -> Target:
        """The estimate of this density on a batch of n rows.

        `log_prior + N/n * sum(log_likelihood(batch))`, the Jacobian apart: over batches drawn
        uniformly its mean, and that of its gradient, is the density on all rows.
        """
        number = jax.tree.leaves(batch)[0].shape[0]
        scale = jax.numpy.asarray(self.num_data / number)
        joint = jax.tree_util.Partial(estimate, self.log_prior, self.log_likelihood, scale)
        return replace(self, log_joint=joint, data=batch, rows=self.num_data)

    def log_density(self, position: Position) -> jax.Array:
        """Log density at an unconstrained position: a scalar.

        Raises:
            ValueError: the model's log density is no scalar.
        """
        params = self.constrain(position)
        value = self.log_joint(params) if self.data is None else self.log_joint(params, self.data)
        value = jax.numpy.asarray(value)
        if value.shape != ():
            rows = (
                " That is one value a row: sum it, `.sum()`."
                if self.num_data in value.shape
                else ""
            )
            raise ValueError(
                f"The log density has shape {value.shape}; it must be a scalar, `()`.{rows}"
            )
        return value + self.transform.log_det(position) if self.jacobian else value


def estimate(log_prior: Any, log_likelihood: Any, scale: Any, params: Any, batch: Any) -> Any:
    """A log density whose likelihood is that of some of the rows, scaled to all of them."""
    return log_prior(params) + scale * jax.numpy.sum(log_likelihood(params, batch))


class Stepped(NamedTuple):
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


class Made(NamedTuple):
    """What an engine that cannot be stepped returns.

    Attributes:
        positions: unconstrained, leaves `(chain, draw, *event)`.
        stats: leaves `(chain, draw)`.
        losses: `(chain, step)`, or `None`.
    """

    positions: Position
    stats: dict[str, Any]
    losses: Any = None


@dataclass(frozen=True, eq=False)
class Algorithm:
    """A row: how one backend moves a position.

    Attributes:
        name: `<backend>_<algorithm>`, what the user types.
        family: `mcmc`, `sgmcmc`, `optimize`, `vi` or `laplace`.
        summary: one line for lists and docs.
        reference: the paper.
        requires: the extra that brings the backend (`pip install 'crewel[...]'`); empty: core.
        module: the module that must import for the row to run.
        options_of: dotted names of the backend's callables that take the row's own options.
        reserved: parameters of those callables which the row fills itself.
        step: `(target, key, state, **options) -> (state, position, stats)` for one chain; stats
            are scalars under ArviZ's names.
        warmup: `(target, key, position, num_warmup, **options) -> state` for one chain, or
            `Stepped`.
        run: in place of `step` and `warmup`, for an engine that cannot be stepped:
            `(target, keys, positions, num_warmup, num_draws, **options) -> Made`, called on the
            host with all chains. It can be neither extended nor cut.
        needs: what the model must have, e.g. `{"data"}`.
        cross_chain: whether `warmup` and `step` take all chains at once (leading chain axis in
            position and state, one key).
        words: our words' defaults where the family's do not suit.
        lacks: our words of the family that mean nothing here; a call that gives one raises.
        defaults: options that the row sets where the user does not.
        bias: why its draws are not exact even in the limit; empty where they are.
        recompiles: why a second call compiles again; empty where it does not.
        test: the smallest budget with which the contract tests pass; empty where their models
            lack what the row needs, which then has a test of its own.
        cycle: `options -> (length, skipped)` of a sampler that moves in cycles: the steps of one,
            and how many at its start only travel and are never kept; or `None`.
        own_batches: whether it draws its batches itself: its steps see all rows, and
            `Target.batch_size`.
        gradients: the least and the most gradients that one step takes (`inf`: no bound), or a
            function of the options that says them; `None` where it cannot be said. For forecasts.
    """

    name: str
    family: str
    summary: str
    reference: str
    requires: str
    module: str
    options_of: tuple[str, ...]
    reserved: tuple[str, ...]
    step: Callable[..., tuple[State, Position, dict[str, jax.Array]]] | None = None
    warmup: Callable[..., State] | Stepped | None = None
    run: Callable[..., Made] | None = None
    needs: frozenset[str] = frozenset()
    cross_chain: bool = False
    words: Mapping[str, Any] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    bias: str = ""
    recompiles: str = ""
    test: Mapping[str, Any] = field(default_factory=dict)
    cycle: Callable[[Mapping[str, Any]], tuple[int, int]] | None = None
    own_batches: bool = False
    gradients: Gradients | Callable[[Mapping[str, Any]], Gradients] | None = None

    def gradients_of(self, options: Mapping[str, Any]) -> Gradients | None:
        """The least and the most gradients that one step takes with these options."""
        return self.gradients(options) if callable(self.gradients) else self.gradients

    @property
    def resumable(self) -> bool:
        """Whether a run can be extended, and cut into pieces."""
        return self.run is None


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
    """

    draws: Any
    stats: dict[str, Any]
    losses: Any
    state: Any
    starts: Any
    keys: Any
    timing: dict[str, float]
