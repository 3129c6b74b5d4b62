"""Minibatches: the estimate of the density, and which rows a step sees."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support

import crewel as cw
from crewel.core import minibatch
from crewel.core.minibatch import Batches


@pytest.fixture(scope="module")
def known():
    return support.rows()


@pytest.fixture(scope="module")
def model(known):
    return known.model


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
