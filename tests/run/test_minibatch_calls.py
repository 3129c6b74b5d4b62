"""Calls on minibatches: what is refused, and what is not compiled again."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import support
from support import counting
from support.minibatches import QUICK

import crewel as cw


@pytest.fixture(scope="module")
def known():
    return support.rows()


@pytest.fixture(scope="module")
def model(known):
    return known.model


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
        ({"step_size": -1.0}, "`step_size` must be a positive, finite number, .* got -1.0"),
        ({"step_size": "large"}, "a schedule or 'auto', got 'large'"),
        ({"batches": []}, "`batches` needs `num_data`"),
        ({"step_sise": 1.0}, "Did you mean `step_size`"),
    ],
)
def test_other_bad_input(model, option, text):
    with pytest.raises((TypeError, ValueError), match=text):
        model.sgmcmc.blackjax_sgld(seed=0, **QUICK | option)


def test_debug_of_a_call_says_it_before_the_run(model):
    report = model.sgmcmc.blackjax_sgld.debug(seed=0, kwargs={"batch_size": 101})
    assert not report and "`batch_size` is 101" in str(report)
    report = model.sgmcmc.blackjax_sgld.debug(seed=0, kwargs={"batch_size": 20, "reduce": "mean"})
    assert report and "on a batch of 20 rows" in " ".join(str(report).split())


def test_other_data_of_the_same_shape_compile_nothing(model):
    call = QUICK | {"batch_size": 20}
    model.sgmcmc.blackjax_sgld(seed=0, **call)
    other = support.rows().model
    with counting() as counts:
        other.sgmcmc.blackjax_sgld(seed=5, **call | {"num_draws": 20})
    assert counts == {"trace": 0, "compile": 0}


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
