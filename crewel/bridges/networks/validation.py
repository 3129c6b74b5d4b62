"""What `wrap` refuses: data and likelihoods that would sample but give wrong results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.core import Tracer

from crewel.core.frames import names_of
from crewel.core.protocol import Array, Params, PyTree
from crewel.core.row_format import require_finite
from crewel.core.trees import named_leaves
from crewel.likelihoods import base_of, kind_of, shape_hint
from crewel.posterior.predict import NetworkPredictive


def _rows(name: str, tree: PyTree) -> int:
    leaves = jax.tree.leaves(tree)
    counts = {np.shape(leaf)[:1] for leaf in leaves}
    if not leaves:
        raise ValueError(f"`{name}` is {tree!r}, without any array. Pass one row per datum.")
    if () not in counts and len(counts) > 1:
        each = zip(names_of(tree, name), leaves, strict=True)
        listed = ", ".join(f"`{path}` has {len(leaf)}" for path, leaf in each)
        raise ValueError(
            f"The leaves of `{name}` differ in their number of rows: {listed}. Rows of different "
            "lengths must be padded to one length, as one array."
        )
    if counts == {(0,)}:
        raise ValueError(f"`{name}` has no rows.")
    if () in counts:
        raise ValueError(
            f"`{name}` must be an array, or a pytree of arrays, with one row per datum; a list of "
            "numbers is a pytree of scalars: pass `numpy.asarray(...)`."
        )
    return counts.pop()[0]


_MASK = (
    " Fill values of `y` that were not observed with any valid number, and mask them in a "
    "likelihood function with `distribution.mask(...)`."
)


def data(x: PyTree, y: Array) -> None:
    """Refuse data of different lengths, or with values that are not finite.

    Raises:
        TypeError: `y` is not an array.
        ValueError: the numbers of rows differ, or a row holds NaN or infinity.
    """
    if _rows("x", x) != _rows("y", y):
        raise ValueError(f"`x` has {_rows('x', x)} rows and `y` has {_rows('y', y)}.")
    if not hasattr(y, "shape"):
        raise TypeError(f"`y` is a {type(y).__name__}; it must be one array, `(N, ...)`.")
    for name, tree in (("x", x), ("y", y)):
        for leaf in jax.tree.leaves(tree):
            require_finite(leaf, name, _MASK)


def parameters(params: Params) -> None:
    """Refuse a network without parameters, or with one that is not a float.

    Raises:
        TypeError: a leaf is not an array of floats; the message names it.
        ValueError: there are no parameters.
    """
    leaves = named_leaves(params)
    if not leaves:
        raise ValueError("The network has no parameters to sample.")
    for path, leaf in leaves.items():
        kind = getattr(leaf, "dtype", None)
        if kind is None and not isinstance(leaf, float):
            raise TypeError(
                f"The network's parameter `{path}` is a {type(leaf).__name__}; parameters must be "
                "arrays of floats."
            )
        if kind is not None and not jnp.issubdtype(kind, jnp.floating):
            raise TypeError(
                f"The network's parameter `{path}` is of type {kind}; gradients need parameters "
                "that are floats. Convert it, or keep it fixed: `bayesian=` takes patterns of the "
                "parameters to sample."
            )


def likelihood(
    predictive: NetworkPredictive,
    params: Params,
    x: PyTree,
    y: Array,
    latents: Collection[str] = (),
) -> str:
    """Refuse a likelihood whose shape is not that of `y`, or whose support lacks a value of `y`.

    Returns:
        The kind of `y`, see `crewel.likelihoods.kind_of`.

    Raises:
        TypeError: the likelihood is not a distribution, or `y` has the wrong dtype for it.
        ValueError: the shapes differ, a latent is missing, or a value lies outside the support;
            the message names the row.
    """
    seen: dict[str, Any] = {}

    def look(params: Params, x: PyTree):
        outputs = predictive.apply(params, x)
        seen["outputs"] = jax.tree.map(jnp.shape, outputs)
        seen["distribution"] = predictive.likelihood(params, outputs)
        return ()

    try:
        jax.eval_shape(look, params, x)
    except Exception as error:
        asked = error.args[0] if isinstance(error, KeyError) and error.args else None
        named = isinstance(seen.get("outputs"), Mapping)  # then it may be one of the outputs
        if isinstance(asked, str) and asked not in latents and not named:
            raise ValueError(
                f"The likelihood reads `{asked}`, but `latents` has {list(latents)}. Add its "
                f"prior: `latents={{{asked!r}: dist.HalfNormal(1)}}`, for example."
            ) from error
        if "outputs" in seen:
            error.add_note(
                f"crewel: while calling the likelihood; the network's outputs have shape "
                f"{seen['outputs']} and `y` has shape {y.shape}."
            )
        raise
    found = seen["distribution"]
    kind = type(found).__name__
    if not isinstance(found, dist.Distribution):
        raise TypeError(
            f"`likelihood` returned a {kind}; it must return a NumPyro distribution over `y`."
        )
    categorical = isinstance(base_of(found), dist.CategoricalProbs | dist.CategoricalLogits)
    if found.shape() != y.shape:
        raise ValueError(
            f"The likelihood is a {kind} of shape {found.shape()} and `y` has shape {y.shape}; "
            "they must be equal, one value per datum. The network's outputs have shape "
            f"{seen['outputs']}.{shape_hint(found.shape(), y.shape)}"
        )
    if categorical and y.dtype.kind not in "iu":
        raise TypeError(
            f"`y` has dtype {y.dtype}; a categorical likelihood needs class numbers: "
            "`y.astype(int)`."
        )
    support: Any = found.support
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(support)):
        return kind_of(found)  # the support depends on the parameters
    outside = np.argwhere(~np.atleast_1d(np.asarray(support(y))))
    if outside.size:
        row = int(outside[0][0])
        classes = ""
        if categorical:
            classes = (
                f" The network's outputs have shape {seen['outputs']}: the classes are 0 to "
                f"{seen['outputs'][-1] - 1}."
            )
        raise ValueError(
            f"`y` in row {row} is {np.asarray(y)[row]}, which lies outside the support of the "
            f"likelihood, a {kind} on {support}.{classes}"
        )
    return kind_of(found)
