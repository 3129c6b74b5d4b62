"""Small models that are quick to compile, for what does not depend on the posterior."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.tree_util import Partial

import crewel as cw


def under_normal(likelihood: Callable, point: Any, data: Any, loc: Any, scale: Any) -> cw.Model:
    """A model with independent normal priors, stated in every way that an algorithm may ask for.

    Args:
        likelihood: `(params, rows) -> log likelihood of each row`.
        point: the test point.
        data: the rows.
        loc: means of the prior, one per leaf of `point` or of a leaf's shape.
        scale: its standard deviations.
    """
    point, loc, scale = (jax.tree.map(jnp.asarray, tree) for tree in (point, loc, scale))
    return cw.Model(
        None,
        point,
        data=data,
        log_prior=Partial(_normal_log_density, loc, scale),
        log_likelihood=likelihood,
        gaussian_prior=(loc, scale),
        initializers={"prior": Partial(_normal_sample, loc, scale, point)},
        initial_state="uniform",
    )


def each(value: float, point: Any) -> Any:
    """The same number for every leaf of `point`."""
    return jax.tree.map(lambda _: value, point)


def _normal_log_density(loc, scale, params):
    priors = jax.tree.map(lambda m, s, p: dist.Normal(m, s).log_prob(p).sum(), loc, scale, params)
    return sum(jax.tree.leaves(priors))


def _normal_sample(loc, scale, point, key):
    keys = jax.random.split(key, len(jax.tree.leaves(point)))
    keys = jax.tree.unflatten(jax.tree.structure(point), list(keys))
    return jax.tree.map(
        lambda m, s, p, k: m + s * jax.random.normal(k, p.shape), loc, scale, point, keys
    )


class Pair(NamedTuple):
    """A structure that is not a dict."""

    first: jax.Array
    second: list


POINT = {"pair": Pair(jnp.zeros(()), [jnp.zeros((2, 3)), jnp.zeros(1)])}


def _squares(params):
    return -sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


def _shrink(params, rows):
    return rows * _squares(params)


@functools.cache
def plain() -> cw.Model:
    """A motley structure without constraints, and all that an algorithm may need.

    Each parameter is normal with mean 0 and variance 1/2: prior and data say the same.
    """
    return under_normal(_shrink, POINT, jnp.ones(2) / 4, each(0.0, POINT), each(1.0, POINT))


def _prior(params):
    normal = _normal_log_density(each(0.0, POINT), each(1.0, POINT), {"pair": params["pair"]})
    return dist.Gamma(3.0, 2.0).log_prob(params["rate"]) + normal


def _sample(key):
    one, two = jax.random.split(key)
    pair = _normal_sample(each(0.0, POINT), each(1.0, POINT), POINT, two)
    return pair | {"rate": dist.Gamma(3.0, 2.0).sample(one)}


@functools.cache
def apart() -> cw.Model:
    """A motley structure with a constraint; prior and likelihood apart.

    The pair is that of `plain`; the rate keeps its prior, a Gamma distribution.
    """
    return cw.Model(
        None,
        POINT | {"rate": 1.0},
        {"pair": None, "rate": dist.constraints.positive},
        data=jnp.ones(2) / 4,
        log_prior=_prior,
        log_likelihood=lambda p, rows: _shrink(p["pair"], rows),
        initializers={"prior": _sample},
        initial_state="uniform",
    )


def small() -> cw.Model:
    """Constrained parameters, and a bare log density."""
    return cw.Model(
        lambda p: dist.Gamma(3.0, 2.0).log_prob(p["rate"]) - jnp.sum(p["x"] ** 2),
        {"rate": 1.0, "x": jnp.zeros(2)},
        {"rate": dist.constraints.positive, "x": None},
    )


def _nothing(params, batch):
    return 0.0 * batch


def nested_rows() -> cw.Model:
    """A motley structure, and rows that say nothing."""
    return cw.Model(None, POINT, data=jnp.zeros(60), log_prior=_squares, log_likelihood=_nothing)
