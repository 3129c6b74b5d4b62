"""What the checks share: the density on all rows and on a subsample, initial states, timings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import drawn, trace
from crewel.checks.evaluate import compiled, gradient, gradient_seconds, inverse, take
from crewel.checks.implied import prior_draws, under_prior
from crewel.core.compiling import quickly
from crewel.core.families import MCMC
from crewel.core.keys import as_key, chain_keys
from crewel.core.model_like import ModelLike
from crewel.core.options import settings_of
from crewel.core.protocol import Algorithm, Data, Key, Params, Position, PyTree, Seed, Target
from crewel.core.rows_last import rows_first
from crewel.core.trees import named_leaves
from crewel.posterior.predict import NetworkPredictive
from crewel.priors.hierarchical import given
from crewel.priors.table import described
from crewel.run import initial
from crewel.run.call import Call

DRAWS = 32  # draws from the prior, fewer if they hold more than `NUMBERS` numbers
NUMBERS = 40_000_000
ROWS = 512  # rows of the subsample that is used if all rows would take too long
SLOW = 0.02  # seconds that one gradient on all rows may take: checks need about 100
BUDGET = 4.0  # seconds that one check may spend on evaluations
TOO_SLOW = (
    "The density is too slow to be evaluated this often. Data passed as `Model(..., data=...)` can "
    "be subsampled."
)


class Context:
    """A model, and a call if there is one, as the checks see them.

    Attributes:
        model: the model.
        row: the algorithm, or `None` if only the model is checked.
        kwargs: the call's keywords.
        key: PRNG key.
        target: the density, on all rows, evaluated as the user wrote it.
        run: the same as a run evaluates it, see `crewel.core.rows_last`.
        family: the algorithm's family; MCMC if only the model is checked.
        settings: the settings of the call, with defaults.
        call: the prepared call, once the check `keywords` has passed.
    """

    def __init__(
        self, model: ModelLike, row: Algorithm | None, seed: Seed, kwargs: Mapping[str, Any]
    ):
        """Store the arguments; what is expensive is computed when a check asks for it."""
        self.model, self.row, self.kwargs = model, row, dict(kwargs)
        self.key = as_key(seed)
        self.run = model.target(jacobian=row is None or row.family.jacobian)
        self.target: Target = rows_first(self.run)
        self.family = MCMC if row is None else row.family
        self.settings = dict(MCMC.settings) if row is None else settings_of(row)
        self.call: Call | None = None

    @property
    def functions(self) -> list[Any]:
        """What holds the user's own functions, for `crewel.checks.lines.explain`."""
        likelihood = getattr(self.model.predictive, "likelihood", None)
        return [self.target.log_joint, self.target.log_likelihood, likelihood]

    def random(self, use: int) -> jax.Array:
        """A PRNG key for one use, different from the keys of the chains."""
        return jax.random.fold_in(jax.random.fold_in(self.key, 2**31 - 1), use)

    def rng(self, use: int) -> np.random.Generator:
        """Random numbers on the host for one use."""
        return np.random.default_rng(np.asarray(jax.random.key_data(self.random(use))).ravel())

    def keys(self, use: int, number: int) -> Key:
        """PRNG keys for one use, of a generator that is quick to compile."""
        seed = int(np.asarray(jax.random.key_data(self.random(use))).ravel()[-1])
        return jax.random.split(jax.random.key(seed, impl="unsafe_rbg"), number)

    @property
    def num_data(self) -> int:
        """The number of rows of data; 0 if the model does not hold its data."""
        return 0 if self.model.data is None else self.target.num_data

    @cached_property
    def position(self) -> Position:
        """The test point, unconstrained."""
        return inverse(self.target, self.model.test_point)

    def subset(self, rows: int) -> Target:
        """The density on `rows` random rows, each counted once."""
        number = self.target.num_data
        chosen = np.sort(self.rng(0).permutation(number)[:rows])
        return self.target.exactly(take(self.model.data, chosen))

    @cached_property
    def _small(self) -> tuple[Target, float]:
        """`small`, and the seconds of its gradient, compiled fast."""
        few = self.on_rows(ROWS)
        if few is not self.target:
            took = gradient_seconds(few, self.position, optimized=False)
            if took * self.num_data / ROWS > SLOW:
                return few, took
        return self.target, gradient_seconds(self.target, self.position, optimized=False)

    def on_rows(self, rows: int) -> Target:
        """The density on so many random rows; on all, if there are no more or it needs them."""
        if rows >= self.num_data:
            return self.target
        few = self.subset(rows)
        try:
            jax.eval_shape(few.log_density, self.position)
        except Exception:  # the density runs with its own number of rows only
            return self.target
        return few

    @property
    def small(self) -> Target:
        """The density for expensive checks: on all rows if that is fast enough."""
        return self._small[0]

    @cached_property
    def few_rows(self) -> Data:
        """Random rows of the data, at most 64; the model must hold its data."""
        return take(self.model.data, np.sort(self.rng(8).permutation(self.num_data)[:64]))

    @cached_property
    def implied(self) -> dict[str, Any] | None:
        """What the prior implies at `few_rows`, see `implied.under_prior`; `None` if unknown."""
        predictive = self.model.predictive
        if not isinstance(predictive, NetworkPredictive) or self.prior_draws is None:
            return None
        draws = jax.tree.leaves(self.prior_draws)[0].shape[0]
        args = predictive, self.prior_draws, self.keys(10, draws), self.few_rows["x"]
        with quickly():
            return jax.tree.map(np.asarray, compiled(under_prior, None, *args)(*args))

    @cached_property
    def prior_draws(self) -> Params | None:
        """Draws from the prior, leaves `(draw, ...)`; `None` if it cannot be drawn from."""
        prior, table = self.model.initializers.get("prior"), self.model.priors
        if prior is None or table is None:
            return None
        size = sum(leaf.size for leaf in jax.tree.leaves(self.model.test_point))
        keys = self.keys(9, max(4, min(DRAWS, NUMBERS // max(size, 1))))
        return prior_draws(table, prior, self.model.test_point, keys, self.rng(9))

    @property
    def few(self) -> str:
        """The rows that `small` uses, in words; empty if it uses all."""
        return "" if self.small is self.target else f"on {ROWS} of {self.num_data:,} rows"

    @cached_property
    def flat(self) -> trace.Flat:
        """The trace of the log density as a function of parameters and data, on `small`."""
        target, params = self.small, self.model.test_point
        args = (params,) if target.data is None else (params, target.data)
        return trace.flatten(target.log_joint, *args)

    @cached_property
    def half(self) -> np.dtype | None:
        """The 16-bit float type in which the model computes, if it does."""
        return trace.narrowest(self.flat)

    @cached_property
    def eps(self) -> float:
        """The rounding of the coarsest floats among parameters, data and what is computed."""
        leaves = jax.tree.leaves((self.model.test_point, self.target.data))
        kinds = {leaf.dtype for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)}
        kinds |= {self.half} if self.half else set()
        return max(float(jnp.finfo(kind).eps) for kind in kinds)

    @property
    def note(self) -> str:
        """`few` in parentheses, to be added to a sentence."""
        return f" ({self.few})" if self.few else ""

    def affordable(self, evaluations: float) -> float:
        """How many of these evaluations of `small` fit in the budget of a check."""
        return min(evaluations, BUDGET / max(self._small[1], 1e-9))

    @property
    def num_chains(self) -> int:
        """The number of chains or particles of the call."""
        return self.settings[self.family.chains]

    @property
    def noun(self) -> str:
        """What the chains are called: `chains` or `particles`."""
        return self.family.chains.removeprefix("num_")

    @cached_property
    def checked_chains(self) -> int:
        """The number of chains whose initial states are checked: all of them, if time permits."""
        return max(1, min(self.num_chains, int(self.affordable(4 * self.num_chains)) // 4))

    @property
    def chain_keys(self) -> Key:
        """The keys from which the call would draw its initial states."""
        return chain_keys(self.key, self.checked_chains)[0]

    @cached_property
    def init(self) -> str | Params:
        """The call's `init` as a name, or as parameters with a chain axis."""
        init = self.settings["init"]
        init = self.model.initial_state if init is None else init
        if init is None:
            return next(iter(self.model.initializers), "uniform")
        if isinstance(init, str):
            return init
        if hasattr(init, "draws"):
            init = initial.from_draws(init.points, self.num_chains)
        params = initial.explicit(init, self.model.test_point, self.num_chains)
        return jax.tree.map(lambda leaf: leaf[: self.checked_chains], params)

    @cached_property
    def start(self) -> initial.Start:
        """The initial states, found in the way the call would find them."""
        chains = self.checked_chains
        tries = max(1, int(self.affordable(initial.TRIES * chains) / chains))
        given = self.model, self.small, self.init
        if isinstance(self.init, str):
            return drawn.start(*given, self.chain_keys, tries)
        with quickly():
            return initial.find(*given, chains, self.chain_keys, tries=tries)

    def started(self, chain: int) -> Position:
        """The unconstrained position at which a chain starts."""
        return jax.tree.map(lambda leaf: np.asarray(leaf)[chain], self.start.positions)

    def normal(self, use: int, like: PyTree, *batch: int) -> PyTree:
        """Standard normal numbers with the shapes and types of `like`, fixed for each `use`."""
        rng = self.rng(use)

        def one(leaf: jax.Array) -> np.ndarray:
            return rng.standard_normal((*batch, *leaf.shape), np.float32).astype(leaf.dtype)

        return jax.tree.map(one, like)

    @cached_property
    def generic_position(self) -> Position:
        """A position without special structure: close to where the first chain starts."""
        start = self.started(0)
        moved = jax.tree.map(
            lambda z, d: z + (0.05 * d).astype(z.dtype), start, self.normal(1, start)
        )
        return moved if np.isfinite(gradient(self.small, moved)[0]) else start

    @cached_property
    def start_gradients(self) -> dict[str, np.ndarray]:
        """Gradients at the initial states by path, leaves `(chain, ...)`."""
        found = [
            named_leaves(gradient(self.small, self.started(chain))[1])
            for chain in range(self.checked_chains)
        ]
        return {path: np.stack([np.asarray(one[path]) for one in found]) for path in found[0]}

    @property
    def probe_positions(self) -> list[Position]:
        """Positions at which every leaf should matter: initial states and a generic one."""
        return [*map(self.started, range(self.checked_chains)), self.generic_position]

    @cached_property
    def test_gradient(self) -> dict[str, np.ndarray]:
        """The gradient at the test point by path."""
        _, found = gradient(self.small, self.position)
        return {path: np.asarray(leaf) for path, leaf in named_leaves(found).items()}

    def priors_at(self, params: Params) -> dict[str, Any] | None:
        """Distribution by path, or `None` if the model has no table of priors.

        Args:
            params: constrained parameters; hierarchical priors are given their latents.
        """
        if self.model.priors is None:
            return None
        values = named_leaves(params)
        return {path: given(prior, values) for path, prior in self.model.priors.items()}

    @cached_property
    def prior_table(self) -> dict[str, Any] | None:
        """The priors at the test point; see `priors_at`."""
        return self.priors_at(self.model.test_point)

    @cached_property
    def prior_texts(self) -> dict[str, str]:
        """The priors in words, by path; empty if the model has no table of priors."""
        leaves = named_leaves(self.model.test_point)
        shapes = {path: tuple(leaf.shape) for path, leaf in leaves.items()}
        return {p: described(prior, shapes) for p, prior in (self.model.priors or {}).items()}
