"""The constant predictor that a network must beat: the best of the likelihood's own kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro.distributions as dist

from crewel.core.protocol import Data, Params
from crewel.likelihoods import CLASSES, COUNTS
from crewel.posterior.distribution import CENSORED, ONE_SIDED, base_of, is_a
from crewel.posterior.observed import distribution_of, observed, unmasked
from crewel.posterior.predict import NetworkPredictive


def log_likelihood(
    predictive: NetworkPredictive, params: Params, data: Data, rows: Data
) -> np.ndarray:
    """Log likelihood of each row under a constant predictor fitted to the training targets.

    Classes get their frequencies, with one added to each count. Counts get a Poisson with their
    mean, or a negative binomial with their mean and variance if the likelihood is not a Poisson
    and the counts vary more than one. Values get a normal with their mean and standard deviation.
    What the likelihood masks is neither fitted nor scored. Where values are censored, the normal is
    fitted to the others and censored in the same way. Rows are fitted by their weights.

    Args:
        predictive: how the model predicts.
        params: any parameters, for the kind of the distribution.
        data: the training data, `{"x": ..., "y": ...}`, and `weights` if there are any.
        rows: the rows to score, the same way.

    Returns:
        `(N,)`, summed over the axes of a row.
    """
    base = base_of(distribution_of(predictive, params, data["x"]))
    train, y = (np.asarray(each["y"], np.float64) for each in (data, rows))
    seen = unmasked(predictive, params, rows)
    fitted = _weights(data, train) * unmasked(predictive, params, data)
    if predictive.kind == CLASSES:
        values = _classes(train, fitted, y)
    elif is_a(base, CENSORED):
        if is_a(base, ONE_SIDED):
            fitted = fitted * observed(predictive, params, data)
        values = _censored(base_of(predictive.at(params, rows["x"])[1]), train, fitted, y)
        seen = seen.reshape(*values.shape, -1).any(-1)
    elif predictive.kind == COUNTS:
        values = _counts(*_moments(train, fitted), y, dispersed=not is_a(base, ("Poisson",)))
    else:
        mean, sd = _moments(train, fitted)
        values = -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        if base.support is dist.constraints.simplex:  # its density is over all entries but one
            values[..., -1] = 0
    return np.where(seen, values, 0.0).reshape(len(y), -1).sum(-1)


def _weights(rows: Data, y: np.ndarray) -> np.ndarray:
    """How much each value of `y` counts: the weight of its row."""
    weights = np.asarray(rows.get("weights", np.ones(len(y))), np.float64)
    return np.broadcast_to(weights.reshape(-1, *[1] * (y.ndim - 1)), y.shape)


def _moments(
    values: np.ndarray, weights: np.ndarray, axis: int | None = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean and standard deviation."""
    total = np.maximum(weights.sum(axis), 1e-12)
    mean = (weights * values).sum(axis) / total
    return mean, np.sqrt((weights * (values - mean) ** 2).sum(axis) / total) + 1e-12


def _classes(train: np.ndarray, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    known, y = train.astype(int), y.astype(int)
    most = max(known.max(initial=0), y.max())
    count = np.bincount(known.ravel(), weights.ravel(), minlength=int(most) + 1) + 1.0
    return np.log(count / count.sum())[y]


def _censored(base: Any, train: np.ndarray, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A normal distribution, censored where `base` is."""
    if is_a(base, ONE_SIDED):
        normal, flags = dist.Normal(*_moments(train, weights)), (base.censored,)
    else:  # `y` is a pair of bounds
        normal = dist.Normal(*_moments(train, weights, axis=None))
        flags = base.left_censored, base.right_censored
    return np.asarray(type(base)(normal, *flags).log_prob(y), np.float64)


def _counts(mean: np.ndarray, sd: np.ndarray, y: np.ndarray, *, dispersed: bool) -> np.ndarray:
    from scipy.stats import nbinom, poisson

    mean, variance = mean + 1e-12, sd**2
    found = poisson.logpmf(y, mean)
    if not dispersed:
        return found
    excess = np.maximum(variance - mean, 1e-12)
    wide = nbinom.logpmf(y, mean**2 / excess, mean / (mean + excess))
    return np.where(variance > mean, wide, found)
