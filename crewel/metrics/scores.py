"""All scores of one kind of prediction, by name."""

import numpy as np
from numpy.typing import ArrayLike

from crewel.metrics.arrays import as_draws, as_log_likelihood, check_rows
from crewel.metrics.classification import accuracy, brier, class_labels, ece
from crewel.metrics.lppd import lppd
from crewel.metrics.regression import coverage, crps, interval_width, rmse


def classification_scores(
    log_likelihood: ArrayLike, probability_draws: ArrayLike, y: ArrayLike
) -> dict[str, float]:
    """All scores of a classification, by name.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        probability_draws: Class probabilities of each draw, shape (C, D, N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...); each label of a row counts.

    Returns:
        `{"lppd", "accuracy", "brier", "ece"}`, the last with 15 bins.

    Raises:
        ValueError: The shapes do not match, or as for `class_labels`.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> metrics.classification_scores(np.zeros((1, 1, 1)), [[[[0.5, 0.5]]]], [0])
        {'lppd': 0.0, 'accuracy': 1.0, 'brier': 0.5, 'ece': 0.5}
    """
    values = as_log_likelihood(log_likelihood)
    draws = as_draws(probability_draws, "probability_draws")
    check_rows(values, np.asarray(y))
    probabilities, labels = class_labels(np.mean(draws, axis=(0, 1), dtype=np.float64), y)
    return {
        "lppd": lppd(values),
        "accuracy": accuracy(probabilities, labels),
        "brier": brier(probabilities, labels),
        "ece": ece(probabilities, labels),
    }


def regression_scores(
    log_likelihood: ArrayLike,
    y_draws: ArrayLike,
    mean_draws: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.9,
) -> dict[str, float]:
    """All scores of a regression, by name.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        y_draws: Draws of the posterior predictive (noise included), shape (C, D, N, ...).
        mean_draws: Mean of the likelihood of each draw, shape (C, D, N, ...).
        y: Observations, shape (N, ...); each value of a row counts.
        level: Probability of the central interval.

    Returns:
        `{"lppd", "rmse", "crps", "coverage", "interval_width"}`.

    Raises:
        ValueError: The shapes do not match.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> scores = metrics.regression_scores(
        ...     np.zeros((1, 2, 1)), [[[0.0], [1.0]]], [[[0.5], [0.5]]], [0.5])
        >>> {name: round(score, 6) for name, score in scores.items()}
        {'lppd': 0.0, 'rmse': 0.0, 'crps': 0.0, 'coverage': 1.0, 'interval_width': 0.9}
    """
    values = as_log_likelihood(log_likelihood)
    means, y = as_draws(mean_draws, "mean_draws"), np.asarray(y, np.float64)
    check_rows(values, y)
    return {
        "lppd": lppd(values),
        "rmse": rmse(np.mean(means, axis=(0, 1), dtype=np.float64), y),
        "crps": crps(y_draws, y),
        "coverage": coverage(y_draws, y, level),
        "interval_width": interval_width(y_draws, level),
    }
