"""All scores of one kind of prediction, by name."""

import numpy as np
from numpy.typing import ArrayLike

from crewel.metrics.arrays import (
    as_draws,
    as_labels,
    as_log_likelihood,
    check_rows,
    class_names,
    row_blocks,
)
from crewel.metrics.classification import accuracy, brier, class_labels, ece
from crewel.metrics.lppd import lppd
from crewel.metrics.regression import coverage, crps, interval_width, rmse


def classification_scores(
    log_likelihood: ArrayLike,
    probability_draws: ArrayLike,
    y: ArrayLike,
    *,
    observed: ArrayLike | None = None,
) -> dict[str, float]:
    """All scores of a classification, by name.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        probability_draws: Class probabilities of each draw, shape (C, D, N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...); each label of a row counts.
        observed: Which labels are known, shape (N, ...); the others count in `lppd` only. By
            default all are known.

    Returns:
        `{"lppd", "accuracy", "brier", "ece"}`, the last with 15 bins; `lppd` alone if no label is
        known.

    Raises:
        ValueError: The shapes do not match, or as for `class_labels`.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> metrics.classification_scores(np.zeros((1, 1, 1)), [[[[0.5, 0.5]]]], [0])
        {'lppd': 0.0, 'accuracy': 1.0, 'brier': 0.5, 'ece': 0.5}
    """
    values, y = as_log_likelihood(log_likelihood), as_labels(y, class_names(probability_draws))
    draws = as_draws(probability_draws, "probability_draws")
    check_rows(values, y)
    mean = np.asarray(np.mean(draws, axis=(0, 1), dtype=np.float64))
    scores = {"lppd": lppd(values)}
    if observed is not None:
        known = _known(observed, y)
        if not known.any():
            return scores
        mean, y = mean[known], y[known]
    probabilities, labels = class_labels(mean, y)
    return scores | {
        "accuracy": accuracy(probabilities, labels),
        "brier": brier(probabilities, labels),
        "ece": ece(probabilities, labels),
    }


def regression_scores(
    log_likelihood: ArrayLike,
    y_draws: ArrayLike,
    mean_draws: ArrayLike | None,
    y: ArrayLike,
    *,
    level: float = 0.9,
    observed: ArrayLike | None = None,
    circular: bool = False,
) -> dict[str, float]:
    """All scores of a regression, by name.

    `rmse` is that of the predictive mean. Where the likelihood has no finite mean, as a Student t
    with one degree of freedom or fewer, it is that of the median of `y_draws`.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        y_draws: Draws of the posterior predictive (noise included), shape (C, D, N, ...).
        mean_draws: Mean of the likelihood of each draw, shape (C, D, N, ...); `None` if it is not
            known, for the mean of `y_draws`.
        y: Observations, shape (N, ...); each value of a row counts.
        level: Probability of the central interval.
        observed: Which values are known, shape (N, ...), and not the bounds of censored ones, for
            example. The others count in `lppd` only. By default all are known.
        circular: Whether values are angles in radians. Errors and intervals are then measured from
            the circular mean of `y_draws`, and lie between -pi and pi.

    Returns:
        `{"lppd", "rmse", "crps", "coverage", "interval_width"}`; `lppd` alone if no value is known.

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
    values, y = as_log_likelihood(log_likelihood), np.asarray(y, np.float64)
    check_rows(values, y)
    draws = as_draws(y_draws, "y_draws")
    means = draws if mean_draws is None else as_draws(mean_draws, "mean_draws")
    scores = {"lppd": lppd(values)}
    if observed is not None:
        known = _known(observed, y)
        if not known.any():
            return scores
        draws, means, y = draws[:, :, known], means[:, :, known], y[known]
    if circular:
        draws, y = _from_circular_mean(draws, y)
        point = np.zeros(y.shape)
    else:
        point = _point(means, draws)
    return scores | {
        "rmse": rmse(point, y),
        "crps": crps(draws, y),
        "coverage": coverage(draws, y, level),
        "interval_width": interval_width(draws, level),
    }


def _known(observed: ArrayLike, y: np.ndarray) -> np.ndarray:
    known = np.asarray(observed, bool)
    if known.shape != y.shape:
        raise ValueError(
            f"`observed` has shape {known.shape} and `y` {y.shape}: they must be equal, one flag "
            "for each value."
        )
    return known


def _point(means: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The predictive mean, or the median of the draws where the mean is not finite."""
    with np.errstate(invalid="ignore"):
        point = np.asarray(np.mean(means, axis=(0, 1), dtype=np.float64))
    wild = ~np.isfinite(point)
    if wild.any() and point.shape == draws.shape[2:]:
        point[wild] = np.median(draws[:, :, wild], axis=(0, 1))
    return point


def _from_circular_mean(draws: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles relative to the circular mean of the draws, from -pi to pi."""
    if draws.shape[2:] != y.shape:
        return draws, y  # the scores will say so
    mean = [np.exp(1j * block).mean(axis=(0, 1)) for _, block in row_blocks(draws)]
    centre = np.angle(np.concatenate(mean))
    return _wrapped(draws - centre), _wrapped(y - centre)


def _wrapped(angle: np.ndarray) -> np.ndarray:
    """The same angle from -pi to pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
