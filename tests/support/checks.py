"""A regression, and one check of the debugger run on a model."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw
from crewel.adapters import ALGORITHMS
from crewel.checks import RULES, calls
from crewel.checks.context import Context

N = 20
X = np.linspace(-1.0, 1.0, 3 * N, dtype=np.float32).reshape(N, 3)
Y = X @ np.array([1.0, -2.0, 0.5], np.float32)
W = {"w": jnp.ones(3)}
positive = dist.constraints.positive


def check(name, model, row=None, **kwargs):
    """The outcome of one check alone."""
    rule = next(rule for rule in RULES if rule.name == name)
    row = next((r for r in ALGORITHMS if r.name == row), None)
    context = Context(model, row, 0, kwargs)
    if row is not None:
        calls.keywords(context)
    return rule.check(context)


def normal(params):
    """A log density that nothing is wrong with."""
    return -0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


def exp(u):
    return jax.tree.map(jnp.exp, u)


def log_prior(params):
    return normal(params)


def log_likelihood(params, batch):
    return dist.Normal(batch["x"] @ params["w"], 1.0).log_prob(batch["y"])


def regression(likelihood=log_likelihood, log_density=None, prior=log_prior, **kwargs):
    """Linear regression with prior and likelihood apart."""
    data = kwargs.pop("data", {"x": X, "y": Y})
    return cw.Model(log_density, W, data=data, log_prior=prior, log_likelihood=likelihood, **kwargs)


GOOD = cw.Model(normal, W)


def network():
    def apply(params, x):
        return jnp.tanh(x @ params["a"]) @ params["b"]

    example = {"a": jnp.ones((3, 4)), "b": jnp.ones(4)}
    return cw.wrap(apply, X, Y, likelihood="gaussian", example=example)
