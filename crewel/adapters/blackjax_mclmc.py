"""BlackJAX's microcanonical samplers, unadjusted and adjusted, each with its tuner."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp

from crewel.adapters.blackjax import BACKEND, fresh_length, trajectory
from crewel.core.families import MCMC
from crewel.core.protocol import Algorithm, Gradients, Key, Options, Position, State, Stats, Target

DIVERGENT = 1000.0  # error in the energy, as in BlackJAX's HMC


def _mclmc_warmup(
    target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> State:
    import blackjax

    key_init, key_tune = jax.random.split(key)
    state = blackjax.mclmc.init(position, target.log_density, key_init)
    state, tuned, _ = blackjax.mclmc_find_L_and_step_size(
        mclmc_kernel=blackjax.mclmc.build_kernel(),
        num_steps=num_warmup,
        state=state,
        rng_key=key_tune,
        logdensity_fn=target.log_density,
        **options,
    )
    return state, tuned


def _mclmc_step(target: Target, key: Key, state: State, **_: Any) -> tuple[State, Position, Stats]:
    import blackjax

    inner, tuned = state
    inner, info = blackjax.mclmc.build_kernel()(
        key,
        inner,
        target.log_density,
        inverse_mass_matrix=tuned.inverse_mass_matrix,
        L=tuned.L,
        step_size=tuned.step_size,
    )
    stats = {
        "lp": inner.logdensity,
        "energy_error": info.energy_change,
        "step_size": tuned.step_size,
        "diverging": ~info.nonans | (jnp.abs(info.energy_change) > DIVERGENT),
    }
    return (inner, tuned), inner.position, stats


def _adjusted_kernel(divergence_threshold: float) -> Callable[..., Any]:
    from blackjax.mcmc import adjusted_mclmc_dynamic as dynamic

    return fresh_length(
        dynamic.build_kernel(
            integration_steps_fn=dynamic.make_random_trajectory_length_fn(True),
            divergence_threshold=divergence_threshold,
        )
    )


def _adjusted_warmup(
    target: Target,
    key: Key,
    position: Position,
    num_warmup: int,
    /,
    *,
    divergence_threshold: float = 1000,
    **options: Any,
) -> State:
    import blackjax
    from blackjax.adaptation.mclmc_adaptation import MCLMCAdaptationState

    state = blackjax.hmc.init(position, target.log_density)
    if num_warmup == 0:
        size = sum(leaf.size for leaf in jax.tree.leaves(position))
        step = 0.2 * jnp.sqrt(size)
        length = options.get("target_num_integration_steps", 2.0) * step
        begin: Any = MCLMCAdaptationState  # its fields hold arrays, despite its annotations
        return state, begin(length, step, jnp.ones(size))
    state, tuned, _ = blackjax.adjusted_mclmc_find_L_and_step_size(
        mclmc_kernel=_adjusted_kernel(divergence_threshold),
        num_steps=num_warmup,
        state=state,
        rng_key=key,
        logdensity_fn=target.log_density,
        **options,
    )
    return state, tuned


def _adjusted_step(
    target: Target, key: Key, state: State, /, *, divergence_threshold: float = 1000, **_: Any
) -> tuple[State, Position, Stats]:
    inner, tuned = state
    inner, info = _adjusted_kernel(divergence_threshold)(
        key,
        inner,
        target.log_density,
        step_size=tuned.step_size,
        inverse_mass_matrix=tuned.inverse_mass_matrix,
        integration_steps_params=(tuned.L / tuned.step_size,),
    )
    stats = {
        "lp": inner.logdensity,
        "acceptance_rate": info.acceptance_rate,
        "step_size": tuned.step_size,
    }
    return (inner, tuned), inner.position, stats | trajectory(info)


_MCLMC_GRADIENTS = (2, 2)  # per step of the isokinetic McLachlan integrator


def _adjusted_gradients(options: Options) -> Gradients:
    # Lengths are uniform with that mean, so at most twice the mean.
    return 2, 2 * ceil(2 * options["target_num_integration_steps"])


ROWS = (
    Algorithm(
        name="blackjax_mclmc",
        family=MCMC,
        summary="Unadjusted microcanonical Langevin Monte Carlo, two gradients per step",
        reference="Robnik, De Luca, Silverstein & Seljak 2023",
        backend=BACKEND,
        option_sources=("blackjax.mclmc_find_L_and_step_size",),
        filled_by_row=("mclmc_kernel", "num_steps", "state", "rng_key", "logdensity_fn", "params"),
        step=_mclmc_step,
        warmup=_mclmc_warmup,
        # BlackJAX spends another third of `frac_tune2` on the preconditioner; the sum is 1.
        defaults={"frac_tune1": 0.3, "frac_tune2": 0.3, "frac_tune3": 0.3},
        bias="No accept step: the step size leaves a bias, kept small by tuning the energy error.",
        test_budget={"num_warmup": 2000, "num_draws": 4000, "thinning": 2},
        gradients=_MCLMC_GRADIENTS,
    ),
    Algorithm(
        name="blackjax_adjusted_mclmc",
        family=MCMC,
        summary="Microcanonical Hamiltonian Monte Carlo with an accept step and random lengths",
        reference="Robnik, Cohn-Gordon & Seljak 2025",
        backend=BACKEND,
        option_sources=(
            "blackjax.adjusted_mclmc_find_L_and_step_size",
            "blackjax.mcmc.adjusted_mclmc_dynamic.as_top_level_api",
        ),
        filled_by_row=(
            "mclmc_kernel",
            "num_steps",
            "state",
            "rng_key",
            "logdensity_fn",
            "params",
            "step_size",
            "L_proposal_factor",
            "inverse_mass_matrix",
            "integrator",
            "next_random_arg_fn",
            "integration_steps_fn",
            "integration_steps_params",
        ),
        step=_adjusted_step,
        warmup=_adjusted_warmup,
        # The first part runs twice, before and after the preconditioner; the sum is 1.
        defaults={"target": 0.65, "frac_tune1": 0.4, "frac_tune2": 0.2},
        test_budget={"num_warmup": 2000, "num_draws": 1000, "thinning": 3},
        gradients=_adjusted_gradients,
    ),
)
