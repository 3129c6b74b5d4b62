"""TensorFlow Probability's samplers on JAX. The engine is a kernel that adapts while it warms up.

Kernels are built while they are traced (see `crewel.adapters.tfp_kernels`); only the arrays of
their results are state.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from crewel.adapters import tfp_kernels as kernels
from crewel.adapters.tfp_kernels import Engine
from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Backend,
    Gradients,
    Key,
    Options,
    Position,
    Stats,
    SteppedWarmup,
    Target,
)

BACKEND = Backend("tfp", "tensorflow_probability.substrates.jax", extra="tfp")


class _State(NamedTuple):
    """State of a chain, or of all chains of a cross-chain kernel.

    Attributes:
        position: the current position.
        arrays: the arrays of the kernel's results.
        done: number of warm-up steps done.
        num_warmup: number of warm-up steps in all.
    """

    position: Position
    arrays: list[jax.Array]
    done: jax.Array
    num_warmup: jax.Array


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _vector(position: Position) -> jax.Array:
    return ravel_pytree(position)[0]


def _kernel(
    engine: Engine,
    target: Target,
    position: Position,
    num_warmup: int | jax.Array,
    options: Options,
) -> tuple[Any, jax.Array, Callable[[jax.Array], Position]]:
    """The kernel, the position as a vector, and the function from a vector to a position.

    With a cross-chain kernel, positions and vectors have a leading chain axis.
    """
    if engine.chains:
        unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], position))[1]
        z, back = jax.vmap(_vector)(position), jax.vmap(unravel)
    else:
        z, unravel = ravel_pytree(position)
        back = unravel
    density = jnp.vectorize(lambda z: target.log_density(unravel(z)), signature="(d)->()")
    return engine.make(density, z, num_warmup, options), z, back


def _init(
    engine: Engine, target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> _State:
    kernel, z, _ = _kernel(engine, target, position, num_warmup, options)
    results = jax.tree.leaves(kernel.bootstrap_results(z))
    arrays = [leaf for leaf in results if not _is_key(leaf)]  # TFP only records seeds
    return _State(position, arrays, jnp.zeros((), jnp.int32), jnp.asarray(num_warmup, jnp.int32))


def _advance(
    engine: Engine,
    target: Target,
    key: Key,
    state: _State,
    options: Options,
    lengths: Any = (),
) -> tuple[_State, Any]:
    """The state after one transition, and the kernel's results."""
    kernel, z, back = _kernel(engine, target, state.position, state.num_warmup, options)
    # What `bootstrap_results` computes is unused and compiled away.
    rest = iter(state.arrays)
    results = jax.tree.map(
        lambda leaf: leaf if _is_key(leaf) else next(rest), kernel.bootstrap_results(z)
    )
    if len(lengths) and engine.restart is not None:
        results = _windowed(engine.restart, results, z, state.done, lengths)
    if engine.vary is not None:
        key, key_vary = jax.random.split(key)
        results = engine.vary(results, key_vary, options)
    z, results = kernel.one_step(z, results, seed=kernels.seed(key))
    arrays = [leaf for leaf in jax.tree.leaves(results) if not _is_key(leaf)]
    return state._replace(position=back(z), arrays=arrays), results


def _windowed(restart: Any, results: Any, z: jax.Array, done: jax.Array, lengths: Any) -> Any:
    """The results, reset where a window of the warm-up begins."""
    starts = np.cumsum(lengths) - lengths
    estimates = (starts > 0) & (starts < starts[-1])  # all but the first and the last
    here = starts == done
    new = restart(results, z, jnp.sum(here * lengths), jnp.any(here & estimates))

    def choose(new: Any, old: Any) -> Any:
        return old if _is_key(old) else jnp.where(here.any(), new, old).astype(old.dtype)

    return jax.tree.map(choose, new, results)


def _update(
    engine: Engine, target: Target, key: Key, state: _State, num_warmup: int, **options: Any
) -> _State:
    lengths = np.diff(kernels.windows(num_warmup), prepend=0)
    state, _ = _advance(engine, target, key, state, options, lengths)
    return state._replace(done=state.done + 1)


def _step(
    engine: Engine, target: Target, key: Key, state: _State, **options: Any
) -> tuple[_State, Position, Stats]:
    state, results = _advance(engine, target, key, state, options)
    return state, state.position, engine.stats(results)


def _nuts_gradients(options: Options) -> Gradients:
    return 1, 2 ** options["max_tree_depth"] - 1


