"""Runs that go on: nothing is compiled, and held-out rows are looked at as in one long run."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from support import counting

import crewel as cw

SHORT = {"num_draws": 60, "progress": False}
CALLS = {
    "stepped": ("mcmc", "numpyro_nuts", {"num_warmup": 10}),
    "vectorized": ("mcmc", "numpyro_nuts", {"num_warmup": 10, "chain_method": "vectorized"}),
    "minibatches": ("sgmcmc", "blackjax_sgld", {"num_warmup": 10, "batch_size": 20}),
    "fit": ("vi", "blackjax_meanfield_vi", {"num_steps": 20}),
}


@pytest.fixture(scope="module")
def model():
    return support.rows().model


@pytest.mark.parametrize("name", CALLS)
def test_extend_compiles_nothing(model, name):
    """Neither the first extension nor one of another length."""
    family, row, call = CALLS[name]
    post = getattr(getattr(model, family), row)(seed=0, **SHORT, **call)
    for number in (60, 7, 300):
        with counting() as counts:
            longer = post.extend(number, progress=False)
        assert counts == {"trace": 0, "compile": 0}, number
        assert longer.num_draws == 60 + number


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def held_out():
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 2)).astype(np.float32)
    y = (x @ [1.0, -2.0] + random.normal(size=80)).astype(np.float32)
    model = cw.wrap(
        lambda p, x: x @ p["w"], x[:60], y[:60], likelihood=cw.likelihoods.gaussian(1.0),
        example={"w": jnp.zeros(2)},
    )  # fmt: skip
    call = {"num_chains": 2, "num_warmup": 5, "batch_size": 20, "step_size": 1e-3}
    call |= {"evaluate": (x[60:], y[60:]), "progress": False}
    return model, call


def test_halves_equal_the_whole(held_out):
    """50 + 50 draws are 100, statistics of the held-out rows included, bit for bit."""
    model, call = held_out
    whole = model.sgmcmc.blackjax_sgld(seed=0, num_draws=100, **call)
    halves = model.sgmcmc.blackjax_sgld(seed=0, num_draws=50, **call).extend(50, progress=False)
    same((halves.draws, halves.stats), (whole.draws, whole.stats))
    scores = whole.stats["test_lppd"]
    # A look every 10 draws, whatever the length: the score changes there and nowhere else.
    changes = np.flatnonzero((np.diff(scores[0]) != 0) & ~np.isnan(scores[0, 1:])) + 1
    np.testing.assert_array_equal(changes, np.arange(9, 100, 10)[: len(changes)])
    assert len(changes) == 10


def test_a_short_extension_does_not_weigh_more(held_out):
    """10 draws after 100 are looked at once, as the last 10 of 110 are."""
    model, call = held_out
    long = model.sgmcmc.blackjax_sgld(seed=0, num_draws=110, **call)
    pieces = model.sgmcmc.blackjax_sgld(seed=0, num_draws=100, **call).extend(10, progress=False)
    same((pieces.draws, pieces.stats), (long.draws, long.stats))
