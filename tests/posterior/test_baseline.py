"""The constant predictor of a report: of the likelihood's own kind, against SciPy."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import crewel as cw
from crewel.posterior import baseline

ROWS = 60


def inputs(rows=ROWS):
    return np.linspace(-1, 1, rows, dtype=np.float32)[:, None]


def model(y, likelihood, x=None, outputs=()):
    example = {"w": jnp.zeros((1, *outputs)), "b": jnp.zeros(outputs)}
    x = inputs(len(y)) if x is None else x
    return cw.wrap(lambda p, x: x @ p["w"] + p["b"], x, y, likelihood=likelihood, example=example)


def constant(made, x, y):
    """Of rows that are not the training rows."""
    return baseline.log_likelihood(
        made.predictive, made.test_point, made.data, {"x": jnp.asarray(x), "y": jnp.asarray(y)}
    )


def poisson(outputs, latents):
    return dist.Poisson(jnp.exp(outputs))


def test_counts_with_many_zeros():
    """95 % zeros: under a normal the constant would have +0.1 nats, and every chain were dead."""
    x = inputs(400)
    y = np.zeros(400, np.int32)
    y[-20:] = 1  # the rate is high where x is
    post = model(y, "poisson", x).mcmc.numpyro_nuts(seed=0, num_chains=2, progress=False)
    report = post.report()
    assert report.dead_chains == ()
    exact = stats.poisson(y.mean()).logpmf(y).mean()
    np.testing.assert_allclose(report.baseline_lppd, exact, rtol=1e-6)
    assert exact < 0 and (report.chain_lppd > exact + 0.05).all()


def test_poisson_is_scored_on_other_rows():
    train = np.random.default_rng(0).poisson(3.0, ROWS)
    found = constant(model(train, poisson), inputs(5), [0, 1, 2, 3, 9])
    np.testing.assert_allclose(found, stats.poisson(train.mean()).logpmf([0, 1, 2, 3, 9]))


def test_wider_counts_have_a_wider_constant():
    """A negative binomial of the mean m and variance v: n = m^2 / (v - m), p = m / v."""

    def wide(outputs, latents):
        return dist.NegativeBinomial2(jnp.exp(outputs), 1.0)

    train = np.random.default_rng(0).negative_binomial(1, 0.2, ROWS)
    mean, variance = train.mean(), train.var()
    exact = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    y = np.arange(8)
    np.testing.assert_allclose(constant(model(train, wide), inputs(8), y), exact.logpmf(y))
    even = np.full(ROWS, 3) + np.arange(ROWS) % 2  # vary less than a Poisson
    found = constant(model(even, wide), inputs(8), y)
    np.testing.assert_allclose(found, stats.poisson(3.5).logpmf(y))


def test_classes_have_their_frequencies():
    train = np.repeat([0, 1, 2], [30, 20, 10])
    found = constant(model(train, "categorical", outputs=(3,)), inputs(3), [0, 1, 2])
    np.testing.assert_allclose(found, np.log([31 / 63, 21 / 63, 11 / 63]))
    several = np.stack([train == 2, train > 0], -1).astype(int)  # two coins in each row

    def coins(outputs, latents):
        return dist.Bernoulli(logits=outputs).to_event(1)

    found = constant(model(several, coins, outputs=(2,)), inputs(2), [[0, 0], [1, 1]])
    ones = (several.sum() + 1) / (several.size + 2)
    np.testing.assert_allclose(found, 2 * np.log([1 - ones, ones]))


def test_values_have_a_normal_of_each_column():
    train = np.random.default_rng(0).normal([1.0, -5.0], [0.1, 3.0], (ROWS, 2)).astype(np.float32)
    y = np.array([[1.0, -5.0], [1.2, 0.0]])
    found = constant(model(train, "gaussian", outputs=(2,)), inputs(2), y)
    exact = stats.norm(train.mean(0, np.float64), train.std(0, dtype=np.float64)).logpdf(y).sum(-1)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@pytest.mark.parametrize("event", [False, True])
def test_masked_targets_are_left_out(event):
    """Neither fitted, where they are padding, nor scored."""
    known = np.arange(ROWS) % 3 != 0
    train = np.where(known, np.random.default_rng(0).poisson(3.0, ROWS), 1000)
    y = np.stack([train, train], -1) if event else train

    def masked(outputs, latents):
        rate = jnp.exp(outputs)
        mask = jnp.asarray(known)
        if event:
            return dist.Poisson(rate).to_event(1).mask(mask)
        return dist.Poisson(rate).mask(mask)

    made = model(y, masked, outputs=(2,) if event else ())
    found = baseline.log_likelihood(made.predictive, made.test_point, made.data, made.data)
    exact = stats.poisson(train[known].mean()).logpmf(train) * (1 + event)
    np.testing.assert_allclose(found, np.where(known, exact, 0.0), rtol=1e-6)
