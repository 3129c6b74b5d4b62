"""Check what a `Model` is given, and turn it into pytrees of arrays."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import constraints

from crewel.core.protocol import Data, Params, PyTree
from crewel.core.trees import eagerly, named_leaves, require_concrete


def joint(
    log_prior: Callable[[Params], jax.Array],
    log_likelihood: Callable[[Params, Data], jax.Array],
    params: Params,
    data: Data,
) -> jax.Array:
    """The log density of a model that is given as a prior and a likelihood."""
    return log_prior(params) + jnp.sum(log_likelihood(params, data))


def arrays(tree: PyTree) -> PyTree:
    """Make leaves JAX arrays; typed PRNG keys and arrays stay unchanged."""
    return jax.tree.map(jnp.asarray, tree)


def float_leaves(test_point: Params) -> Params:
    """The test point as arrays.

    Raises:
        TypeError: a leaf is not a float, and the message names it; or a leaf is traced.
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
                f"`test_point` at `{name}` is of type {dtype}; gradients need parameters that are "
                "floats. Write `0.0` instead of `0`, or convert with `.astype(float)`."
            )
    with eagerly():  # a model may be made within `jax.jit`, for its density
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), test_point)


def weak_leaves(test_point: Params) -> tuple[str, ...]:
    """Names of the leaves that were given as Python numbers.

    Examples:
        >>> import numpy as np
        >>> weak_leaves({"a": 1.0, "b": np.ones(2)})
        ('a',)
    """
    named = named_leaves(test_point)
    return tuple(name for name, leaf in named.items() if jnp.asarray(leaf).weak_type)


def num_rows(data: Data) -> int:
    """The number of rows of data; 1 without data.

    Raises:
        ValueError: leaves of `data` differ in their number of rows, or have no axis or no rows.
    """
    if data is None:
        return 1
    rows = {name: np.shape(leaf)[:1] for name, leaf in named_leaves(data).items()}
    if len(set(rows.values())) > 1 or () in rows.values():
        raise ValueError(
            "The leaves of `data` must have the same number of rows (their first axis): "
            + ", ".join(f"`{k}` has {v[0] if v else 'none'}" for k, v in rows.items())
        )
    number = next(iter(rows.values()))[0] if rows else 1
    if number == 0:
        raise ValueError("`data` has no rows.")
    return number


def gaussian_prior(
    given: tuple[Params, Params] | None, test_point: Params, transform_fn: PyTree
) -> tuple[Params, Params] | None:
    """Check the location and scale of a Gaussian prior against the parameters.

    Raises:
        ValueError: their structure or a shape does not fit the parameters, or the parameters are
            transformed.
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
                f"The {what} in `gaussian_prior` has another structure than `test_point`. Give it "
                "the same one."
            )
        for name, leaf in named_leaves(test_point).items():
            shape = np.shape(named_leaves(tree)[name])
            ends = zip(shape[::-1], leaf.shape[::-1], strict=False)
            if len(shape) > leaf.ndim or any(given not in (1, own) for given, own in ends):
                raise ValueError(
                    f"The {what} in `gaussian_prior` at `{name}` has shape {shape}, which does not "
                    f"fit the parameter's {leaf.shape}."
                )
    return arrays(given)
