"""Scores of uncertainty itself: does it rank the errors, does it know what is unfamiliar?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from crewel.metrics.classification import class_labels


class SelectiveCurve(NamedTuple):
    """The mean loss, or the accuracy, where the most uncertain rows are declined.

    Attributes:
        declined: shares of the rows that are declined, from 0 on, shape (M,).
        score: the score of the other rows, shape (M,).
    """

    declined: np.ndarray
    score: np.ndarray


def selective_risk(loss: ArrayLike, uncertainty: ArrayLike) -> SelectiveCurve:
    """The mean loss of the rows that are left when the most uncertain are declined.

    The risk-coverage curve of El-Yaniv and Wiener 2010, "On the foundations of noise-free selective
    classification", for any loss. Rows of equal uncertainty are declined together.

    Args:
        loss: The loss of each row, for example a squared error, shape (N,).
        uncertainty: The uncertainty of each row, shape (N,); only its order counts.

    Returns:
        A `SelectiveCurve`, one point per value of `uncertainty`.

    Raises:
        ValueError: The shapes differ, are not (N,), or a value is NaN.

    Examples:
        >>> from crewel import metrics
        >>> curve = metrics.selective_risk([0.0, 1.0, 5.0], [0.1, 0.2, 0.3])
        >>> curve.declined.round(2).tolist(), curve.score.tolist()
        ([0.0, 0.33, 0.67], [2.0, 0.5, 0.0])
    """
    loss, order = _rows(loss, "loss"), _rows(uncertainty, "uncertainty")
    if loss.shape != order.shape:
        raise ValueError(f"`loss` has shape {loss.shape} and `uncertainty` {order.shape}.")
    sort = np.argsort(order, kind="stable")
    kept = np.arange(1, len(loss) + 1)
    risk = np.cumsum(loss[sort]) / kept
    last = np.append(np.diff(order[sort]) > 0, True)  # of the rows with equal uncertainty
    return SelectiveCurve((1 - kept[last] / len(loss))[::-1], risk[last][::-1])


def selective_accuracy(
    probabilities: ArrayLike, y: ArrayLike, uncertainty: ArrayLike | None = None
) -> SelectiveCurve:
    """The accuracy on the labels that are left when the most uncertain are declined.

    Args:
        probabilities: Mean over chains and draws, shape (N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...).
        uncertainty: The uncertainty of each label, shape (N, ...), such as the parts that
            `uncertainty` returns. By default 1 minus the probability of the most probable class.

    Returns:
        A `SelectiveCurve`.

    Raises:
        ValueError: As for `class_labels` and `selective_risk`.

    Examples:
        >>> from crewel import metrics
        >>> curve = metrics.selective_accuracy([[0.9, 0.1], [0.6, 0.4]], [0, 1])
        >>> curve.declined.tolist(), curve.score.tolist()
        ([0.0, 0.5], [0.5, 1.0])
    """
    probabilities, labels = class_labels(probabilities, y)
    unsure = 1 - probabilities.max(axis=1) if uncertainty is None else np.ravel(uncertainty)
    wrong = probabilities.argmax(axis=1) != labels
    curve = selective_risk(wrong, unsure)
    return SelectiveCurve(curve.declined, 1 - curve.score)


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """How well a score tells unfamiliar rows from familiar ones, from 0 to 1 (best); chance is 0.5.

    The probability that a random row of `outside` has a higher score than one of `inside`, ties
    counting a half: the area under the ROC curve (Hanley and McNeil 1982; Hendrycks and Gimpel 2017
    for rows out of distribution).

    Args:
        inside: Scores of rows like the training rows, shape (N,), for example `epistemic`.
        outside: Scores of other rows, shape (M,).

    Returns:
        The area.

    Raises:
        ValueError: Wrong shapes, or a value is NaN.

    Examples:
        >>> from crewel import metrics
        >>> metrics.auroc([0.1, 0.3], [0.2, 0.4])
        0.75
    """
    inside, outside = _rows(inside, "inside"), _rows(outside, "outside")
    inside = np.sort(inside)
    below, upto = (np.searchsorted(inside, outside, side) for side in ("left", "right"))
    return float((below + upto).sum() / (2 * len(inside) * len(outside)))


def _rows(values: ArrayLike, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or values.size == 0 or np.isnan(values).any():
        what = "holds NaN" if values.ndim == 1 and values.size else f"has shape {values.shape}"
        raise ValueError(f"`{name}` {what}; it must be one number per row, shape (N,).")
    return values
