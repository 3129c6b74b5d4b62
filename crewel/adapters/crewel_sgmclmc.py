"""Microcanonical Langevin Monte Carlo on minibatches, in coordinates of equal gradient noise.

The noise of a minibatch gradient turns the velocity in addition to its refresh. If the noise is the
same in all directions, the directions of the velocity stay uniform, and the draws are right;
otherwise noisy directions are hotter than others. So coordinates are scaled by the standard
deviation of the gradient's noise, as in SMILE (Sommer, Diao, Robnik, Seljak & Rügamer 2025).

A step is half a drift, a kick by the gradient there, and half a drift. Its length is fixed, so no
gradient, however large, can throw a chain far away. What is left of the noise's excess V in a
direction inflates the variance there by `e**2 k V / 2`, where `k` is the number of steps after
which the velocity is forgotten and the distance per step is `e (d - 1) / sqrt(d)`, so that `e` is
about the distance per coordinate: the noise adds `e**2 V / d` to the velocity's variance per step,
its refresh `2 / (k d)`. For the curvature H, the scheme itself adds `e**2 H / 4`, as in Hamiltonian
samplers.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters import microcanonical
from crewel.adapters import step_size as steps
from crewel.adapters.crewel import BACKEND
from crewel.adapters.sgmcmc import NOISE, OPTIONS, Kind, State, finish, step, warmup
from crewel.adapters.vectors import Layout
from crewel.core.families import SGMCMC
from crewel.core.minibatch import random_batch
from crewel.core.protocol import SEPARATE, Algorithm, Key, Position, Stats, Target


class Velocity(NamedTuple):
    """What a chain keeps besides the position.

    Attributes:
        velocity: `(d,)`, of norm one, in units of the scale.
        scale: `(d,)`, lengths of the coordinates.
    """

    velocity: jax.Array
    scale: jax.Array


def noise_scale(variance: jax.Array, *, damping: float = 0.01) -> jax.Array:
    """Lengths of the coordinates, in whose units the gradient's noise is about the same in all.

    Args:
        variance: `(d,)`, of the minibatch gradient; zeros if there is no noise.
        damping: share of the mean variance that is added to each, for parameters without noise.

    Returns:
        `(d,)`, relative to their geometric mean.

    Examples:
        >>> [round(float(x), 2) for x in noise_scale(jnp.array([1.0, 16.0]), damping=0.0)]
        [2.0, 0.5]
    """
    variance = variance + damping * jnp.mean(variance)
    log_scale = -0.5 * jnp.log(jnp.where(variance > 0, variance, 1.0))
    return jnp.exp(log_scale - jnp.mean(log_scale))


def _begin(
    target: Target,
    key: Key,
    position: Position,
    *,
    damping: float,
    temperature: float | jax.Array,
    **_: Any,
) -> Velocity:
    if not isinstance(temperature, jax.Array) and not temperature > 0:
        raise ValueError(
            f"`temperature` must be positive, got {temperature}: the speed of a microcanonical "
            "chain is constant, so it cannot come to rest."
        )
    layout = Layout.of(position)
    vector = layout.vector(position)

    def gradient(key: Key) -> jax.Array:
        return layout.value_and_gradient(random_batch(target, key), vector)[1]

    key, key_velocity = jax.random.split(key)
    variance = jnp.zeros_like(vector)
    if target.batch_size is not None and target.batch_size < target.num_data:
        keys = jax.random.split(key, steps.BATCHES)
        variance = jnp.var(jax.lax.map(gradient, keys), axis=0)
    return Velocity(
        microcanonical.direction(key_velocity, vector), noise_scale(variance, damping=damping)
    )


def _move(
    target: Target,
    key: Key,
    position: Position,
    inner: Velocity,
    size: jax.Array,
    temperature: float | jax.Array,
    *,
    decoherence_steps: float | jax.Array,
    **_: Any,
) -> tuple[Position, Velocity, Stats]:
    layout, scale = Layout.of(position), inner.scale
    distance = (size * (scale.size - 1) / scale.size**0.5).astype(scale.dtype)
    halfway = layout.vector(position) + 0.5 * distance * scale * inner.velocity
    value, gradient = layout.value_and_gradient(target, halfway)
    force = (scale * gradient / temperature).astype(scale.dtype)
    velocity = microcanonical.kick(inner.velocity, force, distance)[0]
    vector = halfway + 0.5 * distance * scale * velocity
    velocity = microcanonical.refresh(key, velocity, 1 / decoherence_steps)
    return layout.position(vector), Velocity(velocity, scale), {"lp_estimate": value}


def _auto(found: steps.Pilot, *, decoherence_steps: float | jax.Array, **_: Any) -> jax.Array:
    return jnp.sqrt(4 * steps.INFLATION / (found.curvature + 2 * decoherence_steps * found.noise))


def _scale(inner: Velocity, **_: Any) -> jax.Array:
    return inner.scale


SGMCLMC = Kind(_begin, _move, _auto, scale=_scale)


def _finish(target: Target, key: Key, state: State, num_warmup: int, **options: Any) -> State:
    """Measure the noise and tune again at the position that the warm-up reached."""
    key_begin, key_tune = jax.random.split(key)
    inner = _begin(target, key_begin, state.position, **options)
    return finish(SGMCLMC, target, key_tune, state._replace(inner=inner), num_warmup, **options)


ROWS = (
    Algorithm(
        name="crewel_sgmclmc",
        family=SGMCMC,
        summary="Stochastic-gradient microcanonical Langevin, scaled by the gradient's noise",
        reference="Sommer, Diao, Robnik, Seljak & Rügamer 2025",
        backend=BACKEND,
        option_sources=("crewel.adapters.crewel_sgmclmc.noise_scale",),
        filled_by_row=("variance",),
        step=partial(step, SGMCLMC),
        warmup=warmup(SGMCLMC)._replace(finish=_finish),
        needs=SEPARATE,
        defaults=OPTIONS | {"damping": 0.01, "decoherence_steps": 10.0},
        bias=f"{NOISE}; noise that is not the same in all directions heats some of them.",
        test_budget={"step_size": 0.01, "num_warmup": 500, "num_draws": 2000, "thinning": 10},
        gradients=(1, 1),
    ),
)
