"""The predictive of a regression on one input."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from crewel.plots.axes import BLUE, INK, ORANGE, axes, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax = axes(ax)
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
    legend_above(ax, columns=4)
    return ax


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
