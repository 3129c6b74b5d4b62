"""Crewel: Bayesian neural networks from any JAX network, with any sampler, by name."""

from crewel.adapters import ALGORITHMS as ALGORITHMS
from crewel.adapters import register as register
from crewel.core.cache import cache_dir as cache_dir
from crewel.core.families import FAMILIES as FAMILIES
from crewel.core.protocol import Algorithm as Algorithm
from crewel.core.protocol import Backend as Backend
from crewel.core.protocol import EngineResult as EngineResult
from crewel.core.protocol import SteppedWarmup as SteppedWarmup
from crewel.core.settings import settings as settings
from crewel.model import Model as Model
from crewel.posterior.compare import compare as compare
from crewel.posterior.compare import stack as stack
from crewel.posterior.posterior import Posterior as Posterior
from crewel.posterior.predict import predictions as predictions
from crewel.posterior.verdict import InferenceError as InferenceError
from crewel.posterior.verdict import InferenceWarning as InferenceWarning
from crewel.run.held_out import Evaluate as Evaluate
from crewel.run.reduce import Reducer as Reducer
from crewel.wrap import wrap as wrap

__version__ = "0.1.0"
