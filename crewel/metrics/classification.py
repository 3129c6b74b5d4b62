"""Scores of predicted class probabilities.

`y` may have axes within a row, as the labels of a sequence do: each label of a row then counts like
a row of its own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from crewel.metrics.arrays import as_draws, as_labels, class_names, row_blocks


def accuracy(probabilities: ArrayLike, y: ArrayLike) -> float:
    """Fraction of labels that are the most probable class. Higher is better.

    Args:
        probabilities: Mean over chains and draws, shape (N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...).

    Returns:
        A fraction; ties go to the lower label.

    Raises:
        ValueError: As for `class_labels`.

    Examples:
        >>> from crewel import metrics
        >>> metrics.accuracy([[0.8, 0.2], [0.7, 0.3]], [0, 1])
        0.5
    """
    probabilities, labels = class_labels(probabilities, y)
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def brier(probabilities: ArrayLike, y: ArrayLike) -> float:
    """Brier score in its original multi-class form, from 0 (best) to 2.

    `mean_n sum_k (p_nk - [y_n = k])^2` (Brier 1950, "Verification of forecasts expressed in terms
    of probability"). With two classes it is twice the score of a single class.

    Args:
        probabilities: Mean over chains and draws, shape (N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...).

    Returns:
        The score.

    Raises:
        ValueError: As for `class_labels`.

    Examples:
        >>> from crewel import metrics
        >>> metrics.brier([[0.5, 0.5]], [0])  # 0.25 for each class
        0.5
    """
    probabilities, labels = class_labels(probabilities, y)
    one_hot = np.arange(probabilities.shape[1]) == labels[:, None]
    return float(np.mean(np.sum((probabilities - one_hot) ** 2, axis=1)))


class ReliabilityCurve(NamedTuple):
    """Top-label calibration per bin of confidence, each of shape (num_bins,).

    `confidence` and `accuracy` are NaN in an empty bin; `num_rows` is the number of labels in
    it, one per row if `y` has shape (N,).
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
        probabilities: Mean over chains and draws, shape (N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...).
        num_bins: Bin b holds confidences in (b/num_bins, (b+1)/num_bins].

    Returns:
        A `ReliabilityCurve`.

    Raises:
        ValueError: As for `class_labels`, or `num_bins` is less than 1.

    Examples:
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
        probabilities: Mean over chains and draws, shape (N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...).
        num_bins: Bins of equal width, as in `reliability_curve`.

    Returns:
        The error.

    Raises:
        ValueError: As for `reliability_curve`.

    Examples:
        >>> from crewel import metrics
        >>> metrics.ece([[0.75, 0.25], [0.75, 0.25]], [0, 1])  # 75 % sure, 50 % right
        0.25
    """
    curve = reliability_curve(probabilities, y, num_bins)
    gap = np.abs(curve.accuracy - curve.confidence)
    return float(np.nansum(curve.num_rows * gap) / curve.num_rows.sum())


def uncertainty(probability_draws: ArrayLike) -> dict[str, np.ndarray]:
    """Split the predictive entropy of each label, in nats.

    `total = H(mean_cd p_cd)`, `aleatoric = mean_cd H(p_cd)`, and `epistemic`, their difference, is
    the mutual information of label and weights (Depeweg et al. 2018, "Decomposition of uncertainty
    in Bayesian deep learning for efficient and risk-sensitive learning").

    Args:
        probability_draws: Class probabilities of each draw, shape (C, D, N, ..., K).

    Returns:
        `{"total", "aleatoric", "epistemic"}`, each of shape (N, ...), between 0 and log K.

    Raises:
        ValueError: There are fewer than four axes, or the last does not hold probabilities.

    Examples:
        >>> from crewel import metrics
        >>> split = metrics.uncertainty([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # two sure draws disagree
        >>> {name: value.round(3).tolist() for name, value in split.items()}
        {'total': [0.693], 'aleatoric': [0.0], 'epistemic': [0.693]}
    """
    draws = as_draws(probability_draws, "probability_draws")
    if draws.ndim < 4:
        raise ValueError(
            f"`probability_draws` has shape {draws.shape} but must be "
            "(chains, draws, rows, ..., classes)."
        )
    parts = []
    for _, block in row_blocks(draws):
        _check_probabilities(block, "probability_draws")
        total = entr(block.mean(axis=(0, 1))).sum(axis=-1)
        parts.append((total, entr(block).sum(axis=-1).mean(axis=(0, 1))))
    total, aleatoric = (np.concatenate(part) for part in zip(*parts, strict=True))
    epistemic = np.maximum(total - aleatoric, 0.0)  # only rounding makes it negative
    return {"total": total, "aleatoric": aleatoric, "epistemic": epistemic}


def class_labels(probabilities: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Check class probabilities against labels and return both as arrays, one label per row.

    Args:
        probabilities: Shape (N, ..., K); they sum to 1 over the last axis within 0.01.
        y: Class labels 0 to K - 1 of any number type, shape (N, ...). They may be the labels
            themselves if `probabilities` names them, as those of `post.predict` do for a model that
            was wrapped with labels.

    Returns:
        `probabilities` in float64, shape (M, K), and labels in int64, shape (M,): all labels of all
        rows.

    Raises:
        TypeError: `y` holds strings that `probabilities` does not name.
        ValueError: Wrong shapes, rows that are not probability vectors, or labels out of range.

    Examples:
        >>> from crewel import metrics
        >>> metrics.class_labels([[0.2, 0.8]], [1.0])[1]
        array([1])
    """
    y = as_labels(y, class_names(probabilities))
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim < 2 or probabilities.size == 0:
        raise ValueError(
            f"`probabilities` has shape {probabilities.shape} (with `y` of shape {y.shape}) but "
            "must be (rows, ..., classes). For one probability of two classes, "
            "`np.stack([1 - p, p], axis=-1)`."
        )
    if y.shape != probabilities.shape[:-1]:
        raise ValueError(
            f"`y` has shape {y.shape} but `probabilities` of shape {probabilities.shape} needs "
            f"labels of shape {probabilities.shape[:-1]}. Flatten `y`, or take the argmax of "
            "one-hot rows; if these are draws, take their mean over chains and draws."
        )
    _check_probabilities(probabilities, "probabilities")
    num_classes = probabilities.shape[-1]
    if not (np.all(np.mod(y, 1) == 0) and y.min() >= 0 and y.max() < num_classes):
        raise ValueError(
            f"`y` must hold whole labels from 0 to {num_classes - 1} for `probabilities` of shape "
            f"{probabilities.shape}; it holds values from {y.min()} to {y.max()}."
        )
    return probabilities.reshape(-1, num_classes), y.astype(np.int64).ravel()


def _check_probabilities(probabilities: np.ndarray, name: str) -> None:
    error = np.abs(probabilities.sum(axis=-1) - 1)
    if not (np.all(probabilities >= 0) and np.all(error < 0.01)):  # NaN fails too
        raise ValueError(
            f"`{name}` must be non-negative and sum to 1 over the last axis; the smallest is "
            f"{probabilities.min():.3g} and one sum is off by {error.max():.3g}. For logits, pass "
            "`jax.nn.softmax(logits)`."
        )
