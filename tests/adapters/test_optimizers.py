"""What is special about single optimizers; the contract tests hold what is common to all."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import crewel as cw

X = np.stack([np.ones(20), np.linspace(-1, 1, 20)], 1).astype(np.float32)
Y = (X @ np.array([0.5, -2.0]) + np.sin(7 * np.arange(20))).astype(np.float32)
NOISE, SCALE = 0.5, 3.0  # sd of the noise, and of the prior
EXACT = np.linalg.solve(X.T @ X / NOISE**2 + np.eye(2) / SCALE**2, X.T @ Y / NOISE**2)


def residuals(w):
    return {"data": (X @ w - Y) / NOISE, "prior": w / SCALE}


def log_density(w):
    return -0.5 * sum(jnp.sum(r**2) for r in residuals(w).values())


@pytest.fixture(scope="module")
def regression():
    return cw.Model(log_density, jnp.zeros(2))


def test_least_squares_of_residuals(regression):
    method = regression.optimize.optimistix_levenberg_marquardt
    post = method(seed=0, residuals=residuals, num_particles=2, num_steps=20, progress=False)
    np.testing.assert_allclose(post.draws, np.broadcast_to(EXACT, (2, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(post.losses[:, -1], -log_density(EXACT), rtol=1e-5)
    with pytest.raises(TypeError, match="needs `residuals=`"):
        method(seed=0)


@pytest.mark.parametrize("name", ["optimistix_bfgs", "jaxopt_lbfgs"])
def test_a_converged_particle_stays(regression, name):
    method = getattr(regression.optimize, name)
    short = method(seed=0, num_particles=2, num_steps=60, progress=False)
    long = method(seed=0, num_particles=2, num_steps=90, progress=False)
    assert np.array_equal(short.draws, long.draws)
    assert (long.losses[:, 60:] == long.losses[:, 60:61]).all()


def test_a_schedule_is_a_learning_rate(regression):
    # A rate of 0 from the tenth step on: nothing moves any more.
    schedule = optax.piecewise_constant_schedule(0.1, {10: 0.0})
    post = regression.optimize.optax_adam(
        seed=0, num_particles=2, num_steps=30, learning_rate=schedule, progress=False
    )
    assert (np.diff(post.losses[:, :10]) != 0).all()
    assert (np.diff(post.losses[:, 11:]) == 0).all()


def test_noise_of_each_particles_own():
    flat = cw.Model(lambda w: 0.0 * w.sum(), jnp.zeros(3))
    post = flat.optimize.optax_noisy_sgd(
        seed=0, init=jnp.zeros(3), num_particles=2, num_steps=5, progress=False
    )
    assert (post.draws != 0).all() and not np.array_equal(post.draws[0], post.draws[1])


def test_schedule_free_returns_the_average(regression):
    post = regression.optimize.optax_schedule_free(
        seed=0, num_particles=1, num_steps=40, learning_rate=0.3, progress=False
    )
    point, inner = post.state  # where gradients are taken: not what is to be used
    average = optax.contrib.schedule_free_eval_params(inner, point)
    np.testing.assert_allclose(post.draws[:, 0], average, rtol=1e-6)
    assert np.abs(post.draws[:, 0] - point).max() > 1e-3
