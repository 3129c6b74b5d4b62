"""What a network's prior implies at some rows: outputs, parameters of the likelihood, means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from crewel.checks.evaluate import compiled
from crewel.core.compiling import quickly
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import named_leaves
from crewel.likelihoods import CLASSES, VALUES
from crewel.posterior.distribution import base_of, class_probabilities, is_a, mean_of
from crewel.posterior.predict import NetworkPredictive


def _arguments(distribution: Any) -> dict[str, tuple[Any, Any]]:
    """The parameters of a distribution with what they must satisfy, by name and constraint."""
    found: dict[str, tuple[Any, Any]] = {}
    while distribution is not None:
        base = base_of(distribution)
        for name, constraint in base.arg_constraints.items():
            value = vars(base).get(name)
            if value is not None and not dist.constraints.is_dependent(constraint):
                found[f"{type(base).__name__}.{name}: {_spelled(constraint)}"] = constraint, value
        distribution = vars(base).get("base_dist")
    return found


def _spelled(constraint: Any) -> str:
    known = (n for n in dist.constraints.__all__ if getattr(dist.constraints, n) is constraint)
    return next(known, repr(constraint)).replace("_", " ")


def _invalid(constraint: Any, value: Any) -> jax.Array:
    """Whether a parameter is invalid anywhere; rounding is not an error."""
    if constraint is dist.constraints.simplex:
        off = jnp.abs(value.sum(-1) - 1) > 1e-3
        return jnp.any(off) | jnp.any(value < -1e-6)
    return ~jnp.all(constraint(value))


def _typical(distribution: Any, kind: str, key: Key) -> jax.Array:
    """The mean of the likelihood, or a draw where it is infinite or not known."""
    mean, drawn = mean_of(distribution), jax.random.fold_in(key, 1)
    if mean is None:
        return distribution.sample(drawn)
    if kind != VALUES or is_a(base_of(distribution), ("Normal",)):  # always finite
        return mean
    return jnp.where(jnp.isfinite(mean), mean, distribution.sample(drawn))


def prior_draws(
    table: Mapping[str, Any], prior: Any, like: Params, keys: Key, rng: np.random.Generator
) -> Params:
    """Draws from the prior: NumPy leaves `(draw, ...)`.

    Independent normal leaves are drawn on the host, because generators for many leaves take long
    to compile.

    Args:
        table: the priors by path.
        prior: `key -> params`, all leaves.
        like: parameters, for their structure, shapes and types.
        keys: one per draw.
        rng: for the normal leaves.
    """
    leaves = named_leaves(like)
    drawn: dict[str, np.ndarray] = {}
    for path, leaf in leaves.items():
        if type(table[path]) is dist.Normal:
            loc, scale = np.asarray(table[path].loc), np.asarray(table[path].scale)
            normal = rng.standard_normal((len(keys), *leaf.shape), np.float32)
            drawn[path] = (loc + scale * normal).astype(leaf.dtype)
    others = tuple(path for path in leaves if path not in drawn)
    if others:
        with quickly():
            drawn |= jax.tree.map(np.asarray, compiled(_drawn, others, prior, keys)(prior, keys))
    return jax.tree.unflatten(jax.tree.structure(like), [drawn[path] for path in leaves])


def _drawn(paths: tuple[str, ...], prior: Any, keys: Key) -> dict[str, jax.Array]:
    def one(key: Key) -> dict[str, jax.Array]:
        found = named_leaves(prior(key))
        return {path: found[path] for path in paths}

    return jax.lax.map(one, keys)


def under_prior(
    _: None, predictive: NetworkPredictive, draws: Params, keys: Key, x: PyTree
) -> dict[str, Any]:
    """Simulate from the prior.

    Args:
        _: unused, see `crewel.checks.evaluate.compiled`.
        predictive: how the network predicts.
        draws: parameters, leaves `(draw, ...)`.
        keys: one per draw, for targets.
        x: inputs, `(row, ...)`.

    Returns:
        Leaves `(draw, ...)`: `invalid`, whether each parameter of the likelihood is, by name and
        constraint, `"Normal.scale: positive"`; `outputs`; `logits`, where it has any; and
        `probabilities` of classes, or else `mean`, with draws of `y` where there is no finite
        mean.
    """

    def one(given: tuple[Params, Key]) -> dict[str, Any]:
        params, key = given
        outputs, distribution = predictive.at(params, x)
        base = base_of(distribution)
        arguments = _arguments(distribution)
        made = {
            "invalid": {name: _invalid(*pair) for name, pair in arguments.items()},
            "outputs": outputs,
        }
        if isinstance(base, dist.BernoulliLogits | dist.CategoricalLogits):
            made["logits"] = base.logits
        if predictive.kind == CLASSES:
            made["probabilities"] = class_probabilities(distribution)
        else:
            made["mean"] = _typical(distribution, predictive.kind, key)
        return made

    return jax.lax.map(one, (draws, keys))
