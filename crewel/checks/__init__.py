"""The list of all checks, in the order in which they run: cheap ones first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from crewel.checks import (
    broadcast,
    calls,
    differences,
    finite,
    gradients,
    predictive,
    priors,
    repeat,
    roundtrip,
    rows,
    scales,
    shapes,
    starts,
    targets,
)
from crewel.checks.context import Context
from crewel.checks.report import Check


class Rule(NamedTuple):
    """One check.

    Attributes:
        name: its name in the report.
        check: the function that performs it.
        needs: the checks that it depends on; it is skipped if one of them failed.
        call: whether it checks a call, and so needs an algorithm.
    """

    name: str
    check: Callable[[Context], Check]
    needs: tuple[str, ...] = ()
    call: bool = False


_SHAPES = ("test point", "structure", "log density shape")
OF_MODEL = frozenset(_SHAPES)  # JAX raises here for what the model's own functions return
_VALUES = (*_SHAPES, "same value twice", "log density at test point")
_STARTS = (*_VALUES, "initial states", "log density at starts")
_ROWS = (*_STARTS, "likelihood shape")
_SLOPES = (*_STARTS, "gradient finite")

RULES: tuple[Rule, ...] = (
    Rule("keywords", calls.keywords, call=True),
    Rule("platform", calls.platform),
    Rule("test point", shapes.test_point),
    Rule("structure", shapes.structure, ("test point",)),
    Rule("log density shape", shapes.log_density, ("test point",)),
    Rule("same value twice", repeat.twice, ("test point",)),
    Rule("likelihood shape", broadcast.likelihood, ("test point", "same value twice")),
    Rule("broadcast", broadcast.outer_sum, (*_SHAPES, "same value twice")),
    Rule("priors", priors.assigned, ("test point",)),
    Rule("targets", targets.kind, ("test point", "likelihood shape")),
    Rule("log density at test point", finite.at_test_point, (*_SHAPES, "same value twice")),
    Rule("initial states", starts.found, _VALUES),
    Rule("support of initial states", starts.support, (*_VALUES, "initial states")),
    Rule("log density at starts", finite.at_initial_states, (*_VALUES, "initial states")),
    Rule("spread of initial states", starts.spread, (*_VALUES, "initial states")),
    Rule("gradient finite", gradients.finite, _STARTS),
    Rule("parameters used", gradients.used, _SLOPES),
    Rule("parameters informed", gradients.informed, (*_SLOPES, "likelihood shape")),
    Rule("gradient norms", gradients.norms, (*_SLOPES, "parameters used")),
    Rule("network inputs", predictive.inputs, _ROWS),
    Rule("likelihood parameters", predictive.parameters, _ROWS),
    Rule("input scale", scales.sizes, (*_ROWS, "network inputs", "likelihood parameters")),
    Rule("prior predictive", predictive.scale, (*_ROWS, "network inputs", "likelihood parameters")),
    Rule("prior support", priors.support, (*_SHAPES, "priors")),
    Rule("prior and likelihood", priors.split, _ROWS),
    Rule("transform and inverse", roundtrip.round_trip, _STARTS),
    Rule("log-determinant", roundtrip.log_determinant, _STARTS),
    Rule("batches of chains", roundtrip.batches, _STARTS),
    Rule("rows independent", rows.independent, _ROWS),
    Rule("rows summed", rows.summed, _STARTS),
    Rule("rows unscaled", rows.divided, (*_STARTS, "rows summed", "rows independent")),
    Rule("minibatches", rows.unbiased, (*_ROWS, "rows independent")),
    Rule("tails", priors.tails, (*_STARTS, "priors", "parameters used")),
    Rule("gradient and differences", differences.gradient, _SLOPES),
    Rule("memory of draws", calls.storage, ("keywords",), call=True),
    Rule("chains", calls.chains, ("keywords",), call=True),
    Rule("forecast", calls.forecast, ("keywords", *_VALUES), call=True),
)
