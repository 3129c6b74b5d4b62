"""Schedules, cycles and batches of optimizers."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import support
from support.minibatches import QUICK

from crewel.adapters import ALGORITHMS


@pytest.fixture(scope="module")
def known():
    return support.rows()


@pytest.fixture(scope="module")
def model(known):
    return known.model


def test_schedule_sees_every_step_of_warm_up_and_sampling(model):
    schedule = optax.polynomial_schedule(1e-4, 1e-5, 1, 40)
    call = QUICK | {"num_warmup": 7, "num_draws": 6, "thinning": 3, "step_size": schedule}
    post = model.sgmcmc.blackjax_sgld(seed=0, batch_size=20, **call)
    steps = 7 + 3 * np.arange(6) + 2
    np.testing.assert_allclose(post.stats["step_size"][0], schedule(steps), rtol=1e-5)
    longer = post.extend(3, progress=False)
    steps = 7 + 3 * np.arange(9) + 2
    np.testing.assert_allclose(longer.stats["step_size"][1], schedule(steps), rtol=1e-5)


def test_cycles_are_sampled_in_their_sampling_phase_only(model):
    call = {"num_chains": 2, "progress": False, "batch_size": 20, "step_size": 1e-4}
    post = model.sgmcmc.blackjax_cyclical_sgld(
        seed=0, num_draws=9, thinning=2, cycle_length=20, exploration=0.6, **call
    )
    # Four draws a cycle, after steps 14, 16, 18 and 20 of 20: the first twelve travel.
    within = np.resize([13, 15, 17, 19], 9) / 20
    wanted = 1e-4 * (np.cos(np.pi * within) + 1) / 2
    np.testing.assert_allclose(post.stats["step_size"][0], wanted, rtol=1e-4)


def test_travelling_has_no_noise(model):
    call = {"num_chains": 1, "progress": False, "step_size": 1e-3, "cycle_length": 30}
    point = {"w": jnp.zeros(2), "rate": jnp.ones(())}
    one, two = (
        model.sgmcmc.blackjax_cyclical_sgld(
            seed=seed, num_draws=1, exploration=29 / 30, init=point, **call
        )
        for seed in (0, 1)
    )
    # All rows, one start, and 29 of 30 steps without noise: the last, of step 3e-6, has it.
    assert np.abs(one.draws["w"] - two.draws["w"]).max() < 6 * 2 * np.sqrt(2 * 3e-6)
    assert np.abs(one.draws["w"]).min() > 0.3


def test_optimizers_take_batches(known, model):
    post = model.optimize.optax_adam(
        seed=0, num_particles=2, num_steps=1500, batch_size=20, progress=False,
        learning_rate=optax.cosine_decay_schedule(0.05, 1500),
    )  # fmt: skip
    assert np.abs(post.draws["w"][:, 0] - known.mean["w"]).max() < 2 * known.sd["w"].max()
    assert post.losses[:, -50:].std() > 1  # the losses are of batches
    start = model.sgmcmc.blackjax_sgld(seed=0, init=post, batch_size=20, **QUICK)
    assert np.abs(start.draws["w"][:, 0] - post.draws["w"][:, 0]).max() < 0.2
    warm = model.mcmc.numpyro_hmc(
        seed=0, init=start, num_chains=2, num_warmup=5, num_draws=2, progress=False
    )
    assert warm.draws["w"].shape == (2, 2, 2)


def test_cycle_must_hold_a_draw(model):
    with pytest.raises(ValueError, match="keeps no draw with `thinning` 5"):
        model.sgmcmc.blackjax_cyclical_sgld(
            seed=0, num_chains=1, cycle_length=10, exploration=0.8, thinning=5, progress=False
        )


def test_every_row_says_why_it_is_biased():
    rows = [row for row in ALGORITHMS if row.family.name == "sgmcmc"]
    assert all(row.bias and "data" in row.needs for row in rows)
