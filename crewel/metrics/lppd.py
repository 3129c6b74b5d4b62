"""Log pointwise predictive density."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from crewel.metrics.arrays import as_log_likelihood, row_blocks


def lppd(log_likelihood: ArrayLike) -> float:
    """Log pointwise predictive density, the mean over rows, in nats per row. Higher is better.

    `mean_n log( 1/(C D) sum_cd p(y_n | theta_cd) )` (Gelman, Hwang and Vehtari 2014, "Understanding
    predictive information criteria for Bayesian models"). Its negative is the NLL.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).

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
    values = as_log_likelihood(log_likelihood)
    total = sum(float(np.sum(logsumexp(block, axis=(0, 1)))) for _, block in row_blocks(values))
    return total / values.shape[2] - float(np.log(values.shape[0] * values.shape[1]))


def cumulative_lppd(
    log_likelihood: ArrayLike, over: Literal["chain", "draw"] = "chain"
) -> np.ndarray:
    """LPPD of the first 1, 2, ... chains (or draws): once it is flat, more do not help.

    Entry i is `lppd(log_likelihood[:i + 1])` over chains and `lppd(log_likelihood[:, :i + 1])` over
    draws; the last entry is the LPPD of all. Follows Sommer et al. 2024, "Connecting the dots: is
    mode-connectedness the key to feasible sample-based inference in Bayesian neural networks?".

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        over: `"chain"` or `"draw"`.

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
    total = np.zeros(values.shape[kept])
    for _, block in row_blocks(values):
        with np.errstate(invalid="ignore"):  # a NaN stays a NaN
            running = np.logaddexp.accumulate(logsumexp(block, axis=pooled), axis=0)
        total += running.sum(axis=1)
    num_pooled = np.arange(1, values.shape[kept] + 1) * values.shape[pooled]
    return total / values.shape[2] - np.log(num_pooled)
