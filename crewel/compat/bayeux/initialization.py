"""Initial points of chains, as bayeux draws them."""

from __future__ import annotations

from typing import Any

import jax

from crewel.compat.bayeux.types import JAXFn, Point
from crewel.core.keys import as_key
from crewel.run import initial


def uniform(
    *,
    test_point: Point,
    inverse_transform_fn: JAXFn,
    transform_fn: JAXFn,
    num_points: int,
    key: Any,
) -> Point:
    """Draw points uniformly from (-2, 2) on the unconstrained space.

    Args:
        test_point: a pytree with the structure and shapes of the parameters.
        inverse_transform_fn: from parameters to the unconstrained space.
        transform_fn: from the unconstrained space to parameters, for one point.
        num_points: number of points.
        key: PRNG key.

    Returns:
        Constrained points, leaves `(num_points, ...)`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> uniform(test_point=1.0, inverse_transform_fn=jnp.log, transform_fn=jnp.exp,
        ...         num_points=3, key=jax.random.key(0)).shape
        (3,)
    """
    like = jax.eval_shape(inverse_transform_fn, jax.tree.map(jax.numpy.asarray, test_point))
    keys = jax.random.split(as_key(key), num_points)
    return jax.vmap(lambda k: transform_fn(initial.uniform(k, like)))(keys)
