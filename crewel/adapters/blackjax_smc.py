"""BlackJAX's sequential Monte Carlo: particles move from the prior to the posterior in stages.

The warm-up raises the likelihood's power from 0 to 1 as fast as the particles can follow. It also
estimates the evidence, with an error that assumes independent stages. Draws are further moves of
the particles at power 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters.blackjax import BACKEND
from crewel.core.families import MCMC
from crewel.core.protocol import Algorithm, Key, Position, State, Stats, Target

STAGES = 1000  # the most; if they do not suffice, the evidence is NaN
_ACCEPTANCE = 0.8  # of the moves; each stage adjusts the step size toward it


def log_prior(target: Target, position: Position) -> jax.Array:
    """Log density of the prior on the unconstrained space."""
    assert target.log_prior is not None
    return target.log_prior(target.constrain(position)) + target.transform.log_det(position)


def log_likelihood(target: Target, position: Position) -> jax.Array:
    """Log likelihood of all the data."""
    assert target.log_likelihood is not None
    return target.log_likelihood(target.constrain(position), target.data).sum()


class _State(NamedTuple):
    particles: Position
    step_size: Any
    metric: Any
    evidence: Any  # the log evidence and its variance


def _warmup(
    target: Target,
    key: Key,
    positions: Position,
    num_warmup: int,
    *,
    step_size: float,
    num_integration_steps: int,
    target_ess: float,
    num_mcmc_steps: int,
    resampling_fn: Any = None,
    **options: Any,
) -> _State:
    import blackjax
    from blackjax.smc import resampling
    from blackjax.smc.tuning.from_particles import particles_stds

    resample = resampling_fn or resampling.systematic
    smc = blackjax.adaptive_tempered_smc
    move = blackjax.hmc.build_kernel()

    def step_fn(
        key: Key,
        state: State,
        log_density: Callable[[Position], jax.Array],
        step_size: jax.Array,
        inverse_mass_matrix: jax.Array,
    ) -> Any:
        return move(key, state, log_density, step_size, inverse_mass_matrix, num_integration_steps)

    kernel = smc.build_kernel(
        lambda position: log_prior(target, position),
        lambda position: log_likelihood(target, position),
        step_fn,
        blackjax.hmc.init,
        resample,
        target_ess,
        **options,
    )

    def unfinished(carry: tuple[Any, ...]) -> jax.Array:
        state, *_, stage = carry
        return (state.tempering_param < 1) & (stage < STAGES)

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        state, step_size, metric, evidence, stage = carry
        parameters = {"step_size": step_size[None], "inverse_mass_matrix": metric[None]}
        state, info = kernel(jax.random.fold_in(key, stage), state, num_mcmc_steps, parameters)
        rate = jnp.mean(info.update_info.acceptance_rate)
        step_size = step_size * jnp.exp(rate - _ACCEPTANCE)
        metric = particles_stds(state.particles) ** 2
        spread = jnp.sum(state.weights**2) - 1 / state.weights.shape[0]
        evidence += jnp.stack([info.log_likelihood_increment, spread])
        return state, step_size, metric, evidence, stage + 1

    first = smc.init(positions)
    metric = particles_stds(positions) ** 2
    real = metric.dtype
    first = first._replace(tempering_param=jnp.zeros((), real))
    size = jnp.asarray(step_size, real)
    begin = first, size, metric, jnp.zeros(2, real), 0
    state, size, metric, evidence, _ = jax.lax.while_loop(unfinished, advance, begin)
    chosen = resample(jax.random.fold_in(key, STAGES), state.weights, state.weights.shape[0])
    particles = jax.tree.map(lambda leaf: leaf[chosen], state.particles)
    done = state.tempering_param >= 1
    return _State(particles, size, metric, jnp.where(done, evidence, jnp.nan))


def _step(
    target: Target,
    key: Key,
    state: _State,
    *,
    num_integration_steps: int,
    num_mcmc_steps: int,
    **_: Any,
) -> tuple[_State, Position, Stats]:
    import blackjax

    move = blackjax.hmc.build_kernel()

    def one(key: Key, position: Position) -> tuple[Any, jax.Array, jax.Array]:
        def body(i: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            inner, accepted, diverged = carry
            inner, info = move(
                jax.random.fold_in(key, i),
                inner,
                target.log_density,
                state.step_size,
                state.metric,
                num_integration_steps,
            )
            accepted += info.acceptance_rate / num_mcmc_steps
            return inner, accepted, diverged | info.is_divergent

        inner = blackjax.hmc.init(position, target.log_density)
        carry = inner, jnp.zeros_like(inner.logdensity), False
        return jax.lax.fori_loop(0, num_mcmc_steps, body, carry)

    keys = jax.random.split(key, jax.tree.leaves(state.particles)[0].shape[0])
    inner, rate, diverging = jax.vmap(one)(keys, state.particles)
    stats = {
        "lp": inner.logdensity,
        "acceptance_rate": rate,
        "diverging": diverging,
        "step_size": jnp.full(rate.shape, state.step_size),
        "log_evidence": jnp.full(rate.shape, state.evidence[0]),
        "log_evidence_error": jnp.full(rate.shape, jnp.sqrt(state.evidence[1])),
    }
    return state._replace(particles=inner.position), inner.position, stats


ROWS = (
    Algorithm(
        name="blackjax_tempered_smc",
        family=MCMC,
        summary="Sequential Monte Carlo for multimodal posteriors; estimates the evidence",
        reference="Del Moral, Doucet & Jasra 2006; Buchholz, Chopin & Jacob 2021",
        backend=BACKEND,
        option_sources=(
            "blackjax.smc.adaptive_tempered.as_top_level_api",
            "blackjax.mcmc.hmc.as_top_level_api",
        ),
        filled_by_row=(
            "logprior_fn",
            "loglikelihood_fn",
            "mcmc_step_fn",
            "mcmc_init_fn",
            "mcmc_parameters",
            "logdensity_fn",
            "inverse_mass_matrix",
            "divergence_threshold",
            "integrator",
            "build_proposal",
        ),
        step=_step,
        warmup=_warmup,
        needs=frozenset({"log_prior", "log_likelihood", "data"}),
        cross_chain=True,
        # Chains are particles, which start from the prior and end in the posterior.
        settings={"num_chains": 1000, "num_draws": 1, "init": "prior"},
        unsupported=frozenset({"chain_method", "num_warmup", "init"}),
        defaults={
            "resampling_fn": None,
            "target_ess": 0.9,
            "num_mcmc_steps": 5,
            "step_size": 0.3,
            "num_integration_steps": 5,
        },
        test_budget={},
    ),
)
