"""Likelihood functions of every kind get scores of their kind, against SciPy's closed forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, special, stats
from support.likelihoods import ROWS, U, W, X, during_a_run, posterior, simulated

RATE = np.exp(U)
CASES = {  # from outputs to NumPyro's distribution, and the same in SciPy
    "poisson": (lambda u: dist.Poisson(jnp.exp(u)), stats.poisson(RATE)),
    "binomial": (lambda u: dist.Binomial(9, logits=u), stats.binom(9, special.expit(U))),
    "negative binomial 2": (
        lambda u: dist.NegativeBinomial2(jnp.exp(u), 2.0),
        stats.nbinom(2, 2 / (2 + RATE)),
    ),
    "negative binomial, logits": (
        lambda u: dist.NegativeBinomialLogits(3.0, logits=u),
        stats.nbinom(3, special.expit(-U)),
    ),
    "negative binomial, probs": (
        lambda u: dist.NegativeBinomialProbs(3.0, probs=jax.nn.sigmoid(u)),
        stats.nbinom(3, special.expit(-U)),
    ),
    "beta": (lambda u: dist.Beta(jnp.exp(u), 2.0), stats.beta(RATE, 2)),
    "log-normal": (lambda u: dist.LogNormal(u, 0.7), stats.lognorm(0.7, scale=RATE)),
    "gamma": (lambda u: dist.Gamma(2.0, jnp.exp(u)), stats.gamma(2, scale=1 / RATE)),
    "weibull": (lambda u: dist.Weibull(jnp.exp(u), 1.5), stats.weibull_min(1.5, scale=RATE)),
    "truncated normal": (
        lambda u: dist.TruncatedNormal(u, 0.8, low=0.0),
        stats.truncnorm(-U / 0.8, np.inf, U, 0.8),
    ),
    "student t": (lambda u: dist.StudentT(4.0, u, 1.0), stats.t(4, U)),
    "nothing masked": (lambda u: dist.Normal(u, 2.0).mask(True), stats.norm(U, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_the_distribution(name):
    likelihood, exact = CASES[name]
    y = simulated(exact)
    y = y if y.dtype.kind == "i" else y.astype(np.float32)
    post = posterior(y, likelihood)
    scores = post.metrics(X, y)
    density = exact.logpmf(y) if y.dtype.kind == "i" else exact.logpdf(y)
    np.testing.assert_allclose(scores["lppd"], density.mean(), rtol=1e-4)
    rmse = np.sqrt(np.mean((exact.mean() - y) ** 2))
    np.testing.assert_allclose(scores["rmse"], rmse, rtol=1e-4)
    # 400 rows: a standard error of 0.015. The interval of counts holds more than 90 %.
    assert scores["coverage"] > 0.9 - 0.05
    assert y.dtype.kind == "i" or scores["coverage"] < 0.9 + 0.05
    assert 0 < scores["crps"] < scores["rmse"]
    np.testing.assert_allclose(during_a_run(post, y)["test_rmse"], rmse, rtol=1e-4)
    assert np.isfinite(post.report().cumulative_lppd).all()


def test_zero_inflated_counts():
    def likelihood(u):
        return dist.ZeroInflatedDistribution(dist.Poisson(jnp.exp(u)), gate=0.3)

    y = np.where(np.random.default_rng(2).random(ROWS) < 0.3, 0, simulated(stats.poisson(RATE)))
    scores = posterior(y, likelihood).metrics(X, y)
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean((0.7 * RATE - y) ** 2)), rtol=1e-4)
    density = 0.7 * stats.poisson(RATE).pmf(y) + 0.3 * (y == 0)
    np.testing.assert_allclose(scores["lppd"], np.log(density).mean(), rtol=1e-4)
    assert scores["coverage"] > 0.85


def test_without_a_mean_in_numpyro_it_is_that_of_draws():
    """A logit-normal has no mean in closed form; here it is computed by quadrature."""

    def likelihood(u):
        squashed = dist.transforms.SigmoidTransform()
        return dist.TransformedDistribution(dist.Normal(u, 1.0), squashed)

    y = special.expit(U + np.random.default_rng(3).normal(size=ROWS)).astype(np.float32)
    scores = posterior(y, likelihood).metrics(X, y)
    z = np.linspace(-9, 9, 2001)
    mean = integrate.trapezoid(special.expit(U[:, None] + z) * stats.norm.pdf(z), z)
    # The mean of 400 draws adds a four-hundredth of the variance to the squared error.
    rmse = np.sqrt(np.mean((mean - y) ** 2))
    np.testing.assert_allclose(scores["rmse"], rmse, rtol=0.01)
    assert abs(scores["coverage"] - 0.9) < 0.05


@pytest.mark.parametrize("df", [0.8, 1.0])
def test_without_a_finite_mean_it_is_the_median(df):
    y = simulated(stats.t(df, U)).astype(np.float32)
    scores = posterior(y, lambda u: dist.StudentT(df, u, 1.0)).metrics(X, y)
    # The median of 400 draws has a standard error of about 0.08; errors are far larger.
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean((U - y) ** 2)), rtol=0.01)
    assert abs(scores["coverage"] - 0.9) < 0.05


def test_several_values_in_a_row_that_depend_on_each_other():
    """A multivariate normal, full and of low rank: each value counts."""
    w, factor = np.stack([W, -W, 2 * W], -1), np.array([[1.0], [-0.5], [0.2]], np.float32)
    covariance = factor @ factor.T + 0.5 * np.eye(3, dtype=np.float32)
    mean = X @ w
    noise = np.random.default_rng(4).multivariate_normal(np.zeros(3), covariance, ROWS)
    y = (mean + noise).astype(np.float32)
    density = stats.multivariate_normal(cov=covariance).logpdf(y - mean).mean()
    for likelihood in (
        lambda u: dist.MultivariateNormal(u, covariance),
        lambda u: dist.LowRankMultivariateNormal(u, factor, 0.5 * jnp.ones(3)),
    ):
        scores = posterior(y, likelihood, w).metrics(X, y)
        np.testing.assert_allclose(scores["lppd"], density, rtol=1e-4)
        np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean((y - mean) ** 2)), rtol=1e-4)
        assert abs(scores["coverage"] - 0.9) < 0.03  # 1,200 values
    cut = dist.Normal(jnp.zeros((ROWS, 3)), 1.0).to_event(1)
    scores = posterior(y, lambda u: cut, w).metrics(X, y)
    np.testing.assert_allclose(scores["lppd"], stats.norm.logpdf(y).sum(-1).mean(), rtol=1e-4)


def test_angles_are_measured_round_the_circle():
    """Directions near pi, where errors that are not wrapped would be about 2 pi."""
    exact = stats.vonmises(4, U + np.pi)
    y = simulated(exact).astype(np.float32)
    post = posterior(y, lambda u: dist.VonMises(u + jnp.pi, 4.0))
    assert post.model.predictive.kind == "angles"
    scores = post.metrics(X, y)
    np.testing.assert_allclose(scores["lppd"], exact.logpdf(y).mean(), rtol=1e-4)
    error = np.angle(np.exp(1j * (y - U - np.pi)))
    assert error.std() < 0.6
    rmse = np.sqrt(np.mean(error**2))
    np.testing.assert_allclose(scores["rmse"], rmse, rtol=0.01)  # the circular mean is of draws
    np.testing.assert_allclose(during_a_run(post, y)["test_rmse"], rmse, rtol=1e-4)
    assert abs(scores["coverage"] - 0.9) < 0.05
    z = np.linspace(-np.pi, np.pi, 20001)
    below = np.interp([0.05, 0.95], stats.vonmises.cdf(z, 4), z)
    np.testing.assert_allclose(scores["interval_width"], below[1] - below[0], rtol=0.02)


def test_mixtures_of_values_and_of_classes():
    both = dist.Categorical(jnp.array([0.25, 0.75]))

    def values(u):
        return dist.MixtureSameFamily(both, dist.Normal(u[..., None] + jnp.array([-1.0, 3.0]), 0.5))

    y = (U + np.where(np.random.default_rng(5).random(ROWS) < 0.25, -1, 3)).astype(np.float32)
    scores = posterior(y, values).metrics(X, y)
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean((U + 2 - y) ** 2)), rtol=1e-4)

    def classes(u):
        two = [dist.Categorical(logits=u), dist.Categorical(probs=jnp.ones(u.shape) / 3)]
        return dist.MixtureGeneral(both, two)

    w = np.stack([W, -W, 3 * W], -1)
    p = 0.25 * special.softmax(X @ w, -1) + 0.75 / 3
    y = p.argmax(-1)
    post = posterior(y, classes, w)
    found = post.predict(X)["predictions"]["probability"]
    np.testing.assert_allclose(found[0, 0], p, rtol=1e-4)
    assert post.metrics(X, y)["accuracy"] == 1.0


def test_ordered_classes_and_coins_with_zeros():
    cuts = np.array([-0.5, 0.5], np.float32)
    y = 1 * (U > -0.5) + (U > 0.5)
    post = posterior(y, lambda u: dist.OrderedLogistic(u, jnp.asarray(cuts)))
    below = special.expit(cuts - U[:, None])
    p = np.diff(below, prepend=0, append=1)
    scores = post.metrics(X, y)
    assert scores["accuracy"] == np.mean(p.argmax(-1) == y)
    np.testing.assert_allclose(scores["lppd"], np.log(p[np.arange(ROWS), y]).mean(), rtol=1e-4)
    y = (U > 0.2).astype(int)
    post = posterior(y, lambda u: dist.ZeroInflatedDistribution(dist.Bernoulli(logits=u), gate=0.3))
    one = 0.7 * special.expit(U)
    np.testing.assert_allclose(
        post.predict(X)["predictions"]["probability"][0, 0, :, 1], one, rtol=1e-4
    )
    assert post.metrics(X, y)["accuracy"] == np.mean((one > 0.5) == y)


def test_counts_of_several_outcomes():
    w = np.stack([W, -W, 3 * W], -1)
    p = special.softmax((X @ w).astype(np.float64), -1)
    y = np.random.default_rng(6).multinomial(10, p)
    post = posterior(y, lambda u: dist.Multinomial(10, logits=u), w)
    scores = post.metrics(X, y)
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean((10 * p - y) ** 2)), rtol=1e-4)
    each = [stats.multinomial(10, row).logpmf(k) for row, k in zip(p, y, strict=True)]
    np.testing.assert_allclose(scores["lppd"], np.mean(each), rtol=1e-3)
    assert scores["coverage"] > 0.9 - 0.03
    assert post.report().dead_chains == ()


def test_parts_of_a_whole_against_their_constant():
    """A density on the simplex, which has an entry less than `y`."""
    w = np.stack([W, -W, 3 * W], -1)
    a = 20 * special.softmax((X @ w).astype(np.float64), -1)
    y = np.stack([np.random.default_rng(i).dirichlet(row) for i, row in enumerate(a)])
    y = y.astype(np.float32)
    post = posterior(y, lambda u: dist.Dirichlet(20 * jax.nn.softmax(u)), w)
    report = post.report()
    exact = stats.norm(y.mean(0, np.float64), y.std(0, dtype=np.float64)).logpdf(y)[:, :2]
    np.testing.assert_allclose(report.baseline_lppd, exact.sum(-1).mean(), rtol=1e-4)
    assert report.dead_chains == ()
