"""Crewel's own engines: samplers that no backend provides."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from crewel.adapters import step_size as steps
from crewel.adapters.sgmcmc import NOISE, OPTIONS, Kind, step, warmup
from crewel.core.families import SGMCMC
from crewel.core.minibatch import random_batch
from crewel.core.protocol import SEPARATE, Algorithm, Backend, Key, Position, Stats, Target

BACKEND = Backend("crewel", "crewel")

# --- SGLD with the preconditioner of RMSprop ------------------------------------------------------


def preconditioner(square: Position, *, decay: float = 0.99, damping: float = 1e-5) -> Position:
    """The preconditioner of RMSprop, one number per parameter.

    Args:
        square: running mean of the squared gradient per row, shaped like the position.
        decay: decay rate of that mean.
        damping: added to the square root of the mean, to bound the preconditioner.
    """
    return jax.tree.map(lambda leaf: 1 / (damping + jnp.sqrt(leaf)), square)


def _psgld_begin(target: Target, key: Key, position: Position, **_: Any) -> Position:
    gradient = jax.grad(random_batch(target, key).log_density)(position)
    return jax.tree.map(lambda leaf: (leaf / target.num_data) ** 2, gradient)


def _psgld(
    target: Target,
    key: Key,
    position: Position,
    square: Position,
    size: jax.Array,
    temperature: jax.Array,
    *,
    decay: float,
    damping: float,
) -> tuple[Position, Position, Stats]:
    value, gradient = jax.value_and_grad(target.log_density)(position)
    square = jax.tree.map(
        lambda s, g: decay * s + (1 - decay) * (g / target.num_data) ** 2, square, gradient
    )
    leaves, structure = jax.tree.flatten(position)
    keys = jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))

    def move(z: jax.Array, g: jax.Array, m: jax.Array, k: Key) -> jax.Array:
        noise = jax.random.normal(k, z.shape, z.dtype)
        return z + size * m * g + jnp.sqrt(2 * size * temperature * m) * noise

    position = jax.tree.map(move, position, gradient, preconditioner(square, damping=damping), keys)
    return position, square, {"lp_estimate": value}


def _psgld_auto(found: steps.Pilot, **_: Any) -> jax.Array:
    return steps.langevin(found)


def _psgld_scale(square: Position, *, damping: float, **_: Any) -> Position:
    return jax.tree.map(jnp.sqrt, preconditioner(square, damping=damping))


PSGLD = Kind(_psgld_begin, _psgld, _psgld_auto, scale=_psgld_scale)

ROWS = (
    Algorithm(
        name="crewel_psgld",
        family=SGMCMC,
        summary="SGLD with RMSprop's preconditioner: a separate step size for each parameter",
        reference="Li, Chen, Carlson & Carin 2016",
        backend=BACKEND,
        option_sources=("crewel.adapters.crewel.preconditioner",),
        filled_by_row=("square",),
        step=partial(step, PSGLD),
        warmup=warmup(PSGLD),
        needs=SEPARATE,
        defaults=OPTIONS | {"decay": 0.99, "damping": 1e-5},
        bias=f"{NOISE}; the term for the changing preconditioner is omitted, as in the paper.",
        test_budget={"step_size": 1e-4, "num_warmup": 500, "num_draws": 2000, "thinning": 10}
        | {"decay": 0.999},
        gradients=(1, 1),
    ),
)
