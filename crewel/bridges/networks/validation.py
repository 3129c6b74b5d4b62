"""What `wrap` refuses: data and likelihoods that would sample but give wrong results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.core import Tracer

from crewel.bridges.networks import classes as labels
from crewel.core.frames import array_of, names_of, same_index
from crewel.core.labels import Classes
from crewel.core.protocol import Array, Params, PyTree
from crewel.core.row_format import require_finite
from crewel.core.trees import named_leaves
from crewel.likelihoods import shape_hint
from crewel.posterior.distribution import base_of, kind_of
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


def together(rows: str) -> bool:
    """Whether rows belong together.

    Raises:
        ValueError: `rows` is neither of its two values.
    """
    if rows not in ("independent", "together"):
        raise ValueError(f"`rows` must be 'independent' or 'together', got {rows!r}.")
    return rows == "together"


def data(x: PyTree, y: Array, *, together: bool = False) -> None:
    """Refuse data of different lengths, or with values that are not finite.

    Raises:
        TypeError: `y` is not an array.
        ValueError: the numbers of rows differ, unless `x` is one object; or a row holds NaN or
            infinity.
    """
    in_x, in_y = None if together else _rows("x", x), _rows("y", y)
    if in_x not in (None, in_y):
        raise ValueError(f"`x` has {in_x} rows and `y` has {in_y}.")
    if not hasattr(y, "shape"):
        raise TypeError(
            f"`y` is a {type(y).__name__}; it must be one array, `(N, ...)`. What else belongs to "
            "a row, such as a censoring flag or an exposure, can be a leaf of `x`, which the "
            "likelihood reads as `batch['x']`: `(outputs, latents, batch) -> distribution`."
        )
    for name, tree in (("x", x), ("y", y)):
        for leaf in jax.tree.leaves(tree):
            require_finite(leaf, name, _MASK)


def places(predictive: NetworkPredictive, params: Params, x: PyTree, y: Array) -> None:
    """Refuse a network of one object that does not return a row for each row of `y`.

    Raises:
        ValueError: it returns another number of rows.
    """
    outputs = jax.eval_shape(predictive.apply, params, x)
    rows = {leaf.shape[:1] for leaf in jax.tree.leaves(outputs)}
    if rows != {(len(y),)}:
        found = " and ".join(str(shape[0]) if shape else "no" for shape in sorted(rows))
        raise ValueError(
            f"With `rows='together'` the network returns a row for each row of `y`; it returns "
            f"{found} rows and `y` has {len(y)}."
        )


def weights(weights: Any, x: PyTree, y: Any) -> jax.Array:
    """The weights of the rows as an array of floats, `(N,)`.

    Raises:
        TypeError: they are not numbers.
        ValueError: there is not one for each row of `y`, their index is not that of `x`, one is
            negative or not finite, or all are zero.
    """
    same_index(x, weights, "weights")
    found = np.asarray(array_of(weights, "weights"), np.float64)
    rows = np.shape(jax.tree.leaves(y)[0])[:1]
    if found.shape != rows:
        raise ValueError(
            f"`weights` has shape {found.shape}; it must have one number per row, shape {rows}."
        )
    require_finite(found, "weights")
    if (found < 0).any() or not found.any():
        what = f"{found.min():g} in row {found.argmin()}" if found.any() else "zero everywhere"
        raise ValueError(f"`weights` must be at least 0, and one must be positive; it is {what}.")
    return jnp.asarray(found, jnp.result_type(float))


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
    *,
    takes_batch: bool = False,
    classes: Classes | None = None,
) -> str:
    """Refuse a likelihood whose shape is not that of `y`, or whose support lacks a value of `y`.

    Returns:
        The kind of `y`, see `crewel.posterior.distribution.kind_of`.

    Raises:
        TypeError: the likelihood is not a distribution, or `y` has the wrong dtype for it.
        ValueError: the shapes differ, a latent is missing, or a value lies outside the support;
            the message names the row.
    """
    seen: dict[str, Any] = {}

    def look(params: Params, x: PyTree):
        outputs = predictive.apply(params, x)
        seen["outputs"] = jax.tree.map(jnp.shape, outputs)
        seen["distribution"] = predictive.likelihood(params, outputs, x)
        return ()

    try:
        jax.eval_shape(look, params, x)
    except Exception as error:
        asked = error.args[0] if isinstance(error, KeyError) and error.args else None
        named = isinstance(seen.get("outputs"), Mapping)  # then it may be one of the outputs
        if isinstance(asked, str) and asked not in latents and not named:
            batch = ", and its batch has `x` alone (`batch['x']`)" if takes_batch else ""
            raise ValueError(
                f"The likelihood reads `{asked}`, but `latents` has {list(latents)}{batch}. Add "
                f"its prior, for example `latents={{{asked!r}: dist.HalfNormal(1)}}`, or make it a "
                "leaf of `x` if it belongs to a row."
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
    labels.check(found, classes)
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
        known = ""
        if categorical:
            known = (
                f" The network's outputs have shape {seen['outputs']}: the classes are 0 to "
                f"{seen['outputs'][-1] - 1}."
            )
        raise ValueError(
            f"`y` in row {row} is {np.asarray(y)[row]}, which lies outside the support of the "
            f"likelihood, a {kind} on {support}.{known}"
        )
    return kind_of(found)
