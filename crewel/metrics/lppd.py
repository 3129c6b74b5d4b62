"""Log pointwise predictive density."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from crewel.metrics.arrays import as_log_likelihood, row_blocks


def lppd(log_likelihood: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Log pointwise predictive density, the mean over rows, in nats per row. Higher is better.

    `mean_n log( 1/(C D) sum_cd p(y_n | theta_cd) )` (Gelman, Hwang and Vehtari 2014, "Understanding
    predictive information criteria for Bayesian models"). Its negative is the NLL.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        weights: Weights of the rows in the mean, shape (N,); rows of weight zero are left out.

    Returns:
        The score; `-inf` if a row has probability zero under every draw.

    Raises:
        ValueError: The shape is not (C, D, N), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> two_draws_one_row = np.log([[[0.1], [0.3]]])  # the mean density is 0.2
        >>> round(float(np.exp(metrics.lppd(two_draws_one_row))), 6)
        0.2
    """
    return float(mean_over_rows(pointwise_lppd(log_likelihood), weights))


def pointwise_lppd(log_likelihood: ArrayLike) -> np.ndarray:
    """The log predictive density of each row, whose mean is `lppd`.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).

    Returns:
        Nats, shape (N,).

    Raises:
        ValueError: As for `lppd`.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> np.exp(metrics.pointwise_lppd(np.log([[[0.1, 0.5], [0.3, 0.5]]]))).round(6)
        array([0.2, 0.5])
    """
    values = as_log_likelihood(log_likelihood)
    summed = np.concatenate([logsumexp(block, axis=(0, 1)) for _, block in row_blocks(values)])
    return summed - np.log(values.shape[0] * values.shape[1])


def mean_over_rows(values: np.ndarray, weights: ArrayLike | None = None) -> np.ndarray:
    """The weighted mean over the last axis, without the rows of weight zero.

    Args:
        values: Shape (..., N).
        weights: Shape (N,); `None` weights all rows equally.

    Returns:
        Shape (...).
    """
    if weights is None:
        return np.mean(values, axis=-1)
    weights = np.asarray(weights, np.float64)
    counted = weights > 0
    return np.average(values[..., counted], axis=-1, weights=weights[counted])


def cumulative_lppd(
    log_likelihood: ArrayLike,
    over: Literal["chain", "draw"] = "chain",
    *,
    weights: ArrayLike | None = None,
) -> np.ndarray:
    """LPPD of the first 1, 2, ... chains (or draws): once it is flat, more do not help.

    Entry i is `lppd(log_likelihood[:i + 1])` over chains and `lppd(log_likelihood[:, :i + 1])` over
    draws; the last entry is the LPPD of all. Follows Sommer et al. 2024, "Connecting the dots: is
    mode-connectedness the key to feasible sample-based inference in Bayesian neural networks?".

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        over: `"chain"` or `"draw"`.
        weights: As for `lppd`.

    Returns:
        Nats per row, shape (C,) or (D,).

    Raises:
        ValueError: The shape is not (C, D, N), or `over` is neither.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> two_chains_one_row = np.log([[[0.1]], [[0.3]]])
        >>> np.exp(metrics.cumulative_lppd(two_chains_one_row)).round(6)
        array([0.1, 0.2])
    """
    values = as_log_likelihood(log_likelihood)
    if over not in ("chain", "draw"):
        raise ValueError(f'`over` is {over!r} but must be "chain" or "draw".')
    kept, pooled = (0, 1) if over == "chain" else (1, 0)
    running: list[np.ndarray] = []
    for _, block in row_blocks(values):
        with np.errstate(invalid="ignore"):  # a NaN stays a NaN
            running.append(np.logaddexp.accumulate(logsumexp(block, axis=pooled), axis=0))
    num_pooled = np.arange(1, values.shape[kept] + 1) * values.shape[pooled]
    return mean_over_rows(np.concatenate(running, axis=1), weights) - np.log(num_pooled)
