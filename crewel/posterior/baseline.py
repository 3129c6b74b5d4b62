"""The constant predictor that a network must beat: the best of the likelihood's own kind."""

from __future__ import annotations

import jax
import numpy as np
import numpyro.distributions as dist

from crewel.core.protocol import Array, Data, Params, PyTree
from crewel.likelihoods import CLASSES, COUNTS, base_of
from crewel.posterior.predict import NetworkPredictive


def log_likelihood(
    predictive: NetworkPredictive, params: Params, data: Data, y: Array
) -> np.ndarray:
    """Log likelihood of each row under a constant predictor fitted to the training targets.

    Classes get their frequencies, with one added to each count. Counts get a Poisson with their
    mean, or a negative binomial with their mean and variance if the likelihood is not a Poisson
    and the counts vary more than one. Values get a normal with their mean and standard deviation.

    Args:
        predictive: how the model predicts.
        params: any parameters, for the kind of the distribution.
        data: the training data, `{"x": ..., "y": ...}`.
        y: targets to score, `(N, ...)`.

    Returns:
        `(N,)`, summed over the axes of a row.
    """
    train, y = np.asarray(data["y"], np.float64), np.asarray(y, np.float64)
    if predictive.kind == CLASSES:
        values = _classes(train, y)
    elif predictive.kind == COUNTS:
        poisson = isinstance(_base(predictive, params, data["x"]), dist.Poisson)
        values = _counts(train, y, dispersed=not poisson)
    else:
        mean, sd = train.mean(0), train.std(0) + 1e-12
        values = -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    return values.reshape(len(y), -1).sum(-1)


def _base(predictive: NetworkPredictive, params: Params, x: PyTree) -> dist.Distribution:
    """The distribution of `y`, without numbers."""
    seen: list[dist.Distribution] = []
    few = jax.tree.map(lambda leaf: leaf[:2], x)
    jax.eval_shape(lambda p, x: seen.append(predictive.at(p, x)[1]), params, few)
    return base_of(seen[0])


def _classes(train: np.ndarray, y: np.ndarray) -> np.ndarray:
    train, y = train.astype(int), y.astype(int)
    count = np.bincount(train.ravel(), minlength=int(y.max()) + 1) + 1.0
    return np.log(count / count.sum())[y]


def _counts(train: np.ndarray, y: np.ndarray, *, dispersed: bool) -> np.ndarray:
    from scipy.stats import nbinom, poisson

    mean, variance = train.mean(0) + 1e-12, train.var(0)
    found = poisson.logpmf(y, mean)
    if not dispersed:
        return found
    excess = np.maximum(variance - mean, 1e-12)
    wide = nbinom.logpmf(y, mean**2 / excess, mean / (mean + excess))
    return np.where(variance > mean, wide, found)
