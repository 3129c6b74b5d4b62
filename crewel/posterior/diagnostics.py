"""How good a posterior is: its summary, its report in function space, its held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from crewel import metrics
from crewel.core.keys import as_key
from crewel.core.protocol import Array, Data, Params, PyTree, Seed
from crewel.core.trees import named_leaves, some_rows
from crewel.likelihoods import ANGLES
from crewel.posterior import arviz, baseline, function_report, verdict
from crewel.posterior.observed import observed, rows_of, unmasked
from crewel.posterior.over_draws import over_draws
from crewel.posterior.predict import (
    NetworkPredictive,
    points,
    require_network,
    scores,
    variables,
)

if TYPE_CHECKING:
    import pandas as pd

    from crewel.posterior.posterior import Posterior

ROWS = 200  # inputs at which a report evaluates predictions, at most
VALUES = 2000  # predictions that it judges, at most: a row may have many
SUMMARY_ROWS = 10
# Rules of the verdict that the report does not apply itself, to more values.
_OF_RUN = frozenset(rule.name for rule in verdict.RULES) - {
    "finite draws", "constant predictor", "R-hat", "ESS",
}  # fmt: skip


def _flat(outputs: PyTree) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float32) for leaf in jax.tree.leaves(outputs)]
    return np.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=-1)


def _some(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values `(chain, draw, value)`, evenly spaced."""
    return some_rows(values.swapaxes(0, 2), most).swapaxes(0, 2)


def report(
    post: Posterior, x: PyTree = None, y: Array | None = None
) -> function_report.FunctionReport:
    """Convergence judged on predictions; see `Posterior.report`."""
    if y is not None and x is None:
        raise ValueError("`y` was given without `x`. Give both, or `x` alone.")
    judged = post.verdict if post.verdict.looked_at else verdict.judge(post)
    faults = [fault.message.rstrip(".") for fault in judged.faults if fault.name in _OF_RUN]
    predictive = post.model.predictive
    if x is None and not isinstance(predictive, NetworkPredictive):
        values = _some(_flat(post.params), ROWS)
        return function_report.report(values, of="parameter", faults=faults)
    predictive = require_network(predictive, "`report` at `x`")
    params, data = post.params, post.model.data
    like = post.model.test_point
    inputs = rows_of(predictive, like, data, ROWS)["x"] if x is None else predictive.read(x, like)
    inputs = jax.tree.map(jnp.asarray, inputs)
    if x is not None and predictive.rows is not None:  # else it is one object
        inputs = some_rows(inputs, ROWS)
    outputs = over_draws(points, predictive, params, inputs)
    rows: Data = data if y is None else predictive.read_pair(x, y, like)
    pointwise = predictive.log_likelihood(params, data, (rows["x"], rows["y"]), {})["y"]
    constant = baseline.log_likelihood(predictive, like, data, rows)
    counted = _counted(predictive, like, rows)
    pointwise, constant = pointwise[:, :, counted], constant[counted]
    values = _some(_flat(outputs), VALUES)
    weights = rows.get("weights")
    weights = None if weights is None else weights[counted]
    return function_report.report(values, pointwise, constant, weights=weights, faults=faults)


def summary(post: Posterior, *, space: str | None = None, **kwargs: Any) -> pd.DataFrame:
    """The table of `Posterior.summary`."""
    from arviz_stats import summary as table  # pyright: ignore[reportPrivateImportUsage]

    predictive = post.model.predictive
    network = (
        isinstance(predictive, NetworkPredictive) and post.call.settings.get("collect") is None
    )
    space = space or ("functions" if network else "weights")
    if space not in ("functions", "weights"):
        raise ValueError(f"`space` must be 'functions' or 'weights', got {space!r}.")
    if space == "weights":
        return cast("pd.DataFrame", table(post.to_datatree(), **kwargs))
    if not network:
        raise ValueError("`space='functions'` needs a model that predicts, built by `crewel.wrap`.")
    assert isinstance(predictive, NetworkPredictive)
    rows = rows_of(predictive, post.model.test_point, post.model.data, SUMMARY_ROWS)
    outputs = over_draws(points, predictive, post.params, rows["x"])
    some = some_rows(np.arange(len(rows["y"])), SUMMARY_ROWS)
    outputs = jax.tree.map(lambda leaf: leaf[:, :, some], outputs)
    named = named_leaves(post.params)
    predictions: dict[str, Array] = {}
    for name, tree in outputs.items():
        predictions |= variables(tree, name)
    tree = arviz.to_datatree(
        {"posterior": {name: named[name] for name in post.model.latents} | predictions},
        dims=arviz.prediction_dims(predictions),
        coords=predictive.coords(predictions),
    )
    return cast("pd.DataFrame", table(tree, **kwargs))


@dataclass(frozen=True)
class HeldOut:
    """What scores need of a posterior at held-out rows that the likelihood does not mask.

    Attributes:
        made: `log_likelihood` `(chain, draw, row)`, and `probabilities`, or `mean` and `y`.
        y: the targets of these rows.
        known: which values of `y` are known; `None` if all are.
        circular: whether they are angles.
    """

    made: dict[str, Any]
    y: np.ndarray
    known: np.ndarray | None
    circular: bool

    @property
    def scores(self) -> dict[str, float]:
        """All scores by name."""
        made = self.made
        likelihood = made["log_likelihood"]
        if "probabilities" in made:
            given = likelihood, made["probabilities"], self.y
            return metrics.classification_scores(*given, observed=self.known)
        given = likelihood, made["y"], made["mean"], self.y
        return metrics.regression_scores(*given, observed=self.known, circular=self.circular)


def held_out(post: Posterior, x: PyTree, y: Array, *, seed: Seed = 0, what: str) -> HeldOut:
    """Evaluate a posterior at held-out rows; `what` needs it, for an error's message."""
    predictive = require_network(post.model.predictive, what)
    like = post.model.test_point
    rows = predictive.read_pair(x, y, like)
    made = over_draws(scores, predictive, post.params, rows, key=as_key(seed))
    counted = _counted(predictive, like, rows)
    made = jax.tree.map(lambda leaf: leaf[:, :, counted], made)
    known, y = (part[counted] for part in (observed(predictive, like, rows), np.asarray(rows["y"])))
    return HeldOut(made, y, None if known.all() else known, predictive.kind == ANGLES)


def held_out_scores(post: Posterior, x: PyTree, y: Array, *, seed: Seed = 0) -> dict[str, float]:
    """Held-out scores; see `Posterior.metrics`."""
    return held_out(post, x, y, seed=seed, what="`metrics`").scores


def _counted(predictive: NetworkPredictive, params: Params, rows: Data) -> np.ndarray | slice:
    """The rows of which the likelihood does not mask everything.

    Raises:
        ValueError: it masks all rows.
    """
    known = unmasked(predictive, params, rows)
    counted = np.asarray(known.reshape(len(known), -1).any(1))
    if not counted.any():
        raise ValueError(
            "The likelihood masks every value of `y` in these rows, so there is nothing to score. "
            "A mask in a closure has the training rows only: make it a part of `x`."
        )
    return slice(None) if counted.all() else counted
