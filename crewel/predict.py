"""Predictions over draws: in batches that fit memory, off the device as they are made."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from crewel.compiling import compile_all, program
from crewel.trees import nbytes

BATCH_BYTES = 64 * 2**20  # of outputs and parameters that are on the device at a time


class Predictive(NamedTuple):
    """How a model predicts: all are `jax.tree_util.Partial`.

    Attributes:
        outputs: `(params, x) -> outputs`, leading axis of rows.
        distribution: `(params, outputs) -> NumPyro distribution over y`.
        network: `params ->` the network's library's own object, or `None`.
    """

    outputs: Any
    distribution: Any
    network: Any = None

    def log_likelihood(self, params: Any, x: Any, y: Any) -> jax.Array:
        """Log likelihood of each row, `(N,)`."""
        value = self.distribution(params, self.outputs(params, x)).log_prob(y)
        return value.reshape(value.shape[0], -1).sum(-1)


def class_probabilities(distribution: Any, shape: tuple[int, ...]) -> Any:
    """Class probabilities, last axis of classes; `shape` is that of `y`."""
    probabilities = distribution.probs
    if probabilities.shape == shape:
        return jnp.stack([1 - probabilities, probabilities], -1)
    return probabilities


def _predictions(_: None, predictive: Predictive, params: Any, keys: Any, batch: Any) -> Any:
    def one(p):
        outputs = predictive.outputs(p, batch)
        distribution = predictive.distribution(p, outputs)
        if is_classification(distribution):
            return {"probability": class_probabilities(distribution, distribution.batch_shape)}
        return {"outputs": outputs}

    return jax.vmap(one)(params)


def _draws(_: None, predictive: Predictive, params: Any, keys: Any, batch: Any) -> Any:
    def one(p, key):
        outputs = predictive.outputs(p, batch)
        distribution = predictive.distribution(p, outputs)
        made = {"outputs": outputs, "y": distribution.sample(key)}
        if is_classification(distribution):
            made["probability"] = class_probabilities(distribution, distribution.batch_shape)
        return made

    return jax.vmap(one)(params, keys)


def _scores(_: None, predictive: Predictive, params: Any, keys: Any, batch: Any) -> Any:
    def one(p, key):
        distribution = predictive.distribution(p, predictive.outputs(p, batch["x"]))
        value = distribution.log_prob(batch["y"])
        scores = {"log_likelihood": value.reshape(value.shape[0], -1).sum(-1)}
        if is_classification(distribution):
            return scores | {"probabilities": class_probabilities(distribution, batch["y"].shape)}
        return scores | {"mean": distribution.mean, "y": distribution.sample(key)}

    return jax.vmap(one)(params, keys)


def _log_likelihood(_: None, predictive: Predictive, params: Any, keys: Any, batch: Any) -> Any:
    return jax.vmap(lambda p: predictive.log_likelihood(p, batch["x"], batch["y"]))(params)


def _simulation(_: None, simulation: Any, params: Any, keys: Any, batch: Any) -> Any:
    return jax.vmap(lambda p, key: simulation.run(simulation.program, p, key))(params, keys)


def _pointwise(_: None, simulation: Any, params: Any, keys: Any, batch: Any) -> Any:
    return jax.vmap(lambda p: simulation.pointwise(simulation.program, p))(params)


KINDS = {
    "predictions": _predictions,
    "draws": _draws,
    "scores": _scores,
    "log_likelihood": _log_likelihood,
    "simulation": _simulation,
    "pointwise": _pointwise,
}


def is_classification(distribution: Any) -> bool:
    """Whether a likelihood is over classes, and so has probabilities."""
    names = [cls.__name__ for cls in type(distribution).__mro__]
    return any(name.startswith(("Categorical", "Bernoulli")) for name in names)


def over_draws(
    kind: str,
    predictive: Predictive | None,
    draws: Any,
    batch: Any,
    *,
    key: Any = None,
    batch_size: int | None = None,
) -> Any:
    """Evaluate something for every draw.

    Args:
        kind: one of `KINDS`.
        predictive: the model's, or (kinds `simulation` and `pointwise`) its `Simulation`.
        draws: parameters, leaves `(chain, draw, ...)`.
        batch: what the kind needs: inputs, or `{"x": ..., "y": ...}`.
        key: PRNG key where `y` is drawn.
        batch_size: draws evaluated at once; chosen by memory if `None`. It changes no result.

    Returns:
        A pytree of host arrays, leaves `(chain, draw, row, ...)`.

    Raises:
        ValueError: the model cannot predict.
    """
    if predictive is None:
        raise ValueError(
            "This model has no way to predict `y` from rows of `x`: it was not built of a "
            "network. Use `crewel.wrap(network, x, y, ...)`, or evaluate a function of yours on "
            "`post.draws`."
        )
    chains, number = jax.tree.leaves(draws)[0].shape[:2]
    total = chains * number
    flat = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(total, *leaf.shape[2:]), draws)
    batch = jax.tree.map(jnp.asarray, batch)
    keys = jax.random.split(jax.random.key(0) if key is None else key, total)
    first = jax.tree.map(lambda leaf: leaf[:1], flat)
    if batch_size is None:
        one = jax.eval_shape(
            lambda p, k, b: KINDS[kind](None, predictive, p, k, b), first, keys[:1], batch
        )
        batch_size = max(1, BATCH_BYTES // (4 * nbytes(one) + nbytes(first)))
    size = min(batch_size, total)
    take = np.minimum(np.arange(-(-total // size) * size), total - 1).reshape(-1, size)

    def arguments(rows):
        return predictive, jax.tree.map(lambda leaf: jnp.asarray(leaf[rows]), flat), keys[rows]

    run = program(KINDS[kind], None, *arguments(take[0]), batch)
    compile_all(run)
    out = jax.tree.map(lambda leaf: np.empty((total, *leaf.shape[1:]), leaf.dtype), run.out_info)
    for rows in take:
        made = run(*arguments(rows), batch)

        def copy(buffer, leaf, rows=rows):
            buffer[rows] = np.asarray(leaf)

        jax.tree.map(copy, out, made)
    return jax.tree.map(lambda leaf: leaf.reshape(chains, number, *leaf.shape[1:]), out)
