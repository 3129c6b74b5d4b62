"""Whether the random numbers that a network draws reach its outputs.

Some networks ask for a key that changes nothing: recurrent cells pass it to the initializer of
their state, which returns zeros. Others draw dropout masks or noise, so their density would be
another function in each call.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from crewel.core.protocol import Key, Params, PyTree

Run = Callable[..., tuple[PyTree, PyTree]]  # `run` of `Bridged`


def moved(params: Params, key: Key) -> Params:
    """Parameters with noise added: a layer of zeros would hide what comes before it."""

    def move(key: Key, leaf: jax.Array) -> jax.Array:
        scale = 1 / math.sqrt(max(1, math.prod(jnp.shape(leaf)[:-1])))
        noise = scale * jax.random.normal(key, jnp.shape(leaf))
        return leaf + noise.astype(jnp.result_type(leaf))

    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(structure, list(map(move, keys, leaves)))


def agree(with_key: Callable[[Key], Run], params: Params, state: PyTree, x: PyTree) -> bool:
    """Whether a network's outputs are the same under several keys.

    Args:
        with_key: the network's `run` with a key.
        params: its parameters.
        state: its state.
        x: a few rows.
    """
    keys = jax.random.split(jax.random.key(0), 3)

    @jax.jit
    def outputs(params: Params) -> list[jax.Array]:
        def at(key: Key) -> list[jax.Array]:
            there = moved(params, key)
            return jax.lax.map(
                lambda key: jax.tree.leaves(with_key(key)(there, state, x, False)[0]), keys
            )

        return jax.lax.map(at, keys)  # each leaf: (parameters, key, ...)

    # NaN is equal to itself here
    return all(bool(((a == a[:, :1]) | (a != a)).all()) for a in outputs(params))


def needed_key(
    with_key: Callable[[Key | None], Run], params: Params, state: PyTree, x: PyTree
) -> Key | None:
    """The key for a network whose dropout is off: any, if it fails without one; else `None`.

    Raises:
        ValueError: the outputs depend on the key.
    """

    def trace(key: Key | None) -> None:
        jax.eval_shape(lambda params: with_key(key)(params, state, x, False)[0], params)

    key = jax.random.key(0)
    try:
        trace(None)
        return None
    except Exception as error:
        try:
            trace(key)
        except Exception:
            raise error from None  # it does not fail for want of a key
        refuse_unless(agree(with_key, params, state, x), error)
    return key


def refuse_unless(same: bool, cause: Exception | None = None) -> None:
    """Refuse a network whose outputs depend on a key although dropout is off.

    Raises:
        ValueError: they do.
    """
    if not same:
        raise ValueError(
            "The network draws random numbers that change its outputs, but no `dropout=` is given: "
            "its own code switches dropout on, adds noise or draws an initial state. A density "
            "must be the same in each call. Switch that off, for instance with "
            "`call={'train': False}`, or fix the random numbers with `dropout=key`."
        ) from cause
