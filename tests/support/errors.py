"""How far draws are from known moments, in Monte Carlo standard errors."""

from __future__ import annotations

import numpy as np
from arviz_stats.base import array_stats

# Errors beyond five standard errors have probability 6e-7 each.
LIMIT = 5.0


def errors(draws: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the mean and of the standard deviation, in Monte Carlo standard errors.

    The standard deviation is judged by the mean of the squared distance from the exact mean, whose
    own autocorrelation counts: draws that alternate around the mean do not alternate in it. Chains
    of fewer than four draws are particles, and count as one chain: they say nothing about time.

    Args:
        draws: `(chain, draw, *event)`.
        mean: of the exact posterior, `event`.
        sd: of the exact posterior, `event`.
    """
    draws = np.asarray(draws, np.float64)
    flat = draws.reshape(*draws.shape[:2], -1)
    flat = flat.reshape(1, -1, flat.shape[-1]) if flat.shape[1] < 4 else flat

    def error(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
        of_mean = array_stats.mcse(values, method="mean", chain_axis=0, draw_axis=1)
        return (values.mean((0, 1)) - exact) / of_mean

    exact = np.ravel(mean)
    return error(flat, exact), error((flat - exact) ** 2, np.ravel(sd) ** 2)


def weighted(draws: np.ndarray, log_weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over chains and draws that carry weights."""
    weight = np.exp(log_weight - log_weight.max())
    weight = (weight / weight.sum()).reshape(*weight.shape, *[1] * (draws.ndim - 2))
    mean = (weight * draws).sum((0, 1))
    return mean, np.sqrt((weight * (draws - mean) ** 2).sum((0, 1)))
