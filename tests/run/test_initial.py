"""Where chains start."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support

import crewel as cw
from crewel.run import initial

QUICK = {"num_chains": 3, "num_warmup": 10, "num_draws": 20, "progress": False}


@pytest.fixture(scope="module")
def model():
    return support.small()


def log_density_of(model, position):
    return jax.vmap(model.target().log_density)(position)


def starts(model, init, num_chains=3):
    keys = jax.random.split(jax.random.key(0), num_chains)
    return initial.find(model, model.target(), init, num_chains, keys)


def test_uniform_start_is_within_two_of_zero(model):
    start = starts(model, None, 200)
    x = np.asarray(start.positions["x"])
    assert x.shape == (200, 2) and np.abs(x).max() <= 2 and np.abs(x).max() > 1.9
    np.testing.assert_allclose(start.log_density, log_density_of(model, start.positions), rtol=1e-6)


def test_explicit_start_is_taken_as_it_is(model):
    point = {"rate": jnp.array(2.0), "x": jnp.array([1.0, -1.0])}
    one = starts(model, point).positions
    np.testing.assert_allclose(one["rate"], np.log([2.0] * 3), rtol=1e-6)
    each = {"rate": jnp.array([1.0, 2.0, 3.0]), "x": jnp.arange(6.0).reshape(3, 2)}
    three = starts(model, each).positions
    np.testing.assert_allclose(three["rate"], np.log([1.0, 2.0, 3.0]), rtol=1e-6)
    np.testing.assert_array_equal(three["x"], each["x"])


def test_model_with_initial_state_starts_there():
    model = cw.Model(lambda p: -(p**2), 0.0, initial_state=jnp.array(0.25))
    np.testing.assert_array_equal(starts(model, None).positions, [0.25] * 3)


def test_sampler_of_the_model_is_the_default_start():
    model = cw.Model(lambda p: -(p**2), 0.0, initializers={"prior": lambda key: jnp.array(7.0)})
    np.testing.assert_array_equal(starts(model, None).positions, [7.0] * 3)
    assert not np.any(np.asarray(starts(model, "uniform").positions) == 7.0)


def test_start_is_drawn_again_until_the_density_is_finite():
    model = cw.Model(lambda p: jnp.where(p > 1.5, -(p**2), -jnp.inf), 1.75)
    assert np.all(np.asarray(starts(model, None, 50).positions) > 1.5)


def test_warm_start_takes_the_latest_points_and_the_finite_ones(model):
    post = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    np.testing.assert_allclose(
        np.exp(starts(model, post).positions["rate"]), post.draws["rate"][:, -1], rtol=1e-5
    )
    post.draws["rate"][1, -1] = np.nan
    taken = np.exp(starts(model, post).positions["rate"])
    np.testing.assert_allclose(taken, post.draws["rate"][[0, 2, 0], [-1, -1, -2]], rtol=1e-5)


def test_warm_start_from_an_ensemble(model):
    ensemble = model.optimize.optax_adam(seed=0, num_particles=4, num_steps=50, progress=False)
    start = starts(model, ensemble, 4)
    np.testing.assert_allclose(
        np.exp(start.positions["rate"]), ensemble.draws["rate"][:, 0], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("init", "text"),
    [
        ({"rate": jnp.ones(())}, "another structure"),
        ({"rate": jnp.ones(()), "x": jnp.zeros(5)}, r"`x` has shape \(5,\)"),
        ({"rate": jnp.ones(3), "x": jnp.zeros(2)}, "chain axis in some leaves"),
        ("nowhere", "uniform"),
    ],
)
def test_init_that_does_not_fit(model, init, text):
    with pytest.raises(ValueError, match=text):
        model.mcmc.numpyro_nuts(seed=0, init=init, **QUICK)
