"""Axes, colors and a legend that all plots share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


BLUE, ORANGE, INK, GRAY = "#0072B2", "#D55E00", "#222222", "#999999"


def axes(ax: "Axes | None", size: tuple[float, float] = (7.0, 4.4)) -> "Axes":
    """`ax`, or the axes of a new figure of this size in inches.

    Raises:
        ImportError: Matplotlib is not installed.
    """
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


def legend_above(ax: "Axes", *, columns: int) -> None:
    """Put the legend above the axes, where it hides nothing."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, frameon=False,
              borderaxespad=0, handletextpad=0.5, columnspacing=1.4)  # fmt: skip
