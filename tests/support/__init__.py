"""Known posteriors, and a count of what JAX traces and compiles."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from arviz_stats.base import array_stats
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

import crewel as cw

_counts = {"trace": 0, "compile": 0}
_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/backend_compile_duration": "compile",
}


def _listen(event: str, duration: float, **_) -> None:
    if event in _EVENTS:
        _counts[_EVENTS[event]] += 1


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextmanager
def counting():
    """Count traces and compilations inside the block."""
    before = dict(_counts)
    found: dict[str, int] = {}
    yield found
    found.update({name: _counts[name] - before[name] for name in _counts})


class Known(NamedTuple):
    """A model whose posterior is known."""

    model: cw.Model
    mean: dict[str, np.ndarray]
    sd: dict[str, np.ndarray]
    log_evidence: float = np.nan


COVARIANCE = np.array([[1.0, 0.9, 0.0], [0.9, 2.0, -0.5], [0.0, -0.5, 0.5]])
LOCATION = np.array([1.0, -2.0, 0.5])


CONCENTRATION = np.array([2.0, 3.0, 5.0])
Y = np.array([3.0, -1.0, 2.0, 0.5, 4.0])


def _gaussian(x):
    return dist.MultivariateNormal(jnp.asarray(LOCATION), jnp.asarray(COVARIANCE)).log_prob(x)


def _constrained(rate, share, parts):
    return (
        dist.Gamma(3.0, 2.0).log_prob(rate)
        + dist.Beta(2.0, 3.0).log_prob(share)
        + dist.Dirichlet(jnp.asarray(CONCENTRATION)).log_prob(parts)
    )


def _hierarchical(mu, tau, raw):
    return (
        dist.Normal(0.0, 2.0).log_prob(mu)
        + dist.LogNormal(0.0, 0.5).log_prob(tau)
        + dist.Normal(0.0, 1.0).log_prob(raw).sum()
    )


def _groups(params, y):
    return dist.Normal(params["mu"] + params["tau"] * params["raw"], 1.0).log_prob(y)


def _hierarchical_moments() -> tuple[dict[str, float], dict[str, float], float]:
    """Mean and sd of `mu` and `tau`, and the log evidence, by quadrature over `log(tau)`."""
    log_tau = np.linspace(-4.0, 4.0, 20001)
    tau = np.exp(log_tau)
    variance = 1.0 + tau**2
    # With theta integrated out, y_j ~ Normal(mu, variance); and mu has a Gaussian posterior.
    precision = 1 / 4 + len(Y) / variance
    mean = Y.sum() / variance / precision
    log_weight = (
        -0.5 * np.log(tau) ** 2 / 0.25  # density of log(tau), with the grid's own d log(tau)
        - 0.5 * len(Y) * np.log(variance)
        - 0.5 * (Y**2).sum() / variance
        + 0.5 * mean**2 * precision
        - 0.5 * np.log(precision)
    )
    weight = np.exp(log_weight - log_weight.max())
    # What is left out above: the normal densities of log(tau), of the data, and of mu.
    constant = -np.log(0.5) - 0.5 * np.log(2 * np.pi) * (1 + len(Y)) - np.log(2.0)
    area = weight.sum() * (log_tau[1] - log_tau[0])
    log_evidence = np.log(area) + log_weight.max() + constant
    weight /= weight.sum()
    first = {"mu": weight @ mean, "tau": weight @ tau}
    second = {"mu": weight @ (mean**2 + 1 / precision), "tau": weight @ tau**2}
    sd = {name: np.sqrt(second[name] - first[name] ** 2) for name in first}
    return first, sd, log_evidence


def _log_prior(params):
    return (
        _gaussian(params["net"]["x"])
        + _constrained(params["rate"], params["share"], params["parts"])
        + _hierarchical(params["mu"], params["tau"], params["raw"])
    )


def _from_prior(key):
    keys = jax.random.split(key, 7)
    return {
        "net": {
            "x": dist.MultivariateNormal(jnp.asarray(LOCATION), jnp.asarray(COVARIANCE)).sample(
                keys[0]
            )
        },
        "rate": dist.Gamma(3.0, 2.0).sample(keys[1]),
        "share": dist.Beta(2.0, 3.0).sample(keys[2]),
        "parts": dist.Dirichlet(jnp.asarray(CONCENTRATION)).sample(keys[3]),
        "mu": dist.Normal(0.0, 2.0).sample(keys[4]),
        "tau": dist.LogNormal(0.0, 0.5).sample(keys[5]),
        "raw": dist.Normal(0.0, 1.0).sample(keys[6], (5,)),
    }


@functools.cache
def known() -> Known:
    """Three posteriors side by side, independent of each other, each with exact moments.

    A correlated Gaussian in a nested dict; a positive, an interval and a simplex parameter; and a
    hierarchy of five groups, non-centred. Only the last has data.
    """
    constraints = dist.constraints
    model = cw.Model(
        None,
        {
            "net": {"x": jnp.zeros(3)},
            "rate": 1.0,
            "share": 0.5,
            "parts": jnp.ones(3) / 3,
            "mu": 0.0,
            "tau": 1.0,
            "raw": jnp.zeros(5),
        },
        {
            "net": None,
            "rate": constraints.positive,
            "share": constraints.unit_interval,
            "parts": constraints.simplex,
            "mu": None,
            "tau": constraints.positive,
            "raw": None,
        },
        data=Y,
        log_prior=_log_prior,
        log_likelihood=_groups,
        initializers={"prior": _from_prior},
        initial_state="uniform",
    )
    part = CONCENTRATION / CONCENTRATION.sum()
    mean, sd, log_evidence = _hierarchical_moments()
    return Known(
        model,
        {"net.x": LOCATION, "rate": 1.5, "share": 0.4, "parts": part} | mean,
        {
            "net.x": np.sqrt(np.diag(COVARIANCE)),
            "rate": 3**0.5 / 2,
            "share": 0.2,
            "parts": np.sqrt(part * (1 - part) / (CONCENTRATION.sum() + 1)),
        }
        | sd,
        log_evidence,
    )


def _line(params, rows):
    return dist.Normal(rows["x"] @ params["slope"] + params["offset"], 0.5).log_prob(rows["y"])


@functools.cache
def linear() -> Known:
    """Linear regression with independent Gaussian priors and known noise: all of it is exact."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(12, 2)), 0.5 * rng.normal(size=12)
    y = x @ np.array([1.0, -0.5]) + 2.0 + noise
    loc = {"offset": jnp.asarray(1.0), "slope": jnp.asarray(0.0)}
    scale = {"offset": jnp.asarray(2.0), "slope": jnp.asarray([1.0, 0.7])}
    model = cw.Model(
        None,
        {"offset": 0.0, "slope": jnp.zeros(2)},
        data={"x": x, "y": y},
        log_prior=Partial(_independent, loc, scale),
        log_likelihood=_line,
        gaussian_prior=(loc, scale),
        initializers={"prior": Partial(_independent_sample, loc, scale)},
        initial_state="uniform",
    )
    design = np.column_stack([np.ones(12), x])
    prior_mean, prior_sd = np.array([1.0, 0.0, 0.0]), np.array([2.0, 1.0, 0.7])
    covariance = np.linalg.inv(design.T @ design / 0.25 + np.diag(prior_sd**-2.0))
    mean = covariance @ (design.T @ y / 0.25 + prior_mean / prior_sd**2)
    sd = np.sqrt(np.diag(covariance))
    of_y = design @ np.diag(prior_sd**2) @ design.T + 0.25 * np.eye(12)
    off = y - design @ prior_mean
    log_evidence = -0.5 * (
        off @ np.linalg.solve(of_y, off) + np.linalg.slogdet(2 * np.pi * of_y)[1]
    )
    return Known(
        model,
        {"offset": mean[0], "slope": mean[1:]},
        {"offset": sd[0], "slope": sd[1:]},
        log_evidence,
    )


