"""How good a posterior is: its summary, its report in function space, its held-out scores."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel import conversions, function_space, metrics
from crewel.predict import is_classification, over_draws
from crewel.trees import named_leaves

ROWS = 200  # inputs at which a report looks
SUMMARY_ROWS = 10


def _some(tree: Any, most: int) -> Any:
    """At most `most` rows, evenly spaced."""
    number = jax.tree.leaves(tree)[0].shape[0]
    rows = np.unique(np.linspace(0, number - 1, min(most, number)).round().astype(int))
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def _flat(outputs: Any) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float32) for leaf in jax.tree.leaves(outputs)]
    return np.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=-1)


def _constant_log_likelihood(post: Any, y: Any) -> np.ndarray:
    """Pointwise log likelihood of the best constant: class frequencies, or mean and variance."""
    model = post.model
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf[0, 0]), post.params)
    x = _some(model.data["x"], 2)
    seen: dict[str, bool] = {}

    def look(params, x):
        distribution = model.predictive.distribution(params, model.predictive.outputs(params, x))
        seen["classes"] = is_classification(distribution)

    jax.eval_shape(look, first, x)
    train, y = np.asarray(model.data["y"]), np.asarray(y)
    if seen["classes"]:
        count = np.bincount(train.ravel().astype(int), minlength=int(y.max()) + 1) + 1.0
        return np.log(count / count.sum())[y.astype(int)].reshape(len(y), -1).sum(-1)
    mean, sd = train.mean(0), train.std(0) + 1e-12
    value = -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    return value.reshape(len(y), -1).sum(-1)


def report(post: Any, x: Any = None, y: Any = None) -> function_space.FunctionReport:
    """Convergence judged on predictions; see `Posterior.report`."""
    if post.model.predictive is None:
        over_draws("predictions", None, post.params, None)
    data = post.model.data
    inputs = _some(data["x"] if x is None else jax.tree.map(jnp.asarray, x), ROWS)
    outputs = over_draws("predictions", post.model.predictive, post.params, inputs)
    rows = {"x": data["x"], "y": data["y"]} if y is None else {"x": x, "y": y}
    pointwise = over_draws("log_likelihood", post.model.predictive, post.params, rows)
    return function_space.report(
        _flat(outputs), pointwise, _constant_log_likelihood(post, rows["y"])
    )


def summary(post: Any, *, space: str | None = None, **kwargs: Any) -> Any:
    """The table of `Posterior.summary`."""
    from arviz_stats import summary as table  # pyright: ignore[reportPrivateImportUsage]

    network = post.model.predictive is not None and post.options.get("collect") is None
    space = space or ("functions" if network else "weights")
    if space not in ("functions", "weights"):
        raise ValueError(f"`space` must be 'functions' or 'weights', got {space!r}.")
    if space == "weights":
        return table(post.to_datatree(), **kwargs)
    if not network:
        raise ValueError("`space='functions'` needs a model that predicts, built by `crewel.wrap`.")
    inputs = _some(post.model.data["x"], SUMMARY_ROWS)
    outputs = over_draws("predictions", post.model.predictive, post.params, inputs)
    named = named_leaves(post.draws)
    predictions: dict[str, Any] = {}
    for name, tree in outputs.items():
        predictions |= conversions.variables(tree, name)
    tree = conversions.to_datatree(
        {"posterior": {name: named[name] for name in post.model.latents} | predictions},
        dims=conversions.prediction_dims(predictions),
    )
    return table(tree, **kwargs)


def scores(post: Any, x: Any, y: Any, *, seed: int = 0) -> dict[str, float]:
    """Held-out scores; see `Posterior.metrics`."""
    y = np.asarray(y)
    made = over_draws(
        "scores",
        post.model.predictive,
        post.params,
        {"x": x, "y": y},
        key=jax.random.key(seed),
    )
    if "probabilities" in made:
        return metrics.classification_scores(made["log_likelihood"], made["probabilities"], y)
    return metrics.regression_scores(made["log_likelihood"], made["y"], made["mean"], y)
