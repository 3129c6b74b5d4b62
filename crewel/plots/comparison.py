"""Posteriors side by side: their scores, and what declining uncertain rows gains."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from crewel.core.text import duration
from crewel.metrics import SelectiveCurve
from crewel.plots.axes import BLUE, GRAY, INK, ORANGE, axes, legend_above

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MARKERS = "os^Dvp"


def plot_comparison(frame: "pd.DataFrame", *, ax: "Axes | None" = None) -> "Axes":
    """The held-out LPPD of each posterior, the best on top, with its seconds and stacking weight.

    Bars are one standard error over rows. Rows are shared, so a difference of two posteriors is
    usually known better than either.

    Args:
        frame: What `crewel.compare` returns.
        ax: Where to draw; by default a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: Matplotlib is not installed.

    Examples:
        >>> import pandas as pd
        >>> from crewel import plots
        >>> columns = {"lppd": [-0.1, -0.3], "lppd_se": 0.05, "seconds": 2.0, "weight": 0.5}
        >>> frame = pd.DataFrame(columns, index=["nuts", "adam"])
        >>> [label.get_text() for label in plots.plot_comparison(frame).get_yticklabels()]
        ['nuts', 'adam']
    """
    frame = frame.sort_values("lppd", ascending=False)
    ax = axes(ax, size=(7.0, 1.2 + 0.5 * len(frame)))
    places = np.arange(len(frame))
    best = frame["lppd"].iloc[0]
    ax.axvline(best, color=GRAY, linestyle=":", linewidth=1.2, zorder=0)
    ax.errorbar(frame["lppd"], places, xerr=frame["lppd_se"], fmt="o", color=BLUE, markersize=7,
                elinewidth=1.6, markeredgecolor="white", zorder=3)  # fmt: skip
    beside = ax.get_yaxis_transform()
    for place, (seconds, weight) in enumerate(zip(frame["seconds"], frame["weight"], strict=True)):
        took = "" if np.isnan(seconds) else f"{duration(seconds)}, "
        ax.text(1.02, place, f"{took}weight {weight:.2f}", transform=beside, va="center", color=INK)
    ax.set_yticks(places, list(frame.index))
    ax.set(xlabel="held-out LPPD (nats per row, one standard error)",
           ylim=(len(frame) - 0.5, -0.5))  # fmt: skip
    return ax


def plot_selective(
    curves: Mapping[str, SelectiveCurve],
    *,
    ylabel: str = "accuracy of the rest",
    ax: "Axes | None" = None,
) -> "Axes":
    """What is gained where the most uncertain rows are declined, for one or more posteriors.

    Args:
        curves: What `metrics.selective_accuracy` or `metrics.selective_risk` returns, by name.
        ylabel: Name and unit of the score.
        ax: Where to draw; by default a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: Matplotlib is not installed.

    Examples:
        >>> from crewel import metrics, plots
        >>> curve = metrics.selective_accuracy([[0.9, 0.1], [0.6, 0.4]], [0, 1])
        >>> plots.plot_selective({"network": curve}).get_xlabel()
        'share of rows declined (%)'
    """
    ax = axes(ax)
    colors = [BLUE, ORANGE, INK, GRAY]
    for place, (name, curve) in enumerate(curves.items()):
        ax.plot(100 * curve.declined, curve.score, drawstyle="steps-post", label=name,
                color=colors[place % len(colors)], marker=MARKERS[place % len(MARKERS)],
                markevery=0.1, markersize=5, linewidth=1.8)  # fmt: skip
    ax.set(xlabel="share of rows declined (%)", ylabel=ylabel)
    legend_above(ax, columns=3)
    return ax
