"""Checks of the targets: they vary, and the likelihood is of their kind."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from crewel.checks.context import Context
from crewel.checks.report import Check, passed, skipped, warned
from crewel.core.text import count, number
from crewel.posterior.distribution import base_of
from crewel.posterior.predict import NetworkPredictive

FEW = 20  # class numbers that a column of labels holds, at most
_CONTINUOUS = dist.Normal | dist.StudentT | dist.Laplace | dist.Cauchy
_CATEGORICAL = dist.CategoricalProbs | dist.CategoricalLogits


def kind(context: Context) -> Check:
    """The targets vary, and the likelihood is of their kind: labels, numbers of classes."""
    predictive, data = context.model.predictive, context.model.data
    if not isinstance(predictive, NetworkPredictive) or not isinstance(data, dict):
        return skipped("The model does not predict `y` from rows of `x`.")
    y = np.asarray(data["y"])
    if len(y) < 2:
        return skipped("There is only one row.")
    base, outputs = _likelihood(predictive, context.model.test_point, data["x"])
    values = np.unique(y)
    numbers = {"values": len(values), "likelihood": type(base).__name__}
    if len(values) == 1:
        return warned(
            f"`y` is {number(values[0])} in all {len(y):,} rows, so there is nothing to learn from "
            "`x`. Look at how `y` was made: a wrong column, or a filter that keeps one class.",
            **numbers,
        )
    if isinstance(base, _CATEGORICAL):
        classes, seen = outputs[-1], int(values.max()) + 1
        if classes > seen and len(y) >= 5 * classes:
            return warned(
                f"The likelihood has {classes} classes, but `y` holds none above {seen - 1} in "
                f"{len(y):,} rows. Let the network end in {seen} outputs, or ignore this if the "
                f"other classes occur in data to come.",
                **numbers,
            )
        if values[0] > 0 and len(values) == values[-1] - values[0] + 1 and len(y) >= 5 * classes:
            return warned(
                f"`y` holds the labels {_list(values)}, but classes are numbered from 0: the "
                f"first {number(values[0])} of {classes} classes never occur. Use "
                f"`y - {number(values[0])}` and {len(values)} outputs, or ignore this if the other "
                "classes occur in data to come.",
                **numbers,
            )
        return passed(f"{count(len(values), 'value')} of `y` for {classes} classes.", **numbers)
    labels = len(values) <= FEW and len(y) >= 5 * len(values)
    if isinstance(base, _CONTINUOUS) and labels and _are_classes(values):
        fix = "bernoulli" if len(values) == 2 else "categorical"
        return warned(
            f"`y` holds only the whole numbers {_list(values)}, like class labels, but the "
            f"likelihood is a {type(base).__name__}, for which they are quantities. If they are "
            f'classes, use `likelihood="{fix}"`; if they are counts, `"poisson"`.',
            **numbers,
        )
    return passed(f"{count(len(values), 'value')} of `y` for a {type(base).__name__}.", **numbers)


def _likelihood(predictive: NetworkPredictive, params: Any, x: Any) -> tuple[Any, tuple[int, ...]]:
    """The likelihood's distribution, below `to_event` and masks, and the shape of its outputs."""
    seen: list[Any] = []

    def look(params: Any, x: Any) -> tuple[()]:
        base = base_of(predictive.at(params, x)[1])
        shape = ()
        if isinstance(base, _CATEGORICAL):
            logits = base.logits if isinstance(base, dist.CategoricalLogits) else base.probs
            shape = tuple(jnp.shape(logits))
        seen.extend((base, shape))
        return ()

    jax.eval_shape(look, params, x)
    return seen[0], seen[1]


def _are_classes(values: np.ndarray) -> bool:
    """Whether sorted values are 0, 1, ..., or 1, 2, ..., as labels are."""
    first = values[0]
    return first in (0, 1) and bool((values == first + np.arange(len(values))).all())


def _list(values: np.ndarray) -> str:
    whole = [str(int(value)) for value in values]
    return ", ".join(whole) if len(whole) <= 4 else f"{whole[0]} to {whole[-1]}"