def _independent(loc, scale, params):
    priors = jax.tree.map(lambda m, s, p: dist.Normal(m, s).log_prob(p).sum(), loc, scale, params)
    return sum(jax.tree.leaves(priors))


def _independent_sample(loc, scale, key):
    keys = dict(zip(scale, jax.random.split(key, len(scale)), strict=True))
    return jax.tree.map(lambda m, s, key: m + s * jax.random.normal(key, s.shape), loc, scale, keys)


def _shrink(params, rows):
    return -rows * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


class Pair(NamedTuple):
    """A structure that is no dict."""

    first: jax.Array
    second: list


POINT = {"pair": Pair(jnp.zeros(()), [jnp.zeros((2, 3)), jnp.zeros(1)])}


@functools.cache
def plain() -> cw.Model:
    """A quick model of a motley structure, Gaussian, that has all that an algorithm may need."""
    point = POINT
    loc, scale = (jax.tree.map(lambda _, n=n: jnp.asarray(n), point) for n in (0.0, 1.0))
    return cw.Model(
        None,
        point,
        data=jnp.ones(2) / 4,
        log_prior=Partial(_independent, loc, scale),
        log_likelihood=_shrink,
        gaussian_prior=(loc, scale),
        initializers={"prior": Partial(_normal, loc, point)},
        initial_state="uniform",
    )


