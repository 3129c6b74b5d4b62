"""BlackJAX's stochastic-gradient samplers: one engine, and a `Kind` that calls each kernel."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters import step_size as steps
from crewel.adapters.blackjax import BACKEND
from crewel.adapters.sgmcmc import NOISE, OPTIONS, Kind, step, warmup
from crewel.core.families import SGMCMC
from crewel.core.protocol import (
    SEPARATE,
    Algorithm,
    Gradients,
    Key,
    Options,
    Position,
    State,
    Stats,
    Target,
)

# --- Langevin -----------------------------------------------------------------------------------


def nothing(*_: Any, **__: Any) -> tuple[()]:
    """The inner state of a kind that keeps none."""
    return ()


def _langevin(found: steps.Pilot, **_: Any) -> jax.Array:
    return steps.langevin(found)


def _sgld(
    target: Target,
    key: Key,
    position: Position,
    inner: State,
    size: jax.Array,
    temperature: jax.Array,
    **_: Any,
) -> tuple[Position, State, Stats]:
    import blackjax

    value, gradient = jax.value_and_grad(target.log_density)(position)
    kernel = blackjax.sgld.build_kernel()
    position = kernel(key, position, lambda *_: gradient, target.data, size, temperature)
    return position, inner, {"lp_estimate": value}


SGLD = Kind(nothing, _sgld, _langevin)


class Contour(NamedTuple):
    """The estimated weights of the energy's partitions, and the partition of the position."""

    energy_pdf: jax.Array
    energy_idx: jax.Array


def _csgld_begin(
    target: Target, key: Key, position: Position, *, num_partitions: int, **_: Any
) -> Contour:
    import blackjax

    state = blackjax.csgld.init(position, num_partitions)
    return Contour(state.energy_pdf, jnp.int32(state.energy_idx))


def _csgld(
    target: Target,
    key: Key,
    position: Position,
    inner: State,
    size: jax.Array,
    temperature: jax.Array,
    **options: Any,
) -> tuple[Position, Contour, Stats]:
    import blackjax
    from blackjax.sgmcmc.csgld import ContourSGLDState

    build = {k: options[k] for k in ("num_partitions", "energy_gap", "min_energy")}
    kernel = blackjax.csgld.build_kernel(**build)
    value, gradient = jax.value_and_grad(target.log_density)(position)
    state = kernel(
        key,
        ContourSGLDState(position, *inner),
        lambda z, _: target.log_density(z),
        lambda *_: gradient,
        target.data,
        size,
        options["step_size_stoch"],
        options["zeta"],
        temperature,
    )
    inner = Contour(state.energy_pdf, state.energy_idx)
    log_weight = options["zeta"] * jnp.log(inner.energy_pdf[inner.energy_idx])
    return state.position, inner, {"lp_estimate": value, "log_weight": log_weight}


CSGLD = Kind(_csgld_begin, _csgld, _langevin)


# --- with momentum ------------------------------------------------------------------------------


def _sghmc(
    target: Target,
    key: Key,
    position: Position,
    inner: State,
    size: jax.Array,
    temperature: jax.Array,
    **options: Any,
) -> tuple[Position, State, Stats]:
    import blackjax

    kernel = blackjax.sghmc.build_kernel(options["alpha"], options["beta"])
    gradient = jax.grad(target.log_density)
    position = kernel(
        key,
        position,
        lambda z, _: gradient(z),
        target.data,
        size,
        options["num_integration_steps"],
        temperature,
    )
    return position, inner, {}


def _sghmc_auto(found: steps.Pilot, *, num_integration_steps: int, **_: Any) -> jax.Array:
    return steps.hamiltonian(found, num_integration_steps)


SGHMC = Kind(nothing, _sghmc, _sghmc_auto)


def _sgnht_begin(target: Target, key: Key, position: Position, *, alpha: float, **_: Any) -> State:
    import blackjax

    state = blackjax.sgnht.init(position, key, jnp.asarray(alpha, float))
    return state.momentum, state.xi


