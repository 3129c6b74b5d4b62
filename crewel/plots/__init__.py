"""Plots of a posterior predictive, from plain arrays.

Matplotlib is imported inside the functions. Each function returns the Axes, draws into `ax` if it
is given, and never calls `show`. The colors are Okabe and Ito's, which color-blind readers can tell
apart, and no information is in color alone: a marker or a position repeats it.
"""

from crewel.plots.band import plot_predictive as plot_predictive
from crewel.plots.comparison import plot_comparison as plot_comparison
from crewel.plots.comparison import plot_selective as plot_selective
from crewel.plots.probabilities import plot_class_probabilities as plot_class_probabilities
from crewel.plots.probabilities import plot_reliability as plot_reliability
