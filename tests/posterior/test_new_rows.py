"""New rows must be like those of the training data."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from support.lines import ROWS, example, inputs, linear, normals

import crewel as cw

pd = pytest.importorskip("pandas")
SHORT = {"seed": 0, "num_particles": 2, "num_steps": 3, "progress": False}
COLUMNS = ["a", "b", "c"]


@functools.cache
def posterior(*, frame=True, network=linear):
    x = pd.DataFrame(inputs(), columns=COLUMNS) if frame else inputs()
    model = cw.wrap(network, x, normals(), likelihood="gaussian", example=example(1))
    return model.optimize.optax_adam(**SHORT)


def outputs(post, x):
    return post.predict(x)["predictions"]["outputs"].values


def test_the_order_of_columns_does_not_matter():
    post, x = posterior(), inputs(7)
    expected = outputs(post, x)
    assert not np.allclose(outputs(post, x[:, ::-1]), expected)
    turned = pd.DataFrame(x, columns=COLUMNS)[["c", "a", "b"]]
    np.testing.assert_array_equal(outputs(post, turned), expected)
    y = normals(8)
    assert post.metrics(turned, y, seed=1) == post.metrics(x, y, seed=1)
    np.testing.assert_array_equal(
        post.log_likelihood(turned, y)["log_likelihood"]["y"],
        post.log_likelihood(x, y)["log_likelihood"]["y"],
    )


def test_other_columns_are_refused():
    wrong = pd.DataFrame(inputs(), columns=["a", "b", "d"])
    with pytest.raises(ValueError, match=r"missing \['c'\], not known \['d'\]"):
        posterior().predict(wrong)
    more = pd.DataFrame(inputs(), columns=COLUMNS).assign(e=1.0)
    with pytest.raises(ValueError, match=r"missing \[\], not known \['e'\]"):
        posterior().predict(more)


def test_held_out_rows_of_a_run_are_read_the_same_way():
    turned = pd.DataFrame(inputs(7), columns=COLUMNS)[["c", "a", "b"]]
    model = posterior().model
    scores = [
        model.optimize.optax_adam(**SHORT, evaluate=(x, normals(8), 1)).stats["test_lppd"]
        for x in (inputs(7), turned)
    ]
    np.testing.assert_array_equal(*scores)


def test_columns_are_not_part_of_the_density():
    from support import counting

    x = pd.DataFrame(inputs(), columns=["d", "e", "f"])
    posterior()
    model = cw.wrap(linear, x, normals(), likelihood="gaussian", example=example(1))
    with counting() as count:
        model.optimize.optax_adam(**SHORT)
    assert count == {"trace": 0, "compile": 0}


BROKEN = np.where(np.arange(ROWS)[:, None] == 4, np.nan, inputs())


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (inputs()[0], r"shape \(3,\); it needs an axis of rows.*`x\[None\]`"),
        (inputs()[None], r"shape \(1, 20, 3\); it needs an axis of rows"),
        (inputs()[:, :2], r"shape \(2,\), but .* rows of shape \(3,\), and the network fails"),
        (inputs()[:0], "at least one"),
        (BROKEN, "`x` has 3 values that are NaN or infinite, the first in row 4"),
        ({"x": inputs()}, "another structure than the `x`"),
        (inputs().tolist(), "`x` is a list, a pytree of its entries"),
    ],
)
def test_rows_that_do_not_fit(x, match):
    post = posterior(frame=False)
    with pytest.raises(ValueError, match=match):
        post.predict(x)
    with pytest.raises(ValueError, match=match):
        post.report(x)


def test_rows_that_are_not_numbers():
    with pytest.raises(TypeError, match="`x` is complex"):
        posterior().predict(inputs() + 0j)


def _sums(params, x):
    return x.sum(1, keepdims=True) * params["w"].sum()


def test_a_network_may_take_rows_of_any_length():
    post = posterior(frame=False, network=_sums)
    assert outputs(post, np.ones((5, 9), np.float32)).shape == (2, 1, 5, 1)


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_batch_size_of_predictions(size):
    with pytest.raises(ValueError, match="`batch_size` must be an integer of at least 1"):
        posterior().predict(inputs(), batch_size=size)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (normals()[1:], r"`x` has 20 rows and `y` has shape \(19,\)"),
        (np.where(np.arange(ROWS) == 3, np.nan, normals()), "`y` has 1 values that are NaN"),
        (pd.Series(normals(), index=range(1, ROWS + 1)), "another index"),
    ],
)
def test_targets_that_do_not_fit(y, match):
    post, x = posterior(), pd.DataFrame(inputs(), columns=COLUMNS)
    for score in (post.metrics, post.log_likelihood, post.report):
        with pytest.raises(ValueError, match=match):
            score(x, y)


def test_there_is_no_such_chain():
    post = posterior()
    for chain in (99, -3):
        with pytest.raises(IndexError, match=f"`chain` is {chain}, but the posterior has 2 chains"):
            post.network(chain=chain)
    with pytest.raises(IndexError, match="`draw` is 1, but the posterior has 1 draw"):
        post.network(draw=1)
    np.testing.assert_array_equal(post.network(chain=-1)["w"], jnp.asarray(post.draws["w"])[1, 0])
