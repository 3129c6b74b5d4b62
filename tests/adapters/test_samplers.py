"""What is particular to single samplers of NumPyro and BlackJAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import support
from numpyro.infer import AIES

import crewel as cw
from crewel.core.compiling import Frozen, thaw


def test_ensembles_take_several_moves():
    """NumPyro's own spelling: a dict with functions as keys."""
    moves = {AIES.DEMove(): 0.5, AIES.StretchMove(): 0.5}
    frozen = Frozen({"moves": moves, "randomize_split": False})
    assert thaw(frozen.static, frozen.arrays)["moves"] == moves
    model = cw.Model(lambda p: -0.5 * jnp.sum(p**2), jnp.zeros(2))
    post = model.mcmc.numpyro_aies(
        seed=0, num_chains=20, num_warmup=200, num_draws=500, moves=moves, progress=False
    )
    assert np.abs(support.errors(post.draws, np.zeros(2), np.ones(2))).max() < 5


def test_collect_sees_one_chain_of_an_ensemble():
    model = cw.Model(lambda p: -0.5 * jnp.sum(p**2), jnp.zeros(2))
    counts = {"num_chains": 6, "num_warmup": 10, "num_draws": 8, "progress": False}
    whole = model.mcmc.numpyro_aies(seed=0, **counts)
    sums = model.mcmc.numpyro_aies(seed=0, collect=jnp.sum, **counts)
    np.testing.assert_allclose(sums.draws, whole.draws.sum(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["blackjax_barker", "blackjax_ghmc", "numpyro_barker"])
def test_scales_are_learnt(name):
    """A parameter a thousand times wider than another mixes as well."""
    sd = np.array([0.1, 100.0])
    model = cw.Model(lambda p: -0.5 * jnp.sum((p / jnp.asarray(sd)) ** 2), jnp.zeros(2))
    post = getattr(model.mcmc, name)(seed=0, num_warmup=1000, num_draws=2000, progress=False)
    draws = np.asarray(post.draws) / sd
    assert np.abs(support.errors(draws, np.zeros(2), np.ones(2))).max() < 5
    lagged = (draws[:, 1:] * draws[:, :-1]).mean((0, 1)) / (draws**2).mean((0, 1))
    assert np.abs(lagged[0] - lagged[1]) < 0.1 and lagged.max() < 0.9


def _two_modes(params, rows):
    return jnp.logaddexp(-0.5 * ((params - 3) / 0.3) ** 2, -0.5 * ((params + 3) / 0.3) ** 2) + rows


@pytest.mark.parametrize("name", ["blackjax_tempered_smc", "blackjax_nested_slice"])
def test_both_modes_and_the_evidence(name):
    model = cw.Model(
        None,
        0.0,
        data=jnp.zeros(1),
        log_prior=lambda p: dist.Normal(0.0, 3.0).log_prob(p),
        log_likelihood=_two_modes,
        initializers={"prior": lambda key: 3.0 * jax.random.normal(key)},
    )
    post = getattr(model.mcmc, name)(seed=0, num_chains=400, num_draws=1, progress=False)
    # A mode times the prior is a Gaussian; there are two of the same weight.
    exact = np.log(2 * 0.3 / np.sqrt(9 + 0.09)) - 0.5 * 9 / (9 + 0.09)
    off = post.stats["log_evidence"] - exact
    assert (np.abs(off) < 5 * post.stats["log_evidence_error"]).all()
    assert (post.stats["log_evidence_error"] < 0.2).all()
    above = (post.draws > 0).mean()
    assert abs(above - 0.5) < 5 * 0.5 / np.sqrt(400)
    assert np.abs(np.abs(post.draws).mean() - 3 * 9 / 9.09) < 0.1


NO_WARMUP = [
    pytest.param(row, id=row.name)
    for row in cw.ALGORITHMS
    if row.family.name == "mcmc"
    and row.backend.extra in ("", "blackjax")
    and "num_warmup" not in row.unsupported
]


@pytest.mark.slow
@pytest.mark.parametrize("row", NO_WARMUP)
def test_without_warmup(row):
    model = support.plain()
    chains = 20 if row.cross_chain else 2
    post = getattr(model.mcmc, row.name)(
        seed=0, num_chains=chains, num_warmup=0, num_draws=20, progress=False
    )
    assert np.isfinite(post.stats["lp"]).all()
    if "step_size" in post.stats:
        assert (post.stats["step_size"] == post.stats["step_size"][0, 0]).all()
