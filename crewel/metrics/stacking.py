"""Weights with which several predictive distributions predict best together."""

import numpy as np
from numpy.typing import ArrayLike

GAP = 1e-5  # nats per row that the weights may be short of the best
MOST = 100_000  # steps


def stacking_weights(pointwise_lppd: ArrayLike) -> np.ndarray:
    """The weights of a mixture of K predictive distributions that score best on held-out rows.

    They maximize `mean_n log sum_k w_k p_k(y_n)` over the simplex, to within 1e-5 nats per row
    (Yao, Vehtari, Simpson and Gelman 2018, "Using stacking to average Bayesian predictive
    distributions"). The problem is concave; the steps are those of the EM algorithm.

    Args:
        pointwise_lppd: Log predictive densities of the same held-out rows, shape (K, N).

    Returns:
        Weights that sum to 1, shape (K,).

    Raises:
        ValueError: Wrong shape, NaN, or a row that has density zero under every distribution.

    Examples:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> metrics.stacking_weights(np.log([[0.9, 0.1], [0.1, 0.9]])).round(3).tolist()
        [0.5, 0.5]
    """
    values = np.asarray(pointwise_lppd, np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"`pointwise_lppd` has shape {values.shape} but must be (distributions, rows)."
        )
    best = values.max(axis=0)
    if not np.isfinite(best).all():
        row = int(np.flatnonzero(~np.isfinite(best))[0])
        raise ValueError(
            f"Row {row} has no finite log density: {values[:, row].tolist()}. Leave it out, or "
            "find out why every distribution excludes it."
        )
    density = np.exp(values - best)
    weights = np.full(len(values), 1 / len(values))
    for _ in range(MOST):
        # The gradient; its maximum bounds how much the mean log density can still rise.
        ratio = (density / (weights @ density)).mean(axis=1)
        if np.log(ratio.max()) < GAP:
            break
        weights = weights * ratio
    return weights / weights.sum()