def _hmc_gradients(options: Options) -> Gradients:
    return kernels.lengths(options["num_leapfrog_steps"])


def _snaper_gradients(options: Options) -> Gradients:
    return 1, options["max_leapfrog_steps"]


def _replica_gradients(options: Options) -> Gradients:
    each = options["num_leapfrog_steps"] + 1  # and one more after the swaps
    return (each * len(options["inverse_temperatures"]),) * 2


def _row(name: str, kernel: tuple[str, ...], engine: Engine, **row: Any) -> Algorithm:
    return Algorithm(
        name=f"tfp_{name}",
        family=MCMC,
        backend=BACKEND,
        option_sources=tuple(
            f"tensorflow_probability.substrates.jax.{path}"
            for path in (*kernel, "mcmc.DualAveragingStepSizeAdaptation")
        ),
        filled_by_row=(
            "target_log_prob_fn",
            "momentum_distribution",
            "state_gradients_are_stopped",
            "step_size_update_fn",
            "store_parameters_in_results",
            "inner_kernel",
            "num_adaptation_steps",
            "shrinkage_target",
            "step_size_setter_fn",
            "step_size_getter_fn",
            "log_accept_prob_getter_fn",
            "reduce_fn",
            "make_kernel_fn",
            "state_includes_replicas",
            "untempered_log_prob_fn",
            "tempered_log_prob_fn",
            "experimental_shard_axis_names",
            "experimental_reduce_chain_axis_names",
            "validate_args",
            "name",
        ),
        step=partial(_step, engine),
        warmup=SteppedWarmup(partial(_init, engine), partial(_update, engine)),
        cross_chain=engine.chains,
        unsupported=frozenset({"chain_method"} if engine.chains else ()),
        **row,
    )


ROWS = (
    _row(
        "nuts",
        ("experimental.mcmc.PreconditionedNoUTurnSampler",),
        kernels.NUTS,
        summary="No-U-Turn sampler with unrolled trees and a diagonal mass matrix",
        reference="Hoffman & Gelman 2014; Lao & Dillon 2019",
        defaults={"step_size": 0.1, "target_accept_prob": 0.8},
        test_budget={"num_warmup": 500, "num_draws": 1000},
        gradients=_nuts_gradients,
    ),
    _row(
        "hmc",
        ("experimental.mcmc.PreconditionedHamiltonianMonteCarlo",),
        kernels.HMC,
        summary="Hamiltonian Monte Carlo; the number of leapfrog steps varies about its mean",
        reference="Duane et al. 1987; Neal 2011",
        defaults={"step_size": 0.1, "num_leapfrog_steps": 8},
        test_budget={"num_warmup": 500, "num_draws": 1000},
        gradients=_hmc_gradients,
    ),
    _row(
        "mala",
        ("mcmc.MetropolisAdjustedLangevinAlgorithm",),
        kernels.MALA,
        summary="Metropolis-adjusted Langevin algorithm; the step size is a variance",
        reference="Roberts & Tweedie 1996; Roberts & Rosenthal 1998",
        defaults={"step_size": 0.01, "target_accept_prob": 0.574},
        test_budget={"num_warmup": 1000, "num_draws": 2000, "thinning": 5},
        gradients=(1, 1),
    ),
    _row(
        "snaper_hmc",
        ("experimental.mcmc.SNAPERHamiltonianMonteCarlo",),
        kernels.SNAPER,
        summary="SNAPER-HMC: trajectory length, mass matrix and step size tuned across chains",
        reference="Sountsov & Hoffman 2021",
        settings={"num_chains": 16},
        defaults={"step_size": 0.01, "target_accept_prob": 0.8},
        test_budget={"num_warmup": 1000, "num_draws": 500},
        gradients=_snaper_gradients,
    ),
    _row(
        "replica_exchange",
        ("mcmc.ReplicaExchangeMC", "mcmc.HamiltonianMonteCarlo"),
        kernels.REPLICAS,
        summary="Replica exchange: each chain swaps with HMC replicas at higher temperatures",
        reference="Swendsen & Wang 1986; Earl & Deem 2005",
        defaults={
            "inverse_temperatures": (1.0, 0.5, 0.25, 0.125),
            "step_size": 0.1,
            "num_leapfrog_steps": 8,
        },
        test_budget={"num_warmup": 500, "num_draws": 1000, "num_leapfrog_steps": 4},
        gradients=_replica_gradients,
    ),
)
