"""Metropolis-adjusted microcanonical Monte Carlo, on the kernel and the warm-up of `crewel_mclmc`.

A step is a trajectory from a velocity in a random direction. Its end is accepted with probability
`exp(-error)` of its energy, so the draws are exact (Robnik, Cohn-Gordon & Seljak 2025). Its length
is uniform up to twice the posterior's spread, so that no period of the dynamics is met.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters import microcanonical
from crewel.adapters.crewel import BACKEND
from crewel.adapters.crewel_mclmc import LEAST_EXPLOSION, State, adapted, finish, init
from crewel.adapters.microcanonical import Particle
from crewel.core.families import MCMC
from crewel.core.protocol import Algorithm, Key, Position, Stats, SteppedWarmup, Target

LONGEST = 1024  # integration steps of a trajectory at most


class AdjustedTuning(NamedTuple):
    """What the warm-up tunes for; the options of `crewel_adjusted_mclmc`.

    Attributes:
        target_acceptance_rate: mean acceptance rate that the step size is tuned to.
        diagonal_preconditioning: whether coordinates are scaled by the posterior's standard
            deviations. They are estimated in the third quarter of the warm-up, and the step size
            is tuned again in the last.
    """

    target_acceptance_rate: Any = 0.9
    diagonal_preconditioning: bool = True


class _Trajectory(NamedTuple):
    """Where a trajectory ended: its particle, what it was accepted with, and its length."""

    particle: Particle
    rate: jax.Array
    error: jax.Array
    steps: jax.Array


def _trajectory(target: Target, key: Key, state: State, *, climbing: bool = False) -> _Trajectory:
    """One trajectory and its acceptance.

    With `climbing`, ends of a higher density are accepted whatever their energy error is.
    """
    key_velocity, key_length, key_accept = jax.random.split(key, 3)
    old = state.particle
    old = old._replace(velocity=microcanonical.direction(key_velocity, old.position))
    most = 2 * state.length / state.step_size
    steps = jnp.clip(jnp.ceil(jax.random.uniform(key_length) * most), 1, LONGEST).astype(int)

    def leap(_: jax.Array, carry: tuple[Particle, jax.Array]) -> tuple[Particle, jax.Array]:
        particle, error = carry
        particle, more = microcanonical.leap(
            target, state.layout, particle, state.step_size, state.scale
        )
        return particle, error + more

    new, error = jax.lax.fori_loop(0, steps, leap, (old, jnp.zeros_like(old.lp)))
    rate = jnp.where(jnp.isfinite(error), jnp.exp(jnp.minimum(-error, 0.0)), 0.0)
    climbs = climbing & (new.lp > old.lp) & (jnp.abs(error) > LEAST_EXPLOSION)
    rate = jnp.where(climbs & jnp.isfinite(error), 1.0, rate)
    accepted = jax.random.uniform(key_accept) < rate
    return _Trajectory(microcanonical.moved(old, new, accepted), rate, error, steps)


def update(target: Target, key: Key, state: State, num_warmup: int, /, **options: Any) -> State:
    """One trajectory of the warm-up."""
    tuning = AdjustedTuning(**options)
    made = _trajectory(target, key, state, climbing=True)
    wanted = tuning.target_acceptance_rate
    drive = (made.rate - wanted) / (1 - wanted)
    return adapted(state, made.particle, drive, num_warmup, tuning.diagonal_preconditioning)


def step(
    target: Target, key: Key, state: State, /, **options: Any
) -> tuple[State, Position, Stats]:
    """One trajectory."""
    made = _trajectory(target, key, state)
    stats = {
        "lp": made.particle.lp,
        "acceptance_rate": made.rate,
        "step_size": state.step_size,
        "n_steps": made.steps,
        "diverging": ~(made.error < 1000.0),
    }
    position = state.layout.position(made.particle.position)
    return state._replace(particle=made.particle), position, stats


ROWS = (
    Algorithm(
        name="crewel_adjusted_mclmc",
        family=MCMC,
        summary="Microcanonical Monte Carlo with an accept step and the same robust warm-up",
        reference="Robnik, Cohn-Gordon & Seljak 2025",
        backend=BACKEND,
        option_sources=("crewel.adapters.crewel_adjusted_mclmc.AdjustedTuning",),
        step=step,
        warmup=SteppedWarmup(init, update, finish=finish),
        defaults=AdjustedTuning()._asdict(),
        test_budget={"num_warmup": 1000, "num_draws": 1000, "thinning": 2},
        gradients=(2, 2 * LONGEST),
    ),
)
