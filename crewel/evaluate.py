"""Held-out scores of the averaged predictive while a run goes on, computed on the device."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from crewel.predict import Predictive, class_probabilities, is_classification

BINS = 15  # of the calibration error, as in `crewel.metrics`
INTERVAL = (0.05, 0.95)  # whose coverage is reported, as in `crewel.metrics`


class Evaluate(NamedTuple):
    """Held-out rows, and how often to look at them: `evaluate=(x, y)` or `(x, y, every)`.

    Attributes:
        x: inputs, `(N, ...)`.
        y: targets, `(N, ...)`.
        every: draws (of an optimizer: steps) between two looks; `None`: a hundred looks a run.
    """

    x: Any
    y: Any
    every: int | None = None


class Held(NamedTuple):
    """Held-out rows on the device, with the way to predict them."""

    predictive: Predictive
    x: Any
    y: Any


def find(evaluate: Any, model: Any, count: int) -> tuple[Held | None, int]:
    """The held-out rows and the draws between two looks, from the word `evaluate`.

    Raises:
        TypeError: not `(x, y)` or `(x, y, every)`.
        ValueError: the model cannot predict, or `every` is no positive integer.
    """
    if evaluate is None:
        return None, 0
    if not isinstance(evaluate, tuple | list) or len(evaluate) not in (2, 3):
        raise TypeError("`evaluate` must be `(x_test, y_test)` or `(x_test, y_test, every)`.")
    if model.predictive is None:
        raise ValueError(
            "`evaluate` needs a model that predicts `y` from rows of `x`, built by `crewel.wrap`. "
            "For another, keep a running mean of your own: `collect=f, reduce='mean'`."
        )
    x, y, every = Evaluate(*evaluate)
    every = max(1, count // 100) if every is None else every
    if isinstance(every, bool) or not hasattr(every, "__index__") or every < 1:
        raise ValueError(f"`every` of `evaluate` must be an integer of at least 1, got {every!r}.")
    x, y = jax.tree.map(jnp.asarray, (x, y))
    return Held(model.predictive, x, y), int(every)


class Average(NamedTuple):
    """The averaged predictive of a chain so far.

    Attributes:
        count: draws in it.
        log_density: log of the mean density of each held-out `y`, `(N,)`, times `count`.
        mean: mean of the class probabilities, `(N, K)`, or of the predictive means.
        below: mean of the predictive probability below `y`, `(N, ...)`; `()` for classes, and
            where the likelihood has no `cdf`.
        scores: the latest, by name; NaN before the first look.
    """

    count: Any
    log_density: Any
    mean: Any
    below: Any
    scores: dict[str, Any]


def _look(held: Held, params: Any) -> tuple[Any, Any, Any, bool]:
    """Log density of each row, mean or probabilities, probability below `y`; whether classes."""
    distribution = held.predictive.distribution(params, held.predictive.outputs(params, held.x))
    value = distribution.log_prob(held.y)
    rows = value.reshape(value.shape[0], -1).sum(-1)
    if is_classification(distribution):
        return rows, class_probabilities(distribution, held.y.shape), (), True
    try:
        below = distribution.cdf(held.y)
    except NotImplementedError:
        below = ()
    return rows, distribution.mean, below, False


def mean_log_density(held: Held, params: Any) -> jax.Array:
    """Mean log density of a held-out row under one set of parameters."""
    rows = held.predictive.log_likelihood(params, held.x, held.y)
    return rows.mean().astype(jnp.result_type(float))


def empty(held: Held, params: Any) -> Average:
    """The average of no draw."""
    shapes = jax.eval_shape(lambda p: _look(held, p)[:3], params)
    rows, mean, below = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    blank = Average(jnp.zeros(()), rows - jnp.inf, mean, below, {})
    names = jax.eval_shape(lambda p: add(held, blank, p).scores, params)
    return blank._replace(scores={name: jnp.full((), jnp.nan) for name in names})


def add(held: Held, average: Average, params: Any) -> Average:
    """The average with one draw more, and its scores."""
    rows, value, below, classes = _look(held, params)
    count = average.count + 1

    def move(mean, new):
        return (mean + (new - mean) / count).astype(mean.dtype)

    log_density = jnp.logaddexp(average.log_density, rows)
    mean, below = jax.tree.map(move, (average.mean, average.below), (value, below))
    scores = {"test_lppd": jnp.mean(log_density) - jnp.log(count)}
    scores |= _of_classes(mean, held.y) if classes else _of_values(mean, below, held.y)
    scores = {name: score.astype(jnp.result_type(float)) for name, score in scores.items()}
    return Average(count, log_density, mean, below, scores)


def _of_classes(probabilities: Any, y: Any) -> dict[str, Any]:
    confidence = probabilities.max(-1).ravel()
    correct = (probabilities.argmax(-1) == y).ravel()
    edges = np.linspace(0, 1, BINS + 1)[1:-1]
    bins = jnp.searchsorted(jnp.asarray(edges, confidence.dtype), confidence, side="left")
    gap = jax.ops.segment_sum(correct - confidence, bins, num_segments=BINS)
    return {"test_accuracy": correct.mean(), "test_ece": jnp.abs(gap).sum() / confidence.size}


def _of_values(mean: Any, below: Any, y: Any) -> dict[str, Any]:
    scores = {"test_rmse": jnp.sqrt(jnp.mean((mean - y) ** 2))}
    if not isinstance(below, tuple):
        low, high = INTERVAL
        scores["test_coverage"] = jnp.mean((below > low) & (below < high))
    return scores


def _predictions(predictive: Predictive, x: Any, params: Any) -> Any:
    outputs = predictive.outputs(params, x)
    distribution = predictive.distribution(params, outputs)
    if is_classification(distribution):
        return class_probabilities(distribution, distribution.batch_shape)
    return outputs


def predictions(model: Any, x: Any) -> Partial:
    """What to `collect=` in place of the parameters: predictions at `x`.

    Args:
        model: a model of a network.
        x: inputs, `(N, ...)`.

    Returns:
        A function of the parameters: class probabilities `(N, K)`, or else the network's outputs.
        `x` is data to it, so that other inputs of the same shape compile nothing.

    Raises:
        ValueError: the model cannot predict.

    Examples:
        >>> import crewel as cw, jax.numpy as jnp
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> model = cw.wrap(lambda p, x: x @ p["w"], x, x[:, 0], likelihood="gaussian",
        ...                 example={"w": jnp.zeros((1, 1))})
        >>> predictions(model, x)(model.test_point).shape
        (20, 1)
    """
    if model.predictive is None:
        raise ValueError(
            "This model has no way to predict `y` from rows of `x`: it was not built of a "
            "network. Pass `collect=` a function of the parameters of your own."
        )
    return Partial(_predictions, model.predictive, jax.tree.map(jnp.asarray, x))
