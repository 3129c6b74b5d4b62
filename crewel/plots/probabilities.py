"""Calibration, and the probability of the true class of every row."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from crewel import metrics
from crewel.core.labels import Classes
from crewel.core.text import count
from crewel.metrics.arrays import as_labels, class_names
from crewel.plots.axes import BLUE, GRAY, ORANGE, axes, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_reliability(
    probabilities: ArrayLike, y: ArrayLike, *, num_bins: int = 15, ax: "Axes | None" = None
) -> "Axes":
    """Accuracy of the top label against its confidence; calibrated networks are on the diagonal.

    Below the diagonal, a network is overconfident. The error bars are the central 90 % of the
    Jeffreys posterior of each bin's accuracy; the gray bars are the share of labels in each bin.
    The numbers come from `metrics.reliability_curve` and `metrics.ece`.

    Args:
        probabilities: Mean over chains and draws, shape (N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...); each label of a row counts.
        num_bins: Bins of equal width over (0, 1].
        ax: Where to draw; by default a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: As for `metrics.reliability_curve`.

    Examples:
        >>> from crewel import plots
        >>> ax = plots.plot_reliability([[0.75, 0.25], [0.75, 0.25]], [0, 1], num_bins=2)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['calibrated', 'share of the 2 rows', 'accuracy, 90 % error bars (ECE 0.250)']
    """
    from scipy.special import betaincinv

    curve = metrics.reliability_curve(probabilities, y, num_bins)
    error = metrics.ece(probabilities, y, num_bins)
    total, word = int(curve.num_rows.sum()), "rows" if np.ndim(y) == 1 else "labels"
    ax = axes(ax, size=(4.8, 5.4))
    ax.plot([0, 1], [0, 1], "--", color=GRAY, linewidth=1.2, label="calibrated", zorder=1)
    ax.bar((np.arange(num_bins) + 0.5) / num_bins, curve.num_rows / total, width=0.92 / num_bins,
           color="#DDDDDD", label=f"share of the {total} {word}", zorder=0)  # fmt: skip
    full = curve.num_rows > 0
    right = (curve.accuracy * curve.num_rows)[full]
    wrong = curve.num_rows[full] - right
    bounds = betaincinv(right + 0.5, wrong + 0.5, np.array([[0.05], [0.95]]))
    middle = curve.accuracy[full]  # outside the central interval at accuracy 0 or 1: no bar
    bars = np.maximum([middle - bounds[0], bounds[1] - middle], 0)
    ax.errorbar(curve.confidence[full], middle, bars, fmt="o", color=BLUE, markersize=7,
                elinewidth=1.6, markeredgecolor="white", clip_on=False,
                label=f"accuracy, 90 % error bars (ECE {error:.3f})", zorder=3)  # fmt: skip
    ax.set(
        xlabel="confidence of the predicted class",
        ylabel=f"accuracy; share of {word}",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    legend_above(ax, columns=1)
    return ax


def plot_class_probabilities(
    probability_draws: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.9,
    max_rows: int = 200,
    ax: "Axes | None" = None,
) -> "Axes":
    """Posterior probability of the true class, for every held-out row.

    For each row (or each label of a row, if it has several), the plot shows the median and the
    central interval over chains and draws, with rows sorted by the median. A long bar means
    epistemic uncertainty; a short bar in the middle means aleatoric uncertainty. A row is correct
    if its true class has the highest mean probability. If the classes have names, the legend says
    which one is most often taken for which.

    Args:
        probability_draws: Class probabilities of each draw, shape (C, D, N, ..., K).
        y: Class labels 0 to K - 1, shape (N, ...), or names as for `metrics.class_labels`.
        level: Probability of the interval.
        max_rows: The number of rows shown at most, evenly spaced in sorted order; the legend
            counts all rows.
        ax: Where to draw; by default a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: The shapes do not match, or as for `metrics.class_labels`.

    Examples:
        >>> from crewel import plots
        >>> draws = [[[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.8, 0.2]]]]  # (1, 2, 2, 2)
        >>> ax = plots.plot_class_probabilities(draws, [0, 1])
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['correct (1 row)', 'wrong (1 row)', 'chance']
    """
    names = class_names(probability_draws)
    y, draws = as_labels(y, names), np.asarray(probability_draws, np.float64)
    if draws.ndim < 4:
        raise ValueError(
            f"`probability_draws` has shape {draws.shape} (with `y` of shape {np.shape(y)}) but "
            "must be (chains, draws, rows, ..., classes)."
        )
    mean, labels = metrics.class_labels(draws.mean(axis=(0, 1)), y)
    predicted = mean.argmax(axis=1)
    correct = predicted == labels
    num_rows, num_classes = mean.shape
    draws = draws.reshape(*draws.shape[:2], num_rows, num_classes)
    true_class = draws[:, :, np.arange(num_rows), labels]
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    low, median, high = np.quantile(true_class, tails, axis=(0, 1))
    order = np.argsort(median, kind="stable")
    shown = np.unique(np.linspace(0, num_rows - 1, min(num_rows, max_rows)).round().astype(int))
    width = float(np.clip(300 / len(shown), 1.0, 4.0))
    each = "row" if np.ndim(y) == 1 else "label"
    mistaken = _most_mistaken(labels[~correct], predicted[~correct], names)

    ax = axes(ax, size=(8.0, 4.4))
    for is_correct, color, marker, word, also in (
        (True, BLUE, "o", "correct", ""),
        (False, ORANGE, "X", "wrong", mistaken),
    ):
        place = shown[correct[order[shown]] == is_correct]
        rows, number = order[place], int(np.sum(correct == is_correct))
        ax.vlines(place + 1, low[rows], high[rows], color=color, alpha=0.4, linewidth=width)
        ax.plot(place + 1, median[rows], marker, color=color, markeredgecolor="white",
                markeredgewidth=0.4, markersize=5 if is_correct else 6.5, zorder=3,
                label=f"{word} ({count(number, each)}){also}")  # fmt: skip
    ax.axhline(1 / num_classes, color=GRAY, linestyle=":", linewidth=1.4, label="chance", zorder=0)
    some = f" ({len(shown)} of {num_rows} shown)" if len(shown) < num_rows else ""
    ax.set(
        xlabel=f"held-out {each}, sorted by this probability{some}",
        ylabel=f"probability of the true class\n(median, {100 * level:g} % interval of draws)",
        ylim=(-0.02, 1.02),
        xlim=(0.5 - 0.01 * num_rows, num_rows + 0.5 + 0.01 * num_rows),
    )
    legend_above(ax, columns=3)
    return ax


def _most_mistaken(labels: np.ndarray, predicted: np.ndarray, names: Classes | None) -> str:
    """The most frequent mistake, in words; empty if classes have no names, or none is made."""
    if names is None or not len(labels):
        return ""
    pairs, number = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    true, taken = (names.names[int(label)] for label in pairs[:, number.argmax()])
    return f", most often {true} taken for {taken}"
