"""NumPyro's samplers. The engine asks a kernel object for one transition at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Backend,
    Gradients,
    Key,
    Options,
    Position,
    State,
    Stats,
    SteppedWarmup,
    Target,
)

BACKEND = Backend("numpyro", "numpyro")


def _kernel(kind: str, target: Target, **options: Any) -> Any:
    from numpyro import infer

    return getattr(infer, kind)(potential_fn=lambda z: -target.log_density(z), **options)


def _init(
    kind: str, target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> State:
    kernel = _kernel(kind, target, **options)
    state = kernel.init(key, num_warmup, init_params=position, model_args=(), model_kwargs={})
    return jax.tree.map(jnp.asarray, state._replace(rng_key=None))  # some are Python floats


def _advance(kernel: Any, num_warmup: int, key: Key, state: State) -> Any:
    # `init` tells the kernel its schedule; what it computes is unused and compiled away.
    kernel.init(key, num_warmup, init_params=state.z, model_args=(), model_kwargs={})
    return kernel.sample(state._replace(rng_key=key), (), {})._replace(rng_key=None)


def _update(
    kind: str, target: Target, key: Key, state: State, num_warmup: int, **options: Any
) -> State:
    return _advance(_kernel(kind, target, **options), num_warmup, key, state)


def _trajectory(state: State) -> Stats:
    """HMC's statistics of a transition."""
    return {
        "energy": state.energy,
        "step_size": state.adapt_state.step_size,
        "n_steps": state.num_steps,
        "diverging": state.diverging,
    }


def _tree(state: State) -> Stats:
    """NUTS's statistics of a transition."""
    # A tree of depth d has at most 2^d - 1 leaves, so the depth is the number of its bits.
    depth = 32 - jax.lax.clz(state.num_steps.astype("int32"))
    return _trajectory(state) | {"tree_depth": depth}


def _proposal(state: State) -> Stats:
    """The Barker proposal's statistics of a transition."""
    return {"step_size": state.adapt_state.step_size}


def _replacement(state: State) -> Stats:
    """Sample-adaptive MCMC's statistics of a transition."""
    return {"diverging": state.diverging}


_FROZEN = {"adapt_step_size": False, "adapt_mass_matrix": False}


def _step(
    kind: str,
    stats: Callable[[Any], dict[str, Any]],
    frozen: Mapping[str, Any],
    target: Target,
    key: Key,
    state: State,
    **options: Any,
) -> tuple[State, Position, Stats]:
    state = _advance(_kernel(kind, target, **options | dict(frozen)), 0, key, state)
    common = {"lp": -state.potential_energy, "acceptance_rate": state.accept_prob}
    return state, state.z, common | stats(state)


def _nuts_gradients(options: Options) -> Gradients:
    depth = options["max_tree_depth"]  # one number, or a pair for warm-up and sampling
    return 1, 2 ** max(depth if isinstance(depth, tuple) else (depth,)) - 1


def hmc_gradients(options: Options) -> Gradients:
    """The fewest and the most gradients in a transition of HMC, for forecasts."""
    # Without a number of steps, it depends on the step size, which is not known yet.
    steps = options["num_steps"]
    return (1, float("inf")) if steps is None else (steps, steps)


def row(
    name: str,
    kind: str,
    summary: str,
    reference: str,
    stats: Callable[[Any], dict[str, Any]],
    *,
    frozen: Mapping[str, Any] = _FROZEN,
    engine: tuple[Any, Any, Any] = (_init, _update, _step),
    **fields: Any,
) -> Algorithm:
    """A row of the sampler `numpyro.infer.<kind>`; `frozen` holds the options that end tuning."""
    init, update, step = engine
    return Algorithm(
        name=name,
        family=MCMC,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(f"numpyro.infer.{kind}",),
        filled_by_row=("model", "potential_fn", "kinetic_fn", "init_strategy"),
        step=partial(step, kind, stats, frozen),
        warmup=SteppedWarmup(partial(init, kind), partial(update, kind)),
        **fields,
    )


ROWS = (
    row(
        "numpyro_nuts",
        "NUTS",
        "No-U-Turn sampler with iterative trees and a diagonal or dense mass matrix",
        "Hoffman & Gelman 2014; Phan, Pradhan & Jankowiak 2019",
        _tree,
        test_budget={"num_warmup": 500, "num_draws": 1000},
        gradients=_nuts_gradients,
    ),
    row(
        "numpyro_hmc",
        "HMC",
        "Hamiltonian Monte Carlo with a fixed trajectory length",
        "Duane et al. 1987; Neal 2011",
        _trajectory,
        test_budget={"num_warmup": 500, "num_draws": 1000, "trajectory_length": 1.5},
        gradients=hmc_gradients,
    ),
    row(
        "numpyro_barker",
        "BarkerMH",
        "Barker proposal, skewed by the gradient, robust to a poor step size",
        "Livingstone & Zanella 2022",
        _proposal,
        test_budget={"num_warmup": 2000, "num_draws": 1000, "thinning": 10},
        gradients=(1, 1),
    ),
    row(
        "numpyro_sa",
        "SA",
        "Sample-adaptive MCMC, without gradients, for few parameters",
        "Zhu 2019",
        _replacement,
        frozen={},
        # Each step replaces one point; with few points it is slow to reach the tails.
        test_budget={"num_warmup": 3000, "num_draws": 400, "thinning": 25, "adapt_state_size": 100},
        gradients=(0, 0),
    ),
)
