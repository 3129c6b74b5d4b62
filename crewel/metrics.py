"""Scores of a posterior predictive on held-out rows, from plain arrays.

Everywhere: C chains, D draws per chain, N data rows, K classes. Arrays in (NumPy or JAX), Python
floats or NumPy arrays out, sums in float64. Arrays with a chain and a draw axis are read in blocks
of rows, so that scoring a large array needs little memory beside it.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, logsumexp

_BLOCK = 2**22  # numbers held in float64 at a time: 32 MiB


def lppd(log_likelihood: ArrayLike) -> float:
    """Log pointwise predictive density, the mean over rows, in nats per row. Higher is better.

    `mean_n log( 1/(C D) sum_cd p(y_n | theta_cd) )` (Gelman, Hwang and Vehtari 2014, "Understanding
    predictive information criteria for Bayesian models"). Its negative is the NLL.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).

    Returns:
        The score; a row that every draw finds impossible makes it `-inf`.

    Raises:
        ValueError: The shape is not (C, D, N), or an axis is empty.

    Example:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> two_draws_one_row = np.log([[[0.1], [0.3]]])  # the mean density is 0.2
        >>> round(float(np.exp(metrics.lppd(two_draws_one_row))), 6)
        0.2
    """
    values = _log_likelihood(log_likelihood)
    total = sum(float(np.sum(logsumexp(block, axis=(0, 1)))) for _, block in _row_blocks(values))
    return total / values.shape[2] - float(np.log(values.shape[0] * values.shape[1]))


def cumulative_lppd(
    log_likelihood: ArrayLike, over: Literal["chain", "draw"] = "chain"
) -> np.ndarray:
    """LPPD with the first 1, 2, ... chains (or draws): where it is flat, more do not help.

    Entry i is `lppd(log_likelihood[:i + 1])` over chains and `lppd(log_likelihood[:, :i + 1])` over
    draws; the last entry is the LPPD of all. Follows Sommer et al. 2024, "Connecting the dots: is
    mode-connectedness the key to feasible sample-based inference in Bayesian neural networks?".

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        over: `"chain"` or `"draw"`.

    Returns:
        Nats per row, shape (C,) or (D,).

    Raises:
        ValueError: The shape is not (C, D, N), or `over` is another word.

    Example:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> two_chains_one_row = np.log([[[0.1]], [[0.3]]])
        >>> np.exp(metrics.cumulative_lppd(two_chains_one_row)).round(6)
        array([0.1, 0.2])
    """
    values = _log_likelihood(log_likelihood)
    if over not in ("chain", "draw"):
        raise ValueError(f'`over` is {over!r} but must be "chain" or "draw".')
    kept, pooled = (0, 1) if over == "chain" else (1, 0)
    total = np.zeros(values.shape[kept])
    for _, block in _row_blocks(values):
        with np.errstate(invalid="ignore"):  # a NaN stays a NaN
            running = np.logaddexp.accumulate(logsumexp(block, axis=pooled), axis=0)
        total += running.sum(axis=1)
    num_pooled = np.arange(1, values.shape[kept] + 1) * values.shape[pooled]
    return total / values.shape[2] - np.log(num_pooled)


def rmse(mean_prediction: ArrayLike, y: ArrayLike) -> float:
    """Root mean squared error of the posterior mean, in the units of `y`. Lower is better.

    Args:
        mean_prediction: Mean over chains and draws, shape (N, ...).
        y: Observed, the same shape. `(N, 1)` against `(N,)` is refused, not broadcast.

    Returns:
        `sqrt(mean((mean_prediction - y)^2))`, the mean over rows and outputs.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> from crewel import metrics
        >>> metrics.rmse([1.0, 2.0], [2.0, 9.0])  # errors 1 and 7
        5.0
    """
    mean_prediction, y = np.asarray(mean_prediction, np.float64), np.asarray(y, np.float64)
    if mean_prediction.shape != y.shape or y.size == 0:
        raise ValueError(
            f"`mean_prediction` has shape {mean_prediction.shape} and `y` {y.shape}: they must be "
            "equal and not empty. Reshape one of them (they would broadcast in silence)."
        )
    return float(np.sqrt(np.mean((mean_prediction - y) ** 2)))


def coverage(y_draws: ArrayLike, y: ArrayLike, level: float = 0.9) -> float:
    """Fraction of observations inside the central predictive interval. Best is `level` itself.

    The interval reaches from the `(1 - level)/2` to the `(1 + level)/2` quantile of the draws.

    Args:
        y_draws: Draws of the posterior predictive (noise included), shape (C, D, N, ...).
        y: Observed, shape (N, ...).
        level: Probability of the interval, between 0 and 1.

    Returns:
        A fraction, the mean over rows and outputs.

    Raises:
        ValueError: The shapes do not fit, or `level` is not between 0 and 1.

    Example:
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

    Example:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> round(metrics.interval_width(np.linspace(0, 1, 101)[None, :, None], 0.9), 6)
        0.9
    """
    low, high = _interval(_draws(y_draws, "y_draws"), level)
    return float(np.mean(high - low))


def crps(y_draws: ArrayLike, y: ArrayLike) -> float:
    """Continuous ranked probability score, in the units of `y`. Lower is better.

    `E|Y - y| - E|Y - Y'|/2` (Gneiting and Raftery 2007, "Strictly proper scoring rules, prediction,
    and estimation") with the fair estimator of the second term, `sum_ij |y_i - y_j| / (2 m (m-1))`
    over the `m = C D` draws (Ferro 2014, "Fair scores for ensemble forecasts"): unbiased for
    independent draws, whatever their number.

    Args:
        y_draws: Draws of the posterior predictive (noise included), shape (C, D, N, ...).
        y: Observed, shape (N, ...).

    Returns:
        The mean over rows and outputs.

    Raises:
        ValueError: The shapes do not fit, or there is only one draw.

    Example:
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
    for rows, block in _row_blocks(draws):
        block = np.sort(block.reshape(num, -1), axis=0)
        error = np.abs(block - y[rows].reshape(1, -1)).mean(axis=0)
        total += float(np.sum(error - rank_weight @ block))
    return total / y.size


def accuracy(probabilities: ArrayLike, y: ArrayLike) -> float:
    """Fraction of rows whose most probable class is the observed one. Higher is better.

    Args:
        probabilities: Mean over chains and draws, shape (N, K).
        y: Class labels 0 to K - 1, shape (N,).

    Returns:
        A fraction; ties go to the lower label.

    Raises:
        ValueError: As `class_labels`.

    Example:
        >>> from crewel import metrics
        >>> metrics.accuracy([[0.8, 0.2], [0.7, 0.3]], [0, 1])
        0.5
    """
    probabilities, labels = class_labels(probabilities, y)
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def brier(probabilities: ArrayLike, y: ArrayLike) -> float:
    """Brier score in its original multi-class form, from 0 (best) to 2.

    `mean_n sum_k (p_nk - [y_n = k])^2` (Brier 1950, "Verification of forecasts expressed in terms
    of probability"). With two classes it is twice the score that looks at one class only.

    Args:
        probabilities: Mean over chains and draws, shape (N, K).
        y: Class labels 0 to K - 1, shape (N,).

    Returns:
        The score.

    Raises:
        ValueError: As `class_labels`.

    Example:
        >>> from crewel import metrics
        >>> metrics.brier([[0.5, 0.5]], [0])  # 0.25 for each class
        0.5
    """
    probabilities, labels = class_labels(probabilities, y)
    one_hot = np.arange(probabilities.shape[1]) == labels[:, None]
    return float(np.mean(np.sum((probabilities - one_hot) ** 2, axis=1)))


class ReliabilityCurve(NamedTuple):
    """Top-label calibration per bin of confidence, each of shape (num_bins,).

    `confidence` and `accuracy` are NaN in an empty bin; `num_rows` is the number of rows in it.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    num_rows: np.ndarray


def reliability_curve(
    probabilities: ArrayLike, y: ArrayLike, num_bins: int = 15
) -> ReliabilityCurve:
    """Mean confidence and accuracy of the top label, in bins of equal width over (0, 1].

    Follows Guo et al. 2017, "On calibration of modern neural networks".

    Args:
        probabilities: Mean over chains and draws, shape (N, K).
        y: Class labels 0 to K - 1, shape (N,).
        num_bins: Bin b holds confidences in (b/num_bins, (b+1)/num_bins].

    Returns:
        A `ReliabilityCurve`.

    Raises:
        ValueError: As `class_labels`, or `num_bins` is less than 1.

    Example:
        >>> from crewel import metrics
        >>> metrics.reliability_curve([[0.75, 0.25], [0.25, 0.75]], [0, 0], 2).accuracy
        array([nan, 0.5])
    """
    probabilities, labels = class_labels(probabilities, y)
    if num_bins < 1:
        raise ValueError(f"`num_bins` is {num_bins} but must be at least 1.")
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.searchsorted(np.linspace(0, 1, num_bins + 1)[1:-1], confidence, side="left")
    num_rows = np.bincount(bins, minlength=num_bins)
    size = np.where(num_rows > 0, num_rows, np.nan)
    return ReliabilityCurve(
        np.bincount(bins, weights=confidence, minlength=num_bins) / size,
        np.bincount(bins, weights=correct, minlength=num_bins) / size,
        num_rows,
    )


def ece(probabilities: ArrayLike, y: ArrayLike, num_bins: int = 15) -> float:
    """Expected calibration error of the top label, from 0 (best) to 1.

    `sum_b n_b/N |accuracy_b - confidence_b|` (Naeini, Cooper and Hauskrecht 2015, "Obtaining well
    calibrated probabilities using Bayesian binning"; Guo et al. 2017). Biased upwards when bins
    hold few rows.

    Args:
        probabilities: Mean over chains and draws, shape (N, K).
        y: Class labels 0 to K - 1, shape (N,).
        num_bins: Bins of equal width, as in `reliability_curve`.

    Returns:
        The error.

    Raises:
        ValueError: As `reliability_curve`.

    Example:
        >>> from crewel import metrics
        >>> metrics.ece([[0.75, 0.25], [0.75, 0.25]], [0, 1])  # 75 % sure, 50 % right
        0.25
    """
    curve = reliability_curve(probabilities, y, num_bins)
    gap = np.abs(curve.accuracy - curve.confidence)
    return float(np.nansum(curve.num_rows * gap) / curve.num_rows.sum())


def uncertainty(probability_draws: ArrayLike) -> dict[str, np.ndarray]:
    """Split the predictive entropy of each row, in nats.

    `total = H(mean_cd p_cd)`, `aleatoric = mean_cd H(p_cd)`, and `epistemic`, their difference, is
    the mutual information of label and weights (Depeweg et al. 2018, "Decomposition of uncertainty
    in Bayesian deep learning for efficient and risk-sensitive learning").

    Args:
        probability_draws: Class probabilities of each draw, shape (C, D, N, K).

    Returns:
        `{"total", "aleatoric", "epistemic"}`, each of shape (N,), between 0 and log K.

    Raises:
        ValueError: The shape is not (C, D, N, K), or a row is no probability vector.

    Example:
        >>> from crewel import metrics
        >>> split = metrics.uncertainty([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # two sure draws disagree
        >>> {name: value.round(3).tolist() for name, value in split.items()}
        {'total': [0.693], 'aleatoric': [0.0], 'epistemic': [0.693]}
    """
    draws = _draws(probability_draws, "probability_draws")
    if draws.ndim != 4:
        raise ValueError(
            f"`probability_draws` has shape {draws.shape} but must be "
            "(chains, draws, rows, classes)."
        )
    parts = []
    for _, block in _row_blocks(draws):
        _check_probabilities(block, "probability_draws")
        total = entr(block.mean(axis=(0, 1))).sum(axis=-1)
        parts.append((total, entr(block).sum(axis=-1).mean(axis=(0, 1))))
    total, aleatoric = (np.concatenate(part) for part in zip(*parts, strict=True))
    epistemic = np.maximum(total - aleatoric, 0.0)  # rounding alone makes it negative
    return {"total": total, "aleatoric": aleatoric, "epistemic": epistemic}


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

    Example:
        >>> from crewel import metrics
        >>> split = metrics.variance_split([[[0.0], [2.0]]], [[[0.5], [0.5]]])
        >>> {name: value.tolist() for name, value in split.items()}
        {'total': [1.5], 'aleatoric': [0.5], 'epistemic': [1.0]}
    """
    means, variances = _draws(means, "means"), _draws(variances, "variances")
    if means.shape != variances.shape:
        raise ValueError(
            f"`means` has shape {means.shape} and `variances` {variances.shape}: they must be "
            "equal. Broadcast them first, `np.broadcast_arrays(means, variances)`."
        )
    epistemic = np.concatenate([block.var(axis=(0, 1)) for _, block in _row_blocks(means)])
    aleatoric = np.asarray(np.mean(variances, axis=(0, 1), dtype=np.float64))
    return {"total": aleatoric + epistemic, "aleatoric": aleatoric, "epistemic": epistemic}


def regression_scores(
    log_likelihood: ArrayLike,
    y_draws: ArrayLike,
    mean_draws: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.9,
) -> dict[str, float]:
    """Every score of a regression, by name.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        y_draws: Draws of the posterior predictive (noise included), shape (C, D, N, ...).
        mean_draws: Mean of the likelihood of each draw, shape (C, D, N, ...).
        y: Observed, shape (N, ...).
        level: Probability of the central interval.

    Returns:
        `{"lppd", "rmse", "crps", "coverage", "interval_width"}`.

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> scores = metrics.regression_scores(
        ...     np.zeros((1, 2, 1)), [[[0.0], [1.0]]], [[[0.5], [0.5]]], [0.5])
        >>> {name: round(score, 6) for name, score in scores.items()}
        {'lppd': 0.0, 'rmse': 0.0, 'crps': 0.0, 'coverage': 1.0, 'interval_width': 0.9}
    """
    values = _log_likelihood(log_likelihood)
    means, y = _draws_and_y(mean_draws, y, "mean_draws")
    _check_rows(values, y)
    return {
        "lppd": lppd(values),
        "rmse": rmse(np.mean(means, axis=(0, 1), dtype=np.float64), y),
        "crps": crps(y_draws, y),
        "coverage": coverage(y_draws, y, level),
        "interval_width": interval_width(y_draws, level),
    }


def classification_scores(
    log_likelihood: ArrayLike, probability_draws: ArrayLike, y: ArrayLike
) -> dict[str, float]:
    """Every score of a classification, by name.

    Args:
        log_likelihood: `log p(y_n | theta_cd)`, shape (C, D, N).
        probability_draws: Class probabilities of each draw, shape (C, D, N, K).
        y: Class labels 0 to K - 1, shape (N,).

    Returns:
        `{"lppd", "accuracy", "brier", "ece"}`, the last with 15 bins.

    Raises:
        ValueError: The shapes do not fit, or as `class_labels`.

    Example:
        >>> import numpy as np
        >>> from crewel import metrics
        >>> metrics.classification_scores(np.zeros((1, 1, 1)), [[[[0.5, 0.5]]]], [0])
        {'lppd': 0.0, 'accuracy': 1.0, 'brier': 0.5, 'ece': 0.5}
    """
    values = _log_likelihood(log_likelihood)
    draws = _draws(probability_draws, "probability_draws")
    probabilities, labels = class_labels(np.mean(draws, axis=(0, 1), dtype=np.float64), y)
    _check_rows(values, labels)
    return {
        "lppd": lppd(values),
        "accuracy": accuracy(probabilities, labels),
        "brier": brier(probabilities, labels),
        "ece": ece(probabilities, labels),
    }


def class_labels(probabilities: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Check class probabilities against labels and return both as arrays.

    Args:
        probabilities: Shape (N, K); every row sums to 1 within 0.01.
        y: Class labels 0 to K - 1 of any number type, shape (N,).

    Returns:
        `probabilities` in float64, labels in int64.

    Raises:
        ValueError: Wrong shapes, rows that are no probability vectors, or labels out of range.

    Example:
        >>> from crewel import metrics
        >>> metrics.class_labels([[0.2, 0.8]], [1.0])[1]
        array([1])
    """
    probabilities, y = np.asarray(probabilities, np.float64), np.asarray(y)
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(
            f"`probabilities` has shape {probabilities.shape} (with `y` of shape {y.shape}) but "
            "must be (rows, classes). For draws take the mean over chains and draws; for two "
            "classes given as one number, `np.stack([1 - p, p], axis=-1)`."
        )
    num_rows, num_classes = probabilities.shape
    if y.shape != (num_rows,):
        raise ValueError(
            f"`y` has shape {y.shape} but `probabilities` of shape {probabilities.shape} needs "
            f"labels of shape ({num_rows},). Flatten `y`, or take the argmax of one-hot rows."
        )
    _check_probabilities(probabilities, "probabilities")
    if not (np.all(np.mod(y, 1) == 0) and y.min() >= 0 and y.max() < num_classes):
        raise ValueError(
            f"`y` must hold whole labels from 0 to {num_classes - 1} for `probabilities` of shape "
            f"{probabilities.shape}; it holds values from {y.min()} to {y.max()}."
        )
    return probabilities, y.astype(np.int64)


def _check_probabilities(probabilities: np.ndarray, name: str) -> None:
    error = np.abs(probabilities.sum(axis=-1) - 1)
    if not (np.all(probabilities >= 0) and np.all(error < 0.01)):  # NaN fails too
        raise ValueError(
            f"`{name}` must be non-negative and sum to 1 over the last axis; the smallest is "
            f"{probabilities.min():.3g} and a sum is off by {error.max():.3g}. For logits, pass "
            "`jax.nn.softmax(logits)`."
        )


def _draws(draws: ArrayLike, name: str) -> np.ndarray:
    draws = np.asarray(draws)
    if draws.ndim < 3 or draws.size == 0:
        raise ValueError(
            f"`{name}` has shape {draws.shape} but must be (chains, draws, rows, ...) with no "
            "empty axis. For one chain add an axis in front, `draws[None]`."
        )
    return draws


def _log_likelihood(log_likelihood: ArrayLike) -> np.ndarray:
    values = _draws(log_likelihood, "log_likelihood")
    if values.ndim != 3:
        raise ValueError(
            f"`log_likelihood` has shape {values.shape} but must be (chains, draws, rows). "
            "Sum it over the output axes of a row first."
        )
    return values


def _draws_and_y(
    draws: ArrayLike, y: ArrayLike, name: str = "y_draws"
) -> tuple[np.ndarray, np.ndarray]:
    draws, y = _draws(draws, name), np.asarray(y, np.float64)
    if draws.shape[2:] != y.shape:
        raise ValueError(
            f"`{name}` has shape {draws.shape} and `y` {y.shape}: after its chain and draw axes, "
            f"`{name}` must have the shape of `y`. Reshape one of them."
        )
    return draws, y


def _check_rows(log_likelihood: np.ndarray, y: np.ndarray) -> None:
    if log_likelihood.shape[2] != len(y):
        raise ValueError(
            f"`log_likelihood` has shape {log_likelihood.shape}, {log_likelihood.shape[2]} rows, "
            f"but `y` has shape {y.shape}: score both on the same rows."
        )


def _row_blocks(draws: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of the row axis, each with its rows in float64, at most `_BLOCK` numbers."""
    step = max(1, _BLOCK // draws[:, :, :1].size)
    for start in range(0, draws.shape[2], step):
        rows = slice(start, start + step)
        yield rows, draws[:, :, rows].astype(np.float64)


def _interval(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    if not 0 < level < 1:
        raise ValueError(f"`level` is {level} but must be between 0 and 1, 0.9 for 90 %.")
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = [np.quantile(block, tails, axis=(0, 1)) for _, block in _row_blocks(draws)]
    low, high = np.concatenate(bounds, axis=1)
    return low, high
