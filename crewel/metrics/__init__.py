"""Scores of a posterior predictive on held-out rows, from plain arrays.

Notation: C chains, D draws per chain, N data rows, K classes; `...` are axes within a row, each
entry of which counts in a score. Functions take NumPy or JAX arrays,
sum in float64 and return Python floats or NumPy arrays. Arrays with a chain and a draw axis are
read in blocks of rows, so scoring a large array needs little extra memory.
"""

from crewel.metrics.classification import ReliabilityCurve as ReliabilityCurve
from crewel.metrics.classification import accuracy as accuracy
from crewel.metrics.classification import brier as brier
from crewel.metrics.classification import class_labels as class_labels
from crewel.metrics.classification import ece as ece
from crewel.metrics.classification import reliability_curve as reliability_curve
from crewel.metrics.classification import uncertainty as uncertainty
from crewel.metrics.lppd import cumulative_lppd as cumulative_lppd
from crewel.metrics.lppd import lppd as lppd
from crewel.metrics.lppd import pointwise_lppd as pointwise_lppd
from crewel.metrics.regression import coverage as coverage
from crewel.metrics.regression import crps as crps
from crewel.metrics.regression import interval_width as interval_width
from crewel.metrics.regression import rmse as rmse
from crewel.metrics.regression import variance_split as variance_split
from crewel.metrics.scores import classification_scores as classification_scores
from crewel.metrics.scores import regression_scores as regression_scores
from crewel.metrics.selective import SelectiveCurve as SelectiveCurve
from crewel.metrics.selective import auroc as auroc
from crewel.metrics.selective import selective_accuracy as selective_accuracy
from crewel.metrics.selective import selective_risk as selective_risk
from crewel.metrics.stacking import stacking_weights as stacking_weights
