"""Posteriors whose moments are known exactly, and that every algorithm is compared with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw
from support.models import under_normal


def _as_they_are(draws):
    return draws


class Known(NamedTuple):
    """A model whose posterior is known.

    Attributes:
        model: the model, with prior and likelihood apart.
        mean: by name.
        sd: by name.
        log_evidence: the logarithm of the density of the data, where it is known.
        mcse: Monte Carlo standard errors of the means, by name, where they are of a reference run.
        values: from draws, leaves `(chain, draw, ...)`, to what is compared, by name.
    """

    model: cw.Model
    mean: dict[str, np.ndarray]
    sd: dict[str, np.ndarray]
    log_evidence: float = np.nan
    mcse: dict[str, np.ndarray] = {}
    values: Callable[[Any], dict[str, np.ndarray]] = _as_they_are


COVARIANCE = np.array([[1.0, 0.9, 0.0], [0.9, 2.0, -0.5], [0.0, -0.5, 0.5]])
LOCATION = np.array([1.0, -2.0, 0.5])
CONCENTRATION = np.array([2.0, 3.0, 5.0])
Y = np.array([3.0, -1.0, 2.0, 0.5, 4.0])


def gaussian_log_density(x):
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
        gaussian_log_density(params["net"]["x"])
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
    """Linear regression with independent Gaussian priors and known noise."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(12, 2)), 0.5 * rng.normal(size=12)
    y = x @ np.array([1.0, -0.5]) + 2.0 + noise
    loc, scale = {"offset": 1.0, "slope": 0.0}, {"offset": 2.0, "slope": np.array([1.0, 0.7])}
    point = {"offset": 0.0, "slope": np.zeros(2)}
    model = under_normal(_line, point, {"x": x, "y": y}, loc, scale)
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


# A size of batches that does not divide the number of rows.
BATCH = 48
ROWS_SUPPORT = {"w": None, "rate": dist.constraints.positive}


def rows_log_prior(params):
    return dist.Normal(0.0, 1.0).log_prob(params["w"]).sum() + dist.Gamma(3.0, 2.0).log_prob(
        params["rate"]
    )


def rows_log_likelihood(params, batch):
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
        ROWS_SUPPORT,
        data={"x": x.astype(np.float32), "y": y.astype(np.float32), "count": count},
        log_prior=rows_log_prior,
        log_likelihood=rows_log_likelihood,
    )
    covariance = np.linalg.inv(np.eye(2) + x.T @ x)
    shape, rate = 3 + count.sum(), 2 + number
    return Known(
        model,
        {"w": covariance @ x.T @ y, "rate": shape / rate},
        {"w": np.sqrt(np.diag(covariance)), "rate": np.sqrt(shape) / rate},
    )
