"""Likelihood functions of every kind get scores of their kind, against SciPy's closed forms."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, special, stats
from support.networks import posterior_of

import crewel as cw
from crewel.run import held_out

ROWS, DRAWS = 400, 200
X = np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)
W = np.array([0.6, -0.4], np.float32)
U = X @ W  # what the network returns
HALF = np.arange(ROWS) % 2 == 0


def posterior(y, likelihood, w=W):
    """Of draws that are all the truth, so that scores are those of the likelihood alone."""
    model = cw.wrap(
        lambda p, x: jnp.tensordot(x, p["w"], 1), X, y, likelihood=lambda out, _: likelihood(out),
        example={"w": jnp.asarray(w)},
    )  # fmt: skip
    post = posterior_of(model, DRAWS)
    return replace(post, draws={"w": np.broadcast_to(w, (2, DRAWS, *w.shape))})


def simulated(exact):
    return np.asarray(exact.rvs(random_state=np.random.default_rng(1)))


def during_a_run(post, y):
    """The scores that `evaluate=` looks at, after two draws."""
    held, _ = held_out.find((X, y), post.model)
    one = {"w": jnp.asarray(post.draws["w"][0, 0])}
    average = held_out.add(held, held_out.empty(held, one), one)
    return {name: float(v) for name, v in held_out.add(held, average, one).scores.items()}


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


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_censored_values_count_in_the_density_only(side):
    Censored = getattr(dist, f"{side}CensoredDistribution", None)
    if Censored is None:
        pytest.skip("this NumPyro has no censored distributions")
    exact = stats.lognorm(0.7, scale=0.01 * RATE)  # small, so densities are far above 1
    whole = simulated(exact).astype(np.float32)
    limit = np.float32(0.006 if side == "Left" else 0.015)
    flag = whole < limit if side == "Left" else whole > limit
    y = np.where(flag, limit, whole)
    post = posterior(y, lambda u: Censored(dist.LogNormal(u + np.log(0.01), 0.7), flag))
    scores = post.metrics(X, y)
    tail = exact.logcdf(limit) if side == "Left" else exact.logsf(limit)
    density = np.where(flag, tail, exact.logpdf(y)).mean()
    np.testing.assert_allclose(scores["lppd"], density, rtol=1e-3)
    error = (exact.mean() - y)[~flag]
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean(error**2)), rtol=1e-4)
    normal = stats.norm(y[~flag].mean(), y[~flag].std())
    tail = normal.logcdf(y) if side == "Left" else normal.logsf(y)
    constant = np.where(flag, tail, normal.logpdf(y)).mean()
    report = post.report()
    np.testing.assert_allclose(report.baseline_lppd, constant, rtol=1e-3)
    assert report.dead_chains == ()
    assert 0 < during_a_run(post, y)["test_rmse"] < 1


def test_pairs_of_bounds_have_a_density_alone():
    Censored = getattr(dist, "IntervalCensoredDistribution", None)
    if Censored is None:
        pytest.skip("this NumPyro has no censored distributions")
    y = np.stack([U - 0.5, U + 1], -1).astype(np.float32)
    zeros = np.zeros(ROWS, bool)
    post = posterior(y, lambda u: Censored(dist.Normal(u, 1.0), zeros, zeros))
    scores = post.metrics(X, y)
    exact = np.log(stats.norm.cdf(1) - stats.norm.cdf(-0.5))
    assert scores.keys() == {"lppd"}
    np.testing.assert_allclose(scores["lppd"], exact, rtol=1e-4)


ENTRIES = HALF[:, None] ^ np.array([True, False, False])
MASKS = {
    "entries": (ENTRIES, lambda d: d.mask(ENTRIES)),
    "entries of events": (ENTRIES, lambda d: d.mask(ENTRIES).to_event(1)),
    "rows of events": (HALF, lambda d: d.to_event(1).mask(HALF)),
}


@pytest.mark.parametrize("name", MASKS)
def test_what_is_masked_is_not_scored(name):
    mask, hide = MASKS[name]
    w = np.stack([W, -W, 2 * W], -1)
    seen = np.broadcast_to(mask.reshape(ROWS, -1), (ROWS, 3))
    mean = X @ w
    y = np.where(seen, mean + np.random.default_rng(7).normal(size=mean.shape), 1e4)
    y = y.astype(np.float32)
    post = posterior(y, lambda u: hide(dist.Normal(u, 1.0)), w)
    scores, error = post.metrics(X, y), (mean - y)[seen]
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean(error**2)), rtol=1e-3)
    assert abs(scores["coverage"] - 0.9) < 0.05
    some = seen.any(1)
    density = np.where(seen, stats.norm.logpdf(y - mean), 0).sum(-1)[some].mean()
    np.testing.assert_allclose(scores["lppd"], density, rtol=1e-4)
    np.testing.assert_allclose(post.report().cumulative_lppd[-1], density, rtol=1e-4)
    found = during_a_run(post, y)
    np.testing.assert_allclose(found["test_rmse"], scores["rmse"], rtol=1e-3)
    np.testing.assert_allclose(found["test_lppd"], density, rtol=1e-4)


def test_labels_that_are_masked_are_not_scored():
    """Padding of sequences: labels of zero that were never observed."""
    w = np.stack([W, -W], -1)
    seen = (np.arange(ROWS)[:, None] % 2 == 0) | np.array([True, False])
    one = special.expit(X @ w)
    y = np.where(seen, one > 0.5, one < 0.5).astype(int)  # what is masked is wrong

    def likelihood(u):
        return dist.Bernoulli(logits=u).mask(jnp.asarray(seen)).to_event(1)

    post = posterior(y, likelihood, w)
    assert post.metrics(X, y)["accuracy"] == 1.0
    assert during_a_run(post, y)["test_accuracy"] == 1.0


def test_nothing_to_score_is_an_error():
    post = posterior(U, lambda u: dist.Normal(u, 1.0).mask(False))
    with pytest.raises(ValueError, match="masks every value"):
        post.metrics(X, U)


def test_a_mask_is_told_from_a_density_of_one():
    """`Uniform(0, 1)` has log density zero everywhere, and `mask(True)` hides nothing."""
    y = np.random.default_rng(8).random(ROWS).astype(np.float32)
    uniform = partial(dist.Uniform, 0.0)
    scores = posterior(y, lambda u: uniform(jnp.ones_like(u)).mask(True)).metrics(X, y)
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean((0.5 - y) ** 2)), rtol=1e-4)
