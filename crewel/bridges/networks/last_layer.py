"""Which layer of a network is its last one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from crewel.priors.patterns import listing

_Value = tuple[frozenset[str], bool]  # the parameters it is made of; whether it depends on `x`
_LOOPS = ("scan", "while", "cond")


def last_layer(apply: Any, params: Any, shapes: Mapping[str, Any], x: Any) -> set[str]:
    """The paths of the layer whose parameters meet the data last, told from a trace.

    Names do not tell it: `LayerNorm_0` sorts behind `Dense_2`, and may come before it.

    Args:
        apply: `(params, x) -> outputs`.
        params: the parameters.
        shapes: shape by path, in the order of the leaves of `params`.
        x: a few rows.

    Raises:
        ValueError: they are in no layer of their own, or several layers meet the data at once.
    """
    closed = jax.make_jaxpr(apply)(params, x)
    rows = len(jax.tree.leaves(x))
    leaves: list[_Value] = [(frozenset([path]), False) for path in shapes]
    met: list[frozenset[str]] = []
    _walk(closed, [*leaves, *[(frozenset(), True)] * rows], met)
    layers = {path.rpartition(".")[0] for path in (met[-1] if met else ())}
    if len(layers) != 1 or layers == {""}:
        raise ValueError(
            "`bayesian='last'`: no layer is clearly the last one to meet the data "
            f"({', '.join(sorted(met[-1])) if met else 'none'}). Give path patterns instead, "
            f"such as `bayesian='head.*'`. {listing(shapes)}"
        )
    layer = layers.pop() + "."
    return {path for path in shapes if path.startswith(layer)}


def _walk(closed: ClosedJaxpr | Jaxpr, args: list[_Value], met: list[Any]) -> list[_Value]:
    """Follow the equations; note in `met` the parameters of every step that meets the data."""
    jaxpr = closed.jaxpr if isinstance(closed, ClosedJaxpr) else closed
    nothing: _Value = (frozenset(), False)
    env = dict(zip(jaxpr.invars, args, strict=True)) | dict.fromkeys(jaxpr.constvars, nothing)

    def read(var):
        return nothing if isinstance(var, Literal) else env[var]

    for eqn in jaxpr.eqns:
        values = [read(var) for var in eqn.invars]
        bodies = [v for v in eqn.params.values() if isinstance(v, ClosedJaxpr | Jaxpr)]
        inner = bodies[0] if len(bodies) == 1 and eqn.primitive.name not in _LOOPS else None
        body = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
        if body is not None and len(body.invars) == len(values):
            outs = _walk(body, values, met)
        else:
            made_of = frozenset().union(*(paths for paths, data in values if not data))
            data = any(data for _, data in values)
            if data and made_of:
                met.append(made_of)
            outs = [(frozenset() if data else made_of, data)] * len(eqn.outvars)
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(var) for var in jaxpr.outvars]
