"""Step sizes of stochastic-gradient samplers: a number, a schedule, or tuned by a pilot.

`"auto"` measures two numbers at a position: V, the noise of the minibatch gradient, is the largest
eigenvalue of its covariance over batches; H, the curvature of the density, is the largest
eigenvalue of the negative Hessian. To first order a Langevin step e inflates the variance in a
direction by `e (V + H) / 2`: V comes from the gradient's noise on top of the injected noise
(Welling & Teh 2011, section 4; Mandt, Hoffman & Blei 2017), H from the discretization. `"auto"`
takes the largest step that inflates the variance by at most a tenth in the worst direction; that
is 5 % of a standard deviation there, and less in all others. Steps of Hamiltonian samplers follow
from the same two numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from crewel.core.minibatch import random_batch
from crewel.core.protocol import Key, Position, Target

INFLATION = 0.1  # of the variance in the worst direction
BATCHES = 32  # of the pilot
ITERATIONS = 12  # of the power method for the curvature


class Pilot(NamedTuple):
    """What a pilot measured.

    Attributes:
        noise: V, the largest variance of the minibatch gradient in any direction.
        curvature: H, the largest absolute second derivative of the negative log density.
    """

    noise: jax.Array
    curvature: jax.Array


def pilot(target: Target, key: Key, position: Position, scale: Position | None = None) -> Pilot:
    """Noise and curvature at a position, from `BATCHES` gradients and `ITERATIONS` Hessians.

    With so few batches, both tend to be too large rather than too small, and the step too short.

    Args:
        target: the density on all rows, with the size of the batches.
        key: PRNG key.
        position: unconstrained.
        scale: shaped like `position`; measure in coordinates divided by it.
    """
    flat, unravel = ravel_pytree(position)
    scale = jnp.ones_like(flat) if scale is None else ravel_pytree(scale)[0]

    def gradient(z: jax.Array, key: Key) -> jax.Array:
        return scale * ravel_pytree(jax.grad(random_batch(target, key).log_density)(unravel(z)))[0]

    keys = jax.random.split(key, BATCHES + ITERATIONS + 1)
    noise = jnp.zeros((), flat.dtype)
    if target.batch_size is not None and target.batch_size < target.num_data:
        gradients = jax.lax.map(lambda k: gradient(flat, k), keys[:BATCHES])
        gradients -= gradients.mean(0)
        noise = jnp.linalg.eigvalsh(gradients @ gradients.T)[-1] / (BATCHES - 1)

    def power(
        carry: tuple[jax.Array, jax.Array], key: Key
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        direction, _ = carry
        turned = jax.jvp(lambda z: gradient(z, key), (flat,), (scale * direction,))[1]
        size = jnp.linalg.norm(turned)
        return (turned / (size + 1e-30), size), None

    first = jax.random.normal(keys[-1], flat.shape, flat.dtype)
    first = (first / jnp.linalg.norm(first), noise)
    (_, curvature), _ = jax.lax.scan(power, first, keys[BATCHES:-1])
    return Pilot(noise, curvature)


def langevin(found: Pilot) -> jax.Array:
    """The step `e` of `z + e * gradient + sqrt(2 e) * noise`."""
    return 2 * INFLATION / (found.noise + found.curvature)


def hamiltonian(found: Pilot, num_steps: int = 1) -> jax.Array:
    """The step `e` of a trajectory of L steps on one batch, after which the momentum is redrawn.

    The batch's force has the same error along the whole trajectory, which shifts the position by
    `(e L)**2 / 2` times the error: the variance grows by `(e L)**2 V / 4`. The symplectic Euler
    scheme adds `e**2 H / 4`.
    """
    return jnp.sqrt(4 * INFLATION / (found.curvature + num_steps**2 * found.noise))


def check(step_size: Any) -> None:
    """Raise if `step_size` is not a step size.

    Raises:
        TypeError: it is neither a number, nor a function of the step, nor `"auto"`.
        ValueError: it is not positive.

    Examples:
        >>> check(1e-4)
    """
    if callable(step_size) or isinstance(step_size, jax.Array):
        return
    if isinstance(step_size, str) and step_size == "auto":
        return
    if isinstance(step_size, bool) or not isinstance(step_size, int | float):
        raise TypeError(
            "`step_size` must be a number, a schedule (a function of the step, like Optax's) or "
            f"'auto', got {step_size!r}."
        )
    if not step_size > 0:
        raise ValueError(f"`step_size` must be positive, got {step_size}.")


def at(step_size: Any, step: jax.Array, tuned: Any) -> Any:
    """The step size at a step: the tuned one for `"auto"`, a schedule's value, or the number."""
    if isinstance(step_size, str):
        return tuned
    return jnp.asarray(step_size(step) if callable(step_size) else step_size, tuned.dtype)
