"""Held-out scores of the averaged predictive during a run, computed on the device."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.frames import same_index
from crewel.core.labels import read
from crewel.core.meanings import is_integer
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Array, Params, PyTree
from crewel.core.row_format import require_finite
from crewel.likelihoods import ANGLES, CLASSES
from crewel.posterior.distribution import class_probabilities, mean_of, row_log_prob
from crewel.posterior.observed import observed, unmasked
from crewel.posterior.predict import NetworkPredictive, require_network

BINS = 15  # of the calibration error, as in `crewel.metrics`
EVERY = 10  # draws between two evaluations, by default
INTERVAL = (0.05, 0.95)  # whose coverage is reported, as in `crewel.metrics`


class Evaluate(NamedTuple):
    """Held-out rows, and how often to evaluate on them: `evaluate=(x, y)` or `(x, y, every)`.

    Attributes:
        x: inputs, `(N, ...)`.
        y: targets, `(N, ...)`.
        every: draws (steps of an optimizer) between two evaluations; 10 by default, whatever the
            length of the run, so an extended run evaluates at the same draws as a longer one.
    """

    x: PyTree
    y: Array
    every: int = EVERY


class Held(NamedTuple):
    """Held-out rows on the device, and how to predict them.

    Attributes:
        predictive: how the model predicts.
        x: inputs, `(N, ...)`.
        y: targets, `(N, ...)`.
        counted: 1 for rows that the likelihood does not mask, else 0, `(N,)`.
        known: 1 for values of `y` that are neither masked nor censored, else 0, `(N, ...)`.
    """

    predictive: NetworkPredictive
    x: PyTree
    y: Array
    counted: jax.Array
    known: jax.Array


def find(evaluate: Any, model: ModelLike) -> tuple[Held | None, int]:
    """The held-out rows and the draws between two evaluations, from the setting `evaluate`.

    Raises:
        TypeError: it is neither `(x, y)` nor `(x, y, every)`.
        ValueError: the model cannot predict, `every` is not a positive integer, or the rows do
            not fit.
    """
    if evaluate is None:
        return None, 0
    if not isinstance(evaluate, tuple | list) or len(evaluate) not in (2, 3):
        raise TypeError("`evaluate` must be `(x_test, y_test)` or `(x_test, y_test, every)`.")
    predictive = require_network(model.predictive, "`evaluate`")
    x, y, every = Evaluate(*evaluate)
    if not is_integer(every) or every < 1:
        raise ValueError(f"`every` of `evaluate` must be an integer of at least 1, got {every!r}.")
    same_index(x, y)
    x, y = predictive.read(x, model.test_point), read(y, predictive.classes)
    x, y = jax.tree.map(jnp.asarray, (x, y))
    alone = predictive.rows is not None
    rows = {leaf.shape[:1] for leaf in jax.tree.leaves(x)} if alone else {y.shape[:1]}
    like = model.data["y"]
    if rows != {y.shape[:1]} or y.ndim != like.ndim:
        raise ValueError(
            f"In `evaluate`, `x` has {' or '.join(str(n) for (n,) in rows)} rows and `y` has shape "
            f"{y.shape}. They must have the same number of rows, and `y` as many axes as the "
            f"model's, which has shape {like.shape}."
        )
    require_finite(y, "y")
    given = predictive, model.test_point, {"x": x, "y": y}
    counted = unmasked(*given).reshape(len(y), -1).any(1)
    if not counted.any():
        raise ValueError("In `evaluate`, the likelihood masks every value of `y`.")
    flags = jnp.asarray(counted, float), jnp.asarray(observed(*given), float)
    return Held(predictive, x, y, *flags), int(every)


class Average(NamedTuple):
    """The averaged predictive of a chain so far.

    Attributes:
        count: number of draws in it.
        log_density: log of the summed density of each held-out `y`, `(N,)`.
        mean: mean of the class probabilities, `(N, ..., K)`, or of the predictive means; of the
            directions of those, `(N, ..., 2)`, for angles; `()` if the likelihood has none.
        below: mean of the predictive probability below `y`, `(N, ...)`; `()` for classes, and if
            the likelihood has no `cdf`.
        scores: the latest scores by name; NaN before the first evaluation.
    """

    count: Any
    log_density: jax.Array
    mean: jax.Array | tuple[()]
    below: jax.Array | tuple[()]
    scores: dict[str, jax.Array]


def _look(held: Held, params: Params) -> tuple[jax.Array, Any, Any]:
    """Log density of each row, mean or class probabilities, and probability below `y`."""
    distribution = held.predictive.at(params, held.x)[1]
    rows = row_log_prob(distribution, held.y)
    if held.predictive.kind == CLASSES:
        return rows, class_probabilities(distribution), ()
    try:
        below = distribution.cdf(held.y)
    except NotImplementedError:
        below = ()
    mean = mean_of(distribution)
    if mean is None:
        return rows, (), below
    if held.predictive.kind == ANGLES:
        mean = jnp.stack([jnp.cos(mean), jnp.sin(mean)], -1)
    return rows, mean, below


def mean_log_density(held: Held, params: Params) -> jax.Array:
    """Mean log density of a held-out row under one set of parameters."""
    rows = held.predictive.pointwise(params, held.x, held.y)
    return rows.mean().astype(jnp.result_type(float))


def empty(held: Held, params: Params) -> Average:
    """The average before the first draw."""
    shapes = jax.eval_shape(lambda p: _look(held, p), params)
    rows, mean, below = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    blank = Average(jnp.zeros(()), rows - jnp.inf, mean, below, {})
    names = jax.eval_shape(lambda p: add(held, blank, p).scores, params)
    return blank._replace(scores={name: jnp.full((), jnp.nan) for name in names})


def add(held: Held, average: Average, params: Params) -> Average:
    """The average with one more draw, and its scores."""
    rows, value, below = _look(held, params)
    count = average.count + 1

    def move(mean: jax.Array, new: jax.Array) -> jax.Array:
        return (mean + (new - mean) / count).astype(mean.dtype)

    log_density = jnp.logaddexp(average.log_density, rows)
    mean, below = jax.tree.map(move, (average.mean, average.below), (value, below))
    scores = {"test_lppd": _mean(log_density, held.counted) - jnp.log(count)}
    if held.predictive.kind == CLASSES:
        scores |= _of_classes(mean, held)
    else:
        scores |= _of_values(mean, below, held)
    scores = {name: score.astype(jnp.result_type(float)) for name, score in scores.items()}
    return Average(count, log_density, mean, below, scores)


def _mean(values: jax.Array, counted: jax.Array) -> jax.Array:
    """The mean over what is counted."""
    return jnp.where(counted > 0, values, 0).sum() / counted.sum()


def _of_classes(probabilities: jax.Array, held: Held) -> dict[str, jax.Array]:
    confidence, known = probabilities.max(-1).ravel(), held.known.ravel()
    correct = (probabilities.argmax(-1) == held.y).ravel()
    edges = np.linspace(0, 1, BINS + 1)[1:-1]
    bins = jnp.searchsorted(jnp.asarray(edges, confidence.dtype), confidence, side="left")
    gap = jax.ops.segment_sum(known * (correct - confidence), bins, num_segments=BINS)
    ece = jnp.abs(gap).sum() / known.sum()
    return {"test_accuracy": _mean(correct, known), "test_ece": ece}


def _of_values(
    mean: jax.Array | tuple[()], below: jax.Array | tuple[()], held: Held
) -> dict[str, jax.Array]:
    scores: dict[str, jax.Array] = {}
    if not isinstance(mean, tuple):
        if held.predictive.kind == ANGLES:
            angle = jnp.arctan2(mean[..., 1], mean[..., 0])
            error = (angle - held.y + jnp.pi) % (2 * jnp.pi) - jnp.pi
        else:
            error = mean - held.y
        scores["test_rmse"] = jnp.sqrt(_mean(error**2, held.known))
    if not isinstance(below, tuple):
        low, high = INTERVAL
        scores["test_coverage"] = _mean((below > low) & (below < high), held.known)
    return scores
