"""The constant predictor that a network must beat: the best of the likelihood's own kind."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from crewel.core.protocol import Data, Params, PyTree
from crewel.likelihoods import CLASSES, COUNTS, base_of
from crewel.posterior.predict import NetworkPredictive


def log_likelihood(
    predictive: NetworkPredictive, params: Params, data: Data, rows: Data
) -> np.ndarray:
    """Log likelihood of each row under a constant predictor fitted to the training targets.

    Classes get their frequencies, with one added to each count. Counts get a Poisson with their
    mean, or a negative binomial with their mean and variance if the likelihood is not a Poisson
    and the counts vary more than one. Values get a normal with their mean and standard deviation.
    What the likelihood masks is neither fitted nor scored. Rows are fitted by their weights.

    Args:
        predictive: how the model predicts.
        params: any parameters, for the kind of the distribution.
        data: the training data, `{"x": ..., "y": ...}`, and `weights` if there are any.
        rows: the rows to score, the same way.

    Returns:
        `(N,)`, summed over the axes of a row.
    """
    distribution = _distribution(predictive, params, data["x"])
    train, y = (np.asarray(each["y"], np.float64) for each in (data, rows))
    fitted = _weights(data, train)
    seen = np.ones(y.shape, bool)
    if _is_masked(distribution):
        fitted = fitted * _seen(predictive, params, data)
        seen = _seen(predictive, params, rows)
    if predictive.kind == CLASSES:
        values = _classes(train, fitted, y)
    else:
        total = np.maximum(fitted.sum(0), 1e-12)
        mean = (fitted * train).sum(0) / total
        variance = (fitted * (train - mean) ** 2).sum(0) / total
        if predictive.kind == COUNTS:
            poisson = isinstance(base_of(distribution), dist.Poisson)
            values = _counts(mean, variance, y, dispersed=not poisson)
        else:
            sd = np.sqrt(variance) + 1e-12
            values = -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    return np.where(seen, values, 0.0).reshape(len(y), -1).sum(-1)


@jax.jit
def _parametrized(predictive: NetworkPredictive, params: Params, x: PyTree) -> dist.Distribution:
    return predictive.at(params, x)[1]


def _distribution(predictive: NetworkPredictive, params: Params, x: PyTree) -> dist.Distribution:
    """The distribution of `y`, without numbers."""
    return _parametrized.eval_shape(predictive, params, x)


def _is_masked(distribution: Any) -> bool:
    while distribution is not base_of(distribution):
        if isinstance(distribution, dist.MaskedDistribution):
            return True
        distribution = distribution.base_dist
    return False


def _weights(rows: Data, y: np.ndarray) -> np.ndarray:
    """How much each value of `y` counts: the weight of its row."""
    weights = np.asarray(rows.get("weights", np.ones(len(y))), np.float64)
    return np.broadcast_to(weights.reshape(-1, *[1] * (y.ndim - 1)), y.shape)


def _seen(predictive: NetworkPredictive, params: Params, rows: Data) -> np.ndarray:
    """Where `y` counts: two values of it have a log density of exactly zero where it does not."""
    distribution, y = predictive.at(params, rows["x"])[1], jnp.asarray(rows["y"])
    other = jnp.where(y == 0, 1, 0).astype(y.dtype) if predictive.kind == CLASSES else y + 1
    found = np.asarray((distribution.log_prob(y) != 0) | (distribution.log_prob(other) != 0))
    return np.broadcast_to(found.reshape(found.shape + (1,) * (y.ndim - found.ndim)), y.shape)


def _classes(train: np.ndarray, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    known, y = train.astype(int), y.astype(int)
    most = max(known.max(initial=0), y.max())
    count = np.bincount(known.ravel(), weights.ravel(), minlength=int(most) + 1) + 1.0
    return np.log(count / count.sum())[y]


def _counts(
    mean: np.ndarray, variance: np.ndarray, y: np.ndarray, *, dispersed: bool
) -> np.ndarray:
    from scipy.stats import nbinom, poisson

    mean = mean + 1e-12
    found = poisson.logpmf(y, mean)
    if not dispersed:
        return found
    excess = np.maximum(variance - mean, 1e-12)
    wide = nbinom.logpmf(y, mean**2 / excess, mean / (mean + excess))
    return np.where(variance > mean, wide, found)
