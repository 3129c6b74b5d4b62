"""What a `Model` is given, checked and made into pytrees of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from crewel.trees import named_leaves


def joint(log_prior: Any, log_likelihood: Any, params: Any, data: Any) -> jax.Array:
    """The log density of a model that is given in two parts."""
    return log_prior(params) + jnp.sum(log_likelihood(params, data))


def partial(fn: Callable[..., Any] | None) -> Partial | None:
    """A function as a pytree: its code is structure."""
    return fn if fn is None or isinstance(fn, Partial) else Partial(fn)


def arrays(tree: Any) -> Any:
    """Leaves as JAX arrays; typed PRNG keys and arrays stay what they are."""
    return jax.tree.map(jnp.asarray, tree)


def float_leaves(test_point: Any) -> Any:
    """The test point as arrays.

    Raises:
        TypeError: a leaf is not a float; names it.
    """
    for name, leaf in named_leaves(test_point).items():
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"`test_point` at `{name}` is of type {dtype}; parameters must be floats, for "
                "gradients to exist. Write `0.0` for `0`, or convert with `.astype(float)`."
            )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), test_point)


def same_rows(data: Any) -> None:
    """Raise `ValueError` where leaves of `data` differ in rows, or have none."""
    rows = {name: np.shape(leaf)[:1] for name, leaf in named_leaves(data).items()}
    if len(set(rows.values())) > 1 or () in rows.values():
        raise ValueError(
            "The leaves of `data` must have the same number of rows, first axis: "
            + ", ".join(f"`{k}` has {v[0] if v else 'none'}" for k, v in rows.items())
        )
