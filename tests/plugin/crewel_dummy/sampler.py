"""The backend: random-walk Metropolis, which knows nothing of Crewel."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class State(NamedTuple):
    """Where the chain is."""

    position: dict
    log_density: jax.Array


def random_walk(log_density, scale=0.5):
    """A function `(key, state) -> (state, rate)`, with steps of standard deviation `scale`."""

    def step(key, state):
        accept_key, *keys = jax.random.split(key, 1 + len(jax.tree.leaves(state.position)))
        keys = jax.tree.unflatten(jax.tree.structure(state.position), keys)
        proposal = jax.tree.map(
            lambda leaf, key: leaf + scale * jax.random.normal(key, leaf.shape, leaf.dtype),
            state.position,
            keys,
        )
        moved = State(proposal, log_density(proposal))
        rate = jnp.exp(jnp.minimum(moved.log_density - state.log_density, 0.0))
        accept = jax.random.uniform(accept_key) < rate
        return jax.tree.map(lambda new, old: jnp.where(accept, new, old), moved, state), rate

    return step
