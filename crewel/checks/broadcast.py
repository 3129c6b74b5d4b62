"""The broadcasting trap: `(N, 1)` against `(N,)` gives `(N, N)` without an error."""

from __future__ import annotations

from typing import Any

import jax

from crewel.checks import outer
from crewel.checks.context import Context
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.protocol import Params, PyTree
from crewel.likelihoods import shape_hint
from crewel.posterior.predict import NetworkPredictive

_SUM = " Sum over the axes within a row with `distribution.to_event(1)`, or change the outputs."


def likelihood(context: Context) -> Check:
    """The pointwise log likelihood has exactly one value per row."""
    target, params = context.target, context.model.test_point
    if target.log_likelihood is None or target.data is None:
        return skipped("The model has no pointwise `log_likelihood`.")
    rows = context.num_data
    shapes = _shapes(context)
    if shapes is not None and shapes["likelihood"] != shapes["y"]:
        return failed(
            f"The likelihood is a {shapes['name']} of shape {shapes['likelihood']}, but `y` has "
            f"shape {shapes['y']}; the two shapes must be equal. The outputs have shape "
            f"{shapes['outputs']}." + (shape_hint(shapes["likelihood"], shapes["y"]) or _SUM),
            **shapes,
        )
    found = jax.eval_shape(target.log_likelihood, params, target.data)
    shape = tuple(getattr(found, "shape", ()))
    if shape != (rows,):
        if shape == ():
            fix = " It is already summed: return one value per row, `log_prob(y)` without `.sum()`."
        elif len(shape) > 1 and shape[0] == shape[1] == rows:
            fix = shape_hint((rows, rows), (rows,))
        elif shape[:1] == (rows,):
            fix = " Sum the values of each row: `.reshape(n, -1).sum(-1)`."
        else:
            fix = " Its first axis must be the rows."
        return failed(
            f"`log_likelihood` has shape {shape} for {rows:,} rows of data; it must be "
            f"({rows},), one value per row.{fix}",
            shape=shape,
        )
    text = f"One value per row, shape ({rows},)"
    if shapes is not None:
        text += f": {shapes['name']} {shapes['likelihood']} for `y` {shapes['y']}"
    return passed(f"{text}.", shape=shape, **(shapes or {}))


def _shapes(context: Context) -> dict[str, Any] | None:
    """Shapes of likelihood, `y` and outputs; `None` unless the model predicts `y` from `x`."""
    predictive, data = context.model.predictive, context.model.data
    if not isinstance(predictive, NetworkPredictive) or not isinstance(data, dict):
        return None
    if not {"x", "y"} <= set(data) or not hasattr(data["y"], "shape"):
        return None
    seen: dict[str, Any] = {}

    def look(params: Params, x: PyTree) -> None:
        outputs, distribution = predictive.at(params, x)
        seen["outputs"] = jax.tree.map(lambda leaf: tuple(leaf.shape), outputs)
        seen["likelihood"] = tuple(distribution.shape())
        seen["name"] = type(distribution).__name__

    jax.eval_shape(look, context.model.test_point, data["x"])
    return {**seen, "y": tuple(data["y"].shape)}


def outer_sum(context: Context) -> Check:
    """No sum in the log density runs over all pairs of two arrays broadcast to `(N, N)`."""
    target = context.small
    found = outer.find(context.flat)
    if not found:
        return passed("No two arrays are combined pairwise and then summed.")
    first = found[0]
    a, b = first.shapes
    rows = jax.tree.leaves(target.data)[0].shape[0] if target.data is not None else None
    what = "the rows of the data" if first.length == rows else "an axis"
    where = f", at {first.line}" if first.line else ""
    return warned(
        f"`{first.primitive}` combines shapes {a} and {b}, which share {what} of length "
        f"{first.length}, into ({first.length}, {first.length}){where}. All of it is summed, so "
        "every value is paired with every other. If each value belongs to one row, give both "
        "arrays the same shape, e.g. `y[:, 0]` for `y`. Ignore this if you intended pairwise "
        "terms.",
        lines=[str(one.line) for one in found],
        shapes=[one.shapes for one in found],
    )
