"""The broadcast trap: `(N, 1)` against `(N,)` gives `(N, N)`, samples happily, and is wrong."""

from __future__ import annotations

from typing import Any

import jax

from crewel.checks import outer, trace
from crewel.checks.context import Context
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.likelihoods import shape_hint
from crewel.posterior.predict import NetworkPredictive

_SUM = " Sum the axes of one datum with `distribution.to_event(1)`, or change its outputs."


def likelihood(context: Context) -> Check:
    """The pointwise log likelihood has exactly one value a row."""
    target, params = context.target, context.model.test_point
    if target.log_likelihood is None or target.data is None:
        return skipped("The model has no `log_likelihood` a row.")
    rows = context.num_data
    against = _against(context)
    if against is not None and against["likelihood"] != against["y"]:
        return failed(
            f"The likelihood is a {against['name']} of shape {against['likelihood']} and `y` has "
            f"shape {against['y']}; they must be equal, one value a datum. The outputs have shape "
            f"{against['outputs']}." + (shape_hint(against["likelihood"], against["y"]) or _SUM),
            **against,
        )
    found = jax.eval_shape(target.log_likelihood, params, target.data)
    shape = tuple(getattr(found, "shape", ()))
    if shape != (rows,):
        if shape == ():
            fix = " It is summed already: return one value a row, `log_prob(y)` without `.sum()`."
        elif len(shape) > 1 and shape[0] == shape[1] == rows:
            fix = shape_hint((rows, rows), (rows,))
        elif shape[:1] == (rows,):
            fix = " Sum the values of each row: `.reshape(n, -1).sum(-1)`."
        else:
            fix = " Its first axis must be that of the rows."
        return failed(
            f"`log_likelihood` has shape {shape} for {rows:,} rows of data; it must be "
            f"({rows},), one value a row.{fix}",
            shape=shape,
        )
    text = f"One value a row, ({rows},)"
    if against is not None:
        text += f": {against['name']} {against['likelihood']} over `y` {against['y']}"
    return passed(f"{text}.", shape=shape, **(against or {}))


def _against(context: Context) -> dict[str, Any] | None:
    """Shapes of the likelihood, of `y` and of the outputs, where the model can predict."""
    predictive, data = context.model.predictive, context.model.data
    if not isinstance(predictive, NetworkPredictive) or not isinstance(data, dict):
        return None
    if not {"x", "y"} <= set(data) or not hasattr(data["y"], "shape"):
        return None
    seen: dict[str, Any] = {}

    def look(params: Any, x: Any) -> None:
        outputs, distribution = predictive.at(params, x)
        seen["outputs"] = jax.tree.map(lambda leaf: tuple(leaf.shape), outputs)
        seen["likelihood"] = tuple(distribution.shape())
        seen["name"] = type(distribution).__name__

    jax.eval_shape(look, context.model.test_point, data["x"])
    return {**seen, "y": tuple(data["y"].shape)}


def outer_sum(context: Context) -> Check:
    """No outer combination of two arrays along one long axis is summed in the log density."""
    target, params = context.small, context.model.test_point
    args = (params,) if target.data is None else (params, target.data)
    found = outer.find(trace.flatten(target.log_joint, *args))
    if not found:
        return passed("No two arrays are combined each with all and then summed.")
    first = found[0]
    a, b = first.shapes
    rows = jax.tree.leaves(target.data)[0].shape[0] if target.data is not None else None
    what = "the rows of the data" if first.length == rows else "an axis"
    where = f" At {first.line}." if first.line else ""
    return warned(
        f"`{first.primitive}` combines shapes {a} and {b}, which share {what} of length "
        f"{first.length}, to ({first.length}, {first.length}), and all of it is summed: every "
        f"value meets every other.{where} If each belongs to one datum, give both one shape, e.g. "
        "`y[:, 0]` for `y`; if pairs are meant, all is well.",
        lines=[str(one.line) for one in found],
        shapes=[one.shapes for one in found],
    )
