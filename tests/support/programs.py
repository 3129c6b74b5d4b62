"""NumPyro programs, and the exact posterior of one of them."""

from __future__ import annotations

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from numpyro.contrib.control_flow import scan
from numpyro.handlers import mask, scale


def has(*names):
    return all(importlib.util.find_spec(name) is not None for name in names)


needs_tfp = pytest.mark.skipif(not has("tensorflow_probability"), reason="TFP is not installed")
needs_pymc = pytest.mark.skipif(not has("pymc"), reason="PyMC is not installed")
needs_flax = pytest.mark.skipif(not has("flax"), reason="Flax is not installed")


def point(model, seed):
    """A point of the unconstrained space, away from zero."""
    u = jax.jit(model.target().transform.inverse)(model.test_point)
    flat, back = ravel_pytree(u)
    return back(0.7 * jax.random.normal(jax.random.key(seed), flat.shape))


def line(x, y=None, *, scale=0.5):
    """A Bayesian line, whose posterior is known."""
    weights = numpyro.sample("weights", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
    mu = numpyro.deterministic("mu", weights[0] + weights[1] * x)
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(mu, scale), obs=y)


X = np.linspace(-1.0, 2.0, 12).astype(np.float32)
Y = (0.3 - 0.8 * X + 0.5 * np.random.default_rng(0).normal(size=12)).astype(np.float32)


def exact(x, y, scale=0.5):
    """Mean and covariance of the weights of `line`."""
    design = np.stack([np.ones_like(x), x], 1).astype(float)
    covariance = np.linalg.inv(np.eye(2) / 4 + design.T @ design / scale**2)
    return covariance @ design.T @ y.astype(float) / scale**2, covariance


def schools(number, sigma, y=None):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("schools", number):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
    numpyro.deterministic("twice", 2 * mu)


def dependent(y):
    """Bounds and sizes that depend on other latents and on the data."""
    a = numpyro.sample("a", dist.HalfNormal(2.0))
    b = numpyro.sample("b", dist.Uniform(-a, a + y.max()))
    c = numpyro.sample(
        "c", dist.TruncatedNormal(b, 1.0, low=b, high=a + 4.0).expand([3]).to_event(1)
    )
    numpyro.sample("y", dist.Normal(c.sum(), 1.0), obs=y)


def constrained(y):
    """Supports whose unconstrained shapes differ from their own."""
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    numpyro.sample("corr", dist.LKJCholesky(3, 2.0))
    cuts = numpyro.sample("cuts", dist.ImproperUniform(dist.constraints.ordered_vector, (), (2,)))
    numpyro.sample("y", dist.Normal(weights[0] + cuts.sum(), 1.0), obs=y)


def series(y=None, length=6):
    phi = numpyro.sample("phi", dist.Uniform(-1.0, 1.0))

    def step(before, y):
        state = numpyro.sample("state", dist.TruncatedNormal(phi * before, 1.0, low=-2.0))
        numpyro.sample("y", dist.Normal(state, 0.5), obs=y)
        return state, state

    scan(step, 0.0, y, length=length)


def tempered(y):
    z = numpyro.sample("z", dist.Gamma(2.0, 1.0))
    numpyro.factor("penalty", -(z**2))
    with scale(scale=0.5), mask(mask=y > 0):
        numpyro.sample("y", dist.Normal(z, 1.0), obs=y)


DATA = np.array([0.5, -1.0, 2.0, 1.0, 0.3, 1.2], np.float32)
PROGRAMS = {
    "plates": (schools, (6, np.arange(5.0, 11.0)), {"y": 3 * DATA}),
    "dependent supports": (dependent, (DATA,), {}),
    "simplex, Cholesky, ordered": (constrained, (DATA,), {}),
    "scan": (series, (DATA,), {}),
    "factor, scale and mask": (tempered, (DATA,), {}),
}
