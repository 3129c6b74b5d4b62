"""PRNG keys: from whatever the user gives as a seed, and split for each chain."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import Key, Seed
from crewel.core.trees import eagerly, is_traced


def as_key(seed: Seed) -> Key:
    """A typed PRNG key from an integer, a typed key, or a raw one.

    Raises:
        TypeError: it is none of these.
        ValueError: an integer that does not fit in 32 bits.

    Examples:
        >>> as_key(0).dtype
        key<fry>
    """
    if is_traced(seed):
        return _as_key(seed)
    with eagerly():  # within a traced function, a key that is not traced
        return _as_key(seed)


def _as_key(seed: Seed) -> Key:
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        # JAX would drop the higher bits, so that 2**32 would be the seed 0.
        if not -(2**31) <= seed < 2**32:
            raise ValueError(
                f"`seed` is {seed}, but a seed has 32 bits: pass an integer from 0 to "
                "4,294,967,295, or a PRNG key such as `jax.random.fold_in(jax.random.key(a), b)`."
            )
        return jax.random.key(seed)
    if isinstance(seed, jax.Array | np.ndarray):
        if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key) and seed.shape == ():
            return jnp.asarray(seed)
        if seed.dtype == np.uint32 and seed.ndim == 1:
            return jax.random.wrap_key_data(jnp.asarray(seed))
    raise TypeError(f"`seed` must be an integer or a PRNG key, got {type(seed).__name__}.")


def chain_keys(key: Key, num_chains: int) -> tuple[Key, Key, Key]:
    """Keys `(chain,)` for initial states, warm-up and draws; none depends on `num_chains`."""
    keys = jax.vmap(lambda chain: jax.random.split(jax.random.fold_in(key, chain), 3))(
        jnp.arange(num_chains)
    )
    return keys[:, 0], keys[:, 1], keys[:, 2]
