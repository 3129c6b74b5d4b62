"""Scores of numerical predictions."""

import numpy as np
from numpy.typing import ArrayLike

from crewel.metrics.arrays import as_draws, row_blocks


def rmse(mean_prediction: ArrayLike, y: ArrayLike) -> float:
    """Root mean squared error of the posterior mean, in the units of `y`. Lower is better.

    Args:
        mean_prediction: Mean over chains and draws, shape (N, ...).
        y: Observations, the same shape. `(N, 1)` against `(N,)` is an error, not broadcast.

    Returns:
        `sqrt(mean((mean_prediction - y)^2))`, the mean over rows and outputs.

    Raises:
        ValueError: The shapes differ.

    Examples:
        >>> from crewel import metrics
        >>> metrics.rmse([1.0, 2.0], [2.0, 9.0])  # errors 1 and 7
        5.0
    """
    mean_prediction, y = np.asarray(mean_prediction, np.float64), np.asarray(y, np.float64)
    if mean_prediction.shape != y.shape or y.size == 0:
        raise ValueError(
            f"`mean_prediction` has shape {mean_prediction.shape} and `y` {y.shape}: they must be "
            "equal and not empty. Reshape one of them; broadcasting would hide the error."
        )
    return float(np.sqrt(np.mean((mean_prediction - y) ** 2)))


def coverage(y_draws: ArrayLike, y: ArrayLike, level: float = 0.9) -> float:
    """Fraction of observations inside the central predictive interval. Best is `level` itself.

    The interval reaches from the `(1 - level)/2` to the `(1 + level)/2` quantile of the draws.

    Args:
        y_draws: Draws of the posterior predictive (noise included), shape (C, D, N, ...).
        y: Observations, shape (N, ...).
        level: Probability of the interval, between 0 and 1.

    Returns:
        A fraction, the mean over rows and outputs.

    Raises:
        ValueError: The shapes do not match, or `level` is not between 0 and 1.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> draws = np.tile(np.linspace(0, 1, 101)[None, :, None], (1, 1, 2))  # N = 2
        >>> metrics.coverage(draws, [0.5, 0.99], level=0.9)
        0.5
    """
    draws, y = _draws_and_y(y_draws, y)
    low, high = _interval(draws, level)
    return float(np.mean((low <= y) & (y <= high)))


def interval_width(y_draws: ArrayLike, level: float = 0.9) -> float:
    """Mean width of the central predictive interval, in the units of `y`.

    Lower is better only at equal `coverage`.

    Args:
        y_draws: Draws of the posterior predictive, shape (C, D, N, ...).
        level: Probability of the interval, between 0 and 1.

    Returns:
        The mean over rows and outputs.

    Raises:
        ValueError: Fewer than three axes, or `level` is not between 0 and 1.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> round(metrics.interval_width(np.linspace(0, 1, 101)[None, :, None], 0.9), 6)
        0.9
    """
    low, high = _interval(as_draws(y_draws, "y_draws"), level)
    return float(np.mean(high - low))


def crps(y_draws: ArrayLike, y: ArrayLike) -> float:
    """Continuous ranked probability score, in the units of `y`. Lower is better.

    `E|Y - y| - E|Y - Y'|/2` (Gneiting and Raftery 2007, "Strictly proper scoring rules, prediction,
    and estimation") with the fair estimator of the second term, `sum_ij |y_i - y_j| / (2 m (m-1))`
    over the `m = C D` draws (Ferro 2014, "Fair scores for ensemble forecasts"): unbiased for
    independent draws, whatever their number.

    Args:
        y_draws: Draws of the posterior predictive (noise included), shape (C, D, N, ...).
        y: Observations, shape (N, ...).

    Returns:
        The mean over rows and outputs.

    Raises:
        ValueError: The shapes do not match, or there is only one draw.

    Examples:
        >>> from crewel import metrics
        >>> metrics.crps([[[0.0], [1.0]]], [2.0])  # (2 + 1)/2 - 1/2
        1.0
    """
    draws, y = _draws_and_y(y_draws, y)
    num = draws.shape[0] * draws.shape[1]
    if num < 2:
        raise ValueError(f"`y_draws` has shape {draws.shape}, one draw: `crps` needs at least 2.")
    rank_weight = (2 * np.arange(1, num + 1) - num - 1) / (num * (num - 1))
    total = 0.0
    for rows, block in row_blocks(draws):
        block = np.sort(block.reshape(num, -1), axis=0)
        error = np.abs(block - y[rows].reshape(1, -1)).mean(axis=0)
        total += float(np.sum(error - rank_weight @ block))
    return total / y.size


def variance_split(means: ArrayLike, variances: ArrayLike) -> dict[str, np.ndarray]:
    """Split the predictive variance of each row by the law of total variance.

    `total = mean_cd variances + var_cd means`: the noise that every draw expects (aleatoric) and
    the disagreement of the draws (epistemic) (Depeweg et al. 2018).

    Args:
        means: Mean of the likelihood of each draw, shape (C, D, N, ...).
        variances: Its variance, the same shape.

    Returns:
        `{"total", "aleatoric", "epistemic"}`, each of shape (N, ...), in squared units of `y`.

    Raises:
        ValueError: The shapes differ, or have fewer than three axes.

    Examples:
        >>> from crewel import metrics
        >>> split = metrics.variance_split([[[0.0], [2.0]]], [[[0.5], [0.5]]])
        >>> {name: value.tolist() for name, value in split.items()}
        {'total': [1.5], 'aleatoric': [0.5], 'epistemic': [1.0]}
    """
    means, variances = as_draws(means, "means"), as_draws(variances, "variances")
    if means.shape != variances.shape:
        raise ValueError(
            f"`means` has shape {means.shape} and `variances` {variances.shape}: they must be "
            "equal. Broadcast them first, `np.broadcast_arrays(means, variances)`."
        )
    epistemic = np.concatenate([block.var(axis=(0, 1)) for _, block in row_blocks(means)])
    aleatoric = np.asarray(np.mean(variances, axis=(0, 1), dtype=np.float64))
    return {"total": aleatoric + epistemic, "aleatoric": aleatoric, "epistemic": epistemic}


def _draws_and_y(
    draws: ArrayLike, y: ArrayLike, name: str = "y_draws"
) -> tuple[np.ndarray, np.ndarray]:
    draws, y = as_draws(draws, name), np.asarray(y, np.float64)
    if draws.shape[2:] != y.shape:
        raise ValueError(
            f"`{name}` has shape {draws.shape} and `y` {y.shape}: after its chain and draw axes, "
            f"`{name}` must have the shape of `y`. Reshape one of them."
        )
    return draws, y


def _interval(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    if not 0 < level < 1:
        raise ValueError(f"`level` is {level} but must be between 0 and 1, 0.9 for 90 %.")
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = [np.quantile(block, tails, axis=(0, 1)) for _, block in row_blocks(draws)]
    low, high = np.concatenate(bounds, axis=1)
    return low, high
