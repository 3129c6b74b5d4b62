"""Known posteriors, and a count of what JAX traces and compiles."""

from __future__ import annotations

from contextlib import contextmanager
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from arviz_stats.base import array_stats

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
        + dist.Normal(mu + tau * raw, 1.0).log_prob(jnp.asarray(Y)).sum()
    )


def _hierarchical_moments() -> tuple[dict[str, float], dict[str, float]]:
    """Mean and sd of `mu` and `tau`, by quadrature over `log(tau)`."""
    tau = np.exp(np.linspace(-4.0, 4.0, 20001))
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
    weight /= weight.sum()
    first = {"mu": weight @ mean, "tau": weight @ tau}
    second = {"mu": weight @ (mean**2 + 1 / precision), "tau": weight @ tau**2}
    return first, {name: np.sqrt(second[name] - first[name] ** 2) for name in first}


def _log_density(params):
    return (
        _gaussian(params["net"]["x"])
        + _constrained(params["rate"], params["share"], params["parts"])
        + _hierarchical(params["mu"], params["tau"], params["raw"])
    )


def known() -> Known:
    """Three posteriors side by side, independent of each other, each with exact moments.

    A correlated Gaussian in a nested dict; a positive, an interval and a simplex parameter; and a
    hierarchy of five groups, non-centred.
    """
    constraints = dist.constraints
    model = cw.Model(
        _log_density,
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
    )
    part = CONCENTRATION / CONCENTRATION.sum()
    mean, sd = _hierarchical_moments()
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
    )


def small() -> cw.Model:
    """A quick model with constrained parameters."""
    return cw.Model(
        lambda p: dist.Gamma(3.0, 2.0).log_prob(p["rate"]) - jnp.sum(p["x"] ** 2),
        {"rate": 1.0, "x": jnp.zeros(2)},
        {"rate": dist.constraints.positive, "x": None},
    )


def errors(draws: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the mean and of the standard deviation, in Monte Carlo standard errors.

    Args:
        draws: `(chain, draw, *event)`.
        mean: of the exact posterior, `event`.
        sd: likewise.
    """
    draws = np.asarray(draws, np.float64)
    flat = draws.reshape(*draws.shape[:2], -1)
    axes = {"chain_axis": 0, "draw_axis": 1}
    error_of_mean = array_stats.mcse(flat, method="mean", **axes)
    error_of_sd = array_stats.mcse(flat, method="sd", **axes)
    return (
        (flat.mean((0, 1)) - np.ravel(mean)) / error_of_mean,
        (flat.std((0, 1)) - np.ravel(sd)) / error_of_sd,
    )


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
