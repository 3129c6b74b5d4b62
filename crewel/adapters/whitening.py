"""Coordinates in which a log density is about a standard normal, by its curvature.

A full-rank Gaussian is the same family in any linear coordinates, but its fit is not equally easy
in all of them: where scales differ by a factor of 1,000, gradient steps that suit one parameter
leave another where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from crewel.core.protocol import Key, Position, Target

STEPS = 50  # towards the mode, at most
DRAWS = 20  # that estimate the evidence lower bound of a point's Gaussian
LENGTHS = 0.5 ** np.arange(8)  # of a step, relative to Newton's
WHITENED_RATE = 0.03  # of Adam, where all scales are about one
FLATTEST = 1e-6  # of the greatest curvature: directions flatter than that count as this flat


class Own(NamedTuple):
    """The position's own coordinates, as a vector."""

    like: Position

    @property
    def origin(self) -> jax.Array:
        """The vector of the initial position."""
        return ravel_pytree(self.like)[0]

    @property
    def log_det(self) -> float:
        """Zero."""
        return 0.0

    def position(self, u: jax.Array) -> Position:
        """The vector as a position."""
        return ravel_pytree(self.like)[1](u)


class Whitening(NamedTuple):
    """A linear map `u -> location + scale @ u` to the position as a vector.

    Attributes:
        like: a position, for its structure.
        location: `(d,)`.
        scale: `(d, d)`.
        log_det: the logarithm of the determinant of `scale`.
    """

    like: Position
    location: jax.Array
    scale: jax.Array
    log_det: jax.Array

    @property
    def origin(self) -> jax.Array:
        """The whitened vector of the location."""
        return jnp.zeros_like(self.location)

    def position(self, u: jax.Array) -> Position:
        """The position at the whitened vector `u`."""
        return ravel_pytree(self.like)[1](self.location + self.scale @ u)


Coordinates = Own | Whitening


def falling(rate: float, num_steps: int) -> Callable[[Any], Any]:
    """A step size that falls from `rate` to zero along half a cosine (Loshchilov & Hutter 2017).

    With a constant one, a fit would never come closer to the optimum than the noise of a step.
    """
    import optax

    return optax.cosine_decay_schedule(rate, max(num_steps, 1))


def by_curvature(target: Target, key: Key, position: Position) -> Whitening:
    """The coordinates of the curvature at the best point of a path to the mode.

    Each step is Newton's, with the absolute values of the Hessian's eigenvalues, so that it leaves
    saddle points (Dauphin et al. 2014), and is halved until the density rises. The best point is
    that whose Gaussian has the highest evidence lower bound, as in Pathfinder (Zhang, Carpenter,
    Gelman & Vehtari 2022): the mode itself may be far from where the mass is.

    Args:
        target: the density.
        key: for the draws that estimate the bound.
        position: where the path begins.

    Returns:
        The coordinates; those of the position itself where no curvature is finite.
    """
    start, unravel = ravel_pytree(position)
    noise = jax.random.normal(key, (DRAWS, start.size), start.dtype)

    def loss(z: jax.Array) -> jax.Array:
        return -target.log_density(unravel(z))

    def step(path: _Path) -> _Path:
        values, vectors = _curvature(loss, path.z)
        here = Whitening(position, path.z, vectors * values**-0.5, -0.5 * jnp.log(values).sum())
        bound = here.log_det - jax.vmap(loss)(path.z + noise @ here.scale.T).mean()
        better = bound > path.bound  # false where it is NaN
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), here, path.best)
        direction = -vectors @ ((vectors.T @ jax.grad(loss)(path.z)) / values)
        tried = jnp.concatenate([path.z[None], path.z + LENGTHS[:, None] * direction])
        chosen = jnp.nanargmin(jax.vmap(loss)(tried))
        bound = jnp.where(better, bound, path.bound)
        return _Path(path.done + 1, tried[chosen], chosen > 0, bound, best)

    none = Whitening(position, start, jnp.eye(start.size, dtype=start.dtype), jnp.zeros(()))
    first = _Path(jnp.zeros((), jnp.int32), start, jnp.ones((), bool), jnp.full((), -jnp.inf), none)
    return jax.lax.while_loop(lambda p: p.moving & (p.done < STEPS), step, first).best


class _Path(NamedTuple):
    """A path to the mode: steps done, the point, whether it moved, and the best so far."""

    done: jax.Array
    z: jax.Array
    moving: jax.Array
    bound: jax.Array
    best: Whitening


def _curvature(loss: Callable[[jax.Array], jax.Array], z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Absolute eigenvalues of the Hessian, none of them too small, and its eigenvectors."""
    values, vectors = jnp.linalg.eigh(jax.hessian(loss)(z))
    values = jnp.abs(values)
    return jnp.maximum(values, FLATTEST * values.max()), vectors
