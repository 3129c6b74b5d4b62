"""Minibatches: what rows a step sees, what the initializers converge to, what bad input gets."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
import support
from support import counting
from support.minibatches import QUICK

import crewel as cw
from crewel.adapters import ALGORITHMS, step_size
from crewel.core import minibatch
from crewel.core.minibatch import Batches


@pytest.fixture(scope="module")
def known():
    return support.rows()


@pytest.fixture(scope="module")
def model(known):
    return known.model


# --- the estimate and the rows ------------------------------------------------------------------


def test_estimate_is_unbiased(model):
    """The mean over an epoch of density and gradient are the full ones, to float precision."""
    target = model.target()
    place = {"w": jnp.array([0.3, -0.4]), "rate": jnp.array(0.2)}
    value, gradient = jax.value_and_grad(target.log_density)(place)
    order = minibatch.order(jax.random.key(0), 3, 100)

    @jax.vmap
    def of_batch(rows):
        on = target.on(minibatch.take(target.data, rows))
        assert on.num_data == 100
        return jax.value_and_grad(on.log_density)(place)

    values, gradients = of_batch(order.reshape(5, 20))
    assert values.std() > 1  # batches do differ
    np.testing.assert_allclose(values.mean(), value, rtol=1e-5)
    for found, wanted in zip(jax.tree.leaves(gradients), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(found.mean(0), wanted, rtol=1e-4)


def visits(batches, steps, first=0):
    """The rows that each step sees, through the very functions of the loop."""
    target = cw.Model(
        None,
        0.0,
        data=jnp.arange(batches.num_data),
        log_prior=lambda p: p,
        log_likelihood=lambda p, b: b,
    ).target()
    key = jax.random.key(7)

    def rows(step):
        return minibatch.at(batches, target, None, key, step, step).data

    return np.asarray(jax.lax.map(rows, jnp.arange(first, first + steps)))


def test_epochs_visit_each_row_once():
    seen = visits(Batches(5, 20), 12).reshape(3, 20)
    for epoch in seen:
        assert sorted(epoch) == list(range(20))
    assert not np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize("rows", [1, 2, 3, 255, 256, 257, 1797])
def test_an_order_is_a_permutation(rows):
    order = minibatch.order(jax.random.key(rows), 1, rows)
    assert sorted(order.tolist()) == list(range(rows))
    some = minibatch.order(jax.random.key(rows), 1, rows, jnp.arange(rows - 1, rows))
    assert some == order[-1]


@pytest.mark.parametrize("rows", [3, 5, 8, 9, 17])
def test_orders_are_uniform(rows):
    """Every pair of rows is as often the first two of an epoch: chi-squared over the pairs."""
    epochs = 50_000
    first_two = jax.vmap(lambda e: minibatch.order(jax.random.key(0), e, rows, jnp.arange(2)))
    pairs = np.asarray(jax.jit(first_two)(jnp.arange(epochs)))
    count = np.zeros((rows, rows))
    np.add.at(count, (pairs[:, 0], pairs[:, 1]), 1)
    assert (np.diag(count) == 0).all()
    expected = epochs / (rows * (rows - 1))
    statistic = ((count[~np.eye(rows, dtype=bool)] - expected) ** 2 / expected).sum()
    freedom = rows * (rows - 1) - 1
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_epoch_leaves_out_rows_that_do_not_fill_a_batch_others_each_time():
    seen = visits(Batches(6, 20), 3 * 200).reshape(200, 18)
    left_out = [set(range(20)) - set(epoch) for epoch in seen]
    assert all(len(rows) == 2 for rows in left_out)
    count = np.bincount(np.concatenate([list(rows) for rows in left_out]), minlength=20)
    # 200 times 2 of 20 rows: 20 each, binomial.
    assert np.abs(count - 20).max() < 5 * np.sqrt(200 * 0.1 * 0.9)


def test_rows_are_a_function_of_the_step_alone():
    whole = visits(Batches(6, 20), 12)
    np.testing.assert_array_equal(whole[7:], visits(Batches(6, 20), 5, first=7))


def test_with_replacement_rows_are_independent():
    seen = visits(Batches(10, 20, replacement=True), 400)
    count = np.bincount(seen.ravel(), minlength=20)
    assert np.abs(count - 200).max() < 5 * np.sqrt(4000 * 0.05 * 0.95)
    twice = np.mean([len(set(rows)) < 10 for rows in seen])
    # 1 - 20 * 19 * ... * 11 / 20**10 = 0.935
    assert abs(twice - 0.935) < 5 * np.sqrt(0.935 * 0.065 / 400)


def test_full_batch_is_the_density_itself(model):
    assert minibatch.plan(model.target(), {"batch_size": 40}, always=True).size == 40
    assert minibatch.plan(model.target(), {}, always=True).size == 100  # all, below 128
    assert minibatch.plan(model.target(), {}, always=False) is None


def test_uint8_rows_stay_uint8():
    x = np.arange(60, dtype=np.uint8).reshape(20, 3)

    def network(params, x):
        assert x.dtype == jnp.uint8
        return (x / 255.0) @ params["w"]

    model = cw.wrap(
        network, x, x[:, 0] / 255, likelihood="gaussian", example={"w": jnp.zeros((3, 1))}
    )
    assert model.data["x"].dtype == jnp.uint8
    post = model.sgmcmc.blackjax_sgld(seed=0, batch_size=5, **QUICK)
    assert np.isfinite(post.draws["w"]).all()


# --- what they converge to ----------------------------------------------------------------------


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


# --- step sizes ---------------------------------------------------------------------------------


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


# --- optimizers ---------------------------------------------------------------------------------


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


# --- bad input ----------------------------------------------------------------------------------


def test_model_without_data_is_told_how_to_give_it():
    model = cw.Model(lambda p: -(p**2), 0.0)
    with pytest.raises(ValueError, match=r"needs a model with `data`. Give `Model\("):
        model.sgmcmc.blackjax_sgld(seed=0, progress=False)
    with pytest.raises(ValueError, match="`batch_size` needs a model with `data`"):
        model.optimize.optax_adam(seed=0, batch_size=5, progress=False)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"batch_size": 101}, "`batch_size` is 101 and the data have 100 rows"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"replacement": "yes"}, "`replacement` must be True or False"),
        ({"step_size": -1.0}, "`step_size` must be positive, got -1.0"),
        ({"step_size": "large"}, "a schedule .* or 'auto', got 'large'"),
        ({"batches": []}, "`batches` needs `num_data`"),
        ({"step_sise": 1.0}, "Did you mean `step_size`"),
    ],
)
def test_other_bad_input(model, option, text):
    with pytest.raises((TypeError, ValueError), match=text):
        model.sgmcmc.blackjax_sgld(seed=0, **QUICK | option)


def test_cycle_must_hold_a_draw(model):
    with pytest.raises(ValueError, match="keeps no draw with `thinning` 5"):
        model.sgmcmc.blackjax_cyclical_sgld(
            seed=0, num_chains=1, cycle_length=10, exploration=0.8, thinning=5, progress=False
        )


def diverging(step):
    """A schedule that breaks at step 30."""
    return jnp.where(step < 30, 1e-4, jnp.nan)


@pytest.mark.parametrize("method", ["parallel", "vectorized"])
def test_divergence_says_where_and_returns_what_was_good(model, method):
    call = QUICK | {"step_size": diverging, "num_draws": 200, "num_warmup": 10, "thinning": 2}
    with pytest.warns(UserWarning, match="diverged: step 20 of the sampling") as said:
        post = model.sgmcmc.blackjax_sgld(seed=0, batch_size=20, chain_method=method, **call)
    norm = float(str(said[0].message).split("before was ")[1].split(". ")[0])
    assert 0 < norm < np.inf
    assert post.num_draws == 10  # steps 0 to 19
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(post.draws))
    assert not post.stats["diverging"].any()


def test_step_size_that_is_too_large_diverges(model):
    with pytest.raises(ValueError, match="NaN or infinite. The gradient's norm") as said:
        model.sgmcmc.blackjax_sgld(seed=0, batch_size=20, **QUICK | {"step_size": 10.0})
    assert "There is no draw to return" in str(said.value)


def test_divergence_in_the_warm_up_is_an_error(model):
    call = QUICK | {"step_size": diverging, "num_warmup": 60}
    with pytest.raises(ValueError, match="diverged: step 30 of the warm-up"):
        model.sgmcmc.blackjax_sghmc(seed=0, batch_size=20, **call)


def test_debug_of_a_call_says_it_before_the_run(model):
    report = model.sgmcmc.blackjax_sgld.debug(seed=0, kwargs={"batch_size": 101})
    assert not report and "`batch_size` is 101" in str(report)
    report = model.sgmcmc.blackjax_sgld.debug(seed=0, kwargs={"batch_size": 20, "reduce": "mean"})
    assert report and "on a batch of 20 rows" in " ".join(str(report).split())


# --- compilation --------------------------------------------------------------------------------


def test_other_data_of_the_same_shape_compile_nothing(model):
    call = QUICK | {"batch_size": 20}
    model.sgmcmc.blackjax_sgld(seed=0, **call)
    other = support.rows().model
    with counting() as counts:
        other.sgmcmc.blackjax_sgld(seed=5, **call | {"num_draws": 20})
    assert counts == {"trace": 0, "compile": 0}


def test_every_row_says_why_it_is_biased():
    rows = [row for row in ALGORITHMS if row.family.name == "sgmcmc"]
    assert len(rows) == 9 and all(row.bias and "data" in row.needs for row in rows)
