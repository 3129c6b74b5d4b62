"""Find the last layer of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax.extend.core import JaxprEqn

from crewel.core.jaxprs import Body, bodies, interpret
from crewel.core.protocol import Params, PyTree
from crewel.priors.patterns import listing

_LOOPS = ("scan", "while", "cond")


class _Value(NamedTuple):
    """What a value is computed from.

    Attributes:
        paths: the parameters, unless data are involved too.
        data: whether it depends on `x`.
    """

    paths: frozenset[str]
    data: bool


def last_layer(
    apply: Callable[[Params, PyTree], PyTree], params: Params, shapes: Mapping[str, Any], x: PyTree
) -> set[str]:
    """The paths of the layer whose parameters meet the data last, as a trace shows it.

    Names do not show it: `LayerNorm_0` sorts after `Dense_2`, and may come before it.

    Args:
        apply: `(params, x) -> outputs`.
        params: the parameters.
        shapes: shape by path, in the order of the leaves of `params`.
        x: a few rows.

    Raises:
        ValueError: the last parameters that meet the data do not belong to exactly one layer.
    """
    closed = jax.make_jaxpr(apply)(params, x)
    leaves: list[_Value] = [_Value(frozenset([path]), False) for path in shapes]
    data = _Value(frozenset(), True)
    met: list[frozenset[str]] = []  # the parameters of every step in which they meet the data

    def rule(eqn: JaxprEqn, values: list[_Value]) -> list[_Value]:
        paths = frozenset().union(*(value.paths for value in values if not value.data))
        meets_data = any(value.data for value in values)
        if meets_data and paths:
            met.append(paths)
        made = data if meets_data else _Value(paths, False)
        return [made] * len(eqn.outvars)

    def constant(value: Any, aval: Any) -> _Value:
        return _Value(frozenset(), False)

    given = [*leaves, *[data] * len(jax.tree.leaves(x))]
    interpret(closed, given, rule, enter=_inside, constant=constant)
    layers = {path.rpartition(".")[0] for path in (met[-1] if met else ())}
    if len(layers) != 1 or layers == {""}:
        raise ValueError(
            "`bayesian='last'`: no layer is clearly the last one to meet the data "
            f"({', '.join(sorted(met[-1])) if met else 'none'}). Give path patterns instead, "
            f"such as `bayesian='head.*'`. {listing(shapes)}"
        )
    layer = layers.pop() + "."
    return {path for path in shapes if path.startswith(layer)}


def _inside(eqn: JaxprEqn) -> Body | None:
    """The program of any equation but a loop, known or not, that runs it on its own operands."""
    found = bodies(eqn)
    if len(found) != 1 or eqn.primitive.name in _LOOPS:
        return None
    jaxpr, consts = found[0]
    operands = len(jaxpr.constvars) + len(jaxpr.invars) - len(consts)
    return found[0] if operands == len(eqn.invars) else None
