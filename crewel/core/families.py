"""The families of algorithms: what all rows of a family have in common.

A new family is one record here. The namespaces on `Model`, the tables in the documentation and
the command line are made from `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, eq=False)
class Family:
    """What all algorithms of one kind share.

    Attributes:
        name: the attribute of `Model`, for example `mcmc`.
        title: the title for headings and lists.
        settings: the settings that a call takes besides the backend's options, with their
            defaults.
        chains: the setting that counts the chains.
        warmup: the setting that counts the warm-up steps; empty if there is no warm-up.
        steps: the setting that counts what follows the warm-up, draws or steps.
        jacobian: whether the density includes the log-determinant of the transform. It does not
            if the mode in the parameters' own space is sought.
        keeps_draws: whether every draw is kept, rather than only the last position of each chain.
        minibatches: whether steps see minibatches by default.
        phase: what the progress bar shows after the warm-up.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    chains: str = "num_chains"
    warmup: str = "num_warmup"
    steps: str = "num_draws"
    jacobian: bool = True
    keeps_draws: bool = True
    minibatches: bool = False
    phase: str = "sampling"

    def __deepcopy__(self, memo: dict[int, Any]) -> Family:
        """The family itself: a copy of a model has the same families."""
        return self

    def __repr__(self) -> str:
        """Return the name."""
        return f"<Family {self.name}>"


_RUN = {"init": None, "chain_method": "auto", "progress": True}
_DRAWS = {"num_chains": 4, "num_warmup": 1000, "num_draws": 1000, "thinning": 1}

MCMC = Family(
    "mcmc",
    "Markov chain Monte Carlo",
    MappingProxyType(_DRAWS | _RUN | {"collect": None}),
)
SGMCMC = Family(
    "sgmcmc",
    "Stochastic-gradient MCMC on minibatches",
    MappingProxyType(
        _DRAWS
        | {"batch_size": None, "replacement": False, "batches": None, "num_data": None}
        | _RUN
        | {"collect": None, "reduce": None, "evaluate": None}
    ),
    minibatches=True,
)
OPTIMIZE = Family(
    "optimize",
    "Optimizers: modes and deep ensembles",
    MappingProxyType(
        {"num_particles": 8, "num_steps": 1000}
        | {"batch_size": None, "replacement": False, "evaluate": None, "patience": None}
        | _RUN
    ),
    chains="num_particles",
    warmup="",
    steps="num_steps",
    jacobian=False,
    keeps_draws=False,
    phase="optimizing",
)
VI = Family(
    "vi",
    "Variational inference",
    MappingProxyType(
        {"num_chains": 4, "num_steps": 2000, "num_draws": 1000} | _RUN | {"collect": None}
    ),
    warmup="num_steps",
)
LAPLACE = Family(
    "laplace",
    "Laplace approximations",
    MappingProxyType({"num_chains": 1, "num_draws": 1000} | _RUN | {"collect": None}),
    warmup="",
)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for family in (MCMC, SGMCMC, OPTIMIZE, VI, LAPLACE)}
)

# The smallest value of each setting that counts something.
LEAST: Mapping[str, int] = MappingProxyType(
    {
        "num_chains": 1,
        "num_particles": 1,
        "num_warmup": 0,
        "num_draws": 1,
        "num_steps": 1,
        "num_data": 1,
        "thinning": 1,
        "batch_size": 1,
        "patience": 1,
    }
)
CHAIN_METHODS = ("auto", "parallel", "vectorized", "sequential")
