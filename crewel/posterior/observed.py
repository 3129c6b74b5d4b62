"""Which values of `y` a likelihood observes: those that it neither masks nor censors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from crewel.core.protocol import Array, Data, Params, PyTree
from crewel.core.trees import some_rows
from crewel.likelihoods import CLASSES
from crewel.posterior.distribution import CENSORED, ONE_SIDED, base_of, is_a
from crewel.posterior.predict import NetworkPredictive

WHOLE = 5000  # rows of data that are looked at as a whole, at most


def unmasked(predictive: NetworkPredictive, params: Params, rows: Data) -> np.ndarray:
    """Where a value of `y` is in the likelihood, and not hidden by `.mask(...)`.

    Args:
        predictive: how the model predicts.
        params: any parameters.
        rows: `{"x": ..., "y": ...}`.

    Returns:
        Booleans of the shape of `y`.
    """
    form = distribution_of(predictive, params, rows["x"])
    if not _is_masked(form):
        return np.ones(np.shape(rows["y"]), bool)
    return _unmasked(predictive.at(params, rows["x"])[1], rows["y"], predictive.kind)


def observed(predictive: NetworkPredictive, params: Params, rows: Data) -> np.ndarray:
    """Where a value of `y` is known: not masked, and not the bound of a censored value.

    Interval-censored values, whose `y` is a pair of bounds, are never known.
    """
    found = unmasked(predictive, params, rows)
    base = base_of(distribution_of(predictive, params, rows["x"]))
    if not is_a(base, CENSORED):
        return found
    if not is_a(base, ONE_SIDED):
        return np.zeros_like(found)
    made = base_of(predictive.at(params, rows["x"])[1])
    return found & ~np.broadcast_to(made.censored, found.shape)


def rows_of(predictive: NetworkPredictive, params: Params, data: Data, most: int) -> Data:
    """At most `most` rows of the training data; all of them where the likelihood takes no fewer.

    A likelihood that closes over an array with a value for each row, such as a mask, fits the
    training data as a whole only. If there are more than `WHOLE` rows, some are returned anyway.
    """
    few = some_rows(data, most)
    if len(data["y"]) > WHOLE:
        return few
    try:
        fits = distribution_of(predictive, params, few["x"]).shape() == np.shape(few["y"])
    except Exception:  # whatever the user's function raises
        fits = False
    return few if fits else data


def distribution_of(predictive: NetworkPredictive, params: Params, x: PyTree) -> dist.Distribution:
    """The distribution of `y`, without numbers."""
    return _parametrized.eval_shape(predictive, params, x)


@jax.jit
def _parametrized(predictive: NetworkPredictive, params: Params, x: PyTree) -> dist.Distribution:
    return predictive.at(params, x)[1]


def _is_masked(distribution: Any) -> bool:
    while distribution is not base_of(distribution):
        if isinstance(distribution, dist.MaskedDistribution):
            return True
        distribution = distribution.base_dist
    return False


def _unmasked(distribution: Any, y: Array, kind: str) -> np.ndarray:
    """Where no mask makes the log density of `y`, or of another value, zero."""
    y = jnp.asarray(y)
    other = jnp.where(y == 0, 1, 0).astype(y.dtype) if kind == CLASSES else y + 1
    seen = np.ones(y.shape, bool)
    while distribution is not base_of(distribution):
        if isinstance(distribution, dist.MaskedDistribution):
            hidden = _hidden(distribution, y) | _hidden(distribution, other)
            seen &= ~hidden.reshape(hidden.shape + (1,) * (y.ndim - hidden.ndim))
        distribution = distribution.base_dist
    return seen


def _hidden(masked: dist.MaskedDistribution, y: jax.Array) -> np.ndarray:
    """Where the mask alone makes the log density zero."""
    return np.asarray((masked.log_prob(y) == 0) & (masked.base_dist.log_prob(y) != 0))
