"""Crewel: Bayesian neural networks from any JAX network, with any sampler, by name."""

from crewel.adapters import ALGORITHMS as ALGORITHMS
from crewel.evaluate import Evaluate as Evaluate
from crewel.evaluate import predictions as predictions
from crewel.model import Model as Model
from crewel.posterior import Posterior as Posterior
from crewel.reduce import Reducer as Reducer
from crewel.wrap import wrap as wrap

__version__ = "0.1.0"
