"""Checks of rows: independent, summed, informed, and unbiased minibatches."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import GOOD, W, X, Y, check, log_likelihood, log_prior, normal, regression

import crewel as cw


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (lambda p, b: log_likelihood(p, b) / len(b["y"]), "divided by the number of rows"),
        (
            lambda p, b: dist.Normal(b["x"] @ p["w"], 1.0).log_prob(b["y"][:, None]).sum(-1),
            "It grows with the number of rows",
        ),
        (
            lambda p, b: dist.Normal((b["x"] - b["x"].mean(0)) @ p["w"], 1.0).log_prob(b["y"]),
            "It depends on the other rows",
        ),
    ],
)
def test_rows_that_depend_on_others(likelihood, message):
    found = check("rows independent", regression(likelihood))
    assert found.status == "failed"
    assert message in found.message


def test_rows_that_do_not():
    assert check("rows independent", regression()).status == "passed"
    assert check("rows independent", GOOD).status == "skipped"


def joint(reduce):
    def density(p, data):
        return normal(p) + reduce(-0.5 * (data["y"] - data["x"] @ p["w"]) ** 2)

    return cw.Model(density, W, data={"x": X, "y": Y})


def test_rows_that_are_averaged_or_paired():
    averaged = check("rows summed", joint(jnp.mean))
    assert averaged.status == "failed" and "averaged, not summed" in averaged.message

    def paired(p, data):
        return normal(p) - 0.5 * jnp.sum((data["y"][:, None] - data["x"] @ p["w"]) ** 2)

    found = check("rows summed", cw.Model(paired, W, data={"x": X, "y": Y}))
    assert found.status == "failed" and "as in `(N, 1)` against `(N,)`" in found.message
    right = check("rows summed", joint(jnp.sum))
    assert right.status == "passed"
    once, twice, thrice = right.details["values"]
    np.testing.assert_allclose(twice - once, thrice - twice, rtol=1e-9)


def test_minibatches_that_are_biased():
    def twice(p, data):
        return log_prior(p) + 2 * log_likelihood(p, data).sum()

    found = check("minibatches", regression(log_density=twice))
    assert found.status == "failed" and "would sample a different posterior" in found.message

    @jax.custom_jvp
    def frozen(value):
        return value

    frozen.defjvp(lambda primals, tangents: (frozen(*primals), 0 * tangents[0]))

    def density(p, data):
        return log_prior(p) + frozen(log_likelihood(p, data).sum())

    found = check("minibatches", regression(log_density=density))
    assert found.status == "failed" and "gradient with respect to `w`" in found.message


def test_minibatches_that_are_not():
    def density(p, data):
        return log_prior(p) + log_likelihood(p, data).sum()

    found = check("minibatches", regression(log_density=density))
    assert found.status == "passed" and "Averaged over 2 batches of 10 rows" in found.message
    np.testing.assert_allclose(found.details["batches"].mean(), found.details["full"], rtol=1e-5)
    sums = check("minibatches", regression())  # holds once rows are independent
    assert sums.status == "passed" and "the prior plus the sum over rows" in sums.message
    assert check("minibatches", GOOD).status == "skipped"


def test_rows_that_interact_by_design_are_a_warning():
    def partial_likelihood(p, data):
        risk = data["x"] @ p["w"]
        return normal(p) + (risk - jax.nn.logsumexp(risk)).sum()

    found = check("rows summed", cw.Model(partial_likelihood, W, data={"x": X, "y": Y}))
    assert found.status == "warned" and "as in a Gaussian process or a partial" in found.message
    once, twice, thrice = found.details["values"]
    # f(k) = prior + k c - k N log k, and f(3) - 3 f(2) + 3 f(1) does not know c: it has the prior.
    n = len(X)
    prior = thrice - 3 * twice + 3 * once + 3 * n * np.log(3) - 6 * n * np.log(2)
    assert -50 < prior < 0
    np.testing.assert_allclose(thrice - 2 * twice + once, -3 * n * np.log(3) + 4 * n * np.log(2))
