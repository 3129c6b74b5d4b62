"""The contract in short, for rows whose engine another row puts to the full test."""

from __future__ import annotations

import jax
import pytest
from support import contract
from support.contract import FITS, OPTIMIZERS, SAMPLERS, method, short

import crewel as cw


def run(model, row):
    """Draws have the model's structure, and depend on the seed alone."""
    call = contract.budget(row)
    # Means of weighted draws are held to their bias alone, which fewer draws would exceed.
    if "num_draws" in call and row.family.name != "sgmcmc":
        call["num_draws"] //= 4
    post = method(model, row)(seed=1, **call)
    contract.assert_structure(model, post.draws, (post.num_chains, post.num_draws))
    # A chain does not depend on how many others there are, but for those that see each other.
    call |= {} if row.cross_chain else {"num_chains": 1}
    chains = slice(None if row.cross_chain else 1)
    again, other = (method(model, row)(seed=seed, **call) for seed in (jax.random.key(1), 2))
    assert contract.same(jax.tree.map(lambda leaf: leaf[chains], post.draws), again.draws)
    assert not contract.same(again.draws, other.draws)
    return post


@pytest.mark.parametrize("row", short(SAMPLERS))
def test_sampler(row):
    known = contract.quick_for(row)
    contract.assert_moments(row, run(known.model, row), known)


@pytest.mark.parametrize("row", short(FITS))
def test_fit(row):
    contract.assert_fit(row, run(contract.fit_model(), row))


@pytest.mark.parametrize("row", short(OPTIMIZERS))
def test_optimizer(row):
    model, call = contract.mode_model(), contract.budget(row) | {"num_particles": 3}
    seeds = 1, jax.random.key(1), 2
    post, again, other = (method(model, row)(seed=seed, **call) for seed in seeds)
    contract.assert_structure(model, post.draws, (3, 1))
    assert contract.same(post.losses, again.losses) and not contract.same(post.losses, other.losses)
    contract.assert_mode(row, post)


def test_rows_that_differ_in_numbers_share_an_engine():
    engine = {row.name: contract.engine(row) for row in cw.ALGORITHMS}
    assert engine["numpyro_nuts"] == engine["numpyro_hmc"] != engine["numpyro_aies"]
    assert engine["blackjax_sgld"] == engine["blackjax_sghmc"] != engine["blackjax_sgld_cv"]
    optax = {key for name, key in engine.items() if name.startswith("optax_")}
    assert len(optax) == 1
