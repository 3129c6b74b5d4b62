"""What every algorithm finds: moments and modes, in the model's structure, the same for a seed."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import support
from support import contract, counting
from support.contract import FITS, OPTIMIZERS, SAMPLERS, full, method

# Stats that a row may have, by ArviZ's names, and two of our own for unadjusted methods.
STATS = {
    "lp", "energy", "acceptance_rate", "step_size", "n_steps", "diverging", "tree_depth",
    "energy_error", "log_evidence", "log_evidence_error", "log_q", "pareto_k",
}  # fmt: skip

# Of minibatches: the log density itself would take all rows.
BATCH_STATS = STATS - {"lp"} | {"lp_estimate", "log_weight", "batch_acceptance_rate"}


@pytest.mark.parametrize("row", full(SAMPLERS))
def test_moments(row):
    known = contract.known_for(row)
    post = method(known.model, row)(seed=1, **contract.budget(row))
    contract.assert_moments(row, post, known)


@pytest.mark.parametrize("row", full(FITS))
def test_fits(row):
    post = method(contract.fit_model(), row)(seed=1, **contract.budget(row))
    contract.assert_fit(row, post)


@pytest.mark.parametrize("row", full(OPTIMIZERS))
def test_optimizers_find_the_mode(row):
    post = method(contract.mode_model(), row)(seed=1, num_particles=3, **contract.budget(row))
    contract.assert_mode(row, post)
    with counting() as counts:
        method(contract.mode_model(), row)(seed=2, num_particles=3, **contract.budget(row))
    assert counts == {"trace": 0, "compile": 0}


@pytest.mark.parametrize("row", full(SAMPLERS + FITS))
def test_seeds_stats_and_compilations(row):
    model, own, number = contract.small_for(row), contract.own(row), (contract.chains(row), 12)
    post = method(model, row)(seed=3, **own)
    contract.assert_structure(model, post.draws, number)
    assert contract.same(post.draws, method(model, row)(seed=3, **own).draws)
    assert contract.same(post.draws, method(model, row)(seed=jax.random.key(3), **own).draws)
    with counting() as counts:
        other = method(model, row)(seed=4, **own)
    # A row that compiles anew says why, and is wrong once it no longer does.
    assert (counts == {"trace": 0, "compile": 0}) == (not row.recompiles), counts
    assert not np.array_equal(contract.first(post.draws), contract.first(other.draws))
    assert all(value.shape == number for value in post.stats.values())
    if row.family.name == "sgmcmc":
        assert set(post.stats) <= BATCH_STATS and "step_size" in post.stats
        return
    assert set(post.stats) <= STATS and "lp" in post.stats
    # `lp` is the density on the unconstrained space, so it must follow the draws.
    target = model.target()
    unconstrain = jax.vmap(jax.vmap(target.transform.inverse))
    expected = jax.vmap(jax.vmap(target.log_density))(unconstrain(post.draws))
    np.testing.assert_allclose(post.stats["lp"], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.once
@pytest.mark.parametrize("row", full(row for row in SAMPLERS if row.family.name == "sgmcmc"))
def test_structure_is_kept_on_minibatches(row):
    model = support.nested_rows()
    post = method(model, row)(seed=0, **contract.own(row))
    contract.assert_structure(model, post.draws, (contract.chains(row), 12))


@pytest.mark.once
@pytest.mark.parametrize("row", full(OPTIMIZERS))
def test_structure_is_kept_by_optimizers(row):
    model = support.plain()
    post = method(model, row)(seed=0, num_particles=2, num_steps=5, progress=False)
    contract.assert_structure(model, post.draws, (2, 1))