def _normal(loc, point, key):
    keys = jax.random.split(key, len(jax.tree.leaves(point)))
    keys = jax.tree.unflatten(jax.tree.structure(point), list(keys))
    return jax.tree.map(lambda k, p, _: jax.random.normal(k, jnp.shape(p)), keys, point, loc)


def _small_prior(params):
    return dist.Gamma(3.0, 2.0).log_prob(params["rate"]) + _independent(
        jnp.zeros(()), jnp.ones(()), ravel_pytree(params["pair"])[0]
    )


def _small_sample(key):
    one, two = jax.random.split(key)
    pair = _normal(jax.tree.map(lambda _: 0.0, POINT), POINT, two)
    return pair | {"rate": dist.Gamma(3.0, 2.0).sample(one)}


@functools.cache
def apart() -> cw.Model:
    """A quick model of a motley structure, with a constraint; prior and likelihood apart."""
    return cw.Model(
        None,
        POINT | {"rate": 1.0},
        {"pair": None, "rate": dist.constraints.positive},
        data=jnp.ones(2) / 4,
        log_prior=_small_prior,
        log_likelihood=lambda p, rows: _shrink(p["pair"], rows),
        initializers={"prior": _small_sample},
        initial_state="uniform",
    )


def small() -> cw.Model:
    """A quick model with constrained parameters, a bare log density."""
    return cw.Model(
        lambda p: dist.Gamma(3.0, 2.0).log_prob(p["rate"]) - jnp.sum(p["x"] ** 2),
        {"rate": 1.0, "x": jnp.zeros(2)},
        {"rate": dist.constraints.positive, "x": None},
    )


def errors(draws: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the mean and of the standard deviation, in Monte Carlo standard errors.

    Of the standard deviation by the mean of the squared distance from the exact mean, whose own
    autocorrelation counts: draws that alternate around the mean do not alternate in it. Chains
    of fewer than four draws are particles: as one chain, for they say nothing of time.

    Args:
        draws: `(chain, draw, *event)`.
        mean: of the exact posterior, `event`.
        sd: likewise.
    """
    draws = np.asarray(draws, np.float64)
    flat = draws.reshape(*draws.shape[:2], -1)
    flat = flat.reshape(1, -1, flat.shape[-1]) if flat.shape[1] < 4 else flat

    def error(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
        of_mean = array_stats.mcse(values, method="mean", chain_axis=0, draw_axis=1)
        return (values.mean((0, 1)) - exact) / of_mean

    exact = np.ravel(mean)
    return error(flat, exact), error((flat - exact) ** 2, np.ravel(sd) ** 2)


BATCH = 48  # does not divide the rows of `rows`
SUPPORT = {"w": None, "rate": dist.constraints.positive}


def _prior(params):
    return dist.Normal(0.0, 1.0).log_prob(params["w"]).sum() + dist.Gamma(3.0, 2.0).log_prob(
        params["rate"]
    )


def _likelihood(params, batch):
    return dist.Normal(batch["x"] @ params["w"], 1.0).log_prob(batch["y"]) + dist.Poisson(
        params["rate"]
    ).log_prob(batch["count"])


def rows(number: int = 100) -> Known:
    """Linear regression with known noise, and counts with a Gamma rate: a model of rows."""
    random = np.random.default_rng(0)
    x = random.normal(size=(number, 2))
    y = x @ np.array([0.7, -1.2]) + random.normal(size=number)
    count = random.poisson(1.5, size=number)
    model = cw.Model(
        None,
        {"w": jnp.zeros(2), "rate": 1.0},
        SUPPORT,
        data={"x": x.astype(np.float32), "y": y.astype(np.float32), "count": count},
        log_prior=_prior,
        log_likelihood=_likelihood,
    )
    covariance = np.linalg.inv(np.eye(2) + x.T @ x)
    shape, rate = 3 + count.sum(), 2 + number
    return Known(
        model,
        {"w": covariance @ x.T @ y, "rate": shape / rate},
        {"w": np.sqrt(np.diag(covariance)), "rate": np.sqrt(shape) / rate},
    )


def _squares(params):
    return -sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


def _nothing(params, batch):
    return 0.0 * batch


def nested_rows() -> cw.Model:
    """A model of rows over a motley structure."""
    return cw.Model(None, POINT, data=jnp.zeros(60), log_prior=_squares, log_likelihood=_nothing)