def _sgnht(
    target: Target,
    key: Key,
    position: Position,
    inner: State,
    size: jax.Array,
    temperature: jax.Array,
    **options: Any,
) -> tuple[Position, State, Stats]:
    import blackjax
    from blackjax.sgmcmc.sgnht import SGNHTState

    kernel = blackjax.sgnht.build_kernel(options["alpha"], options["beta"])
    value, gradient = jax.value_and_grad(target.log_density)(position)
    state = SGNHTState(position, *inner)
    state = kernel(key, state, lambda *_: gradient, target.data, size, temperature)
    return state.position, (state.momentum, state.xi), {"lp_estimate": value}


def _sgnht_auto(found: steps.Pilot, **_: Any) -> jax.Array:
    return steps.hamiltonian(found)


SGNHT = Kind(_sgnht_begin, _sgnht, _sgnht_auto)


# --- rows ---------------------------------------------------------------------------------------


def kicks(options: Options) -> Gradients:
    """One gradient for each step of a trajectory."""
    return options["num_integration_steps"], options["num_integration_steps"]


def row(
    name: str, kernel: str, kind: Kind, summary: str, reference: str, **fields: Any
) -> Algorithm:
    """A row that runs `blackjax.sgmcmc.<kernel>` the way `kind` says."""
    shared: dict[str, Any] = {"warmup": warmup(kind), "bias": f"{NOISE}.", "gradients": (1, 1)}
    return Algorithm(
        name=f"blackjax_{name}",
        family=SGMCMC,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(f"blackjax.sgmcmc.{kernel}.as_top_level_api",),
        filled_by_row=("grad_estimator", "logdensity_estimator", "gradient_estimator"),
        step=partial(step, kind),
        needs=SEPARATE,
        defaults=OPTIONS | fields.pop("defaults", {}),
        **(shared | fields),
    )


KICKS = {"num_integration_steps": 10, "alpha": 0.01, "beta": 0}

ROWS = (
    row(
        "sgld",
        "sgld",
        SGLD,
        "Stochastic-gradient Langevin dynamics",
        "Welling & Teh 2011",
        test_budget={"step_size": 4e-4, "num_warmup": 500, "num_draws": 2000, "thinning": 10},
    ),
    row(
        "sghmc",
        "sghmc",
        SGHMC,
        "Stochastic-gradient Hamiltonian Monte Carlo with a new momentum at each step",
        "Chen, Fox & Guestrin 2014",
        defaults=KICKS,
        test_budget={"step_size": 0.005, "num_warmup": 200, "num_draws": 2000, "thinning": 3},
        gradients=kicks,
    ),
    row(
        "sgnht",
        "sgnht",
        SGNHT,
        "Stochastic-gradient Nosé-Hoover thermostat",
        "Ding et al. 2014",
        defaults={"alpha": 0.01, "beta": 0.0},
        test_budget={"step_size": 0.01, "alpha": 10.0, "num_warmup": 500, "num_draws": 2000}
        | {"thinning": 10},
        bias=f"{NOISE}; directions with different noise settle at different temperatures.",
    ),
    row(
        "csgld",
        "csgld",
        CSGLD,
        "Contour SGLD: flattens the density to cross between modes; draws have a `log_weight`",
        "Deng, Lin & Liang 2020",
        defaults={"zeta": 1.0, "num_partitions": 512, "energy_gap": 100.0, "min_energy": 0.0}
        | {"step_size_stoch": 1e-3},
        test_budget={"step_size": 4e-4, "num_warmup": 500, "num_draws": 2000, "thinning": 10}
        | {"energy_gap": 10.0, "num_partitions": 50},
        unsupported=frozenset({"reduce", "evaluate"}),  # they average without weights
        bias=f"{NOISE}; draws come from the flattened density, see `Posterior.resampled`.",
    ),
)
