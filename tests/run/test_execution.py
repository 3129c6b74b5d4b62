"""What runs keep, and what rows and transforms see of the chains."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support

import crewel as cw
from crewel.core.protocol import Algorithm, Backend

QUICK = {"num_chains": 3, "num_warmup": 10, "num_draws": 20, "progress": False}


@pytest.fixture(scope="module")
def model():
    return support.small()


def test_collect_keeps_a_function_of_the_parameters(model):
    plain = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    kept = model.mcmc.numpyro_nuts(seed=0, collect=square, **QUICK)
    np.testing.assert_allclose(kept.draws, plain.draws["rate"] ** 2, rtol=1e-6)
    with pytest.raises(ValueError, match="kept what `collect=` returned"):
        model.mcmc.numpyro_nuts(seed=0, init=kept, **QUICK)


def square(params):
    return params["rate"] ** 2


def test_divergence_between_kept_draws_is_not_lost(model):
    options = {"num_chains": 2, "num_warmup": 0, "progress": False, "step_size": 1.5}
    every = model.mcmc.numpyro_nuts(seed=2, num_draws=400, **options)
    tenth = model.mcmc.numpyro_nuts(seed=2, num_draws=40, thinning=10, **options)
    expected = every.stats["diverging"].reshape(2, 40, 10).any(-1)
    assert expected.sum() > 0
    np.testing.assert_array_equal(tenth.stats["diverging"], expected)


def walk(target, key, state):
    position = jax.tree.map(lambda leaf: leaf + 1.0, state)
    value = jax.vmap(target.log_density)(position)
    return position, position, {"lp": value, "step_size": jnp.float32(0.5)}


def test_cross_chain_rows_get_all_chains_at_once(model):
    row = Algorithm(
        name="toy_walk", family=cw.FAMILIES["mcmc"], summary="s", reference="r",
        backend=Backend("toy", "numpyro"), option_sources=(), cross_chain=True, step=walk,
        warmup=lambda target, key, position, num_warmup: position,
    )  # fmt: skip
    start = {"rate": jnp.array([1.0, 2.0, 4.0]), "x": jnp.zeros((3, 2))}
    post = model.mcmc(row)(seed=0, init=start, **QUICK)
    steps = np.arange(1, 21)
    np.testing.assert_allclose(
        post.draws["x"], np.broadcast_to(steps[None, :, None], (3, 20, 2)), rtol=1e-6
    )
    np.testing.assert_allclose(
        np.log(post.draws["rate"]), np.log(start["rate"])[:, None] + steps, rtol=1e-5
    )
    assert post.stats["lp"].shape == (3, 20)
    np.testing.assert_array_equal(post.stats["step_size"], np.full((3, 20), 0.5))


def test_transform_sees_one_sample_at_a_time():
    """`cumsum` over a batch would add up chains."""
    model = cw.Model(
        lambda p: -jnp.sum(p**2),
        jnp.array([1.0, 3.0]),
        jnp.cumsum,
        inverse_transform_fn=lambda p: jnp.concatenate([p[:1], jnp.diff(p)]),
        inverse_log_det_jacobian=lambda p: 0.0,
    )
    post = model.mcmc.numpyro_nuts(seed=0, num_draws=500, num_warmup=300, progress=False)
    of_mean, of_sd = support.errors(post.draws, np.zeros(2), np.full(2, 0.5**0.5))
    assert np.abs(of_mean).max() < 5 and np.abs(of_sd).max() < 5
