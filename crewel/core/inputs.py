"""What a `Model` is given, checked and made into pytrees of arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import constraints

from crewel.core.trees import named_leaves, require_concrete


def joint(log_prior: Any, log_likelihood: Any, params: Any, data: Any) -> jax.Array:
    """The log density of a model that is given in two parts."""
    return log_prior(params) + jnp.sum(log_likelihood(params, data))


def arrays(tree: Any) -> Any:
    """Leaves as JAX arrays; typed PRNG keys and arrays stay what they are."""
    return jax.tree.map(jnp.asarray, tree)


def float_leaves(test_point: Any) -> Any:
    """The test point as arrays.

    Raises:
        TypeError: a leaf is not a float, names it; or traced.
        ValueError: there are no parameters.
    """
    require_concrete(test_point, "`test_point`")
    if not sum(np.size(leaf) for leaf in jax.tree.leaves(test_point)):
        raise ValueError(
            "`test_point` has no parameters. Give a pytree of floats with at least one value."
        )
    for name, leaf in named_leaves(test_point).items():
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"`test_point` at `{name}` is of type {dtype}; parameters must be floats, for "
                "gradients to exist. Write `0.0` for `0`, or convert with `.astype(float)`."
            )
    with jax.ensure_compile_time_eval():  # a model may be made within `jax.jit`, for its density
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), test_point)


def num_rows(data: Any) -> int:
    """Rows of data; 1 where there is none.

    Raises:
        ValueError: leaves of `data` differ in rows, or have none.
    """
    if data is None:
        return 1
    rows = {name: np.shape(leaf)[:1] for name, leaf in named_leaves(data).items()}
    if len(set(rows.values())) > 1 or () in rows.values():
        raise ValueError(
            "The leaves of `data` must have the same number of rows, first axis: "
            + ", ".join(f"`{k}` has {v[0] if v else 'none'}" for k, v in rows.items())
        )
    return next(iter(rows.values()))[0] if rows else 1


def gaussian_prior(given: Any, test_point: Any, transform_fn: Any) -> Any:
    """Location and scale of a Gaussian prior, checked against the parameters.

    Raises:
        ValueError: another structure than the parameters', a shape that does not fit, or
            parameters that are transformed.
    """
    if given is None:
        return None
    kinds = jax.tree.leaves(transform_fn, is_leaf=lambda x: isinstance(x, constraints.Constraint))
    if any(type(kind) is not type(constraints.real) for kind in kinds):
        raise ValueError(
            "`gaussian_prior` is for parameters without a transform; drop one of the two."
        )
    for what, tree in zip(("location", "scale"), given, strict=True):
        if jax.tree.structure(tree) != jax.tree.structure(test_point):
            raise ValueError(
                f"The {what} in `gaussian_prior` has another structure than `test_point`."
            )
        for name, leaf in named_leaves(test_point).items():
            shape = np.shape(named_leaves(tree)[name])
            ends = zip(shape[::-1], leaf.shape[::-1], strict=False)
            if len(shape) > leaf.ndim or any(given not in (1, own) for given, own in ends):
                raise ValueError(
                    f"The {what} in `gaussian_prior` at `{name}` has shape {shape}, which does not fit "
                    f"the parameter's {leaf.shape}."
                )
    return arrays(given)
