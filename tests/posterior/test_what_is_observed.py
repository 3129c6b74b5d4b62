"""What a likelihood masks or censors is not scored as if it had been observed."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import special, stats
from support.likelihoods import ROWS, U, W, X, during_a_run, posterior, simulated

from crewel.posterior import verdict

RATE = np.exp(U)
HALF = np.arange(ROWS) % 2 == 0


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


def test_a_mask_in_a_closure_fits_all_rows_of_the_data():
    """Reports and verdicts, which look at some rows, then look at all of them."""
    w = np.stack([W, -W, 3 * W], -1)
    y = (X @ w).argmax(-1)
    post = posterior(y, lambda u: dist.Categorical(logits=u).mask(jnp.asarray(HALF)), w)
    p = special.softmax((X @ w).astype(np.float64), -1)
    density = np.log(p[np.arange(ROWS), y])[HALF].mean()
    report = post.report()
    np.testing.assert_allclose(report.cumulative_lppd[-1], density, rtol=1e-4)
    assert report.dead_chains == ()
    assert "constant predictor" in verdict.judge(post).looked_at
    assert len(post.summary()) == 10 * 3
    with pytest.raises(ValueError, match="Incompatible shapes") as caught:
        post.metrics(X[:5], y[:5])
    assert any("reads as `batch['x']`" in note for note in caught.value.__notes__)


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
