"""Stochastic-gradient microcanonical Langevin: known posteriors, and what gradient noise does."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import support

import crewel as cw
from crewel.adapters.crewel_sgmclmc import noise_scale


def regression(number=1000, dimension=20):
    """Linear regression with features whose scales differ by a factor of thirty."""
    random = np.random.default_rng(0)
    x = random.normal(size=(number, dimension)) * np.geomspace(0.1, 3, dimension)
    y = x.sum(1) + random.normal(size=number)
    x, y = x.astype(np.float32), y.astype(np.float32)
    model = cw.Model(
        None,
        jnp.zeros(dimension),
        data={"x": x, "y": y},
        log_prior=lambda w: dist.Normal(0.0, 1.0).log_prob(w).sum(),
        log_likelihood=lambda w, b: dist.Normal(b["x"] @ w, 1.0).log_prob(b["y"]),
    )
    covariance = np.linalg.inv(np.eye(dimension) + x.T @ x)
    mean = covariance @ (x.T @ y)
    gradients = x * (y - x @ mean)[:, None]
    return model, mean.astype(np.float32), np.sqrt(np.diag(covariance)), gradients


def test_moments_of_a_regression_with_unequal_noise():
    """Where SGLD's own step leaves the widest directions at a fifth of their variance."""
    model, mean, sd, gradients = regression()
    post = model.sgmcmc.crewel_sgmclmc(
        seed=1, batch_size=100, num_warmup=1000, num_draws=2000, thinning=10, init=mean,
        progress=False,
    )  # fmt: skip
    of_mean, _ = support.errors(post.draws, mean, sd)
    ratio = post.draws.var((0, 1)) / sd**2
    # By the criterion of the step size, a tenth; and noise that remains in the estimate.
    assert np.abs(of_mean).max() < 5
    assert (ratio > 0.85).all() and (ratio < 1.15).all(), ratio
    # The noise of 32 batches: a relative error of sqrt(1 / 62) = 0.13 of each scale, per chain.
    scale = np.asarray(post.state.inner.inner.scale)
    wanted = gradients.std(0) ** -1
    wanted /= np.exp(np.log(wanted).mean())
    assert np.abs(np.log(scale / wanted)).max() < 4.5 * 0.13


def test_noise_in_one_direction_heats_it_as_the_step_size_assumes():
    """Rows that only add noise along one direction: its variance grows by `e**2 k V / 2`."""
    dimension, number, size, step, steps, wanted = 100, 500, 50, 0.1, 10.0, 0.3
    noise = 2 * wanted / (step**2 * steps)
    a = np.random.default_rng(0).normal(size=number)
    a = (a - a.mean()) / a.std() * np.sqrt(noise * size) / number
    model = cw.Model(
        None,
        jnp.zeros(dimension),
        data=a.astype(np.float32),
        log_prior=lambda w: -0.5 * jnp.sum(w**2),
        log_likelihood=lambda w, b: b * jnp.sum(w) / dimension**0.5,
    )
    post = model.sgmcmc.crewel_sgmclmc(
        seed=0, num_chains=8, batch_size=size, replacement=True, step_size=step,
        decoherence_steps=steps, num_warmup=2000, num_draws=2500, thinning=20, progress=False,
        init=jnp.zeros(dimension),
    )  # fmt: skip
    along = post.draws.sum(-1) / dimension**0.5
    each = along.var(1)
    across = ((post.draws**2).sum(-1) - along**2).mean() / (dimension - 1)
    # The next order of the expansion is a tenth of the first.
    assert abs(each.mean() - 1 - wanted) < 0.1 * wanted + 4 * each.std() / 8**0.5
    assert abs(across - 1) < 0.02


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_all_rows_and_temperature(temperature):
    """Without noise, the draws are right; at another temperature, their variance is as many times
    larger.
    """
    model, mean, sd, _ = regression(number=200, dimension=5)
    post = model.sgmcmc.crewel_sgmclmc(
        seed=0, batch_size=200, num_warmup=500, num_draws=2000, thinning=20, init=mean,
        temperature=temperature, progress=False,
    )  # fmt: skip
    of_mean, _ = support.errors(post.draws, mean, sd * temperature**0.5)
    ratio = post.draws.var((0, 1)) / sd**2 / temperature
    assert np.abs(of_mean).max() < 5
    assert np.abs(ratio - 1).max() < 0.1, ratio
    assert (np.asarray(post.state.inner.inner.scale) == 1).all()


def test_what_is_refused():
    model, mean, _, _ = regression(number=50, dimension=2)
    with pytest.raises(ValueError, match="`temperature` must be positive"):
        model.sgmcmc.crewel_sgmclmc(seed=0, temperature=0.0, progress=False)
    with pytest.raises(ValueError, match="decoherence_steps"):
        model.sgmcmc.crewel_sgmclmc(seed=0, decoherence_steps=0, progress=False)


def test_scales_of_noise():
    """Inverse standard deviations, finite where a parameter has no noise or none has any."""
    np.testing.assert_allclose(noise_scale(jnp.array([4.0, 1.0]), damping=0.0), [2**-0.5, 2**0.5])
    found = noise_scale(jnp.array([1.0, 0.0]))
    assert np.isfinite(found).all() and found[1] / found[0] == pytest.approx((1.005 / 0.005) ** 0.5)
    np.testing.assert_array_equal(noise_scale(jnp.zeros(3)), np.ones(3))
