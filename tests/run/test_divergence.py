"""Runs on minibatches that diverge."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from support.minibatches import QUICK


@pytest.fixture(scope="module")
def known():
    return support.rows()


@pytest.fixture(scope="module")
def model(known):
    return known.model


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
