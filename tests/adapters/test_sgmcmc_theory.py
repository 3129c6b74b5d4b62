"""What samplers on minibatches converge to, and how their step size is found."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import support

import crewel as cw
from crewel.adapters import step_size


@pytest.fixture(scope="module")
def known():
    return support.rows()


@pytest.fixture(scope="module")
def model(known):
    return known.model


def regression(number=200):
    """One slope, known noise: the posterior is normal with precision `1 + sum(x**2)`."""
    random = np.random.default_rng(1)
    x = random.normal(size=number).astype(np.float32)
    y = (0.5 * x + random.normal(size=number)).astype(np.float32)
    model = cw.Model(
        None,
        jnp.zeros(()),
        data={"x": x, "y": y},
        log_prior=lambda w: dist.Normal(0.0, 1.0).log_prob(w),
        log_likelihood=lambda w, b: dist.Normal(w * b["x"], 1.0).log_prob(b["y"]),
    )
    precision = 1 + (x**2).sum()
    mean = (x * y).sum() / precision
    at_mode = (y - mean * x) * x  # gradient of each row
    return model, mean, precision, at_mode


def theory(step, precision, noise):
    """Variance of `z + e * (gradient + noise) + sqrt(2 e) xi`, of a normal density, exactly."""
    return (2 * step + step**2 * noise) / (1 - (1 - step * precision) ** 2)


@pytest.mark.parametrize("step", [2e-4, 2e-3])
def test_sgld_has_the_variance_that_theory_gives(step):
    model, mean, precision, at_mode = regression()
    number, size = len(at_mode), 20
    draws, thinning = 4000, 20
    post = model.sgmcmc.blackjax_sgld(
        seed=2, batch_size=size, replacement=True, step_size=step, progress=False,
        num_draws=draws, thinning=thinning, num_warmup=500,
    )  # fmt: skip
    noise = number**2 / size * at_mode.var()
    wanted = theory(step, precision, noise)
    of_mean, of_sd = support.errors(post.draws, np.array(mean), np.array(np.sqrt(wanted)))
    assert np.abs(of_mean) < 5 and np.abs(of_sd) < 5
    exact = 1 / precision
    if step == 2e-3:  # the bias itself is far outside the error
        assert wanted > 2.5 * exact and post.draws.var() > 2 * exact
    else:
        assert wanted < 1.3 * exact


def test_control_variates_take_the_noise_away():
    """At a step where SGLD's variance is three times too large, theirs is right."""
    model, mean, precision, _ = regression()
    step = 2e-3
    post = model.sgmcmc.blackjax_sgld_cv(
        seed=2, batch_size=20, step_size=step, progress=False, num_draws=4000, thinning=5
    )
    # What is left is the noise of the differences, N**2 / n * var(x**2) * (z - centre)**2.
    x = np.asarray(model.data["x"])
    left = len(x) ** 2 / 20 * (x**2).var()
    wanted = 2 * step / (1 - (1 - step * precision) ** 2 - step**2 * left)
    of_mean, of_sd = support.errors(post.draws, np.array(mean), np.array(np.sqrt(wanted)))
    # Without replacement the noise is a tenth smaller; that is within the slack of 2 %.
    slack = 0.02 * np.sqrt(wanted)
    assert np.abs(of_mean) < 5
    assert np.abs(of_sd) < 5 or np.abs(post.draws.std() - np.sqrt(wanted)) < slack
    assert post.draws.var() * precision < 1.5


def test_warm_up_of_control_variates_finds_the_mode():
    model, mean, precision, _ = regression()
    post = model.sgmcmc.blackjax_sgld_cv(
        seed=0, batch_size=20, step_size=1e-4, progress=False, num_draws=1, learning_rate=3e-2
    )
    centre = np.asarray(post.state.inner.inner.position)
    assert np.abs(centre - mean).max() < 2 / np.sqrt(precision)
    gradient = jax.vmap(jax.grad(model.target().log_density))(jnp.asarray(centre))
    np.testing.assert_allclose(post.state.inner.inner.gradient, gradient, rtol=1e-5, atol=1e-4)


def test_pilot_measures_noise_and_curvature():
    model, mean, precision, at_mode = regression()
    target = dataclasses.replace(model.target(), batch_size=20)
    found = step_size.pilot(target, jax.random.key(0), jnp.asarray(mean))
    number = len(at_mode)
    noise = number**2 / 20 * (1 - 20 / number) * at_mode.var(ddof=1)
    # One dimension, 32 batches: a relative standard error of sqrt(2 / 31) = 0.25.
    assert abs(found.noise / noise - 1) < 4 * 0.25
    # The curvature of one batch: a relative sd of sqrt(var(x**2) / 20) = 0.32.
    assert abs(found.curvature / precision - 1) < 4 * 0.32


def test_auto_keeps_the_variance_within_its_criterion():
    model, mean, precision, _ = regression()
    post = model.sgmcmc.blackjax_sgld(
        seed=1, batch_size=20, progress=False, num_draws=2000, thinning=20
    )
    assert (post.stats["step_size"] > 0).all()
    # A tenth by the criterion, and half as much again for the pilot's own error.
    assert 0.85 < post.draws.var() * precision < 1.3
    assert np.unique(post.stats["step_size"]).size == 4  # each chain is tuned by itself
