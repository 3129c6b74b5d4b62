"""Summaries in place of draws."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from support.minibatches import QUICK, same

import crewel as cw


@pytest.fixture(scope="module")
def model():
    return support.rows().model


def square(params):
    return params["rate"] ** 2


def test_mean_is_the_mean_of_the_draws(model):
    call = QUICK | {"num_draws": 30, "batch_size": 20}
    every = model.sgmcmc.blackjax_sgld(seed=0, **call)
    mean = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", **call)
    assert mean.draws["w"].shape == (2, 1, 2)
    np.testing.assert_allclose(mean.draws["w"][:, 0], every.draws["w"].mean(1), rtol=1e-5)
    assert mean.stats["step_size"].shape == (2, 1)
    both = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", collect=square, **call)
    np.testing.assert_allclose(both.draws[:, 0], (every.draws["rate"] ** 2).mean(1), rtol=1e-5)


def test_extended_mean_equals_uninterrupted(model):
    call = QUICK | {"reduce": "mean", "batch_size": 20}
    whole = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 50})
    parts = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 20})
    assert not same(parts.draws, whole.draws)
    assert same(parts.extend(30, progress=False).draws, whole.draws)


def test_reducer_of_ones_own(model):
    largest = cw.Reducer(
        lambda value: jax.tree.map(lambda leaf: leaf - jnp.inf, value),
        lambda kept, value: jax.tree.map(jnp.maximum, kept, value),
        lambda kept: kept,
    )
    call = QUICK | {"num_draws": 30, "batch_size": 20}
    every = model.sgmcmc.blackjax_sgld(seed=0, **call)
    found = model.sgmcmc.blackjax_sgld(seed=0, reduce=largest, **call)
    np.testing.assert_array_equal(found.draws["w"][:, 0], every.draws["w"].max(1))
    with pytest.raises(TypeError, match="`reduce` must be 'mean', or a `crewel.Reducer"):
        model.sgmcmc.blackjax_sgld(seed=0, reduce="median", **call)


def test_mean_of_a_diverging_run_is_that_of_its_good_draws(model):
    def schedule(step):
        return jnp.where(step < 24, 1e-4, jnp.nan)

    call = QUICK | {"num_draws": 50, "batch_size": 20, "step_size": schedule}
    with pytest.warns(UserWarning, match="diverged: step 20 of the sampling"):
        mean = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", **call)
    good = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 20})
    np.testing.assert_allclose(mean.draws["w"][:, 0], good.draws["w"].mean(1), rtol=1e-5)


def test_programs_hold_no_draws_under_reduction(model):
    """What the device holds does not depend on the number of draws, nor does the result."""
    from crewel.run import blocks

    sizes = []
    write = blocks.Store.write

    def spy(self, block, count, chunk, **kwargs):
        sizes.append(sum(leaf.size for leaf in jax.tree.leaves(self.kept)))
        return write(self, block, count, chunk, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.Store, "write", spy)
        for draws in (100, 5000):
            model.sgmcmc.blackjax_sgld(
                seed=0, reduce="mean", batch_size=20, **QUICK | {"num_draws": draws}
            )
    assert len(set(sizes)) == 1
