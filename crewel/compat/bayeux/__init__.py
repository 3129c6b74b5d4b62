"""bayeux's programming interface (0.1.15) on current JAX: `import crewel.compat.bayeux as bx`.

Constructors, namespaces, method names, keywords, defaults, results and the debugger's output are
bayeux's; Crewel does the work. The page "Coming from bayeux" of the documentation lists the
differences.
"""

from types import SimpleNamespace as _SimpleNamespace

from crewel.compat.bayeux import debug as debug
from crewel.compat.bayeux import initialization as initialization
from crewel.compat.bayeux import types as types
from crewel.compat.bayeux.methods import METHODS as _METHODS
from crewel.compat.bayeux.methods import Method as _Method
from crewel.compat.bayeux.methods import OptimizerResults as _OptimizerResults
from crewel.compat.bayeux.model import Model as Model

__version__ = "0.1.15"  # the version of bayeux whose interface this is

shared = _SimpleNamespace(Base=_Method, OptimizerResults=_OptimizerResults)
mcmc, optimize, vi = (
    _SimpleNamespace(__all__=list(_METHODS[family]), **_METHODS[family])
    for family in ("mcmc", "optimize", "vi")
)
