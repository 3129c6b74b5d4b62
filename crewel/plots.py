"""Plots of a posterior predictive, from plain arrays.

Matplotlib is imported inside the functions. Each function returns the Axes, draws into `ax` if it
is given, and never calls `show`. The colors are Okabe and Ito's, which color-blind readers can tell
apart, and no information is in color alone: a marker or a position repeats it.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from crewel import metrics
from crewel.core.labels import Classes
from crewel.core.text import count
from crewel.metrics.arrays import as_labels, class_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, INK, GRAY = "#0072B2", "#D55E00", "#222222", "#999999"


def plot_predictive(
    x: ArrayLike,
    y_mean: ArrayLike,
    y_low: ArrayLike,
    y_high: ArrayLike,
    *,
    y: ArrayLike | None = None,
    x_data: ArrayLike | None = None,
    level: float | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
    ax: "Axes | None" = None,
) -> "Axes":
    """Posterior predictive of a regression on one input: mean, band, and the data.

    Data outside the band are orange triangles, and the legend gives the fraction inside.

    Args:
        x: Inputs, shape (N,) or (N, 1), in any order.
        y_mean: Predictive mean, shape (N,) or (N, 1).
        y_low: Lower edge of the band, the same shape.
        y_high: Upper edge of the band.
        y: Data to show, at `x` or at `x_data`; shape (N,) or (M,), a trailing 1 allowed.
        x_data: Inputs of the data, shape (M,), if the band is drawn on a grid `x`. The band is
            interpolated between grid points.
        level: Probability of the band, for the legend.
        xlabel: Name and unit of the input, e.g. `"time after impact (ms)"`.
        ylabel: Name and unit of the output.
        ax: Where to draw; by default a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: Lengths differ, an array has more than one column, or data lie outside the grid.

    Examples:
        >>> import numpy as np
        >>> from crewel import plots
        >>> x = np.linspace(0, 1, 5)
        >>> ax = plots.plot_predictive(x, x, x - 1, x + 1, y=[0, 0, 0, 0, 9], level=0.9)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['mean', '90 % interval', 'data inside (80 %)', 'data outside (20 %)']
    """
    x, y_mean = _column(x, "x"), _column(y_mean, "y_mean")
    y_low, y_high = _column(y_low, "y_low"), _column(y_high, "y_high")
    _same_length({"x": x, "y_mean": y_mean, "y_low": y_low, "y_high": y_high})
    if y is None and x_data is not None:
        raise ValueError("`x_data` was given without `y`: give both, or neither.")
    order = np.argsort(x, kind="stable")
    x, y_mean, y_low, y_high = x[order], y_mean[order], y_low[order], y_high[order]
    ax = _axes(ax)
    ax.plot(x, y_mean, color=BLUE, linewidth=2, label="mean", zorder=2)
    band = "interval" if level is None else f"{100 * level:g} % interval"
    ax.fill_between(x, y_low, y_high, color=BLUE, alpha=0.22, linewidth=0, label=band, zorder=1)
    if y is not None:
        y = _column(y, "y")
        if x_data is None:
            _same_length({"x": x, "y": y})
            at, y, low, high = x, y[order], y_low, y_high
        else:
            at = _column(x_data, "x_data")
            _same_length({"x_data": at, "y": y})
            if at.min() < x[0] or at.max() > x[-1]:
                raise ValueError(
                    f"`x_data` reaches from {at.min():g} to {at.max():g} but `x` only from "
                    f"{x[0]:g} to {x[-1]:g}, so part of the band is unknown. Predict on a wider "
                    "grid."
                )
            low, high = np.interp(at, x, y_low), np.interp(at, x, y_high)
        inside = (low <= y) & (y <= high)
        style: dict[str, Any] = {"linestyle": "none", "zorder": 3, "markeredgecolor": "white"}
        for mask, marker, color, word in (
            (inside, "o", INK, "inside"),
            (~inside, "^", ORANGE, "outside"),
        ):
            label = f"data {word} ({100 * mask.mean():.0f} %)"
            size = 5 if mask is inside else 7
            ax.plot(at[mask], y[mask], marker, color=color, markersize=size, label=label,
                    markeredgewidth=0.5, **style)  # fmt: skip
    ax.set(xlabel=xlabel, ylabel=ylabel)
    _legend_above(ax, columns=4)
    return ax


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
    ax = _axes(ax, size=(4.8, 5.4))
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
    _legend_above(ax, columns=1)
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

    ax = _axes(ax, size=(8.0, 4.4))
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
    _legend_above(ax, columns=3)
    return ax


def _most_mistaken(labels: np.ndarray, predicted: np.ndarray, names: Classes | None) -> str:
    """The most frequent mistake, in words; empty if classes have no names, or none is made."""
    if names is None or not len(labels):
        return ""
    pairs, number = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    true, taken = (names.names[int(label)] for label in pairs[:, number.argmax()])
    return f", most often {true} taken for {taken}"


def _axes(ax: "Axes | None", size: tuple[float, float] = (7.0, 4.4)) -> "Axes":
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise  # installed but broken: the original error says more
        raise ImportError(
            "Plots need Matplotlib, which is not installed: pip install 'crewel[plots]'"
        ) from error
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _legend_above(ax: "Axes", *, columns: int) -> None:
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, frameon=False,
              borderaxespad=0, handletextpad=0.5, columnspacing=1.4)  # fmt: skip


def _column(values: ArrayLike, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"`{name}` has shape {values.shape} but must be (rows,) or (rows, 1): the plot shows "
            "one input and one output. Select a column."
        )
    return values


def _same_length(arrays: dict[str, np.ndarray]) -> None:
    if len({len(values) for values in arrays.values()}) > 1:
        shapes = ", ".join(f"`{name}` {values.shape}" for name, values in arrays.items())
        raise ValueError(f"Arrays with one value per row must have equal lengths: {shapes}.")
