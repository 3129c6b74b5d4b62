"""Checks of priors: every leaf has one, on its support, and tails can be normalized."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import (
    GOOD,
    W,
    check,
    log_likelihood,
    log_prior,
    network,
    normal,
    positive,
    regression,
)

import crewel as cw
from crewel.priors.table import PriorTable


def test_priors_for_every_leaf():
    def with_table(priors):
        return cw.Model(normal, W, priors=PriorTable(priors, {"w": (3,)}))

    missing = check("priors", with_table({}))
    assert missing.status == "failed" and "no prior for `w`" in missing.message
    improper = check("priors", with_table({"w": dist.ImproperUniform(positive, (), ())}))
    assert improper.status == "failed" and "ImproperUniform" in improper.message
    assert check("priors", network()).message == "2 priors for 3 leaves."
    assert check("priors", GOOD).status == "skipped"


@pytest.mark.parametrize(
    ("prior", "transform", "message"),
    [
        (dist.Gamma(2.0, 1.0), None, "outside the support of its prior Gamma"),
        (dist.Normal(0.0, 1.0), positive, "does not reach all of the support of `w`'s prior"),
        (dist.Uniform(0.0, 1.0), dist.constraints.interval(0.0, 2.0), "outside the support"),
    ],
)
def test_prior_of_another_support(prior, transform, message):
    model = cw.Model(
        lambda p: prior.log_prob(p["w"]).sum(),
        {"w": jnp.full(3, 0.5)},
        transform,
        priors=PriorTable({"w": prior}, {"w": (3,)}),
    )
    found = check("prior support", model)
    assert found.status == "failed"
    assert message in found.message


@pytest.mark.parametrize(
    "prior",
    [
        dist.Gamma(2.0, 1.0),
        dist.Beta(2.0, 2.0),
        dist.Dirichlet(jnp.ones(3)),
        dist.MultivariateNormal(jnp.zeros(3), jnp.eye(3)),
    ],
)
def test_prior_of_the_same_support(prior):
    model = cw.Model(
        lambda p: prior.log_prob(p["w"]).sum(),
        {"w": jnp.array([0.2, 0.3, 0.5])},
        prior.support,
        priors=PriorTable({"w": prior}, {"w": (3,)}),
    )
    assert check("prior support", model).status == "passed"


def test_split_that_does_not_add_up():
    def tempered(p, data):
        return log_prior(p) + 0.5 * log_likelihood(p, data).sum()

    found = check("prior and likelihood", regression(log_density=tempered))
    assert found.status == "failed" and "must be a constant" in found.message

    def shifted(p, data):
        return log_prior(p) + log_likelihood(p, data).sum() + 7.0

    assert check("prior and likelihood", regression(log_density=shifted)).status == "passed"
    right = check("prior and likelihood", regression())
    d = right.details
    np.testing.assert_allclose(d["log_density"], d["log_prior"] + d["log_likelihood"], rtol=1e-5)


@pytest.mark.parametrize(
    ("density", "transform", "leaf"),
    [
        (lambda p: -jnp.sum(jnp.tanh(p["a"]) ** 2) + normal(p["b"]), None, "a"),  # saturates
        (lambda p: jnp.sum(jax.nn.log_sigmoid(p["a"])) + normal(p["b"]), None, "a"),  # one side
        (lambda p: 0.0 * jnp.sum(p["a"]) + normal(p["b"]), {"a": positive, "b": None}, "a"),
    ],
)
def test_tails_that_cannot_be_normalised(density, transform, leaf):
    point = {"a": jnp.ones(()), "b": jnp.ones(2)}
    found = check("tails", cw.Model(density, point, transform))
    assert found.status == "failed"
    assert f"does not decrease far out along `{leaf}`" in found.message
    assert found.details["leaves"] == [leaf]


@pytest.mark.parametrize(
    ("prior", "transform"),
    [
        (dist.Normal(0.0, 1000.0), None),
        (dist.Cauchy(0.0, 1.0), None),
        (dist.HalfCauchy(1.0), positive),
        (dist.Gamma(0.01, 0.01), positive),
        (dist.LogNormal(0.0, 10.0), positive),
        (dist.Beta(0.5, 0.5), dist.constraints.unit_interval),
        (dist.Dirichlet(jnp.ones(3)), dist.constraints.simplex),
        (dist.LKJCholesky(3), dist.constraints.corr_cholesky),
    ],
)
def test_tails_of_proper_densities(prior, transform):
    point = {"a": jnp.eye(3) if prior.event_dim == 2 else jnp.full(prior.event_shape, 1 / 3)}
    model = cw.Model(lambda p: prior.log_prob(p["a"]).sum(), point, transform)
    assert check("tails", model).status == "passed"
